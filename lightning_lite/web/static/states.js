// States of runs, works and calls: one name, one tone (colour) and one shape each, so that no colour stands alone.
import { html } from "./ui.js";

const STATES = {
  running: ["run", "play"],
  blocking: ["run", "play"],
  succeeded: ["ok", "check"],
  ended: ["ok", "check"],
  failed: ["bad", "cross"],
  died: ["bad", "alert"],
  killed: ["bad", "alert"],
  removed: ["off", "dashes"],
  gone: ["bad", "alert"],
  crashed: ["bad", "alert"],
  timeout: ["bad", "clock"],
  lost: ["lost", "question"],
  interrupted: ["wait", "pause"],
  pending: ["wait", "clock"],
  stopping: ["wait", "pause"],
  started: ["idle", "ring"],
  stopped: ["off", "square"],
  "not started": ["off", "dashes"],
  restarted: ["idle", "ring"],
  unknown: ["off", "question"],
};

/** The look of a state: {label, tone, shape}. A run that its flow stopped has "ended": that is the normal end. */
export function look(state, ofRun = false) {
  const label = ofRun && state === "stopped" ? "ended" : String(state ?? "unknown").replaceAll("_", " ");
  const [tone, shape] = STATES[label] ?? STATES.unknown;
  return { label, tone, shape };
}

const SHAPES = {
  play: () => html`<path d="M4 2.8v10.4a.8.8 0 0 0 1.2.7l8-5.2a.8.8 0 0 0 0-1.4l-8-5.2A.8.8 0 0 0 4 2.8z" />`,
  check: () => html`<path class="line" d="m2.8 8.6 3.4 3.5 7-8" />`,
  cross: () => html`<path class="line" d="m3.5 3.5 9 9m0-9-9 9" />`,
  alert: () => html`<path d="M8 1.2 15.2 14H.8z" /><path class="hole" d="M8 5.6v4m0 1.6v1.4" />`,
  clock: () => html`<circle class="line" cx="8" cy="8" r="6" /><path class="line" d="M8 4.8V8l2.4 1.6" />`,
  question: () => html`<path class="line" d="M5 5.4c.2-2 1.4-2.9 3-2.9 1.7 0 3 1 3 2.6 0 2.2-2.9 2.3-2.9 4.5m0 2.6v1.6" />`,
  pause: () => html`<path d="M3.5 2.5h3v11h-3zm6 0h3v11h-3z" />`,
  ring: () => html`<circle class="line" cx="8" cy="8" r="5.5" /><circle cx="8" cy="8" r="2" />`,
  square: () => html`<rect x="3" y="3" width="10" height="10" rx="1.5" />`,
  dashes: () => html`<circle class="line dashed" cx="8" cy="8" r="5.5" />`,
};

export function StateIcon({ state, ofRun }) {
  const { tone, shape } = look(state, ofRun);
  return html`<svg class="shape tone-${tone}" viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">${SHAPES[shape]()}</svg>`;
}

export function State({ state, ofRun = false, children }) {
  const { label, tone } = look(state, ofRun);
  return html`<span class="state tone-${tone}" data-state=${label}><${StateIcon} state=${state} ofRun=${ofRun} /><span>${label}${children}</span></span>`;
}

/** Numbers of works or calls by state: a shape, a number, and the word for readers of screens. */
export function StateCounts({ counts, noun = "works" }) {
  const order = ["failed", "gone", "lost", "running", "pending", "started", "not started", "succeeded", "stopped"];
  const entries = Object.entries(counts ?? {}).filter(([, number]) => number);
  entries.sort((a, b) => rank(order, a[0]) - rank(order, b[0]));
  return html`<span class="counts">
    ${entries.map(([state, number]) => {
      const { label, tone } = look(state);
      return html`<span key=${state} class="tone-${tone}" title="${number} ${noun} ${label}"><${StateIcon} state=${state} />${number}<span class="unseen"> ${label} </span></span>`;
    })}
  </span>`;
}

function rank(order, state) {
  const place = order.indexOf(state.replaceAll("_", " "));
  return place < 0 ? order.length : place;
}
