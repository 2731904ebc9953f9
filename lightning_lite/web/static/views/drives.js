// The drives of the root, and the files that works pass on.
import { count, moment, plural, size } from "../format.js";
import { Body, Empty, SearchField, Trouble } from "../parts.js";
import { usePoll } from "../poll.js";
import { link } from "../router.js";
import { html, useEffect, useState } from "../ui.js";

export function Drives() {
  const answer = usePoll("/api/drives", 3);
  const [text, setText] = useState("");
  useEffect(() => {
    document.title = "Drives · lightning_lite";
  }, []);
  return html`<div class="content wide" data-view="drives"><h1>Drives</h1>
    <${Body} answer=${answer} what="the drives">${(data) => {
      const drives = data.drives.filter((drive) => drive.name.toLowerCase().includes(text.toLowerCase()));
      return html`${data.place && html`<p class="dim" data-place>in ${data.place}</p>`}<${Trouble} text=${data.trouble} />
        ${data.drives.length > 8 && html`<div class="bar"><${SearchField} label="Search drives" value=${text} onInput=${setText} /></div>`}
        ${data.drives.length === 0
          ? html`<${Empty}>There is no drive here yet: <code>Drive("lit://name").put("file.txt")</code> makes one.<//>`
          : html`<div role="table" class="table drives" aria-label="Drives"><div role="row" class="row head"><span role="columnheader">Drive</span><span role="columnheader" class="right">Entries</span><span role="columnheader" class="right">Size</span><span role="columnheader">Put by</span><span role="columnheader" class="right">Changed</span></div>
            <div role="rowgroup" data-rows>${drives.map((drive) => html`<div role="row" class="row" key=${drive.id} data-drive=${drive.id}>
              <span role="cell" class="c-name"><a class="cover" data-row href=${link(["drives", drive.id])}>${drive.name}</a>${drive.trouble && html`<small class="bad-text" title=${drive.trouble}> ${drive.trouble}</small>`}</span>
              <span role="cell" class="c-entries right num">${drive.entries === null ? "counting …" : plural(drive.entries, "entry", "entries")}</span>
              <span role="cell" class="c-size right num">${drive.size === null ? "" : size(drive.size)}</span>
              <span role="cell" class="c-owner dim" title=${drive.components.join(", ")}>${drive.components.slice(0, 3).join(", ")}${drive.components.length > 3 ? ` and ${count(drive.components.length - 3)} more` : ""}</span>
              <span role="cell" class="c-changed right num dim">${moment(drive.changed)}</span></div>`)}</div></div>`}`;
    }}<//></div>`;
}
