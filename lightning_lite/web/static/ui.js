// The one place that knows which library draws the page.
//
// Preact's modules import each other by bare names, which needs an import map, and the policy of the page refuses
// inline scripts: so index.html loads its classic scripts, which leave it in globals.
import htm from "./vendor/htm/htm.module.js";

export const { h, render, Component } = globalThis.preact;
export const { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback } = globalThis.preactHooks;
export const html = htm.bind(h);

/** A part that is drawn again only if one of its properties is another object: for rows of long lists. */
export function memo(draw) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return Object.keys(next).some((name) => next[name] !== this.props[name]);
    }

    render(properties) {
      return h(draw, properties);
    }
  };
}
