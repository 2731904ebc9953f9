// The page for a visitor without a token, or with one that the server does not take.
import { setToken, tokenIn } from "../session.js";
import { html, useState } from "../ui.js";

export function TokenPage({ isRefused }) {
  const [text, setText] = useState("");
  return html`
    <main class="token-page" id="main">
      <form onSubmit=${(event) => {
        event.preventDefault();
        if (text.trim()) setToken(tokenIn(text));
      }}>
        <img src="/static/icon.svg" alt="" width="44" height="44" />
        <h1>${isRefused ? "The server does not take this token" : "Paste your token"}</h1>
        <p>${isRefused
          ? "The server was probably started again, and has a new token. Open the address that it printed in its terminal, or paste it here."
          : "This page shows what your processes do, so it is locked. Open the address that the terminal printed, or paste it here: it ends with a token."}</p>
        <label for="token">Address or token</label>
        <input id="token" type="password" autofocus autocomplete="off" value=${text} onInput=${(event) => setText(event.currentTarget.value)} placeholder="http://127.0.0.1:…/#token=…" />
        <button class="filled" type="submit">Open</button>
        <p class="dim">No terminal at hand? Start a page of your own in the folder of the project: <code>lightning-lite ui</code></p>
      </form>
    </main>`;
}
