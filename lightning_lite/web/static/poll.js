// Asks the server again and again: the next question only after the answer, and never in a hidden tab.
import { get, server } from "./api.js";
import { session } from "./session.js";
import { useLayoutEffect, useRef, useState } from "./ui.js";

/** Seconds between questions of views that follow a run: changes are shown within half a second. */
export const LIVE = 0.4;

const LONGEST_PAUSE = 10_000;
const SHARE = 4; // the pause is four times as long as the answer took: a fifth of the time at most

/**
 * Read an address, and read it again while the view is shown.
 *
 * @param path Address, or null to ask nothing.
 * @param every Seconds between questions; 0 asks once.
 * @returns {data, error, refresh}: `data` stays while a newer answer is on its way, also that of the last address
 *   (`isOld` is true then).
 */
export function usePoll(path, every = 1) {
  const [state, setState] = useState({ data: null, error: null, path: null });
  const loop = useRef(null);
  // A layout effect asks before the browser paints, an effect after that.
  useLayoutEffect(() => {
    if (!path) return undefined;
    loop.current = startLoop(path, every, setState);
    return loop.current.stop;
  }, [path, every]);
  return { ...state, isOld: state.path !== path, refresh: () => loop.current?.refresh() };
}

function startLoop(path, every, setState) {
  const leaving = new AbortController();
  let timer = 0;
  let isAsking = false;
  let askAgain = false;
  let failures = 0;

  async function look() {
    clearTimeout(timer);
    if (isAsking) {
      askAgain = true;
      return;
    }
    if (session.get().refused) return;
    isAsking = true;
    const began = performance.now();
    try {
      const data = await get(path, leaving.signal);
      failures = 0;
      setState((old) => (old.data === data && !old.error && old.path === path ? old : { data, error: null, path }));
    } catch (error) {
      if (leaving.signal.aborted) return;
      failures += 1;
      setState((old) => ({ data: old.path === path || error.status === 0 ? old.data : null, error, path }));
    } finally {
      isAsking = false;
    }
    if (leaving.signal.aborted) return;
    if (askAgain) {
      askAgain = false;
      look();
    } else {
      plan(performance.now() - began);
    }
  }

  function plan(took) {
    if ((!every && !failures) || document.hidden) return;
    const wished = Math.max(every, server.get()?.period ?? 0) * 1000;
    const pause = failures ? Math.min(1000 * 2 ** (failures - 1), 5000) : Math.max(wished, took * SHARE);
    timer = setTimeout(look, Math.min(pause, Math.max(LONGEST_PAUSE, wished)));
  }

  function wake() {
    clearTimeout(timer);
    if (!document.hidden && (every || failures)) look();
  }

  document.addEventListener("visibilitychange", wake);
  const unsubscribe = session.subscribe(() => look());
  if (document.hidden) timer = setTimeout(look, 0); // the first answer also in a tab opened behind
  else look();
  return {
    refresh: look,
    stop() {
      leaving.abort();
      clearTimeout(timer);
      unsubscribe();
      document.removeEventListener("visibilitychange", wake);
    },
  };
}
