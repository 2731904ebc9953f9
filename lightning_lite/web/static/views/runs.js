// The list of all runs of a root.
import { address, get } from "../api.js";
import { Bars } from "../charts/spark.js";
import { ago, count, duration, fullTime, moment, plural } from "../format.js";
import { Body, Empty, SearchField, Trouble, VirtualRows, offsetsOf, useIsNarrow, useNow } from "../parts.js";
import { LIVE, usePoll } from "../poll.js";
import { go, link, setParameters, usePlace } from "../router.js";
import { State, StateCounts, look } from "../states.js";
import { html, memo, useEffect, useMemo, useRef, useState } from "../ui.js";

const PAGE = 200;
const RUNS_PER_QUESTION = 30;

let last = link(["runs"]);

// Activity of runs that have ended: asked once for as long as the page is open.
const known = new Map();

/** The address of the list with the filters that were set last: going back keeps them. */
export const lastRunsAddress = () => last;

export function Runs() {
  const { parameters } = usePlace();
  const filters = {
    text: parameters.get("text") ?? "",
    state: parameters.get("state") ?? "",
    app: parameters.get("app") ?? "",
    tag: parameters.get("tag") ?? "",
  };
  last = link(["runs"], filters);
  const answer = usePoll(address("/api/runs", { ...filters, limit: PAGE }), LIVE);
  const [chosen, setChosen] = useState(() => new Set());
  const isFiltered = Object.values(filters).some(Boolean);
  useEffect(() => {
    document.title = "Runs · lightning_lite";
  }, []);
  const toggle = (id) => setChosen((old) => {
    const next = new Set(old);
    if (!next.delete(id)) next.add(id);
    return next;
  });
  const ids = [...chosen];
  return html`
    <div class="content wide" data-view="runs">
      <div class="title-row"><h1>Runs</h1>
        ${ids.length > 0 && html`<span class="picked" role="status">
          ${ids.length > 1
            ? html`<a class="button filled" href=${link(["compare"], { run: ids })}>Compare ${ids.length} runs</a>
              <a class="button" href=${link(["runs", ids[0], "numbers"], { with: ids.slice(1) })}>Plot together</a>`
            : html`<span class="dim">Choose one more run to compare.</span>`}
          <button class="plain" onClick=${() => setChosen(new Set())}>Clear</button></span>`}
      </div>
      <${Filters} filters=${filters} data=${answer.data} />
      <${Body} answer=${answer} what="the runs">${(data) => html`
        <${Trouble} text=${data.trouble} />
        ${data.runs.length
          ? html`<${RunList} data=${data} filters=${filters} chosen=${chosen} toggle=${toggle} />`
          : isFiltered
            ? html`<${Empty}>No run of ${count(data.total)} matches. <button onClick=${() => go(link(["runs"]))}>Show all</button><//>`
            : html`<${Empty}>There is no run here yet. Start an app in this folder, for example with <code>lightning-lite run app.py</code>: it appears at once.<//>`}`}<//>
    </div>`;
}

function Filters({ filters, data }) {
  const states = Object.entries(data?.states ?? {});
  if (filters.state && !data?.states?.[filters.state]) states.push([filters.state, 0]);
  const select = (name, label, values) => values?.length > 0 && html`
    <select aria-label=${label} value=${filters[name]} onChange=${(event) => setParameters({ [name]: event.currentTarget.value })}>
      <option value="">${label}: all</option>
      ${[...new Set([...values, ...(filters[name] ? [filters[name]] : [])])].map((value) => html`<option key=${value} value=${value}>${value}</option>`)}
    </select>`;
  return html`<div class="bar" role="search">
    <${SearchField} label="Search runs" placeholder="Search by name, app, tag, error  ( / )" value=${filters.text} onInput=${(text) => setParameters({ text })} />
    <div class="chips" role="group" aria-label="State">
      ${states.map(([state, number]) => html`<button key=${state} class="chip" aria-pressed=${filters.state === state}
        onClick=${() => setParameters({ state: filters.state === state ? "" : state })}><${State} state=${state} ofRun /><b>${count(number)}</b></button>`)}
    </div>
    ${select("app", "App", data?.apps)}
    ${select("tag", "Tag", data?.tags)}
  </div>`;
}

function useOlderRuns(data, filters) {
  const key = JSON.stringify(filters);
  const [older, setOlder] = useState({ key, runs: [], more: null, isAsking: false, error: null });
  const before = useRef({ key, runs: [] });
  const current = older.key === key ? older : { key, runs: [], more: null, isAsking: false, error: null };
  const shown = useMemo(() => {
    const newest = new Set(data.runs.map((run) => run.id));
    return [...data.runs, ...current.runs.filter((run) => !newest.has(run.id))];
  }, [data, current]);
  useEffect(() => {
    // A new run pushes the last one out of the newest page: it stays in the list.
    const now = new Set(data.runs.map((run) => run.id));
    const pushed = before.current.key === key && current.more !== null ? before.current.runs.filter((run) => !now.has(run.id)) : [];
    before.current = { key, runs: data.runs };
    if (pushed.length) setOlder((old) => ({ ...old, runs: [...pushed, ...old.runs] }));
  }, [data]);
  async function readMore() {
    if (current.isAsking) return;
    setOlder({ ...current, isAsking: true });
    try {
      const next = await get(address("/api/runs", { ...filters, limit: PAGE, before: shown.at(-1).id }));
      setOlder((old) => ({ key, runs: [...(old.key === key ? old.runs : []), ...next.runs], more: next.more, isAsking: false, error: null }));
    } catch (error) {
      setOlder((old) => ({ ...old, isAsking: false, error }));
    }
  }
  return { shown, more: current.more ?? data.more, readMore, isAsking: current.isAsking, error: current.error };
}

function RunList({ data, filters, chosen, toggle }) {
  const { shown, more, readMore, isAsking, error } = useOlderRuns(data, filters);
  const isNarrow = useIsNarrow();
  const hasRunning = shown.some((run) => run.state === "running");
  const now = useNow(hasRunning ? 1 : 30);
  const offsets = useMemo(() => offsetsOf(shown.length, isNarrow ? 104 : 52), [shown.length, isNarrow]);
  const activity = useActivity(shown);
  return html`
    <div role="table" class="table runs" aria-label="Runs" aria-rowcount=${data.matching}>
      <div role="row" class="row head"><span role="columnheader"><span class="unseen">Choose</span></span>
        <span role="columnheader">State</span><span role="columnheader">Run</span><span role="columnheader">App</span><span role="columnheader">Started</span>
        <span role="columnheader" class="right">Duration</span><span role="columnheader">Works</span><span role="columnheader">Activity</span></div>
      <${VirtualRows} offsets=${offsets} row=${(index) => html`
        <${RunRow} key=${shown[index].id} run=${shown[index]} now=${now} activity=${activity} isChosen=${chosen.has(shown[index].id)} toggle=${toggle} />`} />
    </div>
    <div class="under">
      <span class="dim">${count(shown.length)} of ${plural(data.matching, "run")}${data.matching !== data.total ? ` that ${data.matching === 1 ? "matches" : "match"}, ${count(data.total)} in all` : ""}</span>
      ${more && html`<button disabled=${isAsking} onClick=${readMore}>${isAsking ? "Reading …" : "Show older runs"}</button>`}
    </div>
    <${Trouble} error=${error} />`;
}

const RunRow = memo(function RunRow({ run, now, activity, isChosen, toggle }) {
  useEffect(() => activity.want(run), [run.id, run.state]);
  const end = run.ended ?? (run.state === "running" ? now : null);
  const begin = run.resumed ?? run.started;
  const { tone } = look(run.state, true);
  return html`<div role="row" class="row tone-edge-${tone}" data-run=${run.id}>
    <span role="cell" class="choose"><label><input type="checkbox" checked=${isChosen} onChange=${() => toggle(run.id)} /><span class="unseen">Choose ${run.name ?? run.id} to compare</span></label></span>
    <span role="cell" class="c-state"><${State} state=${run.state} ofRun /></span>
    <span role="cell" class="c-name two">
      <a class="cover" data-row href=${link(["runs", run.id])}>${run.name ?? run.id}</a>
      <small class="dim">${run.name && html`<span class="mono">${run.id}</span>`}${run.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`)}
        ${run.error ? html`<span class="bad-text" title=${run.error}>${run.error}</span>` : run.trouble && html`<span title=${run.trouble}>${run.trouble}</span>`}</small>
    </span>
    <span role="cell" class="c-app" title=${run.app}>${run.app}</span>
    <span role="cell" class="c-start two" title=${fullTime(run.started)}><span>${moment(run.started, now)}</span><small class="dim">${run.resumed ? "resumed " : ""}${ago(begin, now)}</small></span>
    <span role="cell" class="c-time right num">${end && run.started ? duration(end - run.started) : "–"}</span>
    <span role="cell" class="c-works"><${StateCounts} counts=${run.works} /></span>
    <span role="cell" class="c-spark"><${Activity} answer=${activity.of(run.id)} /></span>
  </div>`;
});

function Activity({ answer }) {
  if (!answer) return html`<span class="spark-empty"></span>`;
  if (answer.pending) return html`<small class="dim">reading …</small>`;
  if (answer.trouble) return html`<small class="dim" title=${answer.trouble}>unreadable</small>`;
  const text = `${plural(answer.attempts, "attempt")}${answer.failed ? `, ${count(answer.failed)} failed` : ""}`;
  return html`<${Bars} bins=${answer.bins} failed=${answer.failed_bins} label=${text} />
    <small class="num dim" title=${text}>${count(answer.attempts)}${answer.failed > 0 && html` <b class="bad-text">${count(answer.failed)} ✕</b>`}</small>`;
}

/** Activity of the rows in sight: asked once for runs that have ended, and again for those that are still running. */
function useActivity(runs) {
  const kept = known;
  const wanted = useRef(new Map()).current;
  const [, redraw] = useState(0);
  const running = runs.filter((run) => run.state === "running").map((run) => run.id).join();
  useEffect(() => {
    const leaving = new AbortController();
    let timer = 0;
    async function look() {
      const ids = [...wanted.keys()].slice(-RUNS_PER_QUESTION);
      let took = 0;
      if (ids.length && !document.hidden) {
        const began = performance.now();
        try {
          const answers = await get(address("/api/activity", { run: ids }), leaving.signal);
          for (const [id, answer] of Object.entries(answers)) {
            kept.set(id, answer);
            if (!answer.pending && wanted.get(id) !== "running") wanted.delete(id);
          }
          redraw((old) => old + 1);
        } catch {
          if (leaving.signal.aborted) return;
        }
        took = performance.now() - began;
      }
      const isNew = [...wanted].some(([id, state]) => state !== "running" && !kept.has(id));
      timer = setTimeout(look, Math.max(isNew ? 150 : 2000, took * 4));
    }
    timer = setTimeout(look, 30);
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [running]);
  return {
    of: (id) => kept.get(id),
    want(run) {
      if (!kept.has(run.id) || run.state === "running" || wanted.get(run.id) === "running") wanted.set(run.id, run.state);
      return () => wanted.delete(run.id);
    },
  };
}
