// The state of a run: the tree of components with their values, live.
import { address, get, runPath } from "../api.js";
import { say, showText } from "../dialogs.js";
import { ago, count, fullTime, plural, size } from "../format.js";
import { Body, Empty, SearchField, Toggle, VirtualRows, offsetsOf, useIsNarrow, useNow } from "../parts.js";
import { LIVE, usePoll } from "../poll.js";
import { link, usePlace } from "../router.js";
import { likesLessMotion } from "../theme.js";
import { html, memo, useEffect, useMemo, useRef, useState } from "../ui.js";

const OPEN_WHOLE = 40; // components: up to there all are open at first

export function StateTree({ id, data }) {
  const isRunning = data?.run.state === "running";
  const answer = usePoll(`${runPath(id)}/state`, isRunning ? LIVE : 0);
  return html`<div class="content wide" data-view="state"><${Body} answer=${answer} what="the state">${(state) =>
    state.components.length ? html`<${Tree} id=${id} state=${state} isRunning=${isRunning} />` : html`<${Empty}>This run has no state${isRunning ? " yet" : ""}.<//>`}<//></div>`;
}

function Tree({ id, state, isRunning }) {
  const { parameters } = usePlace();
  const named = parameters.getAll("open");
  const [closed, setClosed] = useState(() => firstClosed(state.components, named));
  const [text, setText] = useState("");
  const [onlyChanged, setOnlyChanged] = useState(false);
  const isNarrow = useIsNarrow();
  const now = useNow(isRunning ? 1 : 0);
  const wanted = text.toLowerCase();
  const rows = useMemo(() => {
    const all = [];
    for (const component of state.components) {
      const own = component.name.toLowerCase().includes(wanted);
      const attributes = component.attributes.filter(
        (attribute) => (!wanted || own || attribute.name.toLowerCase().includes(wanted) || attribute.text.toLowerCase().includes(wanted)) && (!onlyChanged || attribute.changes > 0),
      );
      if ((wanted || onlyChanged) && !attributes.length) continue;
      const isClosed = closed.has(component.name) && !wanted;
      all.push({ component, isClosed });
      if (!isClosed) for (const attribute of attributes) all.push({ component, attribute });
    }
    return all;
  }, [state, closed, wanted, onlyChanged]);
  const offsets = useMemo(() => offsetsOf(rows.length, (index) => (rows[index].attribute ? (isNarrow ? 56 : 32) : isNarrow ? 44 : 38)), [rows, isNarrow]);
  const toggle = (name) => setClosed((old) => {
    const next = new Set(old);
    if (!next.delete(name)) next.add(name);
    return next;
  });
  const allClosed = state.components.every((component) => closed.has(component.name));
  const scrolled = useRef(false);
  useEffect(() => {
    if (scrolled.current || !named.length) return;
    scrolled.current = true;
    const index = rows.findIndex((row) => row.component.name === named[0]);
    const list = document.querySelector(".state-table .virtual");
    if (index > 8 && list) scrollTo(0, list.getBoundingClientRect().top + scrollY + offsets[index] - 200);
  }, []);
  return html`<div class="bar" role="search">
      <${SearchField} label="Search names and values" value=${text} onInput=${setText} />
      <${Toggle} label="Only what changed" value=${onlyChanged} onChange=${setOnlyChanged} />
      <button onClick=${() => setClosed(allClosed ? new Set() : new Set(state.components.map((component) => component.name)))}>${allClosed ? "Open all" : "Close all"}</button>
      <span class="dim num">${plural(state.components.length, "component")}</span>
    </div>
    <div role="table" class="table state-table" aria-label="State" aria-rowcount=${rows.length}>
      <div role="row" class="row head"><span role="columnheader">Name</span><span role="columnheader">Value</span><span role="columnheader">Type</span><span role="columnheader" class="right">Changed</span><span role="columnheader"><span class="unseen">Actions</span></span></div>
      ${rows.length
        ? html`<${VirtualRows} offsets=${offsets} row=${(index) => {
            const { component, attribute, isClosed } = rows[index];
            return attribute
              ? html`<${AttributeRow} key=${`${component.name}\n${attribute.name}`} id=${id} component=${component} attribute=${attribute} now=${now} isRunning=${isRunning} />`
              : html`<${ComponentRow} key=${component.name} component=${component} isClosed=${isClosed} toggle=${toggle} />`;
          }} />`
        : html`<${Empty}>Nothing matches.<//>`}
    </div>`;
}

/** A big tree begins closed, but for its root and the attribute in the address. */
function firstClosed(components, named) {
  if (components.length <= OPEN_WHOLE && !named.length) return new Set();
  const open = new Set(named.length ? named : [components[0].name]);
  return new Set(components.map((component) => component.name).filter((name) => !open.has(name)));
}

const ComponentRow = memo(function ComponentRow({ component, isClosed, toggle }) {
  const depth = Math.min(6, component.name.split(".").length - 1);
  return html`<div role="row" class="row component" data-component=${component.name}><span role="cell" class="c-tree" style=${{ "--depth": depth }}>
    <button class="plain fold" data-row aria-expanded=${!isClosed} onClick=${() => toggle(component.name)}><span aria-hidden="true">${isClosed ? "▸" : "▾"}</span> <b>${component.name}</b></button>
    <small class="dim">${component.class} · ${component.kind} · ${count(component.attributes.length)}</small></span></div>`;
});

const AttributeRow = memo(function AttributeRow({ id, component, attribute, now, isRunning }) {
  const depth = Math.min(6, component.name.split(".").length - 1);
  const value = useRef(null);
  const seen = useRef(`${attribute.changes}|${attribute.text}`);
  useEffect(() => {
    const next = `${attribute.changes}|${attribute.text}`;
    if (next === seen.current) return;
    seen.current = next;
    mark(value.current);
  });
  const fullName = `${component.name}.${attribute.name}`;
  async function showAll() {
    try {
      const all = await get(address(`${runPath(id)}/value`, { component: component.name, attribute: attribute.name }));
      showText({ title: fullName, text: all.text, note: `${all.type}, ${size(all.size)}${all.truncated ? ": only the beginning is shown" : ""}` });
    } catch (error) {
      say(error.message, { bad: true });
    }
  }
  return html`<div role="row" class="row" data-attribute=${fullName}>
    <span role="rowheader" class="c-tree" style=${{ "--depth": depth + 1 }}>${attribute.name}</span>
    <span role="cell" class="c-value mono" ref=${value} title=${attribute.text}>${attribute.text}</span>
    <span role="cell" class="c-type dim">${attribute.type}</span>
    <span role="cell" class="c-changed right dim num" title="${fullTime(attribute.changed)}, ${plural(attribute.changes, "change")}">${attribute.changes ? (isRunning ? ago(attribute.changed, now) : fullTime(attribute.changed).slice(11, 19)) : ""}</span>
    <span role="cell" class="c-do">
      ${typeof attribute.number === "number" && attribute.changes > 0 && html`<a class="button small" data-row href=${link(["runs", id, "numbers"], { a: fullName })} aria-label="Plot ${fullName}">Plot</a>`}
      ${attribute.is_long && html`<button class="small" data-row aria-label="Show all of ${fullName}" onClick=${showAll}>Show</button>`}</span>
  </div>`;
});

/** Mark a change for a moment; without motion, by an edge that goes at once. */
function mark(element) {
  if (!element?.animate) return;
  const isCalm = likesLessMotion();
  element.animate(isCalm ? [{ boxShadow: "inset 2px 0 var(--run)" }, { boxShadow: "inset 2px 0 var(--run)" }] : [{ backgroundColor: "var(--fresh)" }, { backgroundColor: "transparent" }], {
    duration: isCalm ? 800 : 1200,
    easing: "ease-out",
  });
}
