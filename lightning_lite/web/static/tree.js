// Rows of a tree of components: flows that can be closed, and works below them.
import { lastPart } from "./format.js";

/**
 * Return the rows of a tree: {name, label, depth, kind, works, isClosed}.
 *
 * @param components {name, kind, class} in the order of the tree.
 * @param closed Names of flows whose rows are hidden.
 * @param takes Which works are shown; without it all of them. Flows without a shown work are left out then.
 */
export function treeRows(components, closed, takes = null) {
  const kinds = new Map(components.map((component) => [component.name, component]));
  const worksBelow = new Map();
  for (const { name, kind } of components) {
    if (kind !== "work" || (takes && !takes(name))) continue;
    for (const parent of parents(name, kinds)) worksBelow.set(parent, [...(worksBelow.get(parent) ?? []), name]);
  }
  const rows = [];
  for (const component of components) {
    const { name, kind } = component;
    const above = parents(name, kinds);
    if (above.some((parent) => closed.has(parent))) continue;
    if (kind === "work" ? takes && !takes(name) : takes && !worksBelow.has(name)) continue;
    rows.push({
      name,
      kind,
      class: component.class,
      label: above.length ? name.slice(above.at(-1).length + 1) : lastPart(name),
      depth: above.length,
      works: worksBelow.get(name) ?? [],
      isClosed: closed.has(name),
    });
  }
  return rows;
}

/** The components above one, the root first. A name may hold dots of its own, so the known names count. */
function parents(name, kinds) {
  const found = [];
  for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1)) {
    const parent = name.slice(0, dot);
    if (kinds.has(parent)) found.push(parent);
  }
  return found;
}
