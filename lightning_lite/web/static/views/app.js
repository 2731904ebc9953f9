// What the flows of a run show: tabs, tabs in them, and pages in frames.
import { post, runPath } from "../api.js";
import { count } from "../format.js";
import { Body, Empty, Trouble, moveAmongTabs } from "../parts.js";
import { LIVE, usePoll } from "../poll.js";
import { setParameters, usePlace } from "../router.js";
import { html, useEffect, useRef, useState } from "../ui.js";

export function App({ id }) {
  const answer = usePoll(`${runPath(id)}/layout`, LIVE);
  return html`<div class="app-view" data-view="app"><${Body} answer=${answer} what="the layout">${({ running, root }) => {
    if (!root) return html`<${Empty}>The flows of this run show nothing.<//>`;
    return html`
      ${!running && html`<p class="ended-note" role="status" data-ended>The run has ended, and the pages that it showed with it. Resume the run to see them again.</p>`}
      <${Shown} id=${id} root=${root} />`;
  }}<//></div>`;
}

/** The names of tabs next to each other, each once: a second “Logs” is “Logs 2”. */
function labels(tabs) {
  const used = new Map();
  return tabs.map(({ name }) => {
    const times = (used.get(name) ?? 0) + 1;
    used.set(name, times);
    return times === 1 ? name : `${name} ${times}`;
  });
}

/** Follow the chosen tabs from the root to a page: {levels: [{tabs, names, chosen}], page, path}. */
function follow(root, chosen) {
  const levels = [];
  let tab = root;
  while (tab?.kind === "tabs") {
    const names = labels(tab.tabs);
    const index = Math.max(0, names.indexOf(chosen[levels.length]));
    levels.push({ tab, names, index });
    tab = tab.tabs[index];
  }
  return { levels, page: tab, path: levels.map(({ names, index }) => names[index]) };
}

function Shown({ id, root }) {
  const { parameters } = usePlace();
  const { levels, page, path } = follow(root, parameters.getAll("tab"));
  // A page stays loaded behind another tab, so that typed text there is not lost.
  const opened = useRef(new Map());
  const place = JSON.stringify(path);
  const known = pagesBelow(root);
  if (page?.url) opened.current.set(place, page.url);
  for (const [key, url] of opened.current) {
    if (known.get(key) !== url) opened.current.delete(key);
  }
  return html`
    ${levels.map(({ tab, names, index }, depth) => html`
      <div class="tabs app-tabs" role="tablist" aria-label=${depth ? `Tabs of ${path[depth - 1]}` : "Tabs of the app"} key=${path.slice(0, depth).join("/")} onKeyDown=${moveAmongTabs}>
        ${names.map((name, number) => html`<button key=${name} role="tab" class="plain" aria-selected=${number === index} aria-controls="app-page" tabindex=${number === index ? 0 : -1} data-app-tab=${name}
          onClick=${() => setParameters({ tab: [...path.slice(0, depth), name] })}>${name || "Page"}</button>`)}
        ${tab.left_out > 0 && html`<span class="dim left-out">and ${count(tab.left_out)} more, which are left out</span>`}
      </div>`)}
    <div id="app-page" role="tabpanel" aria-label=${path.at(-1) ?? "App"} class="app-pages">
      ${!page && html`<${Empty}>There is nothing here yet: tabs appear when the flow returns some.<//>`}
      ${page && !page.url && html`<${Empty}>${page.note}<//>`}
      ${[...opened.current].map(([key, url]) => html`<${Page} key=${`${key} ${url}`} id=${id} url=${url} name=${JSON.parse(key).at(-1) ?? "App"} isShown=${key === place} />`)}
    </div>`;
}

/** The addresses of all pages, by their place: the names of their tabs. */
function pagesBelow(tab, path = [], found = new Map()) {
  if (tab.kind === "page") found.set(JSON.stringify(path), tab.url);
  const names = labels(tab.tabs);
  tab.tabs.forEach((inner, index) => pagesBelow(inner, [...path, names[index]], found));
  return found;
}

function Page({ id, url, name, isShown }) {
  const [state, setState] = useState({ source: null, error: null });
  const [loads, setLoads] = useState(0);
  useEffect(() => {
    let isOver = false;
    // The frame can't send the token, so it gets an address that works once.
    post("/api/tickets", { kind: "frame", run: id, url }).then(
      (ticket) => isOver || setState({ source: ticket.url, error: null }),
      (error) => isOver || setState({ source: null, error }),
    );
    return () => {
      isOver = true;
    };
  }, [url, loads]);
  return html`<section class="shown-page" hidden=${!isShown} aria-label=${name}>
    <header><a class="dim" href=${url} target="_blank" rel="noopener noreferrer" title="Open it in a browser tab of its own">${url}</a>
      <button class="plain" onClick=${() => setLoads(loads + 1)}>Load again</button></header>
    ${state.error && html`<${Trouble} error=${state.error} />`}
    ${state.source && html`<iframe key=${state.source} title=${name} referrerpolicy="no-referrer" src=${state.source}></iframe>`}
  </section>`;
}
