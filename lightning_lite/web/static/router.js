// The address of a view is the fragment of the page: #/runs/ID/logs?work=root.train
import { observable, useObservable } from "./observable.js";

export const place = observable(parse(location.hash));

/** Read the address of the browser again, after it was changed without a visit. */
export const readAddress = () => place.set(parse(location.hash));

addEventListener("hashchange", readAddress);

function parse(hash) {
  const text = hash.startsWith("#/") ? hash.slice(1) : "/runs";
  const cut = text.indexOf("?");
  const path = cut < 0 ? text : text.slice(0, cut);
  return {
    parts: path.split("/").filter(Boolean).map(decode),
    parameters: new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1)),
    text,
  };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Write the address of a view: link(["runs", id, "logs"], {work: name}). */
export function link(parts, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined && item !== "" && item !== false) query.append(name, item);
    }
  }
  const text = query.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Show another view. `replace` keeps the back button free of each letter that was typed. */
export function go(target, { replace = false } = {}) {
  if (target === `#${place.get().text}`) return;
  if (replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  place.set(parse(target));
}

/** Change parameters of the view that is shown. */
export function setParameters(changes, { replace = true } = {}) {
  const { parts, parameters } = place.get();
  const all = {};
  for (const name of new Set(parameters.keys())) all[name] = parameters.getAll(name);
  go(link(parts, { ...all, ...changes }), { replace });
}

export function usePlace() {
  return useObservable(place);
}
