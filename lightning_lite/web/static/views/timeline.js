// The timeline: a row for each work, and what it did when.
import { address, runPath } from "../api.js";
import { describe, drawAxis, drawRows, hit } from "../charts/gantt.js";
import { clock, count, duration, fullTime, plural } from "../format.js";
import { useObservable } from "../observable.js";
import { Empty, Loading, SearchField, Toggle, Trouble, offsetsOf, rowAt, useIsNarrow } from "../parts.js";
import { LIVE, usePoll } from "../poll.js";
import { go, link, setParameters, usePlace } from "../router.js";
import { State } from "../states.js";
import { paint } from "../theme.js";
import { treeRows } from "../tree.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../ui.js";

const HEAD = 44;
const ROWS_PER_QUESTION = 60;
const SHORTEST = 0.002; // seconds

export function Timeline({ id, data }) {
  if (!data) return html`<${Loading} what="the run" />`;
  if (!data.works.length) return html`<${Empty}>This run has no works, so there is nothing to draw.<//>`;
  return html`<${Chart} id=${id} run=${data} />`;
}

function Chart({ id, run }) {
  const { parameters } = usePlace();
  const isNarrow = useIsNarrow();
  const [closed, setClosed] = useState(() => new Set());
  const [text, setText] = useState("");
  const [onlyFailed, setOnlyFailed] = useState(false);
  const [asTable, setAsTable] = useState(false);
  const [view, setView] = useState({ from: numberOf(parameters.get("from")), to: numberOf(parameters.get("to")) });
  const [sight, setSight] = useState({ first: 0, end: 0, width: 0, height: 500, top: 0 }); // until it is measured
  const [chosen, setChosen] = useState(null);
  const [tip, setTip] = useState(null);
  const kept = useRef(new Map()).current; // work -> its row as it was sent last: drawn until a newer one comes
  const scroller = useRef(null);
  const axis = useRef(null);
  const canvas = useRef(null);
  const gesture = useRef({ pointers: new Map() });
  const painted = useObservable(paint);

  const failed = useMemo(() => new Set(run.works.filter((work) => work.failed).map((work) => work.name)), [run.works]);
  const wanted = text.toLowerCase();
  const takes = text || onlyFailed ? (name) => name.toLowerCase().includes(wanted) && (!onlyFailed || failed.has(name)) : null;
  const rows = useMemo(() => treeRows(run.components, closed, takes), [run.components, closed, text, onlyFailed, onlyFailed && failed]);
  const rowHeight = isNarrow ? 40 : 28;
  const offsets = useMemo(() => offsetsOf(rows.length, (index) => (rows[index].kind === "work" ? rowHeight : isNarrow ? 40 : 26)), [rows, rowHeight]);

  const inSight = rows.slice(sight.first, sight.end).filter((row) => row.kind === "work").map((row) => row.name).slice(0, ROWS_PER_QUESTION);
  const pixels = Math.max(50, Math.round(sight.width));
  const question = address(`${runPath(id)}/timeline`, { work: inSight, from: view.from?.toFixed(4), to: view.to?.toFixed(4), px: pixels });
  const asked = useSettled(sight.width ? question : null, 120);
  const answer = usePoll(asked, run.run.state === "running" ? LIVE : 0);
  const scale = answer.data;
  const clockShift = useMemo(() => (scale ? scale.now - performance.now() / 1000 : 0), [scale]);
  if (scale) for (const row of scale.rows) kept.set(row.work, row);

  const nowOf = () => (scale?.running ? performance.now() / 1000 + clockShift : scale?.now ?? 0);
  function range() {
    const end = scale ? (scale.running ? nowOf() : scale.to) : 1;
    const from = view.from ?? scale?.from ?? 0;
    return [from, Math.max(from + SHORTEST, view.to ?? end)];
  }
  const current = useRef(null);
  current.current = { range, nowOf, scale, rows, offsets, sight, chosen, view, id };

  // The zoom in the address, so that it can be sent.
  const shownRange = useSettled(`${view.from ?? ""}|${view.to ?? ""}`, 300);
  useEffect(() => {
    setParameters({ from: view.from?.toFixed(3) ?? null, to: view.to?.toFixed(3) ?? null });
  }, [shownRange]);

  function measure() {
    const box = scroller.current;
    if (!box) return;
    const names = box.querySelector(".gantt-corner").offsetWidth;
    const top = box.scrollTop;
    const height = Math.max(40, Math.min(box.clientHeight - HEAD, offsets.at(-1)));
    const next = {
      first: rowAt(offsets, top),
      end: Math.min(rows.length, rowAt(offsets, top + height) + 1),
      width: box.clientWidth - names,
      names,
      height,
      top,
    };
    setSight((old) => (Object.keys(next).every((key) => old[key] === next[key]) ? old : next));
  }
  useLayoutEffect(() => {
    measure();
    const watcher = new ResizeObserver(measure);
    if (scroller.current) watcher.observe(scroller.current);
    return () => watcher.disconnect();
  }, [rows, offsets, asTable]);

  function draw() {
    const { range: rangeOf, scale: known, rows: all, offsets: places, sight: seen, chosen: mark } = current.current;
    if (!canvas.current || !known || seen.width < 20) return;
    const [from, to] = rangeOf();
    const begun = known.begun ?? [];
    drawAxis(axis.current, { width: seen.width, height: HEAD, from, to, passes: known.passes ?? [], begun });
    const shown = [];
    for (let index = seen.first; index < seen.end; index += 1) {
      const row = all[index];
      if (row) shown.push({ top: places[index] - seen.top, height: places[index + 1] - places[index], data: kept.get(row.name), isFlow: row.kind !== "work" });
    }
    drawRows(canvas.current, { width: seen.width, height: seen.height, from, to, now: nowOf(), isRunning: known.running, rows: shown, begun, chosen: mark, range: gesture.current.range });
  }
  useLayoutEffect(draw);
  useEffect(() => {
    if (!scale?.running) return undefined;
    const timer = setInterval(() => document.hidden || draw(), 200);
    return () => clearInterval(timer);
  }, [scale?.running]);

  function show(from, to) {
    if (!scale) return;
    const end = scale.running ? nowOf() : scale.to;
    const whole = end - scale.from;
    const span = Math.min(Math.max(to - from, SHORTEST), whole * 1.02);
    let start = Math.max(scale.from - whole * 0.01, Math.min(from, end + whole * 0.01 - span));
    if (span >= whole * 0.995) setView({ from: null, to: null });
    else setView({ from: start, to: start + span });
  }
  function zoom(factor, at = 0.5) {
    const [from, to] = range();
    const span = (to - from) * factor;
    const middle = from + (to - from) * at;
    show(middle - span * at, middle + span * (1 - at));
  }
  function pan(share) {
    const [from, to] = range();
    show(from + (to - from) * share, to + (to - from) * share);
  }

  function find(event) {
    const box = canvas.current.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const [from, to] = range();
    const index = rowAt(offsets, y + sight.top);
    const row = rows[index];
    if (!row || y < 0 || y > box.height) return null;
    const perPixel = (to - from) / sight.width;
    const time = from + x * perPixel;
    const found = row.kind === "work" ? hit(kept.get(row.name), time, perPixel * (event.pointerType === "touch" ? 10 : 4), nowOf()) : null;
    return { row, index, time, found };
  }

  function openFound({ row, found }) {
    if (!found) return;
    if (found.kind === "span") go(link(["runs", id, "call"], { work: row.name, number: found.item[3] }));
    else if (found.kind === "bin") show(found.item[0] - (found.item[1] - found.item[0]) * 4, found.item[1] + (found.item[1] - found.item[0]) * 4);
    else if (found.kind === "process") go(link(["runs", id, "logs"], { work: row.name, at: found.item[0].toFixed(6) }));
  }

  // A wheel must be a listener that is not passive: it may keep the page from scrolling.
  useEffect(() => {
    const box = scroller.current;
    if (!box) return undefined;
    function wheel(event) {
      const area = axis.current.getBoundingClientRect();
      if (event.clientX < area.left) return;
      const scrolls = box.scrollHeight > box.clientHeight + 1;
      const onAxis = event.clientY <= area.bottom;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        panBy.current((event.deltaX || event.deltaY) / area.width);
      } else if (event.ctrlKey || event.metaKey || onAxis || !scrolls) {
        event.preventDefault();
        zoomBy.current(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), (event.clientX - area.left) / area.width);
      }
    }
    box.addEventListener("wheel", wheel, { passive: false });
    return () => box.removeEventListener("wheel", wheel);
  }, [asTable]);
  const panBy = useRef(pan);
  const zoomBy = useRef(zoom);
  panBy.current = pan;
  zoomBy.current = zoom;

  function pointerDown(event) {
    if (event.button) return;
    const { pointers } = gesture.current;
    pointers.set(event.pointerId, event);
    Object.assign(gesture.current, { began: event, moved: false, window: range(), selects: event.shiftKey || event.currentTarget === axis.current || view.from === null });
    if (event.pointerType === "touch" && pointers.size === 1) gesture.current.selects = false;
    event.currentTarget.setPointerCapture?.(event.pointerId);
  }
  function pointerMove(event) {
    const state = gesture.current;
    const area = axis.current.getBoundingClientRect();
    if (!state.pointers.has(event.pointerId)) {
      if (event.currentTarget === canvas.current) {
        const at = find(event);
        setTip(at?.found ? { x: event.clientX, y: event.clientY, title: at.row.name, lines: describe(at.found, nowOf()) } : null);
      }
      return;
    }
    const before = [...state.pointers.values()];
    state.pointers.set(event.pointerId, event);
    const after = [...state.pointers.values()];
    if (after.length === 2) {
      const wide = (points) => Math.max(20, Math.abs(points[0].clientX - points[1].clientX));
      state.moved = true;
      zoom(wide(before) / wide(after), ((after[0].clientX + after[1].clientX) / 2 - area.left) / area.width);
      return;
    }
    const shift = event.clientX - state.began.clientX;
    if (!state.moved && Math.abs(shift) < 4) return;
    state.moved = true;
    setTip(null);
    if (state.selects) {
      state.range = [state.began.clientX - area.left, event.clientX - area.left];
      draw();
    } else {
      const [from, to] = state.window;
      const time = (shift / area.width) * (to - from);
      show(from - time, to - time);
    }
  }
  function pointerUp(event) {
    const state = gesture.current;
    if (!state.pointers.delete(event.pointerId)) return;
    const { range: picked } = state;
    state.range = null;
    if (picked) {
      const [from, to] = range();
      const perPixel = (to - from) / sight.width;
      const ends = [Math.min(...picked), Math.max(...picked)];
      show(from + ends[0] * perPixel, from + ends[1] * perPixel);
    } else if (!state.moved && event.type === "pointerup" && event.currentTarget === canvas.current) {
      const at = find(event);
      if (at) openFound(at);
    }
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pixels = { ArrowLeft: -0.15, ArrowRight: 0.15, PageUp: null, PageDown: null }[event.key];
    if (event.target !== scroller.current) return;
    if (pixels) pan(pixels);
    else if (event.key === "+" || event.key === "=") zoom(0.6);
    else if (event.key === "-" || event.key === "_") zoom(1 / 0.6);
    else if (event.key === "0") setView({ from: null, to: null });
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") chooseRow(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "[" || event.key === "]") chooseSpan(event.key === "]" ? 1 : -1);
    else if (event.key === "Enter" && chosen?.number) go(link(["runs", id, "call"], chosen));
    else if (event.key === "Escape" && chosen) setChosen(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  function chooseRow(step) {
    const works = rows.map((row, index) => ({ ...row, index })).filter((row) => row.kind === "work");
    const now = works.findIndex((row) => row.name === chosen?.work);
    const next = works[Math.max(0, Math.min(works.length - 1, now + step))];
    if (!next) return;
    setChosen({ work: next.name });
    const box = scroller.current;
    if (offsets[next.index] < box.scrollTop) box.scrollTop = offsets[next.index];
    else if (offsets[next.index + 1] > box.scrollTop + sight.height) box.scrollTop = offsets[next.index + 1] - sight.height;
  }
  function chooseSpan(step) {
    const work = chosen?.work ?? inSight[0];
    const [from, to] = range();
    const spans = (kept.get(work)?.spans ?? []).filter(([began, ended]) => (ended ?? nowOf()) >= from && began <= to);
    if (!spans.length) return;
    const now = spans.findIndex(([, , , number, attempt]) => number === chosen?.number && attempt === chosen?.attempt);
    const next = spans[now < 0 ? (step > 0 ? 0 : spans.length - 1) : Math.max(0, Math.min(spans.length - 1, now + step))];
    setChosen({ work, number: next[3], attempt: next[4] });
  }

  const [from, to] = range();
  const isZoomed = view.from !== null;
  const chosenSpan = chosen?.number && kept.get(chosen.work)?.spans.find((span) => span[3] === chosen.number && span[4] === chosen.attempt);
  const toggle = (name) => setClosed((old) => {
    const next = new Set(old);
    if (!next.delete(name)) next.add(name);
    return next;
  });
  return html`<div class="timeline" data-view="timeline">
    <div class="bar">
      ${run.works.length > 5 && html`<${SearchField} label="Search works" value=${text} onInput=${setText} />`}
      ${failed.size > 0 && html`<${Toggle} label="Only with failures" value=${onlyFailed} onChange=${setOnlyFailed} />`}
      <span class="zoom" role="group" aria-label="Zoom">
        <button aria-label="Zoom in" title="Zoom in (+)" onClick=${() => zoom(0.6)}>+</button>
        <button aria-label="Zoom out" title="Zoom out (−)" disabled=${!isZoomed} onClick=${() => zoom(1 / 0.6)}>−</button>
        <button aria-label="Move left" title="Move left (←)" disabled=${!isZoomed} onClick=${() => pan(-0.5)}>←</button>
        <button aria-label="Move right" title="Move right (→)" disabled=${!isZoomed} onClick=${() => pan(0.5)}>→</button>
        <button disabled=${!isZoomed} title="The whole run (0)" onClick=${() => setView({ from: null, to: null })}>Whole run</button>
        ${run.run.state === "running" && html`<button title="The last minute" onClick=${() => show(nowOf() - 60, nowOf())}>Last minute</button>`}
      </span>
      <span class="dim num range" title="${fullTime(from)} to ${fullTime(to)}">${scale ? `${clock(from, 0)} – ${clock(to, 0)} · ${duration(to - from)}` : ""}</span>
      <span class="grow"></span>
      <${Toggle} label="Table" title="The same as a table" value=${asTable} onChange=${setAsTable} data-as-table />
    </div>
    <${Trouble} error=${answer.error} />
    <div class="gantt ${asTable ? "with-table" : ""}" ref=${scroller} tabindex="0" role="group" data-scroll data-gantt
      aria-label="Timeline of ${plural(run.works.length, "work")}. Arrow keys move, plus and minus zoom, square brackets choose a call, Enter opens it. The button Table shows the same as a table."
      onScroll=${measure} onKeyDown=${key}>
      <div class="gantt-head">
        <div class="gantt-corner"><span class="dim">Works</span><span class="dim" title="How often the flow ran">passes of the flow</span></div>
        <canvas ref=${axis} aria-hidden="true" onPointerDown=${pointerDown} onPointerMove=${pointerMove} onPointerUp=${pointerUp} onPointerCancel=${pointerUp}></canvas>
      </div>
      <div class="gantt-body" style=${{ height: `${offsets.at(-1)}px` }}>
        <canvas ref=${canvas} class=${isZoomed ? "can-pan" : ""} style=${{ marginLeft: `${sight.names ?? 0}px`, top: `${HEAD}px` }} role="img"
          aria-label="${plural(inSight.length, "row")} in sight, ${duration(to - from)} from ${clock(from, 0)}"
          onPointerDown=${pointerDown} onPointerMove=${pointerMove} onPointerUp=${pointerUp} onPointerCancel=${pointerUp} onPointerLeave=${() => setTip(null)}></canvas>
        ${rows.slice(sight.first, sight.end).map((row, place) => {
          const index = sight.first + place;
          const top = offsets[index];
          const style = { top: `${top}px`, height: `${offsets[index + 1] - top}px`, "--depth": row.depth };
          if (row.kind !== "work") {
            return html`<div class="gantt-row flow" key=${row.name} style=${style}><button class="plain fold" aria-expanded=${!row.isClosed} onClick=${() => toggle(row.name)} title=${row.name}><span aria-hidden="true">${row.isClosed ? "▸" : "▾"}</span> ${row.label}</button></div>`;
          }
          const sent = kept.get(row.name);
          return html`<div class="gantt-row ${chosen?.work === row.name ? "chosen" : ""}" key=${row.name} style=${style}>
            <a href=${link(["runs", id, "calls"], { work: row.name })} title=${row.name}>${row.label}</a><small class="dim num">${sent ? count(sent.calls) : ""}</small></div>`;
        })}
      </div>
      ${!rows.length && html`<${Empty}>No work matches.<//>`}
    </div>
    ${chosen && html`<p class="chosen-call" aria-live="polite">${chosen.work}${chosenSpan ? html`: ${describe({ kind: "span", item: chosenSpan }, nowOf()).join(", ")} <a href=${link(["runs", id, "call"], { work: chosen.work, number: chosen.number })}>Open</a>` : html` <span class="dim">[ and ] choose a call</span>`}</p>`}
    ${asTable && html`<${SpanTable} id=${id} works=${inSight} kept=${kept} range=${[from, to]} now=${nowOf()} />`}
    <${Legend} />
    ${tip && html`<${Tip} tip=${tip} />`}
  </div>`;
}

function Tip({ tip }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const box = element.current;
    box.style.left = `${Math.max(8, Math.min(tip.x + 14, innerWidth - box.offsetWidth - 8))}px`;
    box.style.top = `${tip.y + 18 + box.offsetHeight > innerHeight ? tip.y - box.offsetHeight - 12 : tip.y + 18}px`;
  });
  return html`<div class="tip" ref=${element} aria-hidden="true"><b>${tip.title}</b>${tip.lines.map((line) => html`<span key=${line}>${line}</span>`)}</div>`;
}

function Legend() {
  return html`<p class="legend dim">
    ${["succeeded", "failed", "running", "lost", "stopped", "restarted"].map((state) => html`<span key=${state}><${State} state=${state} /></span>`)}
    <span><i class="wait-sign"></i>waits for its turn</span>
    <span>▲ process started</span><span class="wide-only">drag to choose a range, wheel on the axis to zoom, Shift+wheel to move</span>
  </p>`;
}

function SpanTable({ id, works, kept, range: [from, to], now }) {
  const spans = [];
  const bins = [];
  for (const work of works) {
    const row = kept.get(work);
    for (const span of row?.spans ?? []) if ((span[1] ?? now) >= from && span[0] <= to) spans.push([work, span]);
    const summed = (row?.bins ?? []).filter((bin) => bin[1] >= from && bin[0] <= to);
    if (summed.length) bins.push([work, summed.reduce((sum, bin) => sum + bin[2], 0), summed.reduce((sum, bin) => sum + bin[3], 0)]);
  }
  spans.sort((a, b) => a[1][0] - b[1][0]);
  return html`<div class="span-table" data-scroll tabindex="0" role="region" aria-label="The timeline as a table">
    <table><caption>${plural(spans.length, "attempt")} of the rows in sight${spans.length > 500 ? ", the first 500" : ""}</caption>
      <thead><tr><th scope="col">Work</th><th scope="col">Call</th><th scope="col">Outcome</th><th scope="col">Began</th><th scope="col" class="right">Duration</th></tr></thead>
      <tbody>${spans.slice(0, 500).map(([work, [began, ended, outcome, number, attempt]]) => html`<tr key=${`${work}/${number}/${attempt}`}>
        <td>${work}</td><td><a href=${link(["runs", id, "call"], { work, number })}>${number}${attempt > 1 ? `, attempt ${attempt}` : ""}</a></td>
        <td><${State} state=${outcome} /></td><td class="num">${clock(began)}</td><td class="right num">${duration((ended ?? now) - began)}</td></tr>`)}
      ${bins.map(([work, calls, bad]) => html`<tr key=${work}><td>${work}</td><td colspan="4">${plural(calls, "call")}${bad ? `, ${count(bad)} failed` : ""}: zoom in to see each one, or open <a href=${link(["runs", id, "calls"], { work })}>its calls</a></td></tr>`)}
      </tbody></table></div>`;
}

function numberOf(text) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? value : null;
}

/** A value that has not changed for some milliseconds. */
function useSettled(value, wait) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    if (value === settled || settled === null) return undefined;
    const timer = setTimeout(() => setSettled(value), wait);
    return () => clearTimeout(timer);
  }, [value, settled]);
  if (settled === null && value !== null) setSettled(value); // the first value does not wait
  return settled ?? value;
}
