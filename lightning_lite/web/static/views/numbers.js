// Numbers of the state over time: plots of one run, or of several laid over each other.
import { address, get, runPath } from "../api.js";
import { Plot } from "../charts/plot.js";
import { count, number as written, plural, shortName } from "../format.js";
import { Body, Choice, Empty, Loading, Toggle, Trouble } from "../parts.js";
import { usePoll } from "../poll.js";
import { link, setParameters, usePlace } from "../router.js";
import { html, useEffect, useMemo, useState } from "../ui.js";

const MOST_LISTED = 200;
const FIRST_PLOTS = 12;

export function Numbers({ id, data }) {
  const { parameters } = usePlace();
  const chosen = parameters.getAll("a");
  const others = parameters.getAll("with").filter((other) => other !== id);
  const isLog = parameters.get("log") === "1";
  const isRelative = parameters.get("time") !== "clock" && (others.length > 0 || parameters.get("time") === "relative");
  const isTogether = parameters.get("together") === "1";
  const isRunning = data?.run.state === "running";
  const answer = usePoll(address(`${runPath(id)}/numbers`, { attribute: chosen }), isRunning ? 1 : 0);
  const other = useOtherRuns(others, chosen);
  const set = (attributes) => setParameters({ a: attributes });
  return html`<div class="content wide numbers" data-view="numbers"><${Body} answer=${answer} what="the numbers">${(numbers) => {
    const names = [...new Set([...numbers.attributes, ...other.flatMap((run) => run.attributes), ...chosen])];
    if (!names.length) return html`<${Empty}>No number was written to the state yet: <code>self.loss = 0.3</code> in a work is enough to see a plot here.<//>`;
    const runs = [
      { id, label: data?.run.name ?? id, started: data?.run.started, points: numbers.points },
      ...other.map((run) => ({ id: run.id, label: run.label, started: run.started, points: run.points })),
    ];
    return html`<${Picker} names=${names} chosen=${chosen} set=${set} />
      <div class="plots">
        <div class="bar">
          <${Toggle} label="Log scale" value=${isLog} onChange=${(on) => setParameters({ log: on ? "1" : null })} />
          <${Choice} label="Time" value=${isRelative ? "relative" : "clock"} choices=${{ relative: "Since the start", clock: "Clock" }} onChange=${(time) => setParameters({ time })} />
          ${chosen.length > 1 && html`<${Toggle} label="In one plot" value=${isTogether} onChange=${(on) => setParameters({ together: on ? "1" : null })} />`}
          <${OtherRuns} id=${id} others=${others} />
        </div>
        ${other.filter((run) => run.error).map((run) => html`<${Trouble} key=${run.id} text=${`${run.id}: ${run.error.message}`} />`)}
        ${chosen.length ? html`<${Plots} runs=${runs} chosen=${chosen} isLog=${isLog} isRelative=${isRelative} isTogether=${isTogether} />` : html`<${SmallPlots} id=${id} isRunning=${isRunning} names=${names} isRelative=${isRelative} />`}
      </div>`;
  }}<//></div>`;
}

function Plots({ runs, chosen, isLog, isRelative, isTogether }) {
  const started = (run, points) => run.started ?? points[0]?.[0] ?? 0;
  const lineOf = (run, attribute, colour, dash, label) => {
    const points = run.points[attribute] ?? [];
    const begin = started(run, points);
    return { label, colour, dash, points: isRelative ? points.map(([time, value]) => [Math.round((time - begin) * 1000) / 1000, value]) : points };
  };
  const groups = isTogether
    ? [{ title: chosen.map(shorten).join(", "), lines: runs.flatMap((run, place) => chosen.map((attribute, index) => lineOf(run, attribute, index, place, runs.length > 1 ? `${shorten(attribute)} · ${run.label}` : attribute))) }]
    : chosen.map((attribute, index) => ({ title: attribute, lines: runs.map((run, place) => lineOf(run, attribute, runs.length > 1 ? place : index, runs.length > 1 ? place : 0, runs.length > 1 ? run.label : attribute)) }));
  return groups.map(({ title, lines }) => {
    const drawn = lines.filter((line) => line.points.length);
    const odd = drawn.flatMap((line) => line.points).filter(([, value]) => typeof value !== "number" || !Number.isFinite(value)).length;
    const last = drawn.map((line) => `${line.label}: ${written(line.points.at(-1)[1])}`).join(", ");
    return html`<figure class="card plot-card" key=${title}><figcaption><b>${title}</b>${odd > 0 && html`<span class="dim">${plural(odd, "value is not finite and is left out", "values are not finite and are left out")}</span>`}
        <button class="plain small" aria-label="Remove ${title}" onClick=${() => setParameters({ a: isTogether ? null : chosen.filter((attribute) => attribute !== title) })}>✕</button></figcaption>
      ${drawn.length ? html`<${Plot} lines=${drawn} isLog=${isLog} isRelative=${isRelative} sync="numbers" label="${title}. Last values: ${last}" />` : html`<${Empty}>It has no values${runs.length > 1 ? " in these runs" : " in this run"}.<//>`}</figure>`;
  });
}

/** Before a choice: the first numbers at a glance. */
function SmallPlots({ id, isRunning, names, isRelative }) {
  const first = names.slice(0, FIRST_PLOTS);
  const { data, error } = usePoll(address(`${runPath(id)}/numbers`, { attribute: first }), isRunning ? 2 : 0);
  if (!data) return error ? html`<${Trouble} error=${error} />` : html`<${Loading} what="the numbers" />`;
  return html`<div class="small-plots">${first.map((name, index) => {
    const points = data.points[name] ?? [];
    const begin = points[0]?.[0] ?? 0;
    const line = { label: name, colour: index, dash: 0, points: isRelative ? points.map(([time, value]) => [time - begin, value]) : points };
    return html`<a class="card small-plot" key=${name} href=${link(["runs", id, "numbers"], { a: name })}><b>${name}</b><span class="num dim">${points.length ? written(points.at(-1)[1]) : "no values"}</span>
      ${points.length > 0 && html`<${Plot} lines=${[line]} isRelative=${isRelative} isSmall height=${130} label="${name}: ${plural(points.length, "value")}" />`}</a>`;
  })}</div>
  ${names.length > FIRST_PLOTS && html`<p class="dim">The first ${FIRST_PLOTS} of ${count(names.length)} numbers: choose others in the list.</p>`}`;
}

/** "root.trainers.0.loss" -> "trainers.0.loss" */
function shorten(attribute) {
  const cut = attribute.lastIndexOf(".");
  return `${shortName(attribute.slice(0, cut))}${attribute.slice(cut)}`;
}

function Picker({ names, chosen, set }) {
  const [text, setText] = useState("");
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = useMemo(() => names.filter((name) => words.every((word) => name.toLowerCase().includes(word))), [names, text]);
  const isAll = shown.length > 0 && shown.length <= 12 && shown.every((name) => chosen.includes(name));
  return html`<aside class="card picker" aria-label="Numbers"><header><input type="search" data-search aria-label="Search numbers" placeholder="Search ${count(names.length)} numbers" value=${text} onInput=${(event) => setText(event.currentTarget.value)} /></header>
    <div class="checks" data-rows data-scroll>
      ${shown.length > 1 && shown.length <= 12 && text && html`<label class="check"><input type="checkbox" data-row checked=${isAll} onChange=${() => set(isAll ? chosen.filter((name) => !shown.includes(name)) : [...new Set([...chosen, ...shown])])} /><b>All ${shown.length}</b></label>`}
      ${shown.slice(0, MOST_LISTED).map((name) => html`<label class="check" key=${name} title=${name}><input type="checkbox" data-row checked=${chosen.includes(name)}
        onChange=${() => set(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name])} /><span>${name}</span></label>`)}
      ${shown.length > MOST_LISTED && html`<p class="dim pad">${count(shown.length - MOST_LISTED)} more: search for them.</p>`}
      ${!shown.length && html`<p class="dim pad">No number matches.</p>`}
    </div></aside>`;
}

function OtherRuns({ id, others }) {
  const { data } = usePoll("/api/runs?limit=200", 0);
  const runs = (data?.runs ?? []).filter((run) => run.id !== id && !others.includes(run.id));
  return html`<span class="laid-over">
    ${others.map((other) => html`<span class="tag" key=${other}><a href=${link(["runs", other])}>${data?.runs.find((run) => run.id === other)?.name ?? other}</a>
      <button class="plain small" aria-label="Remove ${other}" onClick=${() => setParameters({ with: others.filter((item) => item !== other) })}>✕</button></span>`)}
    ${runs.length > 0 && html`<select aria-label="Lay another run over it" value="" onChange=${(event) => {
      const value = event.currentTarget.value;
      event.currentTarget.value = "";
      if (value) setParameters({ with: [...others, value] });
    }}><option value="">+ another run</option>${runs.map((run) => html`<option key=${run.id} value=${run.id}>${run.name ? `${run.name} (${run.id})` : run.id}</option>`)}</select>`}
    ${others.length > 0 && html`<a class="button" href=${link(["compare"], { run: [id, ...others] })}>Compare parameters</a>`}</span>`;
}

/** The points of the other runs: asked again only if the choice changes, or slowly while a run is active. */
function useOtherRuns(ids, attributes) {
  const [runs, setRuns] = useState([]);
  const key = JSON.stringify([ids, attributes]);
  useEffect(() => {
    const leaving = new AbortController();
    let timer = 0;
    async function look() {
      if (document.hidden) {
        timer = setTimeout(look, 1000);
        return;
      }
      const began = performance.now();
      const answers = await Promise.all(
        ids.map(async (other) => {
          try {
            const [numbers, run] = await Promise.all([
              get(address(`${runPath(other)}/numbers`, { attribute: attributes }), leaving.signal),
              get(address("/api/runs", { text: other, limit: 200 }), leaving.signal),
            ]);
            const found = run.runs.find((item) => item.id === other);
            return { id: other, label: found?.name ?? other, started: found?.started, isRunning: found?.state === "running", ...numbers, error: null };
          } catch (error) {
            return { id: other, label: other, attributes: [], points: {}, error };
          }
        }),
      );
      if (leaving.signal.aborted) return;
      setRuns(answers);
      if (answers.some((run) => run.isRunning || run.error)) timer = setTimeout(look, Math.max(3000, (performance.now() - began) * 4));
    }
    if (ids.length) look();
    else setRuns([]);
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [key]);
  return runs;
}
