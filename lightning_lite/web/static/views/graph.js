// Who called what, and which values, files and drives went where.
import { runPath } from "../api.js";
import { count, plural, shortNames } from "../format.js";
import { Body, Empty, Loading, Toggle, useIsNarrow } from "../parts.js";
import { usePoll } from "../poll.js";
import { go, link } from "../router.js";
import { StateIcon, look } from "../states.js";
import { html, useEffect, useMemo, useRef, useState } from "../ui.js";

const MOST_AT_ONCE = 200; // nodes: more are drawn only when asked
const NODE = { width: 176, height: 40 };
const KINDS = { calls: "calls", value: "answer as argument", path: "Path", payload: "Payload", drive: "drive" };

export function Graph({ id }) {
  const [isRead, setRead] = useState(false);
  const answer = usePoll(`${runPath(id)}/graph`, isRead ? 0 : 0.5);
  const graphRead = answer.data && (answer.data.of === undefined || answer.data.read >= answer.data.of);
  useEffect(() => {
    if (graphRead) setRead(true);
  }, [graphRead]);
  const [isWanted, setWanted] = useState(false);
  return html`<div class="graph" data-view="graph"><${Body} answer=${answer} what="the graph">${(graph) => {
    if (graph.nodes.length < 2) return html`<${Empty}>Nothing was called yet. <button onClick=${answer.refresh}>Read again</button><//>`;
    if (graph.nodes.length > MOST_AT_ONCE && !isWanted) {
      return html`<${Empty}>The graph has ${count(graph.nodes.length)} nodes, which is hard to read. <button class="filled" onClick=${() => setWanted(true)}>Draw it all the same</button><//>`;
    }
    return html`<${Drawing} id=${id} graph=${graph} refresh=${answer.refresh} />`;
  }}<//></div>`;
}

function useLayout(graph, kinds, isNarrow) {
  const [result, setResult] = useState(null);
  useEffect(() => {
    let isOver = false;
    import("../vendor/dagre/dagre.esm.js").then((dagre) => {
      if (isOver) return;
      const edges = graph.edges.filter((edge) => kinds.has(edge.kind));
      const used = new Set(edges.flatMap((edge) => [edge.from, edge.to]));
      const drawing = new dagre.Graph({ multigraph: true });
      drawing.setGraph({ rankdir: "LR", nodesep: 14, ranksep: isNarrow ? 40 : 64, marginx: 16, marginy: 16 });
      drawing.setDefaultEdgeLabel(() => ({}));
      const nodes = graph.nodes.filter((node) => used.has(node.id) || node.kind === "work" || node.kind === "flow");
      for (const node of nodes) drawing.setNode(node.id, { ...NODE });
      edges.forEach((edge, index) => drawing.hasNode(edge.from) && drawing.hasNode(edge.to) && drawing.setEdge(edge.from, edge.to, {}, String(index)));
      dagre.layout(drawing);
      const { width, height } = drawing.graph();
      // Some edges pass outside of the box of the nodes.
      const points = edges.flatMap((edge, index) => drawing.edge(edge.from, edge.to, String(index))?.points ?? []);
      const left = Math.min(0, ...points.map((point) => point.x - 8));
      const top = Math.min(0, ...points.map((point) => point.y - 8));
      setResult({
        left,
        top,
        width: Math.max(width, 200, ...points.map((point) => point.x + 8)) - left,
        height: Math.max(height, 100, ...points.map((point) => point.y + 8)) - top,
        nodes: nodes.map((node) => ({ node, ...drawing.node(node.id) })),
        edges: edges
          .map((edge, index) => ({ edge, points: drawing.edge(edge.from, edge.to, String(index))?.points }))
          .filter(({ points }) => points?.length),
      });
    });
    return () => {
      isOver = true;
    };
  }, [graph, [...kinds].join(), isNarrow]);
  return result;
}

function Drawing({ id, graph, refresh }) {
  const present = useMemo(() => [...new Set(graph.edges.map((edge) => edge.kind))], [graph]);
  const [hidden, setHidden] = useState(() => new Set());
  const [focus, setFocus] = useState(null);
  const [asList, setAsList] = useState(false);
  const shorten = useMemo(() => shortNames(graph.nodes.filter((node) => node.kind === "work" || node.kind === "flow").map((node) => node.name)), [graph]);
  const kinds = useMemo(() => new Set(present.filter((kind) => !hidden.has(kind))), [present, hidden]);
  const isNarrow = useIsNarrow();
  const layout = useLayout(graph, kinds, isNarrow);
  const [zoom, setZoom] = useState(null);
  const frame = useRef(null);
  useEffect(() => {
    if (!layout || !frame.current) return;
    const fit = Math.min(1.15, (frame.current.clientWidth - 4) / layout.width, (frame.current.clientHeight - 4) / layout.height);
    setZoom(Math.max(isNarrow ? 0.8 : 0.45, fit));
  }, [layout]);
  useDragScroll(frame, layout);
  const near = useMemo(() => {
    if (!focus) return null;
    const found = new Set([focus]);
    for (const edge of graph.edges) {
      if (!kinds.has(edge.kind)) continue;
      if (edge.from === focus) found.add(edge.to);
      if (edge.to === focus) found.add(edge.from);
    }
    return found;
  }, [focus, graph, kinds]);
  const toggle = (kind) => setHidden((old) => {
    const next = new Set(old);
    if (!next.delete(kind)) next.add(kind);
    return next;
  });
  return html`<div class="bar">
      ${present.map((kind) => html`<button key=${kind} class="chip edge-${kind}" aria-pressed=${!hidden.has(kind)} onClick=${() => toggle(kind)}><i class="edge-sign"></i>${KINDS[kind] ?? kind}</button>`)}
      <span class="zoom" role="group" aria-label="Zoom"><button aria-label="Zoom in" onClick=${() => setZoom((old) => Math.min(2.5, (old ?? 1) * 1.25))}>+</button><button aria-label="Zoom out" onClick=${() => setZoom((old) => Math.max(0.2, (old ?? 1) / 1.25))}>−</button></span>
      <button onClick=${refresh}>Read again</button><span class="grow"></span>
      ${graph.read < graph.of && html`<span class="dim num">${count(graph.read)} of ${count(graph.of)} calls are read …</span>`}
      ${graph.truncated && html`<span class="wait-text">Only the first ${count(graph.nodes.length)} nodes are drawn.</span>`}
      <${Toggle} label="Table" title="The same as a table" value=${asList} onChange=${setAsList} />
    </div>
    ${asList
      ? html`<div class="content wide"><${EdgeTable} graph=${graph} kinds=${kinds} /></div>`
      : html`<div class="graph-frame" ref=${frame} tabindex="0" role="region" aria-label="Graph of the run; the button Table shows the same as a table" data-scroll>
        ${layout && zoom
          ? html`<svg width=${layout.width * zoom} height=${layout.height * zoom} viewBox="${layout.left} ${layout.top} ${layout.width} ${layout.height}">
            <defs>${Object.keys(KINDS).map((kind) => html`<marker key=${kind} id="arrow-${kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="arrow edge-${kind}" d="M0 0.5 8 4 0 7.5z" /></marker>`)}</defs>
            ${layout.edges.map(({ edge, points }, index) => html`<g key=${index} class="edge edge-${edge.kind} ${near && edge.from !== focus && edge.to !== focus ? "far" : ""}">
              <path d=${curve(points)} marker-end="url(#arrow-${edge.kind})" /><title>${edge.from} → ${edge.to}: ${KINDS[edge.kind] ?? edge.kind}${edge.label ? ` (${edge.label})` : ""}, ${count(edge.count)}</title></g>`)}
            ${layout.nodes.map(({ node, x, y }) => html`<${Node} key=${node.id} id=${id} node=${node} shorten=${shorten} x=${x} y=${y} isFar=${near && !near.has(node.id)} setFocus=${setFocus} />`)}
          </svg>`
          : html`<${Loading} what="the graph" />`}
      </div>`}`;
}

function Node({ id, node, shorten, x, y, isFar, setFocus }) {
  const { tone, label } = look(node.state || "unknown");
  const target =
    node.kind === "work" ? link(["runs", id, "calls"], { work: node.name })
    : node.kind === "drive" ? link(["drives", node.id.replace(/^drive:/, "")])
    : node.kind === "flow" ? link(["runs", id, "state"], { open: node.name })
    : null;
  const name = node.kind === "work" || node.kind === "flow" ? shorten(node.name) : node.name;
  const words = `${node.name}${node.kind === "work" ? `: ${label}, ${plural(node.calls ?? 0, "call")}` : ""}`;
  const left = x - NODE.width / 2;
  const top = y - NODE.height / 2;
  return html`<g class="node node-${node.kind} tone-${tone} ${isFar ? "far" : ""}" transform="translate(${left} ${top})" tabindex=${target ? 0 : undefined} role=${target ? "link" : "img"}
    onPointerEnter=${() => setFocus(node.id)} onPointerLeave=${() => setFocus(null)} onFocus=${() => setFocus(node.id)} onBlur=${() => setFocus(null)}
    onClick=${() => target && go(target)} onKeyDown=${(event) => event.key === "Enter" && target && go(target)}>
    <title>${words}</title><rect width=${NODE.width} height=${NODE.height} rx=${node.kind === "drive" ? 20 : node.kind === "path" ? 3 : 8} />
    ${node.kind === "work" && html`<g transform="translate(10 14)"><${StateIcon} state=${node.state} /></g>`}
    <text aria-hidden="true" x=${node.kind === "work" ? 28 : 14} y=${node.calls ? 17 : 24}>${cut(name, 18)}</text>
    ${node.calls > 0 && html`<text class="small" aria-hidden="true" x=${node.kind === "work" ? 28 : 14} y="31">${plural(node.calls, "call")}</text>`}</g>`;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function curve(points) {
  const [first, ...rest] = points;
  let path = `M${first.x.toFixed(1)} ${first.y.toFixed(1)}`;
  for (let index = 0; index < rest.length - 1; index += 1) {
    const middle = { x: (rest[index].x + rest[index + 1].x) / 2, y: (rest[index].y + rest[index + 1].y) / 2 };
    const end = index === rest.length - 2 ? rest[index + 1] : middle;
    path += `Q${rest[index].x.toFixed(1)} ${rest[index].y.toFixed(1)} ${end.x.toFixed(1)} ${end.y.toFixed(1)}`;
  }
  if (rest.length === 1) path += `L${rest[0].x.toFixed(1)} ${rest[0].y.toFixed(1)}`;
  return path;
}

function EdgeTable({ graph, kinds }) {
  const names = new Map(graph.nodes.map((node) => [node.id, node.name]));
  return html`<div class="table-frame"><table><thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">What</th><th scope="col" class="right">How often</th></tr></thead>
    <tbody>${graph.edges.filter((edge) => kinds.has(edge.kind)).map((edge, index) => html`<tr key=${index}><td>${names.get(edge.from) ?? edge.from}</td><td>${names.get(edge.to) ?? edge.to}</td><td>${KINDS[edge.kind] ?? edge.kind}${edge.label ? html` <span class="dim">${edge.label}</span>` : ""}</td><td class="right num">${count(edge.count)}</td></tr>`)}</tbody></table></div>`;
}

/** A drag with the mouse moves the graph; fingers scroll it anyway. */
function useDragScroll(frame, layout) {
  useEffect(() => {
    const box = frame.current;
    if (!box) return undefined;
    let from = null;
    const down = (event) => {
      if (event.pointerType === "mouse" && !event.button && !event.target.closest?.(".node")) from = { x: event.clientX + box.scrollLeft, y: event.clientY + box.scrollTop };
    };
    const move = (event) => {
      if (!from) return;
      box.scrollLeft = from.x - event.clientX;
      box.scrollTop = from.y - event.clientY;
    };
    const up = () => {
      from = null;
    };
    box.addEventListener("pointerdown", down);
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    return () => {
      box.removeEventListener("pointerdown", down);
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
    };
  }, [layout]);
}
