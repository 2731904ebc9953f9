// Shows a file: text as text, tables as tables, pictures and pages in a frame that can't reach this page.
import { address, get } from "./api.js";
import { count, lastPart, size } from "./format.js";
import { Loading, Trouble } from "./parts.js";
import { html, useEffect, useState } from "./ui.js";

const KINDS = {
  image: /\.(png|jpe?g|gif|webp|avif|bmp|ico)$/i,
  svg: /\.svg$/i,
  html: /\.html?$/i,
  table: /\.(csv|tsv|parquet)$/i,
};

/** The kind of preview of a file, by its name: a picture, a table, a page, or else only text. */
export function kindOf(path) {
  return Object.keys(KINDS).find((kind) => KINDS[kind].test(path)) ?? "text";
}

export function Preview({ drive, path, component, compact = false }) {
  const [state, setState] = useState({ data: null, error: null });
  useEffect(() => {
    const leaving = new AbortController();
    setState({ data: null, error: null });
    get(address(`/api/drives/${encodeURIComponent(drive)}/preview`, { path, component }), leaving.signal, { isFresh: true }).then(
      (data) => setState({ data, error: null }),
      (error) => leaving.signal.aborted || setState({ data: null, error }),
    );
    return () => leaving.abort();
  }, [drive, path, component]);
  const { data, error } = state;
  if (error) return html`<${Trouble} error=${error} />`;
  if (!data) return html`<${Loading} what=${lastPart(path.replaceAll("/", "."))} />`;
  return html`<div class="preview ${compact ? "compact" : ""}" data-preview=${data.kind ?? "none"}>${data.note && html`<p class="dim preview-note">${data.note}</p>`}${content(data, path)}
    ${data.truncated && html`<p class="dim under-note">Only the beginning is shown${data.size ? ` of ${size(data.size)}` : ""}: download the file to see all.</p>`}</div>`;
}

function content(data, path) {
  if (data.kind === "text") return html`<pre tabindex="0" aria-label="Content of ${path}">${data.text}</pre>`;
  if (data.kind === "table") {
    return html`<div class="table-frame" tabindex="0" role="region" aria-label="Table of ${path}" data-scroll><table>
      <thead><tr><th scope="col" class="right dim">#</th>${data.columns.map((column, index) => html`<th key=${index} scope="col">${column}</th>`)}</tr></thead>
      <tbody>${data.rows.slice(0, 500).map((row, index) => html`<tr key=${index}><td class="right dim num">${count(index + 1)}</td>${row.map((cell, place) => html`<td key=${place} class=${isNumber(cell) ? "num right" : ""}>${cell === null ? html`<span class="dim">–</span>` : String(cell)}</td>`)}</tr>`)}</tbody></table></div>`;
  }
  if (data.kind === "image") return html`<div class="picture"><img src=${data.url} alt=${path} /></div>`;
  if (data.kind === "html" || data.kind === "svg") {
    return html`<iframe class=${data.kind} sandbox="allow-scripts" referrerpolicy="no-referrer" title=${path} src=${data.url}></iframe>`;
  }
  return data.note ? null : html`<p class="dim pad">This kind of file has no preview: download it.</p>`;
}

const isNumber = (cell) => cell !== "" && cell !== null && Number.isFinite(Number(cell));
