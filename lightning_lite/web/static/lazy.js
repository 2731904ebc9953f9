// Views that the browser loads when they are needed: the view that is shown first does not wait for the others.
import { Loading, Trouble } from "./parts.js";
import { html, useEffect, useState } from "./ui.js";

const all = [];

/**
 * Return a component that is loaded when it is drawn for the first time.
 *
 * @param load Imports its module: `() => import("./views/graph.js")`.
 * @param name Name of the component in its module.
 */
export function lazy(load, name) {
  let View = null;
  const loaded = async () => {
    View ??= (await load())[name];
  };
  all.push(loaded);
  return function Lazy(properties) {
    const [error, setError] = useState(null);
    const [, redraw] = useState(false);
    useEffect(() => {
      if (!View) loaded().then(() => redraw(true), setError);
    }, []);
    if (View) return html`<${View} ...${properties} />`;
    if (!error) return html`<${Loading} />`;
    return html`<div class="content"><${Trouble} text="The server does not answer, so this view can't be loaded. Load the page again when it does." /></div>`;
  };
}

/** Load all views that are not loaded yet, so that the page can show them also after the end of its server. */
export const loadAll = () => Promise.allSettled(all.map((loaded) => loaded()));
