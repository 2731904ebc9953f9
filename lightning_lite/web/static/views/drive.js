// One drive: its folders and files, with previews.
import { fetchFile } from "../actions.js";
import { address, get } from "../api.js";
import { count, fullTime, moment, plural, shortName, size } from "../format.js";
import { Body, Empty, Trouble, VirtualRows, offsetsOf, useIsNarrow } from "../parts.js";
import { usePoll } from "../poll.js";
import { Preview } from "../previews.js";
import { link, setParameters, usePlace } from "../router.js";
import { html, useEffect, useMemo, useRef, useState } from "../ui.js";

const PAGE = 500;
const NAMES = { "@paths": "Paths of works", "@payloads": "Payloads of works", "@files": "FileSystem" };
const SIGNS = { folder: "▸", image: "▣", svg: "▣", table: "▦", html: "◫", text: "≡" };

export function Drive({ id }) {
  const { parameters } = usePlace();
  const path = parameters.get("path") ?? "";
  const component = parameters.get("component") ?? "";
  const shown = parameters.get("show");
  const answer = usePoll(address(`/api/drives/${encodeURIComponent(id)}`, { path, component, limit: PAGE }), 3);
  const drives = usePoll("/api/drives", 0);
  const name = drives.data?.drives.find((drive) => drive.id === id)?.name ?? NAMES[id] ?? id;
  useEffect(() => {
    document.title = `${name} · lightning_lite`;
  }, [name]);
  const parts = path.split("/").filter(Boolean);
  return html`<div class="content wide" data-view="drive">
    <nav class="crumbs" aria-label="Path"><a href=${link(["drives"])}>Drives</a><span aria-hidden="true">/</span>
      <a href=${link(["drives", id])}>${name}</a>
      ${parts.map((part, index) => html`<span aria-hidden="true" key=${`s${index}`}>/</span><a key=${index} href=${link(["drives", id], { path: parts.slice(0, index + 1).join("/"), component })}>${part}</a>`)}</nav>
    <h1 class="unseen">${name}</h1>
    <${Body} answer=${answer} what="the files">${(data) => html`<div class="browse ${shown ? "with-file" : ""}">
      <${Entries} id=${id} path=${path} component=${component} data=${data} shown=${shown} shownOf=${parameters.get("of") ?? ""} />
      ${shown && html`<${Shown} id=${id} path=${shown} component=${parameters.get("of") ?? ""} entry=${data.entries.find((entry) => entry.path === shown && (entry.component ?? "") === (parameters.get("of") ?? ""))} />`}
    </div>`}<//></div>`;
}

function Entries({ id, path, component, data, shown, shownOf }) {
  const isNarrow = useIsNarrow();
  const [older, setOlder] = useState({ entries: [], more: null, isAsking: false, error: null });
  useEffect(() => {
    setOlder({ entries: [], more: null, after: null, isAsking: false, error: null });
  }, [path, component]);
  const entries = useMemo(() => [...data.entries, ...older.entries], [data, older]);
  const more = older.more ?? data.more;
  const after = older.after ?? data.next;
  const offsets = useMemo(() => offsetsOf(entries.length, isNarrow ? 56 : 36), [entries.length, isNarrow]);
  async function readMore() {
    setOlder((old) => ({ ...old, isAsking: true }));
    try {
      const next = await get(address(`/api/drives/${encodeURIComponent(id)}`, { path, component, limit: PAGE * 2, after }));
      setOlder((old) => ({ entries: [...old.entries, ...next.entries], more: next.more, after: next.next, isAsking: false, error: null }));
    } catch (error) {
      setOlder((old) => ({ ...old, isAsking: false, error }));
    }
  }
  if (!entries.length) return html`<${Empty}>${path ? "This folder is empty." : "Nothing is here."}<//>`;
  return html`<div class="entries"><div role="table" class="table entries-table" aria-label="Files" aria-rowcount=${data.total ?? -1}>
      <div role="row" class="row head"><span role="columnheader">Name</span><span role="columnheader">Put by</span><span role="columnheader" class="right">Size</span><span role="columnheader" class="right">Time</span><span role="columnheader"><span class="unseen">Download</span></span></div>
      <${VirtualRows} offsets=${offsets} row=${(index) => {
        const entry = entries[index];
        const target = entry.kind === "folder" ? link(["drives", id], { path: entry.path, component: entry.component }) : link(["drives", id], { path, component, show: entry.path, of: entry.component });
        return html`<div role="row" class="row ${shown === entry.path && shownOf === (entry.component ?? "") ? "chosen" : ""}" key=${`${entry.component}\n${entry.path}`} data-entry=${entry.path}>
          <span role="cell" class="c-name"><span class="sign dim" aria-hidden="true">${entry.kind === "folder" ? SIGNS.folder : (SIGNS[entry.preview] ?? "·")}</span><a class="cover" data-row href=${target} aria-current=${shown === entry.path ? "true" : undefined} title=${entry.path}>${entry.name}${entry.kind === "folder" ? "/" : ""}</a></span>
          <span role="cell" class="c-owner dim" title=${entry.component}>${shortName(entry.component ?? "")}</span>
          <span role="cell" class="c-size right num">${entry.kind === "folder" ? "" : size(entry.size)}</span>
          <span role="cell" class="c-changed right num dim" title=${fullTime(entry.time)}>${moment(entry.time)}</span>
          <span role="cell" class="c-do">${entry.kind === "file" && html`<button class="plain small" aria-label="Download ${entry.name}" title="Download" onClick=${() => fetchFile({ kind: "file", drive: id, path: entry.path, component: entry.component })}>↓</button>`}</span></div>`;
      }} />
    </div>
    <div class="under"><span class="dim num">${data.total === null ? plural(entries.length, "entry", "entries") : `${count(entries.length)} of ${plural(data.total, "entry", "entries")}`}</span>${more && html`<button disabled=${older.isAsking} onClick=${readMore}>${older.isAsking ? "Reading …" : "Show more"}</button>`}</div>
    <${Trouble} error=${older.error} /></div>`;
}

function Shown({ id, path, component, entry }) {
  const heading = useRef(null);
  const isNarrow = useIsNarrow(1000);
  const close = () => setParameters({ show: null, of: null });
  useEffect(() => {
    if (isNarrow) heading.current?.scrollIntoView({ block: "start" });
    function key(event) {
      if (event.key === "Escape" && !document.querySelector("dialog[open], :popover-open")) close();
    }
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [path]);
  return html`<section class="card shown-file" aria-labelledby="shown-title"><header ref=${heading}><h2 id="shown-title" title=${path}>${path.split("/").at(-1)}</h2>
      ${entry && html`<small class="dim">${size(entry.size)}${entry.component ? ` · ${entry.component}` : ""}</small>`}<span class="grow"></span>
      <button class="small" onClick=${() => fetchFile({ kind: "file", drive: id, path, component })}>Download</button>
      <button class="plain" aria-label="Close the preview" onClick=${close}>✕</button></header>
    <${Preview} drive=${id} path=${path} component=${component} /></section>`;
}
