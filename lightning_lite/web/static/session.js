// The token: it comes in the fragment of the address, and stays in this tab's storage.
import { observable } from "./observable.js";

const KEY = "lightning-lite-token";

// A new tab of the same page asks the open ones, so that a link can be opened beside.
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(KEY) : null;

/** The token or "" if there is none; `refused` is true when the server did not take it. */
export const session = observable({ token: read(), refused: false });

function read() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // storage is switched off: the token lives as long as the page
  }
}

export function setToken(token) {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // see read()
  }
  session.set({ token, refused: false });
}

export function refuseToken(token) {
  if (session.get().token === token) session.set({ token, refused: true });
}

/** Take the token out of the address at once. Return the address of the view to show. */
export function takeTokenFromAddress() {
  const fragment = location.hash.slice(1);
  if (!/^&?token=/.test(fragment)) return null;
  const parameters = new URLSearchParams(fragment);
  const view = parameters.get("to") || "";
  history.replaceState(null, "", view.startsWith("/") ? `#${view}` : location.pathname);
  setToken((parameters.get("token") ?? "").trim());
  return view;
}

/** Find the token in what a person pasted: the token alone, or the whole address. */
export function tokenIn(text) {
  const found = /[#&?]token=([^&\s]+)/.exec(text);
  return found ? decodeURIComponent(found[1]) : text.trim();
}

channel?.addEventListener("message", ({ data }) => {
  const { token, refused } = session.get();
  if (data?.ask && token && !refused) channel.postMessage({ token });
  else if (data?.token && !token) setToken(data.token);
});

/** Ask the other tabs of this page for their token. */
export function askOtherTabs() {
  channel?.postMessage({ ask: true });
}
