// A piece of evidence's query: read it, copy it, run it here and see the number come out again.
import { html, useState } from "../vendor/preact-htm.js";
import { get } from "../api.js";
import * as f from "../format.js";
import { CopyButton, Failed } from "./common.js";
import { Chart } from "./chart.js";

const cell = (v) => (typeof v === "number" ? f.number(v) : v === null || v === undefined ? "–" : typeof v === "object" ? (v.name ?? JSON.stringify(v)) : String(v));

export const Result = ({ result }) => {
  if (result.kind === "number") return html`<p class="query-number"><strong>${f.value(result.value, result.unit)}</strong></p>`;
  if (result.kind === "series") return html`<${Chart} series=${result.series} unit=${result.unit} height=${170} label="Result of the query" />`;
  const shown = result.rows.slice(0, 50);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Result of the query"><table class="plain"><thead><tr>${result.columns.map((c) => html`<th scope="col">${c}</th>`)}</tr></thead>
    <tbody>${shown.map((row) => html`<tr>${row.map((v) => html`<td class=${typeof v === "number" ? "num" : ""}>${cell(v)}</td>`)}</tr>`)}</tbody></table>
    ${result.rows.length > shown.length && html`<p class="note">${f.number(result.rows.length - shown.length)} more rows; the query itself gives them all.</p>`}
    ${!result.rows.length && html`<p class="note">No rows.</p>`}</div>`;
};

export const QueryBlock = ({ query }) => {
  const [state, set] = useState({});
  if (!query) return null;
  const run = () => { set({ busy: true }); get("/query", { q: query }).then((result) => set({ result }), (error) => set({ error })); };
  return html`<div class="query"><code tabindex="0">${query}</code><span class="query-buttons"><button type="button" class="small" disabled=${state.busy} onClick=${run}>${state.busy ? "Running…" : "Run"}</button><${CopyButton} text=${query} /></span>
    ${state.error && html`<${Failed} error=${state.error} />`}${state.result && html`<div class="query-result" role="status"><${Result} result=${state.result} /></div>`}</div>`;
};
