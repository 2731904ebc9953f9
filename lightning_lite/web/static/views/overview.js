// The first view of a run: failures first, then its works, and facts about it.
import { act, fetchFile } from "../actions.js";
import { runPath, server } from "../api.js";
import { Line } from "../charts/spark.js";
import { ask } from "../dialogs.js";
import { ago, clock, commandLine, count, cpu, duration, fullTime, lastPart, moment, plural, shortDuration, size } from "../format.js";
import { useObservable } from "../observable.js";
import { Empty, Menu, Progress, SearchField, Trouble, VirtualRows, offsetsOf, useIsNarrow, useNow } from "../parts.js";
import { usePoll } from "../poll.js";
import { link, usePlace } from "../router.js";
import { State, StateIcon, look } from "../states.js";
import { treeRows } from "../tree.js";
import { html, memo, useMemo, useState } from "../ui.js";
import { FailureDetails } from "./failure.js";

export function Overview({ id, data, refresh }) {
  const isRunning = data.run.state === "running";
  const usage = usePoll(isRunning ? `${runPath(id)}/usage` : null, 2);
  return html`<div class="content wide overview" data-view="overview">
    <div class="overview-main">
      <${RunTrouble} data=${data} />
      <${Failures} id=${id} data=${data} />
      <${Works} id=${id} data=${data} usage=${isRunning ? usage.data : null} refresh=${refresh} />
    </div>
    <aside class="overview-side" aria-label="About the run">
      ${isRunning && html`<${AppUsage} usage=${usage.data} />`}
      <${About} data=${data} />
    </aside>
  </div>`;
}

function RunTrouble({ data }) {
  const { run } = data;
  return html`
    ${run.state === "died" && html`<${Trouble} text=${`The app died${data.last_event ? ` after ${fullTime(data.last_event)}` : ""}: its process ended before it could write an end, for example because it was killed or because memory ran out.${run.can_resume ? " Resume repeats only what had not ended." : ""}`} />`}
    ${run.error && html`<${Trouble} text=${run.error} />`}
    ${[...new Set([run.trouble, data.trouble])].filter(Boolean).map((text) => html`<${Trouble} key=${text} text=${text} />`)}`;
}

/** Failures of the same kind are one row: "call 17" and "call 18" of two works differ in numbers only. */
function foldFailures(items) {
  const groups = new Map();
  for (const item of items) {
    const key = `${item.reason}|${item.message.replace(/\d+(\.\d+)?/g, "0").slice(0, 160)}`;
    const group = groups.get(key);
    if (group) group.items.push(item);
    else groups.set(key, { key, items: [item] });
  }
  return [...groups.values()].sort((a, b) => b.items.at(-1).time - a.items.at(-1).time);
}

function Failures({ id, data }) {
  const { errors } = data;
  const groups = useMemo(() => foldFailures(errors.items), [errors]);
  // Users come for the failure that ended the app: its place is open at once.
  const [open, setOpen] = useState(() => new Set(data.run.state === "failed" && groups.length ? [`where ${groups[0].key}`] : []));
  if (!errors.total) return null;
  const toggle = (key) => setOpen((old) => {
    const next = new Set(old);
    if (!next.delete(key)) next.add(key);
    return next;
  });
  const left = errors.total - errors.items.length;
  return html`<section class="card failures" aria-labelledby="failures-title" data-failures>
    <header><h2 id="failures-title"><${StateIcon} state="failed" /> ${plural(errors.total, "failed attempt")}</h2>
      <a href=${link(["runs", id, "calls"], { outcome: "failed" })}>Failed calls</a></header>
    ${groups.slice(0, open.has("all") ? groups.length : 5).map(({ key, items }) => {
      const newest = items.at(-1);
      const works = new Set(items.map((item) => item.work));
      const isOpen = open.has(key);
      return html`<div class="failure" key=${key}>
        <p class="message">${newest.reason && newest.reason !== "user_exception" && html`<span class="tag bad">${newest.reason.replaceAll("_", " ")}</span>`}${newest.message || "no message"}</p>
        <p class="dim where">
          <a href=${callLink(id, newest)}>${callName(newest)}</a>
          <span title=${fullTime(newest.time)}>attempt ${newest.attempt}, ${moment(newest.time)}</span>
          ${newest.call && html`<button class="plain small" aria-expanded=${open.has(`where ${key}`)} onClick=${() => toggle(`where ${key}`)}>${open.has(`where ${key}`) ? "▾" : "▸"} Where</button>`}
          <a href=${link(["runs", id, "logs"], { work: newest.work, at: newest.time.toFixed(6) })}>its output</a>
          ${items.length > 1 && html`<button class="plain small" aria-expanded=${isOpen} onClick=${() => toggle(key)}>${isOpen ? "▾" : "▸"} ${count(items.length)} like this${works.size > 1 ? ` in ${works.size} works` : ""}</button>`}
        </p>
        ${newest.call && open.has(`where ${key}`) && html`<${FailureDetails} id=${id} item=${newest} />`}
        ${isOpen && html`<ul class="same" data-rows>${items.slice(-60).reverse().map((item) => html`<li key=${`${item.work}/${item.call}/${item.attempt}`}>
          <a data-row href=${callLink(id, item)}>${callName(item)}</a> <span class="dim">attempt ${item.attempt}, ${moment(item.time)}</span></li>`)}</ul>`}
      </div>`;
    })}
    ${groups.length > 5 && html`<button class="plain" onClick=${() => toggle("all")}>${open.has("all") ? "Show fewer" : `Show ${groups.length - 5} other kinds`}</button>`}
    ${left > 0 && html`<p class="dim under-note">The first 20 and the last ${errors.items.length - 20} are read here; ${count(left)} between them are in the list of failed calls.</p>`}
  </section>`;
}

/** A failure without a call is one of the process: it did not start. */
const callLink = (id, item) => (item.call ? link(["runs", id, "call"], { work: item.work, number: item.call }) : link(["runs", id, "calls"], { work: item.work }));
const callName = (item) => (item.call ? `${item.work} call ${item.call}` : item.work);

function Works({ id, data, usage, refresh }) {
  const { parameters } = usePlace();
  const [closed, setClosed] = useState(() => new Set());
  const [text, setText] = useState(parameters.get("text") ?? "");
  const [state, setState] = useState("");
  const isNarrow = useIsNarrow();
  const isRunning = data.run.state === "running";
  const now = useNow(isRunning ? 1 : 60);
  const works = useMemo(() => new Map(data.works.map((work) => [work.name, work])), [data.works]);
  const states = useMemo(() => countBy(data.works, (work) => look(work.state).label), [data.works]);
  const wanted = text.toLowerCase();
  const takes = text || state
    ? (name) => {
        const work = works.get(name);
        return work && (!wanted || name.toLowerCase().includes(wanted)) && (!state || look(work.state).label === state);
      }
    : null;
  const rows = useMemo(() => treeRows(data.components, closed, takes), [data.components, closed, text, state, state && works]);
  const offsets = useMemo(() => offsetsOf(rows.length, (index) => (rows[index].kind === "work" ? (isNarrow ? 76 : 48) : isNarrow ? 42 : 34)), [rows, isNarrow]);
  if (!data.works.length) return html`<section class="card"><${Empty}>This run has no works${isRunning ? " yet" : ""}.<//></section>`;
  const toggle = (name) => setClosed((old) => {
    const next = new Set(old);
    if (!next.delete(name)) next.add(name);
    return next;
  });
  return html`<section class="card works" aria-labelledby="works-title">
    <header><h2 id="works-title">${plural(data.works.length, "work")}</h2>
      ${data.works.length > 5 && html`<${SearchField} label="Search works" value=${text} onInput=${setText} />`}
      ${data.works.length > 1 && html`<div class="chips" role="group" aria-label="State">${Object.entries(states).map(([label, number]) => html`
        <button key=${label} class="chip" aria-pressed=${state === label} onClick=${() => setState(state === label ? "" : label)}><${State} state=${label} /><b>${count(number)}</b></button>`)}</div>`}
    </header>
    <div role="table" class="table work-table ${isRunning ? "is-live" : ""}" aria-label="Works" aria-rowcount=${rows.length}>
      <div role="row" class="row head"><span role="columnheader">Work</span><span role="columnheader">State</span><span role="columnheader">Calls</span>
        <span role="columnheader">Progress</span>${isRunning && html`<span role="columnheader">CPU</span><span role="columnheader">Memory</span>`}<span role="columnheader" class="right">Since</span><span role="columnheader"><span class="unseen">Actions</span></span></div>
      ${rows.length
        ? html`<${VirtualRows} offsets=${offsets} row=${(index) => {
            const row = rows[index];
            return row.kind === "work"
              ? html`<${WorkRow} key=${row.name} id=${id} row=${row} run=${data.run} work=${works.get(row.name)} usage=${usage} now=${now} refresh=${refresh} />`
              : html`<${FlowRow} key=${row.name} row=${row} works=${works} toggle=${toggle} />`;
          }} />`
        : html`<${Empty}>No work matches.<//>`}
    </div>
  </section>`;
}

function countBy(items, of) {
  const counts = {};
  for (const item of items) counts[of(item)] = (counts[of(item)] ?? 0) + 1;
  return counts;
}

const FlowRow = memo(function FlowRow({ row, works, toggle }) {
  const below = countBy(row.works.map((name) => works.get(name)).filter(Boolean), (work) => look(work.state).label);
  return html`<div role="row" class="row flow">
    <span role="cell" class="c-tree" style=${{ "--depth": row.depth }}>
      <button class="plain fold" data-row aria-expanded=${!row.isClosed} onClick=${() => toggle(row.name)} title=${row.name}><span aria-hidden="true">${row.isClosed ? "▸" : "▾"}</span> ${row.label}</button>
      <small class="dim" title=${row.class}>${lastPart(row.class ?? "")}</small></span>
    <span role="cell" class="c-counts">${Object.entries(below).map(([label, number]) => html`<span key=${label} class="tone-${look(label).tone}"><${StateIcon} state=${label} />${number}<span class="unseen"> ${label} </span></span>`)}</span>
  </div>`;
});

const WorkRow = memo(function WorkRow({ id, row, run, work, usage, now, refresh }) {
  const info = useObservable(server);
  const isRunning = run.state === "running";
  if (!work) return html`<div role="row" class="row"><span role="cell" class="c-tree" style=${{ "--depth": row.depth }}>${row.label}</span></div>`;
  const points = usage?.works?.[work.name];
  const recent = points?.filter((point) => point[0] >= now - 120);
  const from = recent?.[0]?.[0] ?? now;
  const name = { work: work.name };
  const mayAct = isRunning && !info?.read_only;
  const items = [
    { label: "Calls", href: link(["runs", id, "calls"], name) },
    { label: "Logs", href: link(["runs", id, "logs"], name) },
    { label: "State", href: link(["runs", id, "state"], { open: work.name }) },
    { label: "Download the log", action: () => fetchFile({ kind: "log", run: id, work: work.name }) },
    ...(mayAct
      ? [
          null,
          { label: "Show the stack", hint: "what it does now", action: () => act(run, { command: "stack", work: work.name }) },
          { label: "Restart", hint: "ends its process, runs the call again", danger: true, action: () => question(run, work, "restart", refresh) },
          { label: "Stop", hint: "its call has then ended as stopped", danger: true, action: () => question(run, work, "stop", refresh) },
          { label: "Kill", hint: "at once, without cleaning up", danger: true, action: () => question(run, work, "kill", refresh) },
        ]
      : []),
  ];
  const below = work.message || work.last_line;
  return html`<div role="row" class="row" data-work=${work.name}>
    <span role="cell" class="c-tree two" style=${{ "--depth": row.depth }}>
      <span><a class="cover" data-row href=${link(["runs", id, "calls"], name)} title=${work.name}>${row.label}</a> <small class="dim" title=${work.class}>${lastPart(work.class ?? "")}</small></span>
      <small class=${work.message ? "bad-text" : "dim mono"} title=${below}>${below}</small></span>
    <span role="cell" class="c-state two"><${State} state=${work.state}>${work.attempt > 1 ? html`<small class="dim" title="Attempt ${work.attempt}"> ×${work.attempt}</small>` : ""}<//>
      ${work.pid && html`<small class="dim mono" title="Process id${work.host ? ` on ${work.host}` : ""}">pid ${work.pid}</small>`}</span>
    <span role="cell" class="c-calls num" title="${plural(work.calls, "call")}, ${work.succeeded} succeeded, ${plural(work.failed, "failed attempt")}">${count(work.calls)}${work.failed > 0 && html` <b class="bad-text">${count(work.failed)} ✕</b>`}</span>
    <span role="cell" class="c-progress">${work.progress !== null && work.progress !== undefined && html`<${Progress} value=${work.progress} label="Progress of ${work.name}" /><small class="num">${Math.round(work.progress * 100)} %</small>`}</span>
    ${isRunning && html`
      <span role="cell" class="c-cpu">${work.cpu !== null && html`<${Line} width=${48} points=${recent?.map((point) => [point[0], point[1]])} from=${from} to=${now} label="CPU of ${work.name} in the last two minutes" /><small class="num">${cpu(work.cpu)}</small>`}</span>
      <span role="cell" class="c-memory">${work.memory !== null && html`<${Line} width=${48} tone="idle" points=${recent?.map((point) => [point[0], point[2]])} from=${from} to=${now} label="Memory of ${work.name} in the last two minutes" /><small class="num">${size(work.memory)}</small>`}</span>`}
    <span role="cell" class="c-since right dim num" title="Since ${fullTime(work.since)}">${work.since ? (isRunning ? shortDuration(now - work.since) : moment(work.since)) : "–"}</span>
    <span role="cell" class="c-menu"><${Menu} label="Actions of ${work.name}" items=${items} /></span>
  </div>`;
});

const QUESTIONS = {
  restart: ["Restart", "Its process ends, a new one starts, and the call that it runs begins again from its start."],
  stop: ["Stop", "Its process ends in order. The call that it runs has then ended as stopped, and is not run again unless the flow asks."],
  kill: ["Kill", "Its process, and all programs that it started, end at once, without cleaning up. The call that it runs has then ended as stopped."],
};

async function question(run, work, command, refresh) {
  const [verb, text] = QUESTIONS[command];
  if (await ask({ title: `${verb} ${work.name}?`, text, action: verb, danger: true })) act(run, { command, work: work.name }, refresh);
}

function AppUsage({ usage }) {
  const all = usage ? [...Object.values(usage.works), usage.app].filter((points) => points.length) : [];
  const now = useNow(1);
  if (!all.length) return null;
  // The samples of one second are added.
  const sums = new Map();
  for (const points of all) {
    for (const [time, share, memory] of points) {
      const second = Math.round(time);
      const sum = sums.get(second) ?? [second, 0, 0];
      sum[1] += share ?? 0;
      sum[2] += memory ?? 0;
      sums.set(second, sum);
    }
  }
  const points = [...sums.values()].sort((a, b) => a[0] - b[0]);
  const newest = points.at(-1);
  const from = points[0][0]; // the axis begins with the first sample
  return html`<section class="card usage" aria-label="Use of the machine">
    <div><h2>CPU</h2><b class="num">${cpu(newest[1])}</b>
      <${Line} width=${250} height=${44} points=${points} from=${from} to=${now} label="CPU of all processes of the run" /></div>
    <div><h2>Memory</h2><b class="num">${size(newest[2])}</b>
      <${Line} width=${250} height=${44} tone="idle" points=${points.map((point) => [point[0], point[2]])} from=${from} to=${now} label="Memory of all processes of the run" /></div>
    <small class="dim">last ${duration(now - from)}, all processes of the run</small>
  </section>`;
}

function About({ data }) {
  const { run } = data;
  const facts = [
    ["Id", html`<span class="mono">${run.id}</span>`],
    ["App", run.app],
    ["Started", html`<span title=${ago(run.started)}>${fullTime(run.started).slice(0, 19)}</span>`],
    run.resumed && ["Resumed", fullTime(run.resumed).slice(0, 19)],
    run.ended && ["Ended", fullTime(run.ended).slice(0, 19)],
    data.last_event && ["Last event", run.state === "running" ? clock(data.last_event, 0) : fullTime(data.last_event).slice(0, 19)],
    ["Command", html`<span class="mono">${commandLine(run.command)}</span>`],
    ["Directory", html`<span class="mono">${run.cwd}</span>`],
    ["Folder", html`<span class="mono">${run.folder}</span>`],
    ["Process", html`<span class="mono">${run.pid ?? "–"}</span>`],
    ["Host", `${run.user ?? "–"} on ${run.host ?? "–"}`],
    ["Python", run.python],
  ].filter(Boolean);
  return html`<section class="card about"><header><h2>About</h2></header>
    <dl>${facts.map(([term, value]) => html`<div key=${term}><dt>${term}</dt><dd>${value}</dd></div>`)}</dl></section>`;
}
