// Runs side by side: their parameters, with the differences marked.
import { address } from "../api.js";
import { duration, fullTime, percent, plural } from "../format.js";
import { Body, Empty, SearchField, Toggle } from "../parts.js";
import { usePoll } from "../poll.js";
import { link, setParameters, usePlace } from "../router.js";
import { State, StateCounts } from "../states.js";
import { html, useEffect, useMemo, useState } from "../ui.js";
import { lastRunsAddress } from "./runs.js";

const MOST_RUNS = 20;

export function Compare() {
  const { parameters } = usePlace();
  const ids = [...new Set(parameters.getAll("run"))];
  const asked = ids.slice(0, MOST_RUNS);
  const answer = usePoll(asked.length ? address("/api/compare", { run: asked }) : null, 3);
  useEffect(() => {
    document.title = "Compare · lightning_lite";
  }, []);
  return html`<div class="content wide" data-view="compare">
    <div class="title-row"><nav class="crumbs" aria-label="Path"><a href=${lastRunsAddress()}>Runs</a><span aria-hidden="true">/</span></nav><h1>Compare</h1><${AddRun} ids=${ids} />
      ${ids.length > 1 && html`<a class="button" href=${link(["runs", ids[0], "numbers"], { with: ids.slice(1) })}>Plot their numbers</a>`}</div>
    ${ids.length > MOST_RUNS && html`<p class="dim">The first ${MOST_RUNS} of ${ids.length} runs are shown.</p>`}
    ${!ids.length ? html`<${Empty}>Choose runs in the <a href=${lastRunsAddress()}>list of runs</a>, or add one above.<//>` : html`<${Body} answer=${answer} what="the runs">${(data) => html`<${Table} data=${data} ids=${ids} />`}<//>`}
  </div>`;
}

const GROUPS = { parameter: "Parameters: set at the start, and never changed", argument: "Arguments of first calls", result: "Results: changed by the run" };

function AddRun({ ids }) {
  const { data } = usePoll("/api/runs?limit=200", 0);
  const runs = (data?.runs ?? []).filter((run) => !ids.includes(run.id));
  if (!runs.length) return null;
  return html`<select aria-label="Add a run" value="" onChange=${(event) => {
    const value = event.currentTarget.value;
    event.currentTarget.value = "";
    if (value) setParameters({ run: [...ids, value] });
  }}><option value="">+ add a run</option>${runs.map((run) => html`<option key=${run.id} value=${run.id}>${run.name ? `${run.name} (${run.id})` : run.id}</option>`)}</select>`;
}

function Table({ data, ids }) {
  const [onlyDiffering, setOnlyDiffering] = useState(data.runs.length > 1);
  const [text, setText] = useState("");
  const wanted = text.toLowerCase();
  const rows = useMemo(
    () => data.rows.filter((row) => (!onlyDiffering || row.differs) && (!wanted || row.attribute.toLowerCase().includes(wanted) || row.values.some((value) => value?.toLowerCase().includes(wanted)))),
    [data, onlyDiffering, wanted],
  );
  const differing = data.rows.filter((row) => row.differs).length;
  return html`<div class="bar"><${SearchField} label="Search parameters" value=${text} onInput=${setText} />
      <${Toggle} label="Only differences" value=${onlyDiffering} onChange=${setOnlyDiffering} />
      <span class="dim num">${plural(differing, "difference")} in ${plural(data.rows.length, "parameter")}</span></div>
    ${data.read && data.read.bytes < data.read.of && html`<p class="dim">Reading the journals: ${percent(data.read.bytes / data.read.of)} …</p>`}
    ${data.truncated && html`<p class="wait-text">There are more parameters than are shown.</p>`}
    <div class="table-frame compare" tabindex="0" role="region" aria-label="Parameters of the runs" data-scroll><table>
      <thead><tr><th scope="col">Parameter</th>${data.runs.map((run) => html`<th scope="col" key=${run.id}>
        <a href=${link(["runs", run.id])}>${run.name ?? run.id}</a>
        <button class="plain small" aria-label="Remove ${run.name ?? run.id}" onClick=${() => setParameters({ run: ids.filter((id) => id !== run.id) })}>✕</button>
        <div><${State} state=${run.state} ofRun /></div></th>`)}</tr></thead>
      <tbody>
        <tr class="fact"><th scope="row">started</th>${data.runs.map((run) => html`<td key=${run.id} class="num">${fullTime(run.started).slice(0, 19)}</td>`)}</tr>
        <tr class="fact"><th scope="row">duration</th>${data.runs.map((run) => html`<td key=${run.id} class="num">${run.ended && run.started ? duration(run.ended - run.started) : run.state === "running" ? `${duration(Date.now() / 1000 - run.started)} so far` : "–"}</td>`)}</tr>
        <tr class="fact"><th scope="row">works</th>${data.runs.map((run) => html`<td key=${run.id}><${StateCounts} counts=${run.works} /></td>`)}</tr>
        ${Object.entries(GROUPS).map(([kind, title]) => {
          const own = rows.filter((row) => (row.kind ?? "parameter") === kind);
          return own.length > 0 && html`<tr class="group" key=${kind}><th scope="rowgroup" colspan=${data.runs.length + 1}>${title}</th></tr>${own.map((row) => html`<tr key=${row.attribute} class=${row.differs ? "differs" : ""}><th scope="row" title=${row.attribute}>${row.attribute}${row.differs && html`<span class="unseen"> (differs)</span>`}</th>
          ${row.values.map((value, index) => html`<td key=${index} class="mono">${value === null ? html`<span class="dim" title="This run has no such parameter">–</span>` : value}</td>`)}</tr>`)}`;
        })}
      </tbody></table>
      ${!rows.length && html`<p class="dim pad">${onlyDiffering && !text ? "All parameters are the same." : "No parameter matches."}</p>`}</div>`;
}
