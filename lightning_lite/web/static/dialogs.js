// Questions before an action, long texts, and short notes about what was done.
import { observable, useObservable } from "./observable.js";
import { html, useEffect, useRef } from "./ui.js";

const dialog = observable(null);
const note = observable(null);
let noteTimer = 0;

/** Ask before an action. Return whether the person agreed. */
export function ask({ title, text, action, danger = false }) {
  return new Promise((resolve) => dialog.set({ kind: "question", title, text, action, danger, resolve }));
}

/** Show a text that is too long for its place. */
export function showText({ title, text, note: below = "" }) {
  dialog.set({ kind: "text", title, text, below, resolve: () => {} });
}

/** Show any content: `body` is a function that returns it. */
export function showContent({ title, body }) {
  dialog.set({ kind: "content", title, body, resolve: () => {} });
}

/** Say for some seconds what was done, or why it was not. */
export function say(text, { bad = false } = {}) {
  clearTimeout(noteTimer);
  note.set({ text, bad });
  noteTimer = setTimeout(() => note.set(null), bad ? 12_000 : 8_000);
}

export function Dialogs() {
  const shown = useObservable(dialog);
  const said = useObservable(note);
  return html`
    ${shown && html`<${Dialog} shown=${shown} />`}
    <div role="status" aria-live="polite" data-note>
      ${said && html`<div class="note ${said.bad ? "bad" : ""}"><span>${said.text}</span><button class="plain" aria-label="Close the note" onClick=${() => note.set(null)}>✕</button></div>`}
    </div>`;
}

function Dialog({ shown }) {
  const element = useRef(null);
  useEffect(() => {
    const box = element.current;
    const last = document.activeElement;
    box.showModal();
    return () => {
      box.close(); // as long as it is open, nothing else can have the focus
      if (last?.isConnected) last.focus();
    };
  }, [shown]);
  const close = (answer) => {
    shown.resolve(answer);
    if (dialog.get() === shown) dialog.set(null);
  };
  const isQuestion = shown.kind === "question";
  return html`
    <dialog ref=${element} class="with-${shown.kind}" aria-labelledby="dialog-title" onClose=${() => close(false)}
      onClick=${(event) => event.target === element.current && close(false)}>
      <header><h2 id="dialog-title">${shown.title}</h2>
        ${!isQuestion && html`<button class="plain" aria-label="Close" autofocus onClick=${() => close(false)}>✕</button>`}</header>
      ${isQuestion && html`<p>${shown.text}</p>
        <footer>
          <button autofocus onClick=${() => close(false)}>Cancel</button>
          <button class=${shown.danger ? "danger filled" : "filled"} data-confirm onClick=${() => close(true)}>${shown.action}</button>
        </footer>`}
      ${shown.kind === "text" && html`<pre tabindex="0">${shown.text}</pre>
        <footer><span class="dim">${shown.below}</span>
          <button onClick=${() => copy(shown.text)}>Copy</button></footer>`}
      ${shown.kind === "content" && shown.body()}
    </dialog>`;
}

/** Copy a text to the clipboard. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("The browser did not allow to copy: select the text and copy it by hand.", { bad: true });
  }
}
