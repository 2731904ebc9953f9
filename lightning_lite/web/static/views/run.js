// One run: its heading, its actions, and the tabs.
import { act, fetchFile } from "../actions.js";
import { post, runPath, server } from "../api.js";
import { ask, copy, say } from "../dialogs.js";
import { ago, commandLine, count, duration, fullTime, moment, percent } from "../format.js";
import { lazy } from "../lazy.js";
import { Body, Menu, Trouble, moveAmongTabs, useNow } from "../parts.js";
import { LIVE, usePoll } from "../poll.js";
import { useObservable } from "../observable.js";
import { link, usePlace } from "../router.js";
import { State } from "../states.js";
import { html, useEffect, useRef } from "../ui.js";
import { Overview } from "./overview.js";
import { lastRunsAddress } from "./runs.js";

const TABS = {
  overview: ["Overview", Overview],
  timeline: ["Timeline", lazy(() => import("./timeline.js"), "Timeline")],
  logs: ["Logs", lazy(() => import("./logs.js"), "Logs")],
  calls: ["Calls", lazy(() => import("./calls.js"), "Calls")],
  state: ["State", lazy(() => import("./state.js"), "StateTree")],
  numbers: ["Numbers", lazy(() => import("./numbers.js"), "Numbers")],
  graph: ["Graph", lazy(() => import("./graph.js"), "Graph")],
  app: ["App", lazy(() => import("./app.js"), "App")],
};

const Call = lazy(() => import("./call.js"), "Call");

/** The state of a run in the title of a browser tab. */
const SIGNS = { running: "▶ ", stopped: "✓ ", failed: "✕ ", died: "✕ ", killed: "✕ ", interrupted: "‖ " };

export function Run({ id, view }) {
  const answer = usePoll(runPath(id), view === "overview" ? LIVE : 2);
  const { data, refresh } = answer;
  const title = data?.run.name ?? id;
  const tab = view === "call" ? "calls" : view;
  useEffect(() => {
    document.title = `${SIGNS[data?.run.state] ?? ""}${title} · ${TABS[tab]?.[0] ?? "Run"} · lightning_lite`;
  }, [title, tab, data?.run.state]);
  const View = view === "call" ? Call : TABS[view]?.[1];
  return html`
    <div class="run-head">
      <div class="title-row">
        <nav class="crumbs" aria-label="Path"><a href=${lastRunsAddress()}>Runs</a><span aria-hidden="true">/</span></nav>
        ${data && html`<${State} state=${data.run.state} ofRun />`}
        <h1 title=${title}>${title}</h1>
        ${data && html`<${Facts} data=${data} />`}
        ${data && html`<${Actions} data=${data} refresh=${refresh} />`}
      </div>
      <${Tabs} id=${id} tab=${tab} data=${data} />
    </div>
    ${data && html`<${Reading} read=${data.read} />`}
    <div id="run-view" role="tabpanel" aria-labelledby="tab-${tab}" class="run-view">
      ${!View
        ? html`<div class="content"><${Trouble} text="There is no view “${view}” of a run." /></div>`
        : answer.error && !data
          ? html`<div class="content"><${Trouble} error=${answer.error}> <a href=${lastRunsAddress()}>Go to the list of runs.</a><//></div>`
          : view === "overview"
            ? html`<${Body} answer=${answer} what="the run">${() => html`<${View} id=${id} data=${data} refresh=${refresh} />`}<//>`
            : html`<${View} id=${id} data=${data} />`}
    </div>`;
}

function Facts({ data }) {
  const { run } = data;
  const isRunning = run.state === "running";
  const now = useNow(isRunning ? 1 : 60);
  const end = run.ended ?? (isRunning ? now : data.last_event);
  return html`<span class="facts dim">
    <span title="App">${run.app}</span>
    <span title="Started ${fullTime(run.started)}">${moment(run.started, now)}</span>
    <span class="num" title=${run.resumed ? `Resumed ${fullTime(run.resumed)}` : "Duration"}>${end ? duration(end - run.started) : ""}${run.resumed ? `, resumed ${ago(run.resumed, now)}` : ""}</span>
    ${run.tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`)}
    ${data.busy > 1 && html`<span class="wait-text" title="The flow is inside one pass: it answers when the pass waits or ends.">flow busy for ${duration(data.busy)}</span>`}
    ${isRunning && !data.answering && html`<span class="wait-text">does not answer</span>`}
  </span>`;
}

function Reading({ read }) {
  if (!read || !read.of || read.bytes >= read.of) return null;
  const share = read.bytes / read.of;
  return html`<div class="reading" role="status"><span style=${{ width: `${share * 100}%` }}></span><p>Reading the journal: ${percent(share)}. What is shown is complete up to there.</p></div>`;
}

function Tabs({ id, tab, data }) {
  const list = useRef(null);
  const { parameters } = usePlace();
  const failures = data?.errors.total;
  useEffect(() => {
    list.current.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [tab]);
  // A work that is looked at stays chosen in the next tab.
  const work = parameters.getAll("work");
  const kept = (name) => (["logs", "calls"].includes(name) && work.length ? { work: name === "calls" ? work[0] : work } : {});
  return html`<div class="tabs" role="tablist" aria-label="Views of the run" ref=${list} onKeyDown=${moveAmongTabs}>
    ${Object.entries(TABS).filter(([name]) => name !== "app" || data?.has_layout || tab === "app").map(([name, [label]]) => html`
      <a key=${name} role="tab" id="tab-${name}" aria-selected=${name === tab} aria-controls="run-view" data-tab=${name}
        href=${link(name === "overview" ? ["runs", id] : ["runs", id, name], kept(name))}>${label}
        ${name === "overview" && failures > 0 && html`<span class="badge" title="${failures} failures">${count(failures)}<span class="unseen"> failures</span></span>`}</a>`)}
  </div>`;
}

function Actions({ data, refresh }) {
  const { run } = data;
  const info = useObservable(server);
  const isRunning = run.state === "running";
  const mayAct = !info?.read_only;
  const items = [
    isRunning && mayAct && { label: "Show the stack", hint: "what the flow does now", action: () => act(run, { command: "stack" }) },
    isRunning && mayAct && { label: "Kill the run", hint: "its processes end at once", danger: true, action: () => kill(run, refresh) },
    isRunning && mayAct && null,
    { label: "Download the trace", hint: "for Perfetto or chrome://tracing", action: () => fetchFile({ kind: "trace", run: run.id }) },
    { label: "Download the log", hint: "all works", action: () => fetchFile({ kind: "log", run: run.id }) },
    { label: "Copy the command", hint: commandLine(run.command).slice(0, 60), action: () => copy(commandLine(run.command)) },
    { label: "Copy the folder of the run", hint: "", action: () => copy(run.folder) },
    { label: "Compare with other runs", href: link(["compare"], { run: [run.id] }) },
  ].filter((item, index, all) => item === null ? all.slice(0, index).some(Boolean) : item);
  return html`<span class="actions">
    ${isRunning && mayAct && html`<button class="danger" data-action="stop" onClick=${() => stop(run, refresh)}>Stop</button>`}
    ${run.can_resume && info?.can_resume && mayAct && html`<button class="filled" data-action="resume" onClick=${() => resume(run, refresh)}>Resume</button>`}
    <${Menu} label="More actions" items=${items} class="" />
  </span>`;
}

async function stop(run, refresh) {
  const isSure = await ask({
    title: "Stop this run?",
    text: "The works get time to end in order, then the app ends as interrupted. It can be resumed: calls that have ended are not run again.",
    action: "Stop the run",
    danger: true,
  });
  if (isSure) act(run, { command: "stop" }, refresh);
}

async function kill(run, refresh) {
  const isSure = await ask({
    title: "Kill this run?",
    text: "All its processes end at once, without cleaning up. What the journal holds is kept, and the run can be resumed.",
    action: "Kill the run",
    danger: true,
  });
  if (isSure) act(run, { command: "kill" }, refresh);
}

async function resume(run, refresh) {
  const isSure = await ask({
    title: "Resume this run?",
    text: `The command starts again in ${run.cwd}: ${commandLine(run.command)}. Calls that have ended are not run again.`,
    action: "Resume",
  });
  if (!isSure) return;
  try {
    say((await post(`${runPath(run.id)}/resume`)).done);
  } catch (error) {
    say(error.message, { bad: true });
  }
  refresh();
}

