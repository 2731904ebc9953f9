// A plot of numbers over time, drawn by uPlot.
import { clock, duration, moment, number } from "../format.js";
import { useObservable } from "../observable.js";
import { colours, paint } from "../theme.js";
import { html, useEffect, useRef } from "../ui.js";
import uPlot from "../vendor/uplot/uPlot.esm.js";

// Steps of an axis of durations: whole minutes and hours.
const STEPS = [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800];
const DASHES = [[], [6, 3], [2, 3], [9, 3, 2, 3]];

/**
 * Draw lines.
 *
 * @param lines {label, points: [[x, value]], colour (index), dash (index)}.
 * @param isRelative Whether x is seconds since the begin of a run; else a time.
 */
export function Plot({ lines, height = 260, isLog, isRelative, label, sync, isSmall = false }) {
  const place = useRef(null);
  const plot = useRef(null);
  const painted = useObservable(paint);
  const shape = JSON.stringify([lines.map((line) => [line.label, line.colour, line.dash]), isLog, isRelative, painted, height]);
  const data = useRef(null);
  data.current = align(lines, isLog);
  useEffect(() => {
    const element = place.current;
    const made = new uPlot(options({ lines, isLog, isRelative, height, width: element.clientWidth || 600, sync, isSmall }), data.current, element);
    plot.current = made;
    const watcher = new ResizeObserver(() => {
      if (element.clientWidth && element.clientWidth !== made.width) made.setSize({ width: element.clientWidth, height });
    });
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => {
    const made = plot.current;
    if (!made || made.data === data.current) return;
    // A zoom of the person stays; else the plot follows the data.
    const { min, max } = made.scales.x;
    const [first, last] = [made.data[0][0], made.data[0].at(-1)];
    const isZoomed = made.data[0].length > 1 && (min > first || max < last);
    made.setData(data.current, !isZoomed);
    if (isZoomed) made.setScale("x", { min, max });
  });
  return html`<div class="plot" ref=${place} role="img" aria-label=${label}></div>`;
}

/** One list of x for all lines: values at other places are missing there. */
function align(lines, isLog) {
  const places = new Set();
  for (const line of lines) for (const [x] of line.points) places.add(x);
  const xs = [...places].sort((a, b) => a - b);
  const at = new Map(xs.map((x, index) => [x, index]));
  const columns = lines.map((line) => {
    const column = new Array(xs.length).fill(undefined);
    for (const [x, value] of line.points) {
      const isDrawn = typeof value === "number" && Number.isFinite(value) && (!isLog || value > 0);
      column[at.get(x)] = isDrawn ? value : null;
    }
    return column;
  });
  return [xs, ...columns];
}

function tickLabel(time, step) {
  if (step >= 86_400) return moment(time).replace(/ \d\d:\d\d$/, "");
  return clock(time, step < 1 ? 2 : 0).slice(0, step >= 60 ? 5 : undefined);
}

/** Around a single point uPlot would show a day. */
function rangeOfX(plot, min, max) {
  const [xs] = plot.data;
  return xs.length === 1 ? [xs[0] - 1, xs[0] + 1] : [min, max];
}

function options({ lines, isLog, isRelative, height, width, sync, isSmall }) {
  const colour = colours();
  const font = "11px system-ui, sans-serif";
  const axis = { stroke: colour.dim, font, grid: { stroke: colour.line, width: 1 }, ticks: { stroke: colour.line, width: 1, size: 4 } };
  const isFew = lines.every((line) => line.points.length < 60);
  return {
    width,
    height,
    padding: [10, 12, 0, 0],
    cursor: isSmall ? { show: false } : { sync: sync ? { key: sync } : undefined, points: { size: 7 }, drag: { x: true, y: false } },
    legend: { show: !isSmall, live: true },
    scales: { x: { time: !isRelative, range: rangeOfX }, y: { distr: isLog ? 3 : 1 } },
    axes: [
      { ...axis, size: 30, incrs: isRelative ? STEPS : undefined, values: (_, splits, _axis, _space, step) => splits.map((value) => (isRelative ? value ? duration(value) : "0" : tickLabel(value, step))), space: 80 },
      { ...axis, size: 58, values: (_, splits) => splits.map((value) => (value === null ? "" : number(value))) },
    ],
    series: [
      { label: isRelative ? "after" : "at", value: (_, x) => (x === null ? "–" : isRelative ? duration(x) : clock(x, 1)) },
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour.series[line.colour % colour.series.length],
        dash: DASHES[line.dash % DASHES.length],
        width: 1.5,
        points: { show: isFew, size: 5 },
        value: (_, value) => (value === null || value === undefined ? "–" : number(value)),
      })),
    ],
  };
}
