// The logs of a run: all works interleaved by time, or some.
import { fetchFile } from "../actions.js";
import { address, get, runPath, server } from "../api.js";
import { say } from "../dialogs.js";
import { clock, count, percent, plural, shortNames, size } from "../format.js";
import { Menu, SearchField, Toggle, Trouble } from "../parts.js";
import { LIVE } from "../poll.js";
import { setParameters, usePlace } from "../router.js";
import { html, useEffect, useMemo, useRef, useState } from "../ui.js";
import { LogList } from "./log_list.js";

const PAGE = 500;
const MOST_HITS = 2000;

export function Logs({ id, data }) {
  const { parameters } = usePlace();
  const works = parameters.getAll("work");
  const search = parameters.get("q") ?? "";
  const isRegex = parameters.get("regex") === "1";
  const isExact = parameters.get("case") === "1";
  const at = parameters.get("at");
  const box = useRef(null);
  const list = useRef(null);
  const [status, setStatus] = useState({ follows: true, lines: null });
  const [names, setNames] = useState([]);
  const [error, setError] = useState(null);
  const [options, setOptions] = useState(readOptions);
  const isRunning = data?.run.state === "running";
  const workKey = works.join("\n");
  const allNames = [...new Set([...(data?.works ?? []).map((work) => work.name), ...names.map((item) => item.name)])];
  const shorten = useMemo(() => shortNames(allNames), [allNames.join("\n")]);
  const nameOf = useRef(null);
  nameOf.current = shorten;

  useEffect(() => {
    const leaving = new AbortController();
    const read = async (where) => {
      const page = await get(address(`${runPath(id)}/logs`, { work: works, limit: PAGE, before: where.before, after: where.after, around: where.around, at: where.at }), leaving.signal);
      setNames(page.works);
      return page;
    };
    const lines = new LogList(box.current, read, setStatus, (name) => nameOf.current(name));
    list.current = lines;
    lines.pattern = patternOf(search, isRegex, isExact);
    const where = at ? { at } : {};
    lines.open(where).then(() => setError(null), (problem) => leaving.signal.aborted || setError(problem));
    return () => {
      leaving.abort();
      lines.close();
    };
  }, [id, workKey, at]);

  // New lines: asked again only after the answer, and a fifth of the time at most.
  useEffect(() => {
    let timer = 0;
    let isOver = false;
    async function look() {
      let pause = Math.max(LIVE, server.get()?.period ?? 0) * 1000;
      if (!document.hidden && list.current) {
        const began = performance.now();
        try {
          const more = await list.current.readLater();
          setError(null);
          if (more && list.current.follows) pause = 60; // it is behind: catch up
        } catch (problem) {
          if (!isOver) setError(problem);
          pause = 2000;
        }
        pause = Math.max(pause, (performance.now() - began) * 4);
      }
      if (!isOver) timer = setTimeout(look, pause);
    }
    timer = setTimeout(look, LIVE * 1000);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [id, workKey, at, isRunning]);

  useEffect(() => {
    list.current?.setPattern(patternOf(search, isRegex, isExact));
  }, [search, isRegex, isExact]);

  useEffect(() => {
    function key(event) {
      if (event.key !== "f" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      list.current?.follow();
    }
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);

  function change(name, value) {
    const next = { ...options, [name]: value };
    setOptions(next);
    try {
      localStorage.setItem("lightning-lite-logs", JSON.stringify(next));
    } catch {
      // storage is switched off
    }
  }
  const known = names.length ? names : (data?.works ?? []).map((work) => ({ name: work.name, size: null }));
  return html`<div class="logs ${options.times ? "" : "no-times"} ${options.wrap ? "" : "no-wrap"} ${works.length === 1 ? "one-work" : ""}" data-view="logs">
    <div class="bar">
      <${SearchField} label="Search the logs" placeholder="Search the whole logs  ( / )" value=${search} onInput=${(q) => setParameters({ q })} />
      <${Toggle} label=".*" title="Regular expression" aria-label="Regular expression" value=${isRegex} onChange=${(on) => setParameters({ regex: on ? "1" : null })} />
      <${Toggle} label="Aa" title="Upper and lower case differ" aria-label="Upper and lower case differ" value=${isExact} onChange=${(on) => setParameters({ case: on ? "1" : null })} />
      <${WorkChoice} names=${known} chosen=${works} shorten=${shorten} />
      <${JumpTo} run=${data?.run} onJump=${(time) => setParameters({ at: time })} />
      <span class="grow"></span>
      <${Menu} label="Options of the logs" class="" items=${[
        { label: options.times ? "Hide the times" : "Show the times", action: () => change("times", !options.times) },
        { label: options.wrap ? "Do not wrap long lines" : "Wrap long lines", action: () => change("wrap", !options.wrap) },
        null,
        { label: "Download all logs", action: () => fetchFile({ kind: "log", run: id }) },
        ...works.map((work) => ({ label: `Download the log of ${work}`, action: () => fetchFile({ kind: "log", run: id, work }) })),
      ]} />
    </div>
    ${search && html`<${Hits} id=${id} works=${works} shorten=${shorten} search=${search} isRegex=${isRegex} isExact=${isExact}
      open=${(found) => list.current?.open({ around: found.cursor, line: found }).catch((problem) => say(problem.message, { bad: true }))} />`}
    <${Trouble} error=${error} />
    ${names.filter((item) => item.trouble).map((item) => html`<${Trouble} key=${item.name} text=${`The log of ${item.name}: ${item.trouble}`} />`)}
    <div class="log-frame">
      <div class="log-box" ref=${box} tabindex="0" role="log" aria-live="off" aria-label="Lines of the logs" data-scroll data-log></div>
      ${status.lines === null && !error && html`<p class="empty over loading" role="status">Reading …</p>`}
      ${status.lines === 0 && !error && html`<p class="empty over">${isRunning ? "No output yet: lines appear here at once." : "These works printed nothing."}</p>`}
      ${(!status.follows || status.hasLater) && status.lines > 0 && html`<button class="follow filled" data-follow onClick=${() => (at ? setParameters({ at: null }) : list.current.follow())}>↓ ${isRunning ? "Follow" : "To the end"}</button>`}
    </div>
    <p class="log-foot dim"><span>${status.follows ? (isRunning ? html`<i class="live-dot"></i>follows the end` : "at the end") : "stands still: new lines wait below"}</span>
      <span class="num">${plural(status.lines ?? 0, "line")} loaded</span>
      <span class="num">${size(known.filter(({ name }) => !works.length || works.includes(name)).reduce((sum, item) => sum + (item.size ?? 0), 0))} in all</span></p>
  </div>`;
}

function readOptions() {
  try {
    return { times: true, wrap: true, ...JSON.parse(localStorage.getItem("lightning-lite-logs") ?? "{}") };
  } catch {
    return { times: true, wrap: true };
  }
}

/** The pattern to mark hits with. The server searches by Python's rules: a pattern that this browser can't read is not marked. */
function patternOf(search, isRegex, isExact) {
  if (!search) return null;
  try {
    return new RegExp(isRegex ? search : search.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), isExact ? "g" : "gi");
  } catch {
    return null;
  }
}

function WorkChoice({ names, chosen, shorten }) {
  const [text, setText] = useState("");
  const panel = useRef(null);
  const button = useRef(null);
  const label = chosen.length === 0 ? "All works" : chosen.length === 1 ? shorten(chosen[0]) : `${chosen.length} works`;
  const set = (works) => setParameters({ work: works.length ? works : null });
  const shown = names.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()));
  function place(event) {
    if (event.newState !== "open") return;
    const from = button.current.getBoundingClientRect();
    const box = panel.current;
    box.style.top = `${from.bottom + 4}px`;
    box.style.left = `${Math.max(8, Math.min(from.left, innerWidth - box.offsetWidth - 8))}px`;
  }
  return html`<button ref=${button} type="button" class="drop ${chosen.length ? "on" : ""}" popovertarget="work-choice" title=${chosen.join(", ")}>${label} ▾</button>
    <div id="work-choice" popover="auto" class="menu choice-panel" ref=${panel} onToggle=${place} role="group" aria-label="Works whose logs are shown">
      ${names.length > 8 && html`<input type="search" aria-label="Search works" placeholder="Search works" value=${text} onInput=${(event) => setText(event.currentTarget.value)} />`}
      <label class="check"><input type="checkbox" checked=${chosen.length === 0} onChange=${() => set([])} /> All works</label>
      <div class="checks" data-rows>
        ${shown.slice(0, 200).map(({ name, size: bytes }) => html`<label class="check" key=${name}><input data-row type="checkbox" checked=${chosen.includes(name)}
          onChange=${() => set(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name])} /><span>${name}</span><small class="dim num">${bytes === null ? "" : size(bytes)}</small></label>`)}
        ${shown.length > 200 && html`<p class="dim">${shown.length - 200} more: search for them.</p>`}
      </div>
    </div>`;
}

function JumpTo({ run, onJump }) {
  const [text, setText] = useState("");
  if (!run) return null;
  function jump(event) {
    event.preventDefault();
    const parts = /^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?$/.exec(text.trim());
    if (!parts) {
      say(`Invalid time “${text}”: write it as 14:03 or 14:03:21.`, { bad: true });
      return;
    }
    // The first such time of day since the run began.
    const day = new Date(run.started * 1000);
    day.setHours(Number(parts[1]), Number(parts[2]), 0, 0);
    let time = day.getTime() / 1000 + Number(parts[3] ?? 0);
    if (time < run.started - 60) time += 86_400;
    onJump(String(time));
  }
  return html`<form class="jump" onSubmit=${jump}><input aria-label="Jump to a time" placeholder=${`Go to ${clock(run.started, 0).slice(0, 5)}`} value=${text} size="9" onInput=${(event) => setText(event.currentTarget.value)} /></form>`;
}

function Hits({ id, works, shorten, search, isRegex, isExact, open }) {
  const goOn = useRef(null);
  const [state, setState] = useState({ hits: [], looked: null, isDone: false, error: null });
  const [chosen, setChosen] = useState(-1);
  const listed = useRef(null);
  useEffect(() => {
    const leaving = new AbortController();
    let all = [];
    let from = null;
    let limit = 0;
    setState({ hits: [], looked: null, isDone: false, error: null });
    setChosen(-1);
    async function look() {
      limit += MOST_HITS;
      do {
        const answer = await get(
          address(`${runPath(id)}/logs/search`, { q: search, regex: isRegex ? 1 : null, case: isExact ? 1 : null, work: works, from, limit: 200 }),
          leaving.signal,
        );
        all = [...all, ...answer.hits];
        from = answer.next;
        const isDone = answer.done || !from || all.length >= limit;
        setState({ hits: all, looked: answer.looked, isDone, isCut: !answer.done && isDone, error: null });
        if (isDone) return;
      } while (!leaving.signal.aborted);
    }
    goOn.current = () => look().catch((error) => leaving.signal.aborted || setState((old) => ({ ...old, isDone: true, error })));
    goOn.current();
    return () => leaving.abort();
  }, [id, works.join("\n"), search, isRegex, isExact]);

  const go = (index) => {
    if (!state.hits.length) return;
    const next = (index + state.hits.length) % state.hits.length;
    setChosen(next);
    open(state.hits[next]);
  };
  const current = useRef(null);
  current.current = { go, chosen };
  useEffect(() => {
    function key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isField = event.target.matches?.("[data-search]");
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !isField) return;
      const step = event.key === "Enter" && isField ? (event.shiftKey ? -1 : 1) : isField ? 0 : { n: 1, N: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      current.current.go(current.current.chosen < 0 && step < 0 ? -1 : current.current.chosen + step);
    }
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  useEffect(() => {
    listed.current?.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const { hits, looked, isDone, error } = state;
  const share = looked?.of ? looked.bytes / looked.of : 0;
  return html`<section class="hits" aria-label="Hits of the search" data-hits>
    <p class="hits-head" role="status"><b class="num">${chosen >= 0 ? `${count(chosen + 1)} / ` : ""}${count(hits.length)}${state.isCut ? "+" : ""} ${hits.length === 1 ? "hit" : "hits"}</b>
      <button class="plain" aria-label="Hit before" title="Hit before (N)" disabled=${!hits.length} onClick=${() => go(chosen < 0 ? -1 : chosen - 1)}>↑</button>
      <button class="plain" aria-label="Next hit" title="Next hit (n)" disabled=${!hits.length} onClick=${() => go(chosen + 1)}>↓</button>
      <span class="dim num">${looked ? (isDone && !state.isCut ? `looked at all ${size(looked.of)}` : `looked at ${size(looked.bytes)} of ${size(looked.of)} (${percent(share)})${isDone ? "" : " …"}`) : "looking …"}</span>
      ${state.isCut && html`<button class="small" onClick=${() => goOn.current()}>Look on</button>`}</p>
    <${Trouble} error=${error} />
    ${hits.length > 0 && html`<ol ref=${listed} data-rows data-scroll>${hits.slice(0, 400).map((hit, index) => html`<li key=${index}>
      <button data-row class="hit" aria-current=${index === chosen} onClick=${() => go(index)}><span class="num dim">${hit.time ? clock(hit.time) : ""}</span><span class="dim">${shorten(hit.work)}</span><span class="mono">${hit.text.slice(0, 240)}</span></button></li>`)}
      ${hits.length > 400 && html`<li class="dim">The first 400 are listed; n steps through all ${count(hits.length)}.</li>`}</ol>`}
  </section>`;
}
