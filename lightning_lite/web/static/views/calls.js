// The calls of a run, the newest first.
import { address, get, runPath } from "../api.js";
import { clock, count, duration, fullTime, moment, plural } from "../format.js";
import { Body, Empty, SearchField, Trouble, VirtualRows, offsetsOf, useIsNarrow, useNow } from "../parts.js";
import { LIVE, usePoll } from "../poll.js";
import { link, setParameters, usePlace } from "../router.js";
import { State, look } from "../states.js";
import { html, memo, useMemo, useState } from "../ui.js";

const PAGE = 100;
const OUTCOMES = ["failed", "lost", "running", "pending", "succeeded", "stopped"];

export function Calls({ id, data }) {
  const { parameters } = usePlace();
  const filters = { work: parameters.get("work") ?? "", outcome: parameters.get("outcome") ?? "", text: parameters.get("text") ?? "" };
  const isRunning = data?.run.state === "running";
  const answer = usePoll(address(`${runPath(id)}/calls`, { ...filters, limit: PAGE }), isRunning ? LIVE : 0);
  const names = (data?.works ?? []).map((work) => work.name);
  if (filters.work && !names.includes(filters.work)) names.push(filters.work);
  const isFiltered = Object.values(filters).some(Boolean);
  return html`<div class="content wide" data-view="calls">
    <div class="bar" role="search">
      <${SearchField} label="Search arguments and messages" value=${filters.text} onInput=${(text) => setParameters({ text })} />
      <select aria-label="Work" value=${filters.work} onChange=${(event) => setParameters({ work: event.currentTarget.value })}>
        <option value="">All works</option>${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select>
      <div class="chips" role="group" aria-label="Outcome">${OUTCOMES.map((outcome) => html`
        <button key=${outcome} class="chip" aria-pressed=${filters.outcome === outcome} onClick=${() => setParameters({ outcome: filters.outcome === outcome ? "" : outcome })}><${State} state=${outcome} /></button>`)}</div>
    </div>
    <${Body} answer=${answer} what="the calls">${(page) =>
      page.calls.length || page.more
        ? html`<${CallList} id=${id} page=${page} filters=${filters} isRunning=${isRunning} />`
        : html`<${Empty}>${isFiltered ? html`No call matches. <button onClick=${() => setParameters({ work: null, outcome: null, text: null })}>Show all</button>` : "The flow has asked for no call yet."}<//>`}<//>
  </div>`;
}

const keyOf = (call) => `${call.work}\n${call.number}`;

function CallList({ id, page, filters, isRunning }) {
  const isNarrow = useIsNarrow();
  const now = useNow(isRunning ? 1 : 60);
  const key = JSON.stringify(filters);
  const [older, setOlder] = useState({ key, calls: [], next: null, isAsking: false, error: null });
  const current = older.key === key ? older : { key, calls: [], next: null, isAsking: false, error: null };
  const calls = useMemo(() => {
    const known = new Set(page.calls.map(keyOf));
    return [...page.calls, ...current.calls.filter((call) => !known.has(keyOf(call)))];
  }, [page, current]);
  const more = current.isOld ? current.next : page.more ? page.next : null;
  const looked = (page.looked ?? 0) + (current.looked ?? 0);
  const offsets = useMemo(() => offsetsOf(calls.length, isNarrow ? 86 : 40), [calls.length, isNarrow]);
  async function readMore() {
    if (current.isAsking || !more) return;
    setOlder({ ...current, isAsking: true });
    try {
      const next = await get(address(`/api/runs/${encodeURIComponent(id)}/calls`, { ...filters, limit: 500, before: more }));
      setOlder((old) => ({
        key,
        // What a new call pushed out of the newest page stays in the list.
        calls: [...(current.isOld ? current.calls : page.calls), ...next.calls],
        isOld: true,
        looked: (current.looked ?? 0) + (next.looked ?? 0),
        next: next.more ? next.next : null,
        isAsking: false,
        error: null,
      }));
    } catch (error) {
      setOlder((old) => ({ ...old, isAsking: false, error }));
    }
  }
  return html`<div role="table" class="table calls" aria-label="Calls" aria-rowcount=${page.total ?? -1}>
      <div role="row" class="row head"><span role="columnheader">Outcome</span><span role="columnheader">Work</span><span role="columnheader" class="right">Call</span>
        <span role="columnheader">Arguments</span><span role="columnheader" class="right">Asked</span><span role="columnheader" class="right">Waited</span><span role="columnheader" class="right">Duration</span></div>
      <${VirtualRows} offsets=${offsets} row=${(index) => html`<${CallRow} key=${keyOf(calls[index])} id=${id} call=${calls[index]} now=${now} />`} />
    </div>
    <div class="under"><span class="dim num">${page.total === null ? `${plural(calls.length, "call")} found in the newest ${count(looked)}` : `${count(calls.length)} of ${plural(page.total, "call")}`}</span>
      ${more && html`<button disabled=${current.isAsking} onClick=${readMore}>${current.isAsking ? "Reading …" : page.total === null ? "Look in older calls" : "Show older calls"}</button>`}</div>
    <${Trouble} error=${current.error} />`;
}

const CallRow = memo(function CallRow({ id, call, now }) {
  const isOpen = call.ended === null || call.ended === undefined;
  const isGoingOn = isOpen && ["running", "pending"].includes(look(call.stage).label);
  return html`<div role="row" class="row" data-call="${call.work}/${call.number}">
    <span role="cell" class="c-state"><${State} state=${call.stage} />${call.attempts > 1 && html`<small class="dim" title="${call.attempts} attempts">×${call.attempts}<span class="unseen"> attempts</span></small>`}</span>
    <span role="cell" class="c-work" title=${call.work}>${call.work}</span>
    <span role="cell" class="c-number right num"><a class="cover" data-row href=${link(["runs", id, "call"], { work: call.work, number: call.number })}><span class="unseen">${call.work} call </span>${count(call.number)}</a></span>
    <span role="cell" class="c-args two"><span class="mono" title=${call.arguments}>${call.arguments}</span>${call.message && html`<small class="bad-text" title=${call.message}>${call.message}</small>`}</span>
    <span role="cell" class="c-asked right num" title=${fullTime(call.asked)}>${now - call.asked < 86_400 ? clock(call.asked, 0) : moment(call.asked, now)}</span>
    <span role="cell" class="c-waited right num dim">${call.began ? duration(call.began - call.asked) : "–"}</span>
    <span role="cell" class="c-time right num">${call.began ? (isOpen ? (isGoingOn ? duration(now - call.began) : "–") : duration(call.ended - call.began)) : "–"}</span>
  </div>`;
});
