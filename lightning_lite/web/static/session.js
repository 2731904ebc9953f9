// The token: it comes in the fragment of the address, and stays in this tab's storage.
import { observable } from "./observable.js";

const KEY = "lightning-lite-token";

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

/** Find the token in a pasted text: the token alone, or the whole address. */
export function tokenIn(text) {
  const found = /[#&?]token=([^&\s]+)/.exec(text);
  return found ? decodeURIComponent(found[1]) : text.trim();
}

/** Open links of this page in new tabs in a way that lets the new tab have a copy of the storage.

A browser copies it only to a tab that a script opens. Tabs must not ask each other for the token: an open tab of an
earlier server at this port would get it.
*/
export function passTokenToNewTabs() {
  for (const kind of ["click", "auxclick"]) {
    addEventListener(kind, (event) => {
      const link = event.target instanceof Element ? event.target.closest("a[href^='#']") : null;
      const isNewTab = event.button === 1 || (event.button === 0 && (event.ctrlKey || event.metaKey || event.shiftKey));
      if (!link || !isNewTab || event.defaultPrevented) return;
      event.preventDefault();
      window.open(link.href, "_blank");
    });
  }
}
