// Dark, light or as the system: the choice is kept in localStorage.
import { observable } from "./observable.js";

const KEY = "lightning-lite-theme";
const THEMES = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");

export const theme = observable(read());

function read() {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

function show(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

export function nextTheme() {
  const name = THEMES[(THEMES.indexOf(theme.get()) + 1) % THEMES.length];
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // storage is switched off: the choice lasts as long as the page
  }
  show(name);
  theme.set(name);
}

show(theme.get());

/** Changes with each change of the colours, for drawings on a canvas. */
export const paint = observable(0);
const repaint = () => {
  cached = null;
  paint.set(paint.get() + 1);
};
theme.subscribe(repaint);
system.addEventListener("change", repaint);

let cached = null;
const NAMES = [
  "ground", "panel", "line", "text", "dim", "faint", "accent",
  "run", "ok", "bad", "wait", "idle", "off", "lost",
];

/** The colours of the page, as a canvas needs them. */
export function colours() {
  if (!cached) {
    // A custom property is not computed to a colour; the colour of an element is.
    const probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
    cached = {};
    for (const name of NAMES) {
      probe.style.color = `var(--${name})`;
      cached[name] = getComputedStyle(probe).color;
    }
    cached.series = [];
    for (let index = 0; index < 8; index += 1) {
      probe.style.color = `var(--series-${index})`;
      cached.series.push(getComputedStyle(probe).color);
    }
    probe.remove();
  }
  return cached;
}

export const likesLessMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
