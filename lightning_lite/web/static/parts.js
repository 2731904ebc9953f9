// Small parts that many views use.
import { connection, server } from "./api.js";
import { duration } from "./format.js";
import { useObservable } from "./observable.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./ui.js";

/** A trouble in its place: what is wrong, and what to do. */
export function Trouble({ error, text, children }) {
  const message = text ?? (error?.status === 0 ? "The server does not answer; the page asks again." : error?.message);
  if (!message) return null;
  return html`<div class="trouble" role="alert" data-trouble><span aria-hidden="true">!</span><p>${message}${children}</p></div>`;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

export function Loading({ what = "" }) {
  return html`<p class="empty loading" role="status">Reading${what ? ` ${what}` : ""} …</p>`;
}

/** The body of a view from the result of `usePoll`: its trouble, or that it is being read, or the content. */
export function Body({ answer, what, children }) {
  if (answer.data) return html`${answer.error && answer.error.status !== 0 && html`<${Trouble} error=${answer.error} />`}${children(answer.data)}`;
  if (answer.error) return html`<${Trouble} error=${answer.error} />`;
  return html`<${Loading} what=${what} />`;
}

export function LostServer() {
  const { lost, since } = useObservable(connection);
  const now = useNow(lost ? 1 : 0);
  const info = useObservable(server);
  if (!lost) return null;
  return html`<div class="banner" role="alert" data-lost>
    The server has not answered for ${duration(now - since / 1000)}. The page shows its last answers and asks again.
    ${info?.run
      ? html`It ends with its app, so the run has probably ended: <code>lightning-lite ui</code> shows it again.`
      : html`If it has ended, start it with <code>lightning-lite ui</code>, and open the address that it prints.`}
  </div>`;
}

/** Move the focus to the next tab; a handler of keys for the list of tabs. */
export function moveAmongTabs(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const all = [...event.currentTarget.querySelectorAll("[role=tab]")];
  event.preventDefault();
  all[(all.indexOf(event.target) + step + all.length) % all.length]?.focus();
}

/** The time in seconds, again every `every` seconds; 0 stops it. */
export function useNow(every = 1) {
  const [now, setNow] = useState(Date.now() / 1000);
  useEffect(() => {
    if (!every) return undefined;
    setNow(Date.now() / 1000);
    const timer = setInterval(() => document.hidden || setNow(Date.now() / 1000), every * 1000);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** A text field that reports its value 200 ms after the last letter. */
export function SearchField({ value, onInput, label, placeholder, children, ...more }) {
  const [text, setText] = useState(value ?? "");
  const timer = useRef(0);
  const told = useRef(value ?? "");
  useEffect(() => {
    if ((value ?? "") !== told.current) {
      told.current = value ?? "";
      setText(told.current);
    }
  }, [value]);
  const tell = (next) => {
    clearTimeout(timer.current);
    told.current = next;
    onInput(next);
  };
  return html`<input type="search" data-search aria-label=${label} placeholder=${placeholder ?? label} value=${text}
    autocomplete="off" autocapitalize="off" spellcheck=${false} ...${more}
    onInput=${(event) => {
      const next = event.currentTarget.value;
      setText(next);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => tell(next), 200);
    }}
    onKeyDown=${(event) => event.key === "Enter" && !event.shiftKey && text !== told.current && tell(text)} />`;
}

/** A button that opens a menu; `items` are {label, action | href, danger, hint} or null for a line. */
export function Menu({ label, items, children, class: kind = "plain" }) {
  const button = useRef(null);
  const list = useRef(null);
  const wasShown = useRef(false);
  // The number of times it was opened, or 0 when the browser has reported that it is closed. That report comes late
  // on a busy machine, and the menu may be open again by then.
  const [opened, setOpened] = useState(0);
  // The items are elements only while the menu is open: a list has one menu in each row.
  useLayoutEffect(() => {
    if (!opened) return;
    list.current.showPopover();
    const from = button.current.getBoundingClientRect();
    const menu = list.current.getBoundingClientRect();
    const below = from.bottom + menu.height + 8 < innerHeight;
    list.current.style.top = `${Math.max(8, below ? from.bottom + 4 : from.top - menu.height - 4)}px`;
    list.current.style.left = `${Math.max(8, Math.min(from.right - menu.width, innerWidth - menu.width - 8))}px`;
    list.current.querySelector("[role=menuitem]")?.focus();
  }, [opened]);
  const isShown = () => list.current?.matches(":popover-open");
  function close() {
    if (isShown()) list.current.hidePopover();
  }
  // A press of the pointer closes an open menu before the click arrives here; a key does not.
  function openOrClose() {
    if (wasShown.current || isShown()) close();
    else setOpened(opened + 1);
  }
  function move(event) {
    const all = [...list.current.querySelectorAll("[role=menuitem]")];
    const now = all.indexOf(document.activeElement);
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") close();
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    all.at(next % all.length)?.focus();
  }
  return html`<button ref=${button} type="button" class=${kind} aria-haspopup="menu" aria-expanded=${opened > 0} aria-label=${label} title=${label}
      onPointerDown=${() => (wasShown.current = isShown())} onKeyDown=${() => (wasShown.current = false)} onClick=${openOrClose}>${children ?? "⋯"}</button>
    <div ref=${list} popover="auto" role="menu" class="menu" aria-label=${label} onKeyDown=${move}
      onToggle=${(event) => {
        if (event.newState !== "closed") return;
        if (list.current.contains(document.activeElement) || document.activeElement === document.body) button.current.focus();
        setOpened(0);
      }}>
      ${opened > 0 && items.map((item, index) => {
        if (!item) return html`<hr key=${index} />`;
        const inside = html`<span>${item.label}</span>${item.hint && html`<small>${item.hint}</small>`}`;
        return item.href
          ? html`<a key=${index} role="menuitem" href=${item.href} onClick=${close}>${inside}</a>`
          : html`<button key=${index} type="button" role="menuitem" class=${item.danger ? "danger" : ""} onClick=${() => {
              close();
              item.action();
            }}>${inside}</button>`;
      })}
    </div>`;
}

/** A switch between few choices: {value: label}. */
export function Choice({ label, value, choices, onChange }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${Object.entries(choices).map(([key, text]) => html`<button key=${key} type="button" aria-pressed=${key === value} onClick=${() => onChange(key)}>${text}</button>`)}
  </div>`;
}

export function Toggle({ label, title, value, onChange, ...more }) {
  return html`<button type="button" class="toggle" aria-pressed=${value} title=${title} onClick=${() => onChange(!value)} ...${more}>${label}</button>`;
}

export function Progress({ value, label }) {
  const share = Math.max(0, Math.min(1, value));
  return html`<span class="progress" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)} aria-label=${label}>
    <span style=${{ width: `${share * 100}%` }}></span></span>`;
}

/**
 * Which rows of a long list are in sight, also if an outer element scrolls.
 *
 * @param element A ref to the element that has the height of all rows.
 * @param offsets Places of the rows from its top, and the whole height at the end.
 */
export function useRowsInSight(element, offsets, extra = 6) {
  const [range, setRange] = useState([0, Math.min(40, offsets.length - 1)]);
  const known = useRef(offsets);
  known.current = offsets;
  useLayoutEffect(() => {
    let frame = 0;
    function look() {
      frame = 0;
      if (!element.current) return;
      const all = known.current;
      const { top } = element.current.getBoundingClientRect();
      const clip = element.current.closest("[data-scroll]")?.getBoundingClientRect();
      const from = Math.max(0, clip?.top ?? 0) - top;
      const to = Math.min(innerHeight, clip?.bottom ?? innerHeight) - top;
      const last = all.length - 1;
      const first = Math.max(0, rowAt(all, from) - extra);
      const end = Math.min(last, rowAt(all, to) + 1 + extra);
      setRange((old) => (old[0] === first && old[1] === end ? old : [first, end]));
    }
    const plan = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", plan, { capture: true, passive: true });
    addEventListener("resize", plan);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", plan, { capture: true });
      removeEventListener("resize", plan);
    };
  }, [offsets.length, offsets.at(-1)]);
  const last = offsets.length - 1;
  return [Math.min(range[0], last), Math.min(range[1], last)];
}

/** The index of the row at a place. */
export function rowAt(offsets, place) {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle] <= place) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, Math.min(low, offsets.length - 2));
}

export function offsetsOf(count, height) {
  const offsets = [0];
  for (let index = 0; index < count; index += 1) {
    offsets.push(offsets[index] + (typeof height === "function" ? height(index) : height));
  }
  return offsets;
}

/** Rows of which only those in sight are elements. `row(index)` returns one, with a key. */
export function VirtualRows({ offsets, row }) {
  const element = useRef(null);
  const [first, end] = useRowsInSight(element, offsets);
  const rows = [];
  for (let index = first; index < end; index += 1) rows.push(row(index));
  return html`<div ref=${element} role="rowgroup" class="virtual" data-rows style=${{ height: `${offsets.at(-1)}px` }}>
    <div style=${{ transform: `translateY(${offsets[first] ?? 0}px)` }} role="presentation">${rows}</div></div>`;
}

export function useIsNarrow(limit = 760) {
  const [isNarrow, setNarrow] = useState(innerWidth < limit);
  useEffect(() => {
    const query = matchMedia(`(max-width: ${limit - 1}px)`);
    const look = () => setNarrow(query.matches);
    look();
    query.addEventListener("change", look);
    return () => query.removeEventListener("change", look);
  }, [limit]);
  return isNarrow;
}
