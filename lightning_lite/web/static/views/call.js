// One call: what it was given, what it gave back or how it failed, its attempts, files and output.
import { fetchFile } from "../actions.js";
import { address, runPath } from "../api.js";
import { copy } from "../dialogs.js";
import { clock, duration, fullTime, size } from "../format.js";
import { Body, Trouble, useNow } from "../parts.js";
import { LIVE, usePoll } from "../poll.js";
import { Preview, kindOf } from "../previews.js";
import { link, usePlace } from "../router.js";
import { State, look } from "../states.js";
import { html, useState } from "../ui.js";
import { Failure, Output } from "./failure.js";

export function Call({ id, data }) {
  const { parameters } = usePlace();
  const work = parameters.get("work") ?? "";
  const number = Number(parameters.get("number") ?? 0);
  const answer = usePoll(address(`${runPath(id)}/call`, { work, number }), data?.run.state === "running" ? LIVE : 0);
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
        <section class="card"><header><h3>Output</h3>${call.log?.from && html`<a href=${link(["runs", id, "logs"], { work: call.work, at: call.log.from.toFixed(6) })}>In the log</a>`}</header>
          ${call.log?.from ? html`<${Output} id=${id} work=${call.work} from=${call.log.from} to=${call.log.to} atEnd=${false} />` : html`<p class="dim pad">It has not begun.</p>`}</section>
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
