// Small lines and bars inside of rows: pictures for the eye, with the numbers as text next to them.
import { html } from "../ui.js";

/** Calls over time: the failed ones are drawn on top, so that one among thousands is seen. */
export function Bars({ bins, failed, width = 120, height = 22, label }) {
  const most = Math.max(1, ...bins);
  const step = width / bins.length;
  const path = (values, floor) =>
    values
      .map((value, index) => {
        if (!value) return "";
        const tall = Math.max(floor, (value / most) * height);
        return `M${(index * step).toFixed(1)} ${height}v${-tall.toFixed(1)}h${(step - 1).toFixed(1)}v${tall.toFixed(1)}z`;
      })
      .join("");
  return html`<svg class="spark" role="img" aria-label=${label} viewBox="0 0 ${width} ${height}" width=${width} height=${height} preserveAspectRatio="none">
    <path class="spark-bar" d=${path(bins, 1)} /><path class="spark-bad" d=${path(failed ?? [], 4)} /></svg>`;
}

/** A value over time: points are [time, value]. */
export function Line({ points, from, to, top, width = 64, height = 20, tone = "run", label }) {
  if (!points || points.length < 2) return html`<svg class="spark" width=${width} height=${height} aria-hidden="true"></svg>`;
  const most = top || Math.max(1e-9, ...points.map((point) => point[1] ?? 0));
  const span = to - from || 1;
  const line = points
    .map(([time, value], index) => `${index ? "L" : "M"}${(((time - from) / span) * width).toFixed(1)} ${(height - 1 - ((value ?? 0) / most) * (height - 2)).toFixed(1)}`)
    .join("");
  const left = (((points[0][0] - from) / span) * width).toFixed(1);
  const right = (((points.at(-1)[0] - from) / span) * width).toFixed(1);
  return html`<svg class="spark spark-line tone-${tone}" viewBox="0 0 ${width} ${height}" width=${width} height=${height} role="img" aria-label=${label}>
    <path class="area" d="${line}L${right} ${height}L${left} ${height}z" /><path class="stroke" d=${line} /></svg>`;
}
