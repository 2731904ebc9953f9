// One call: what it was given, what it gave back or how it failed, its attempts, files and output.
import { address, get, runPath } from "../api.js";
import { copy, showText } from "../dialogs.js";
import { clock, duration, fullTime, size } from "../format.js";
import { Body, Trouble, useNow } from "../parts.js";
import { usePoll } from "../poll.js";
import { Preview, kindOf } from "../previews.js";
import { link, usePlace } from "../router.js";
import { State, look } from "../states.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { LogList } from "./log_list.js";
import { fetchFile } from "./run.js";

export function Call({ id, data }) {
  const { parameters } = usePlace();
  const work = parameters.get("work") ?? "";
  const number = Number(parameters.get("number") ?? 0);
  const answer = usePoll(address(`${runPath(id)}/call`, { work, number }), data?.run.state === "running" ? 1 : 0);
  const calls = data?.works.find((item) => item.name === work)?.calls ?? number;
  return html`<div class="content wide call" data-view="call">
    <nav class="crumbs" aria-label="Calls of the work"><a href=${link(["runs", id, "calls"], { work })}>Calls of ${work}</a>
      <span class="grow"></span>
      ${number > 1 && html`<a class="button" href=${link(["runs", id, "call"], { work, number: number - 1 })}>← ${number - 1}</a>`}
      ${number < calls && html`<a class="button" href=${link(["runs", id, "call"], { work, number: number + 1 })}>${number + 1} →</a>`}</nav>
    <${Body} answer=${answer} what="the call">${(call) => html`<${Details} key=${`${work}/${number}`} id=${id} call=${call} />`}<//>
  </div>`;
}

function Details({ id, call }) {
  const last = call.attempts.at(-1);
  const first = call.attempts[0];
  const isGoingOn = ["running", "pending"].includes(look(call.stage).label);
  const now = useNow(isGoingOn ? 1 : 0);
  const end = last?.ended ?? (isGoingOn ? now : null);
  return html`
    <header class="title-row"><${State} state=${call.stage} /><h2 class="call-title">${call.work} <span class="dim">call</span> ${call.number}</h2>
      <span class="facts dim"><span title=${fullTime(call.asked)}>asked ${clock(call.asked)}</span>
        ${first && html`<span>waited ${duration(first.began - call.asked)}</span>`}
        ${first && end && html`<span>took ${duration(end - first.began)}</span>`}
        <span class="mono" title="Key of the call">${call.key}</span></span></header>
    ${!call.error && call.message && html`<${Trouble} text=${call.message} />`}
    <${Failure} error=${call.error} />
    <div class="call-columns ${call.files?.length ? "with-files" : ""}">
      <div class="call-main">
        <section class="card"><header><h3>Arguments</h3><button class="plain small" onClick=${() => copy(call.arguments)}>Copy</button></header><pre tabindex="0">${call.arguments || (call.is_known === false ? "too large for the journal" : "none")}</pre>
          <${Links} id=${id} links=${(call.links ?? []).filter((item) => item.where === "arguments")} /></section>
        <section class="card"><header><h3>Answer</h3>${call.value && html`<small class="dim">${call.value.type}, ${size(call.value.size)}</small>`}</header>
          <pre tabindex="0">${call.value ? call.value.text : isGoingOn ? "not yet" : "none"}</pre>
          <${Links} id=${id} links=${(call.links ?? []).filter((item) => item.where === "value")} /></section>
        <section class="card"><header><h3>Attempts</h3></header><${Attempts} call=${call} now=${now} /></section>
        <${Output} id=${id} call=${call} />
      </div>
      ${call.files?.length > 0 && html`<div class="call-side"><${Files} files=${call.files} areAll=${call.files_are_all !== false} /></div>`}
    </div>`;
}

/** Drives, Paths and Payloads in a value: what they are, and where they came from. */
function Links({ id, links }) {
  if (!links.length) return null;
  const kinds = { drive: "drive", path: "Path", payload: "Payload" };
  return html`<p class="links">${links.map((item, index) => html`<span key=${index}><small class="dim">${kinds[item.kind]}</small>
    ${item.kind === "drive" ? html`<a href=${link(["drives", item.name.replace(/^lit:\/\//, "")])}>${item.name}</a>` : item.name}
    ${item.origin && html`<small class="dim">from <a href=${link(["runs", id, "calls"], { work: item.origin })}>${item.origin}</a></small>`}</span>`)}</p>`;
}

function Failure({ error }) {
  const [all, setAll] = useState(false);
  if (!error) return null;
  const prefix = `${error.type}: `;
  const message = error.type && error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
  const frames = [...(error.frames ?? [])];
  const own = frames.filter((frame) => frame.user);
  // The frames of the user's code first; if there are none, all.
  const shown = all || !own.length ? frames : own;
  return html`<section class="card failure-card" aria-labelledby="failure-title" role="region">
    <header><h3 id="failure-title">${error.type && html`<b>${error.type}</b>: `}${message}</h3></header>
    ${shown.length > 0 && html`<ol class="frames">${shown.slice().reverse().map((frame, index) => html`<li key=${index} class=${frame.user ? "own" : ""}>
      <p><b>${frame.function}</b> <span class="dim mono">${frame.file}:${frame.line}</span>${index === 0 && html` <span class="tag bad">raised here</span>`}</p>
      ${frame.source && html`<pre>${frame.source}</pre>`}</li>`)}</ol>`}
    <footer>
      ${frames.length > own.length && own.length > 0 && html`<button class="plain small" aria-expanded=${all} onClick=${() => setAll(!all)}>${all ? "Only your code" : `With ${frames.length - own.length} frames of libraries`}</button>`}
      ${error.traceback && html`<button class="plain small" onClick=${() => showText({ title: "Traceback", text: error.traceback })}>Traceback</button>
        <button class="plain small" onClick=${() => copy(error.traceback)}>Copy the traceback</button>`}
    </footer></section>`;
}

function Attempts({ call, now }) {
  if (!call.attempts.length) return html`<p class="dim pad">It waits for its turn for ${duration(now - call.asked)}.</p>`;
  return html`<div class="table-frame" data-scroll tabindex="0" role="region" aria-label="Attempts"><table><thead><tr><th scope="col">#</th><th scope="col">Outcome</th><th scope="col">Began</th><th scope="col" class="right">Duration</th><th scope="col">Message</th></tr></thead>
    <tbody>${call.attempts.map((attempt) => html`<tr key=${attempt.number}><td class="num">${attempt.number}</td><td><${State} state=${attempt.outcome ?? "running"} />${attempt.reason && html` <small class="dim">${attempt.reason.replaceAll("_", " ")}</small>`}</td>
      <td class="num" title=${fullTime(attempt.began)}>${clock(attempt.began)}</td><td class="num right">${attempt.ended ? duration(attempt.ended - attempt.began) : `${duration(now - attempt.began)} so far`}</td><td class="wrap">${attempt.message}</td></tr>`)}</tbody></table></div>`;
}


function Files({ files, areAll }) {
  const [open, setOpen] = useState(() => new Set(files.filter((file) => file.kind !== "folder" && kindOf(file.path) !== "text").slice(0, 4).map((file) => `${file.drive}/${file.component}/${file.path}`)));
  const toggle = (key) => setOpen((old) => {
    const next = new Set(old);
    if (!next.delete(key)) next.add(key);
    return next;
  });
  return html`<section class="card"><header><h3>Files that it put</h3></header><ul class="files">
    ${files.map((file) => {
      const key = `${file.drive}/${file.component}/${file.path}`;
      const isOpen = open.has(key);
      return html`<li key=${key} class=${isOpen ? "open" : ""}><div class="file-row">
        ${file.kind !== "folder" ? html`<button class="plain fold" aria-expanded=${isOpen} onClick=${() => toggle(key)}><span aria-hidden="true">${isOpen ? "▾" : "▸"}</span> ${file.path}</button>` : html`<span class="fold">${file.path}</span>`}
        <small class="dim"><a href=${link(["drives", file.drive], { path: file.path.includes("/") ? file.path.slice(0, file.path.lastIndexOf("/")) : null })}>${file.drive}</a> · ${size(file.size)} · ${clock(file.time, 0)}</small>
        ${file.kind !== "folder" && html`<button class="plain small" aria-label="Download ${file.path}" onClick=${() => fetchFile({ kind: "file", drive: file.drive, path: file.path, component: file.component })}>Download</button>`}</div>
        ${isOpen && html`<${Preview} compact drive=${file.drive} path=${file.path} component=${file.component} />`}</li>`;
    })}</ul>${!areAll && html`<p class="dim under-note">There are more: look into the drive.</p>`}</section>`;
}

function Output({ id, call }) {
  const box = useRef(null);
  const [state, setState] = useState({ lines: 0, error: null });
  const from = call.log?.from;
  const to = call.log?.to;
  useEffect(() => {
    if (!from) return undefined;
    const leaving = new AbortController();
    const read = async (where) => {
      const page = await get(address(`${runPath(id)}/logs`, { work: call.work, limit: 300, at: where.at }), leaving.signal);
      // Only what the work printed in this call.
      const lines = page.lines.filter((line) => line.time === null || (line.time >= from - 0.01 && (!to || line.time <= to + 0.05)));
      return { ...page, lines, has_earlier: false, has_later: false };
    };
    const list = new LogList(box.current, read, ({ lines }) => setState({ lines, error: null }));
    // The failure is at the end of the output; a call that succeeded is read from its beginning.
    list.open({ at: String(call.error && to ? to : from) }).catch((error) => leaving.signal.aborted || setState({ lines: 0, error }));
    return () => {
      leaving.abort();
      list.close();
    };
  }, [id, call.work, from, to]);
  return html`<section class="card"><header><h3>Output</h3>
      ${from && html`<a href=${link(["runs", id, "logs"], { work: call.work, at: from.toFixed(3) })}>In the log</a>`}</header>
    <${Trouble} error=${state.error} />
    <div class="log-box small-log one-work" ref=${box} tabindex="0" role="region" aria-label="Output of the call" data-scroll hidden=${!state.lines}></div>
    ${!state.lines && html`<p class="dim pad">It printed nothing.</p>`}</section>`;
}
