// The lines of logs that are loaded: real elements, added at the ends only, so that a selection survives.
import { clock, fullTime, shortName } from "../format.js";

const MOST_LINES = 4000;
const NEAR = 600; // pixels from an end at which the next page is read

const NAMED = new Set(["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"]);

export class LogList {
  /**
   * @param box The element that scrolls.
   * @param read Function that reads a page: ({before | after | around | at}) -> the answer of the server.
   * @param changed Called after a change: whether it follows, which lines are loaded.
   * @param nameOf Function that gives the short name of a work.
   */
  constructor(box, read, changed, nameOf = shortName) {
    this.box = box;
    this.nameOf = nameOf;
    this.read = read;
    this.changed = changed;
    this.list = document.createElement("ol");
    this.list.className = "lines";
    box.replaceChildren(this.list);
    this.pattern = null;
    this.names = new Map();
    this.isBusy = false;
    this.generation = 0;
    this.reset();
    this.onScroll = () => this.scrolled();
    box.addEventListener("scroll", this.onScroll, { passive: true });
  }

  close() {
    this.generation += 1;
    this.box.removeEventListener("scroll", this.onScroll);
  }

  reset() {
    this.list.replaceChildren();
    this.first = null;
    this.last = null;
    this.hasEarlier = false;
    this.hasLater = false;
    this.follows = true;
    this.marked = null;
  }

  tell() {
    this.changed({ follows: this.follows, lines: this.list.childElementCount, hasEarlier: this.hasEarlier, hasLater: this.hasLater });
  }

  /** Load the newest lines, or those around a cursor or a time, in place of the present ones. */
  async open(where = {}) {
    const generation = (this.generation += 1);
    this.isBusy = true;
    try {
      const page = await this.read(where);
      if (generation !== this.generation) return null;
      this.reset();
      this.follows = !("around" in where || "at" in where);
      this.take(page);
      this.hasEarlier = page.has_earlier;
      this.hasLater = page.has_later;
      this.list.append(this.fragment(page));
      if (this.follows) this.toEnd();
      else this.showPlace(where, page);
      this.tell();
      return page;
    } finally {
      if (generation === this.generation) {
        this.isBusy = false;
        this.fill().catch(() => {});
      }
    }
  }

  /** A page of a few long lines may be lower than the box: then nothing could be scrolled to read more. */
  async fill() {
    for (let pages = 0; pages < 8 && this.hasEarlier && this.box.scrollHeight <= this.box.clientHeight; pages += 1) {
      const wasAtEnd = this.follows;
      if (!(await this.readEarlier())) return;
      if (wasAtEnd) this.toEnd();
    }
  }

  take(page) {
    this.first ??= page.first;
    this.last = page.last ?? this.last;
  }

  /** Read newer lines, if the end is in sight or the end is followed. Return whether there may be more. */
  async readLater() {
    if (this.isBusy || this.last === null || (!this.follows && !this.isNearEnd())) return false;
    await this.extend(async () => {
      const page = await this.read({ after: this.last });
      return () => {
        this.last = page.last ?? this.last;
        this.hasLater = page.has_later;
        if (!page.lines.length) return;
        const wasAtEnd = this.follows;
        this.list.append(this.fragment(page));
        if (wasAtEnd) {
          this.trim("start");
          this.toEnd();
        } else if (this.trimKeepingPlace("start")) {
          this.hasEarlier = true;
        }
      };
    });
    return this.hasLater;
  }

  async readEarlier() {
    this.wantsEarlier = this.isBusy; // at the top, no other scrolling would ask for it
    if (this.isBusy || !this.hasEarlier || this.first === null) return false;
    return this.extend(async () => {
      const page = await this.read({ before: this.first });
      return () => {
        this.first = page.first ?? this.first;
        this.hasEarlier = page.has_earlier;
        if (!page.lines.length) return;
        // The line at the top stays where it is on the screen.
        const anchor = this.list.firstElementChild;
        const top = anchor?.getBoundingClientRect().top ?? 0;
        this.list.prepend(this.fragment(page));
        if (anchor) this.box.scrollTop += anchor.getBoundingClientRect().top - top;
        this.trim("end");
      };
    });
  }

  async extend(work) {
    const generation = this.generation;
    this.isBusy = true;
    try {
      const apply = await work();
      if (generation !== this.generation) return false;
      apply();
      this.tell();
      return true;
    } finally {
      if (generation === this.generation) {
        this.isBusy = false;
        if (this.wantsEarlier && this.box.scrollTop < NEAR) this.readEarlier().catch(() => {});
      }
    }
  }

  /** Take lines away at one end when there are too many, but never those that are selected. */
  trim(end) {
    const all = this.list.children;
    const more = all.length - MOST_LINES;
    if (more <= 0) return false;
    const selection = getSelection();
    if (selection && !selection.isCollapsed && this.list.contains(selection.anchorNode)) return false;
    // Whole pages go, because only their ends have a cursor to read on from.
    const range = document.createRange();
    if (end === "start") {
      let index = more;
      while (index < all.length && all[index].pageFirst === undefined) index += 1;
      if (index === all.length) return false;
      this.first = all[index].pageFirst;
      range.setStartBefore(all[0]);
      range.setEndBefore(all[index]);
      this.hasEarlier = true;
    } else {
      let index = MOST_LINES - 1;
      while (index > 0 && all[index].pageLast === undefined) index -= 1;
      if (!index) return false;
      this.last = all[index].pageLast;
      range.setStartAfter(all[index]);
      range.setEndAfter(all[all.length - 1]);
      this.hasLater = true;
      this.follows = false;
    }
    range.deleteContents();
    return true;
  }

  trimKeepingPlace(end) {
    const anchor = this.list.lastElementChild;
    const top = anchor?.getBoundingClientRect().top ?? 0;
    const trimmed = this.trim(end);
    if (trimmed) this.box.scrollTop += anchor.getBoundingClientRect().top - top;
    return trimmed;
  }

  scrolled() {
    const { scrollTop } = this.box;
    const isUp = scrollTop < (this.lastTop ?? 0) - 1;
    this.lastTop = scrollTop;
    if (this.follows && isUp && !this.isAtEnd()) this.setFollows(false);
    else if (!this.follows && !this.hasLater && !isUp && this.isAtEnd()) this.setFollows(true);
    if (scrollTop < NEAR) this.readEarlier().catch(() => {});
    else if (!this.follows && this.hasLater && this.isNearEnd()) this.readLater().catch(() => {});
  }

  setFollows(follows) {
    if (this.follows === follows) return;
    this.follows = follows;
    this.tell();
  }

  /** Follow the end again: jump there if later lines are not loaded. */
  async follow() {
    if (this.hasLater) return this.open();
    this.follows = true;
    this.toEnd();
    this.tell();
    return null;
  }

  isAtEnd() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 24;
  }

  isNearEnd() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < NEAR;
  }

  toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    this.lastTop = this.box.scrollTop;
  }

  showPlace(where, page) {
    const time = "at" in where ? Number(where.at) : null;
    const lines = [...this.list.children];
    let line = null;
    if (time !== null) line = lines.find((element) => element.time >= time) ?? lines.at(-1);
    else line = lines.find((element) => sameLine(element.line, where.line)) ?? lines[Math.floor(page.lines.length / 2)];
    if (!line) return;
    this.marked?.classList.remove("marked");
    this.marked = line;
    line.classList.add("marked");
    this.box.scrollTop += line.getBoundingClientRect().top - this.box.getBoundingClientRect().top - this.box.clientHeight / 3;
    this.lastTop = this.box.scrollTop;
  }

  setPattern(pattern) {
    this.pattern = pattern;
    for (const element of this.list.children) {
      const body = element.lastElementChild;
      body.replaceChildren(this.body(element.line));
    }
  }

  fragment(page) {
    const fragment = document.createDocumentFragment();
    for (const line of page.lines) fragment.append(this.element(line));
    if (fragment.firstChild) {
      fragment.firstChild.pageFirst = page.first;
      fragment.lastChild.pageLast = page.last;
    }
    return fragment;
  }

  element(line) {
    const element = document.createElement("li");
    element.line = line;
    element.time = line.time;
    const time = document.createElement("span");
    time.className = "when";
    if (line.time) {
      time.textContent = clock(line.time);
      time.title = fullTime(line.time);
    }
    const name = document.createElement("span");
    name.className = `who series-${this.colourOf(line.work)}`;
    name.textContent = this.nameOf(line.work) || line.work;
    name.title = line.work;
    const body = document.createElement("span");
    body.className = "what";
    body.append(this.body(line));
    element.append(time, name, body);
    return element;
  }

  colourOf(work) {
    if (!this.names.has(work)) this.names.set(work, work === "root" ? "root" : this.names.size % 8);
    return this.names.get(work);
  }

  /** The text of a line: pieces with its colours and with marks where the search hit. */
  body(line) {
    const { text } = line;
    const marks = this.pattern ? matches(this.pattern, text) : [];
    const styles = inUnits(text, line.colours ?? []);
    if (!marks.length && !styles.length) return document.createTextNode(text || "\u200b");
    const cuts = new Set([0, text.length]);
    for (const [start, end] of [...styles, ...marks]) {
      cuts.add(Math.max(0, Math.min(start, text.length)));
      cuts.add(Math.max(0, Math.min(end, text.length)));
    }
    const places = [...cuts].sort((a, b) => a - b);
    const fragment = document.createDocumentFragment();
    for (let index = 0; index + 1 < places.length; index += 1) {
      const [start, end] = [places[index], places[index + 1]];
      const style = styles.find((item) => item[0] <= start && item[1] >= end)?.[2];
      const mark = marks.some((item) => item[0] <= start && item[1] >= end);
      if (!style && !mark) {
        fragment.append(text.slice(start, end));
        continue;
      }
      const piece = document.createElement(mark ? "mark" : "span");
      piece.textContent = text.slice(start, end);
      if (style) paint(piece, style);
      fragment.append(piece);
    }
    return fragment;
  }
}

function sameLine(line, other) {
  return other && line.work === other.work && String(line.place) === String(other.place);
}

/** The server counts characters; a browser counts units of 16 bits, of which some characters have two. */
function inUnits(text, colours) {
  if (!colours.length || !/[\ud800-\udbff]/.test(text)) return colours;
  const places = [];
  let place = 0;
  for (const character of text) {
    places.push(place);
    place += character.length;
  }
  places.push(place);
  const unit = (index) => places[Math.min(index, places.length - 1)];
  return colours.map(([start, end, style]) => [unit(start), unit(end), style]);
}

function matches(pattern, text) {
  const found = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match && found.length < 50; match = pattern.exec(text)) {
    if (match[0]) found.push([match.index, match.index + match[0].length]);
    else pattern.lastIndex += 1;
  }
  return found;
}

/** The colours of a terminal: the eight names and their bright forms follow the theme, others are as they are. */
function paint(piece, { fg, bg, bold, dim, italic, underline, inverse, strike }) {
  if (inverse) piece.classList.add("t-inverse");
  if (strike) piece.classList.add("t-strike");
  if (bold) piece.classList.add("t-bold");
  if (dim) piece.classList.add("t-dim");
  if (italic) piece.classList.add("t-italic");
  if (underline) piece.classList.add("t-underline");
  for (const [kind, colour] of [["fg", fg], ["bg", bg]]) {
    if (!colour) continue;
    const name = String(colour).replace("bright_", "");
    if (NAMED.has(name)) piece.classList.add(`t-${kind}-${name}`);
    else if (/^#[0-9a-f]{6}$/i.test(colour)) piece.style[kind === "fg" ? "color" : "backgroundColor"] = colour;
  }
}
