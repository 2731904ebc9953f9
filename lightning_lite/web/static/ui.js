// The one place that knows which library draws the page.
//
// Preact's modules import each other by bare names, which needs an import map, and the policy of the page refuses
// inline scripts: so index.html loads its classic scripts, which leave it in globals.
import htm from "./vendor/htm/htm.module.js";

export const { h, render } = globalThis.preact;
export const { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback } = globalThis.preactHooks;
export const html = htm.bind(h);
