// Draws the timeline on canvases: spans, bins, waits, restarts, and the passes of the flow.
import { clock, duration } from "../format.js";
import { look } from "../states.js";
import { colours } from "../theme.js";

const TICKS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800,
  21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000,
];

/** Draw sharp lines on screens with more than one dot per pixel. Return the context, scaled and cleared. */
export function prepare(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  const wide = Math.round(width * ratio);
  const tall = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== tall) {
    canvas.width = wide;
    canvas.height = tall;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

export function toneColour(outcome) {
  return colours()[look(outcome).tone] ?? colours().off;
}

function ticks(from, to, width) {
  const wished = ((to - from) / width) * 92;
  const step = TICKS.find((tick) => tick >= wished) ?? TICKS.at(-1);
  // Ticks stand at whole minutes and hours of the clock on the wall.
  const shift = step >= 3600 ? new Date(from * 1000).getTimezoneOffset() * 60 : 0;
  const all = [];
  for (let time = Math.ceil((from - shift) / step) * step + shift; time <= to; time += step) all.push(time);
  return { step, all };
}

function tickLabel(time, step) {
  if (step >= 86_400) {
    const date = new Date(time * 1000);
    return `${date.getDate()} ${date.toLocaleString("en", { month: "short" })}`;
  }
  if (step >= 60) return clock(time, 0).slice(0, 5);
  if (step >= 1) return clock(time, 0);
  return clock(time, step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3);
}

/** The axis: times, and below them how often the flow ran. */
export function drawAxis(canvas, { width, height, from, to, passes, begun }) {
  const context = prepare(canvas, width, height);
  const colour = colours();
  const x = (time) => ((time - from) / (to - from)) * width;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const { step, all } = ticks(from, to, width);
  for (const time of all) {
    const place = x(time);
    context.fillStyle = colour.line;
    context.fillRect(Math.round(place), 0, 1, height);
    context.fillStyle = colour.dim;
    context.fillText(tickLabel(time, step), place + 4, 9);
  }
  const most = Math.max(1, ...passes.map(([, count]) => count));
  context.fillStyle = colour.accent;
  context.globalAlpha = 0.55;
  passes.forEach(([time, count], index) => {
    if (!count) return;
    const next = passes[index + 1]?.[0] ?? time + (time - (passes[index - 1]?.[0] ?? time - 1));
    const tall = Math.max(1.5, (count / most) * (height - 22));
    context.fillRect(x(time), height - tall, Math.max(1, x(next) - x(time) - 0.5), tall);
  });
  context.globalAlpha = 1;
  drawBegun(context, { x, height, begun, width });
}

function drawBegun(context, { x, height, begun, width }) {
  context.strokeStyle = colours().accent;
  context.setLineDash([3, 3]);
  for (const time of begun.slice(1)) {
    const place = Math.round(x(time)) + 0.5;
    if (place < 0 || place > width) continue;
    context.beginPath();
    context.moveTo(place, 0);
    context.lineTo(place, height);
    context.stroke();
  }
  context.setLineDash([]);
}

/**
 * Draw the rows in sight.
 *
 * @param rows {top, height, data, isFlow}: `data` is the server's data for the row, or undefined yet.
 * @param chosen {work, number, attempt} of the span that the keyboard chose, or null.
 */
export function drawRows(canvas, { width, height, from, to, now, isRunning, rows, begun, chosen, range }) {
  const context = prepare(canvas, width, height);
  const colour = colours();
  const x = (time) => ((time - from) / (to - from)) * width;
  context.fillStyle = colour.line;
  context.globalAlpha = 0.6;
  for (const time of ticks(from, to, width).all) context.fillRect(Math.round(x(time)), 0, 1, height);
  context.globalAlpha = 1;
  for (const row of rows) {
    if (row.data) drawRow(context, row, { x, width, now, colour, chosen });
    else if (!row.isFlow) drawWaiting(context, row, width, colour);
  }
  drawBegun(context, { x, height, begun, width });
  if (isRunning && now >= from && now <= to) {
    context.fillStyle = colour.run;
    context.fillRect(Math.round(x(now)), 0, 1, height);
  }
  if (range) {
    context.fillStyle = colour.accent;
    context.globalAlpha = 0.16;
    context.fillRect(Math.min(...range), 0, Math.abs(range[1] - range[0]), height);
    context.globalAlpha = 1;
  }
}

function drawWaiting(context, row, width, colour) {
  context.fillStyle = colour.line;
  context.globalAlpha = 0.35;
  context.fillRect(0, row.top + row.height / 2 - 1, width, 2);
  context.globalAlpha = 1;
}

function drawRow(context, { top, height, data }, { x, width, now, colour, chosen }) {
  const pad = Math.max(5, Math.round(height * 0.21));
  const bar = height - 2 * pad;
  // Waits: from the question of the flow to the begin of the call.
  context.fillStyle = colour.wait;
  for (const [asked, began] of data.waits ?? []) {
    const left = x(asked);
    const wide = x(began ?? now) - left;
    if (wide < 1 || left > width || left + wide < 0) continue;
    context.fillRect(left, top + height - 3, wide, 1.5);
    context.fillRect(left, top + height - 5, 1, 4);
  }
  context.globalAlpha = 1;
  for (const bin of data.bins ?? []) drawBin(context, bin, { x, top: top + pad, bar, colour });
  // Failures last: nothing may cover one.
  const spans = data.spans ?? [];
  for (const span of spans) if (look(span[2]).tone !== "bad") drawSpan(context, span, { x, width, top: top + pad, bar, now });
  for (const span of spans) if (look(span[2]).tone === "bad") drawSpan(context, span, { x, width, top: top + pad, bar, now });
  for (const [time, stage] of data.process ?? []) drawMark(context, x(time), stage, { top, height, width });
  if (chosen?.work === data.work) {
    const span = spans.find(([, , , number, attempt]) => number === chosen.number && attempt === chosen.attempt);
    if (span) {
      context.strokeStyle = colour.text;
      context.lineWidth = 2;
      const left = x(span[0]);
      context.strokeRect(left - 1, top + pad - 2, Math.max(4, x(span[1] ?? now) - left) + 2, bar + 4);
      context.lineWidth = 1;
    }
  }
}

function drawBin(context, [from, to, count, failed, busy], { x, top, bar, colour }) {
  const left = x(from);
  const wide = Math.max(1, x(to) - left);
  if (count - failed > 0 || busy > 0) {
    const tall = Math.max(2, bar * Math.max(0.12, busy));
    context.fillStyle = colour.ok;
    context.globalAlpha = 0.72;
    context.fillRect(left, top + bar - tall, wide, tall);
    context.globalAlpha = 1;
  }
  if (failed) drawFailure(context, left, Math.max(3, wide), top, bar);
}

function drawFailure(context, left, wide, top, bar) {
  context.fillStyle = colours().bad;
  context.fillRect(left, top - 1, wide, bar + 2);
  // A notch above: a failure differs by its shape, too.
  context.beginPath();
  const middle = left + Math.min(wide, 8) / 2;
  context.moveTo(middle - 3.5, top - 4);
  context.lineTo(middle + 3.5, top - 4);
  context.lineTo(middle, top + 1);
  context.fill();
}

function drawSpan(context, [began, ended, outcome], { x, width, top, bar, now }) {
  let left = x(began);
  const right = Math.min(width + 4, x(ended ?? now));
  if (right < -4 || left > width + 4) return;
  left = Math.max(left, -4);
  const { tone } = look(outcome);
  if (tone === "bad") {
    drawFailure(context, left, Math.max(3, right - left), top, bar);
    return;
  }
  const wide = Math.max(1, right - left - (right - left > 4 ? 0.75 : 0));
  context.fillStyle = toneColour(outcome);
  context.globalAlpha = tone === "ok" ? 0.72 : 0.9;
  if (wide > 5) {
    context.beginPath();
    context.roundRect(left, top, wide, bar, 2);
    context.fill();
  } else {
    context.fillRect(left, top, wide, bar);
  }
  context.globalAlpha = 1;
  if (ended === null && wide > 8) stripes(context, left, wide, top, bar);
  if ((tone === "off" || tone === "lost") && wide > 8) stripes(context, left, wide, top, bar, 7);
}

function stripes(context, left, wide, top, bar, step = 10) {
  context.save();
  context.beginPath();
  context.rect(left, top, wide, bar);
  context.clip();
  context.strokeStyle = colours().panel;
  context.globalAlpha = 0.35;
  context.lineWidth = 2;
  context.beginPath();
  for (let place = left - bar; place < left + wide; place += step) {
    context.moveTo(place, top + bar);
    context.lineTo(place + bar, top);
  }
  context.stroke();
  context.restore();
}

function drawMark(context, place, stage, { top, height, width }) {
  if (place < -6 || place > width + 6) return;
  const { tone } = look(stage);
  context.fillStyle = colours()[tone];
  context.beginPath();
  if (tone === "bad") {
    context.moveTo(place - 4, top + 1);
    context.lineTo(place + 4, top + 1);
    context.lineTo(place, top + 7);
  } else if (tone === "off") {
    context.rect(place - 2.5, top + height - 6, 5, 5);
  } else {
    context.moveTo(place, top + height - 8);
    context.lineTo(place - 4, top + height - 2);
    context.lineTo(place + 4, top + height - 2);
  }
  context.fill();
}

/** The element at a time in a row: {kind: "span" | "bin" | "process", item} or null. */
export function hit(data, time, slack, now) {
  if (!data) return null;
  for (const mark of data.process ?? []) if (Math.abs(mark[0] - time) <= slack && look(mark[1]).tone === "bad") return { kind: "process", item: mark };
  let best = null;
  for (const span of data.spans ?? []) {
    const end = span[1] ?? now;
    const away = Math.max(span[0] - time, time - end, 0);
    if (away > slack) continue;
    // A failure wins over its neighbours: users want to hit it.
    const cost = away - (look(span[2]).tone === "bad" ? slack : 0);
    if (!best || cost < best.cost) best = { kind: "span", item: span, cost };
  }
  if (best) return best;
  for (const wait of data.waits ?? []) if (wait[0] <= time && (wait[1] ?? now) >= time) return { kind: "wait", item: wait };
  for (const bin of data.bins ?? []) if (bin[0] - slack <= time && bin[1] + slack >= time && bin[3]) return { kind: "bin", item: bin };
  for (const bin of data.bins ?? []) if (bin[0] <= time && bin[1] >= time) return { kind: "bin", item: bin };
  for (const mark of data.process ?? []) if (Math.abs(mark[0] - time) <= slack) return { kind: "process", item: mark };
  return null;
}

/** The words for the result of `hit`. */
export function describe({ kind, item }, now) {
  if (kind === "span") {
    const [began, ended, outcome, number, attempt] = item;
    return [`call ${number}${attempt > 1 ? `, attempt ${attempt}` : ""}: ${look(outcome).label}`, `${clock(began)}, ${duration((ended ?? now) - began)}${ended === null ? " so far" : ""}`];
  }
  if (kind === "wait") return ["waits for its turn", `${clock(item[0])}, ${duration((item[1] ?? now) - item[0])}`];
  if (kind === "bin") {
    const [from, to, count, failed, busy] = item;
    return [`${count} calls${failed ? `, ${failed} failed` : ""}`, `${clock(from)}, ${duration(to - from)}, busy ${Math.round(busy * 100)} %. Click to zoom in.`];
  }
  return [`process: ${look(item[1]).label}`, clock(item[0])];
}
