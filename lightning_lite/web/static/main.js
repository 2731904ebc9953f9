// The page: its frame, and which view is shown.
import { Dialogs } from "./dialogs.js";
import { showKeys } from "./keys.js";
import { lazy, loadAll } from "./lazy.js";
import { useObservable } from "./observable.js";
import { LostServer } from "./parts.js";
import { server } from "./api.js";
import { usePoll } from "./poll.js";
import { go, link, readAddress, usePlace } from "./router.js";
import { passTokenToNewTabs, session, takeTokenFromAddress } from "./session.js";
import { nextTheme, theme } from "./theme.js";
import { html, render, useEffect } from "./ui.js";
import { Run } from "./views/run.js";
import { Runs, lastRunsAddress } from "./views/runs.js";
import { TokenPage } from "./views/token.js";

const Compare = lazy(() => import("./views/compare.js"), "Compare");
const Drive = lazy(() => import("./views/drive.js"), "Drive");
const Drives = lazy(() => import("./views/drives.js"), "Drives");

/** Milliseconds after the first answer: then the views are loaded that were not needed at first. */
const LOAD_ALL_AFTER = 1500;

const wantedView = takeTokenFromAddress();
readAddress();
passTokenToNewTabs();
addEventListener("hashchange", () => {
  if (takeTokenFromAddress() !== null) readAddress();
});

const THEME_SIGNS = { auto: "◐", light: "☀", dark: "☾" };

function Frame() {
  const { parts } = usePlace();
  const { data } = usePoll("/api/server", 15);
  const themeName = useObservable(theme);
  useEffect(() => {
    if (!data) return;
    const isFirst = server.get() === null;
    server.set(data);
    if (isFirst) setTimeout(loadAll, LOAD_ALL_AFTER);
    // The page of one app (`app.run(ui=True)`) opens with its run.
    if (isFirst && data.run && wantedView === "") go(link(["runs", data.run]), { replace: true });
  }, [data]);
  const area = parts[0] ?? "runs";
  const isFull = parts[0] === "runs" && ["timeline", "logs", "graph", "app"].includes(parts[2]);
  return html`
    <div class="page ${isFull ? "full" : ""}">
      <a class="skip" href="#main" onClick=${(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href=${link(["runs"])} aria-label="lightning_lite: list of runs"><img src="/static/icon.svg" alt="" width="22" height="22" /><span>lightning_lite</span></a>
        <nav aria-label="Areas">
          <a href=${lastRunsAddress()} aria-current=${area === "runs" || area === "compare" ? "page" : undefined}>Runs</a>
          <a href=${link(["drives"])} aria-current=${area === "drives" ? "page" : undefined}>Drives</a>
        </nav>
        <span class="root dim" title=${data?.root}>${data?.root}</span>
        ${data?.read_only && html`<span class="tag" title="The server was started with --read-only: nothing can be changed here.">read only</span>`}
        <button class="plain icon" aria-label="Colours: ${themeName}" title="Colours: ${themeName}" data-theme-switch onClick=${nextTheme}>${THEME_SIGNS[themeName]}</button>
        <button class="plain icon" aria-label="Keys" title="Keys (?)" onClick=${showKeys}>?</button>
      </header>
      <${LostServer} />
      <main id="main" tabindex="-1"><${View} parts=${parts} /></main>
    </div>`;
}

function View({ parts }) {
  const [area = "runs", id] = parts;
  if (area === "runs" && id) return html`<${Run} key=${id} id=${id} view=${parts[2] ?? "overview"} />`;
  if (area === "compare") return html`<${Compare} />`;
  if (area === "drives" && id) return html`<${Drive} key=${id} id=${id} />`;
  if (area === "drives") return html`<${Drives} />`;
  if (area === "runs") return html`<${Runs} />`;
  return html`<div class="content"><h1>There is no such page</h1><p>The address names the view “${parts.join("/")}”. Go to the <a href=${link(["runs"])}>list of runs</a>.</p></div>`;
}

function App() {
  const { token, refused } = useObservable(session);
  return html`${!token || refused ? html`<${TokenPage} isRefused=${refused} />` : html`<${Frame} />`}<${Dialogs} />`;
}

render(html`<${App} />`, document.getElementById("app"));
