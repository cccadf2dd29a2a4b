// The parts of an answer that are drawn: which tier is at fault, the path from user to fault, the cohort split.
import { html } from "../vendor/preact-htm.js";
import * as f from "../format.js";
import { href } from "../route.js";
import { Bar, Mark, docOf, kindOf } from "./common.js";
import { QueryBlock } from "./query.js";

const TIERS = [["client", "Client", "client"], ["network", "Network", "network"], ["backend", "Backend", "service"]];

/// Client, network, backend: where the fault is, in three linked boxes that also say it in words.
export const Tier = ({ tier, asOf }) => {
  // Without shares the verdict rests on where the cause stands; then the others are unsuspected, not measured and cleared.
  const measured = TIERS.some(([key]) => tier.shares?.[key] > 0);
  return html`<div class="tier">
  <ol class="tier-parts">${TIERS.map(([key, name, mark]) => {
    const guilty = tier.verdict === key;
    const cleared = !guilty && (tier.verdict === "none" || TIERS.some(([k]) => k === tier.verdict));
    const known = cleared && (measured || tier.verdict === "none");
    return html`<li class=${guilty ? "guilty" : known ? "cleared" : "open"}>
      <${Mark} kind=${mark} size=${22} /><span class="tier-name">${name}</span>
      <span class="tier-word">${guilty ? "at fault" : !cleared ? "undecided" : known ? "clear" : "not suspected"}</span>
      ${measured && html`<span class="tier-share" title="share of the lost time that was measured">${f.percent(tier.shares?.[key] ?? 0)}<span class="hidden-text"> of the lost time</span></span>`}</li>`;
  })}</ol>
  <p class="tier-why">${f.sentence(f.prose(tier.why, asOf))}</p></div>`;
};

/// The stops of a path as people read it, from the user to the fault; the answer lists its steps from the fault to the user,
/// `from` nearer to the fault. A cause of two parts (a version together with a cell) has a way for each, and so a list for each.
export const ways = (path) => {
  const out = [];
  for (const step of [...path].reverse()) {
    if (out.at(-1)?.at(-1).node.id !== step.to.id) out.push([{ node: step.to, edge: null }]);
    out.at(-1).push({ node: step.from, edge: step });
  }
  return out;
};

export const Path = ({ path }) => html`<div class="ways">${ways(path).map((list) => html`<${Way} list=${list} />`)}</div>`;

const Way = ({ list }) => html`<ol class="path">${list.map(({ node, edge }, i) => html`<li class=${i === list.length - 1 ? "path-stop last" : "path-stop"}>
    ${edge && html`<div class="path-link"><span class="relation">${edge.relation.replaceAll("_", " ")}</span>
      <span class="path-text">${f.prose(edge.text)}</span>${edge.query && html`<details class="inline-query"><summary>query</summary><${QueryBlock} query=${edge.query} /></details>`}</div>`}
    <a class="path-node" href=${href("/graph", { around: node.id, node: node.id })} title=${docOf(node.class)}><${Mark} kind=${kindOf(node.class)} size=${18} /><b>${node.name}</b><span class="entity-class">${node.class}</span>
      ${i === 0 && html`<span class="path-end">user</span>`}${i === list.length - 1 && html`<span class="path-end fault">fault</span>`}</a></li>`)}</ol>`;

const bounded = (row) => Number.isFinite(row.low) && Number.isFinite(row.high);
const FEW = "too few observations for an interval";

/// One interval on a scale shared by all rows: the dot is the change, the line its 95 % interval, the thin line is zero.
const Interval = ({ row, low, high }) => {
  if (!bounded(row)) return html`<span class="no-interval" title=${FEW}><span aria-hidden="true">–</span><span class="hidden-text">${FEW}</span></span>`;
  const x = (v) => 6 + ((v - low) / (high - low || 1)) * 148;
  const tone = row.low > 0 ? "bad" : row.high < 0 ? "good" : "calm";
  return html`<svg class=${`interval ${tone}`} viewBox="0 0 160 20" width="160" height="20" role="img" aria-label=${`between ${f.change(row.low)} and ${f.change(row.high)}`}><title>${f.change(row.low)} to ${f.change(row.high)}</title>
    <line class="zero" x1=${x(0)} x2=${x(0)} y1="1" y2="19" /><line class="range" x1=${x(row.low)} x2=${x(row.high)} y1="10" y2="10" /><circle cx=${x(row.change)} cy="10" r="4.5" /></svg>`;
};

const tone = (row) => (!bounded(row) ? "calm" : row.low > 0 ? (row.change > 0.1 ? "bad strong" : "bad") : row.high < 0 ? "good" : "calm");

const Matrix = ({ split }) => {
  const [rows, columns] = [0, 1].map((i) => [...new Set(split.rows.map((r) => r.values[i]))].sort((a, b) => a.localeCompare(b, "en", { numeric: true })));
  if (rows.length > 8 || columns.length > 6 || rows.length * columns.length < 2) return null;
  const at = (a, b) => split.rows.find((r) => r.values[0] === a && r.values[1] === b);
  return html`<table class="matrix"><caption class="hidden-text">Change by ${split.dimensions[0]} and ${split.dimensions[1]}</caption>
    <thead><tr><td class="corner">${split.dimensions[0]} × ${split.dimensions[1]}</td>${columns.map((c) => html`<th scope="col">${c}</th>`)}</tr></thead>
    <tbody>${rows.map((r) => html`<tr><th scope="row">${r}</th>${columns.map((c) => {
      const row = at(r, c);
      return row ? html`<td class=${tone(row)} title=${bounded(row) ? undefined : FEW}><b>${f.change(row.change)}</b><span>${f.plural(row.sessions, "session")}</span></td>` : html`<td class="none" title="nobody was in both">–</td>`;
    })}</tr>`)}</tbody></table>`;
};

export const CohortSplit = ({ split, unit }) => {
  if (!split?.rows?.length) return html`<p class="empty">No split by cohort: there is nothing to tell apart.</p>`;
  const low = Math.min(0, ...split.rows.map((r) => r.low ?? r.change));
  const high = Math.max(0, ...split.rows.map((r) => r.high ?? r.change));
  return html`<div class="split">${split.dimensions.length === 2 && html`<${Matrix} split=${split} />`}
    <div class="scroll" tabindex="0" role="region" aria-label="Cohort split, every row"><table class="plain"><thead><tr>${split.dimensions.map((d) => html`<th scope="col">${d}</th>`)}<th scope="col" class="num">Sessions</th><th scope="col" class="num">Healthy</th><th scope="col" class="num">Degraded</th><th scope="col" class="num">Change</th><th scope="col">95 % interval</th></tr></thead>
    <tbody>${split.rows.map((r) => html`<tr>${r.values.map((v) => html`<td>${v}</td>`)}<td class="num">${f.number(r.sessions)}</td><td class="num">${f.value(r.healthy, unit)}</td><td class="num">${f.value(r.degraded, unit)}</td><td class=${`num ${tone(r)}`}>${f.change(r.change)}</td><td><${Interval} row=${r} low=${low} high=${high} /></td></tr>`)}</tbody></table></div></div>`;
};

export const Probability = ({ value, tone: shade = "bad" }) => html`<div class="probability"><span class="probability-number">${f.percent(value)}</span><${Bar} share=${value} tone=${shade} label=${`probability ${f.percent(value)}`} /></div>`;
