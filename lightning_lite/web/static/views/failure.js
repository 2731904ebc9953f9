// How a call failed: the error, the frames of the user's code, and the last lines of its output.
import { address, get, runPath } from "../api.js";
import { copy, showText } from "../dialogs.js";
import { Loading, Trouble } from "../parts.js";
import { link } from "../router.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { LogList } from "./log_list.js";

/** A failure with the frames of the user's code first. */
export function Failure({ error }) {
  if (!error) return null;
  const prefix = `${error.type}: `;
  const message = error.type && error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
  return html`<section class="card failure-card" aria-labelledby="failure-title" role="region">
    <header><h3 id="failure-title">${error.type && html`<b>${error.type}</b>: `}${message}</h3></header>
    <${Frames} error=${error} /></section>`;
}

function Frames({ error }) {
  const [all, setAll] = useState(false);
  const frames = [...(error.frames ?? [])];
  const own = frames.filter((frame) => frame.user);
  // If no frame is the user's, all are shown.
  const shown = all || !own.length ? frames : own;
  return html`
    ${shown.length > 0 && html`<ol class="frames">${shown.slice().reverse().map((frame, index) => html`<li key=${index} class=${frame.user ? "own" : ""}>
      <p><b>${frame.function}</b> <span class="dim mono">${frame.file}:${frame.line}</span>${index === 0 && html` <span class="tag bad">raised here</span>`}</p>
      ${frame.source && html`<pre>${frame.source}</pre>`}</li>`)}</ol>`}
    <p class="frame-actions">
      ${frames.length > own.length && own.length > 0 && html`<button class="plain small" aria-expanded=${all} onClick=${() => setAll(!all)}>${all ? "Only your code" : `With ${frames.length - own.length} frames of libraries`}</button>`}
      ${error.traceback && html`<button class="plain small" onClick=${() => showText({ title: "Traceback", text: error.traceback })}>Traceback</button>
        <button class="plain small" onClick=${() => copy(error.traceback)}>Copy the traceback</button>`}
    </p>`;
}

/** Where a call failed, below its line in a list: frames, and the last output of the work. */
export function FailureDetails({ id, item }) {
  const [state, setState] = useState({ call: null, error: null });
  useEffect(() => {
    const leaving = new AbortController();
    get(address(`${runPath(id)}/call`, { work: item.work, number: item.call }), leaving.signal).then(
      (call) => setState({ call, error: null }),
      (error) => leaving.signal.aborted || setState({ call: null, error }),
    );
    return () => leaving.abort();
  }, [id, item.work, item.call]);
  if (state.error) return html`<${Trouble} error=${state.error} />`;
  if (!state.call) return html`<${Loading} what="the call" />`;
  return html`<div class="failure-details">${state.call.error && html`<${Frames} error=${state.call.error} />`}
    <${Output} id=${id} work=${item.work} from=${state.call.log?.from} to=${item.time} atEnd /></div>`;
}

/**
 * The output of a work in a call.
 *
 * @param from Time of its begin, or null if it has not begun.
 * @param to Time of its end, or null.
 * @param atEnd Whether to show only the last lines.
 */
export function Output({ id, work, from, to, atEnd = false }) {
  const box = useRef(null);
  const [state, setState] = useState({ lines: null, error: null });
  useEffect(() => {
    if (!from) return undefined;
    const leaving = new AbortController();
    const read = async (where) => {
      const page = await get(address(`${runPath(id)}/logs`, { work, limit: 300, at: where.at }), leaving.signal);
      const lines = page.lines.filter((line) => line.time === null || (line.time >= from - 0.01 && (!to || line.time <= to + 0.05)));
      return { ...page, lines: atEnd ? lines.slice(-12) : lines, has_earlier: false, has_later: false };
    };
    const list = new LogList(box.current, read, ({ lines }) => setState({ lines, error: null }));
    list.open({ at: String(atEnd && to ? to : from) }).catch((error) => leaving.signal.aborted || setState({ lines: 0, error }));
    return () => {
      leaving.abort();
      list.close();
    };
  }, [id, work, from, to]);
  return html`<${Trouble} error=${state.error} />
    <div class="log-box small-log one-work" ref=${box} tabindex="0" role="region" aria-label="Output of ${work}" data-scroll hidden=${!state.lines}></div>
    ${state.lines === 0 && !state.error && html`<p class="dim pad">It printed nothing.</p>`}
    ${state.lines > 0 && atEnd && html`<p class="under-note"><a href=${link(["runs", id, "logs"], { work, at: to.toFixed(6) })}>In the log</a></p>`}`;
}
