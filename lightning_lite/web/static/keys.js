// The keyboard: one table, which is also the help.
import { showContent } from "./dialogs.js";
import { go, link, place } from "./router.js";
import { html } from "./ui.js";

const HELP = [
  ["/", "search in this view"],
  ["?", "show these keys"],
  ["Esc", "close what is open, leave a field"],
  ["↑ ↓", "the row above, below; Home and End: the first, the last"],
  ["Enter", "open"],
  ["g r", "list of runs"],
  ["g d", "drives"],
  ["1 … 8", "tabs of a run"],
  ["← →", "timeline: move; tabs: the next one"],
  ["+ − 0", "timeline: zoom in, out, the whole run"],
  ["[ ]", "timeline: the call before, after"],
  ["n N", "logs: the next hit, the one before"],
  ["f", "logs: follow"],
];

export function showKeys() {
  showContent({
    title: "Keys",
    body: () => html`<dl class="keys">${HELP.map(([keys, text]) => html`<div key=${keys}><dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${text}</dd></div>`)}</dl>`,
  });
}

let before = "";

function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    else if (event.key === "ArrowDown" && event.target.matches("[data-search]") && focusRow(0)) event.preventDefault();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const chord = `${before}${event.key}`;
  before = event.key === "g" ? "g " : "";
  if (chord === "g r") go(link(["runs"]));
  else if (chord === "g d") go(link(["drives"]));
  else if (event.key === "/") focusSearch(event);
  else if (event.key === "?") showKeys();
  else if (/^[1-9]$/.test(event.key)) openTab(Number(event.key) - 1);
  else if (/^(ArrowDown|ArrowUp|Home|End|j|k)$/.test(event.key)) moveInRows(event);
});

function focusSearch(event) {
  const field = [...document.querySelectorAll("[data-search]")].find((element) => element.offsetParent);
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

function openTab(index) {
  const tab = document.querySelector("[role=tablist]")?.querySelectorAll("[role=tab]")[index];
  if (place.get().parts[0] === "runs" && tab) tab.click();
}

const rowsOf = (element) => [...(element ?? document).querySelectorAll("[data-row]")];

function focusRow(index) {
  const rows = rowsOf(null);
  rows[index]?.focus();
  return rows.length > 0;
}

function moveInRows(event) {
  const list = event.target.closest?.("[data-rows]");
  if (!list) return;
  const rows = rowsOf(list);
  const now = rows.indexOf(event.target.closest("[data-row]"));
  const next = { ArrowDown: now + 1, j: now + 1, ArrowUp: now - 1, k: now - 1, Home: 0, End: rows.length - 1 }[event.key];
  const row = rows[next];
  if (!row) return;
  event.preventDefault();
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}
