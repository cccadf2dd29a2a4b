// Sources: what arrives, how fresh it is, what was set aside and why, what is covered, how near the limits are.
import { html, useState } from "../vendor/preact-htm.js";
import { useGet, useNews } from "../api.js";
import * as f from "../format.js";
import { Bar, Empty, Failed, Section, Waiting } from "../parts/common.js";

/// How fresh a source is, in a word and a tone. A feed of changes may be quiet for long without being broken, so nothing here is red.
export const freshness = (lag) => (lag === null || lag === undefined ? ["nothing yet", "calm"] : lag < 120 ? ["fresh", "good"] : lag < 1800 ? ["quiet", "calm"] : ["silent", "warn"]);
/// The name of a limit ends in its unit, where it has one.
const amount = (name, v) => (name.endsWith("_bytes") ? f.value(v, "By") : name.endsWith("_us") ? f.value(v / 1000, "ms") : f.number(v));
const share = (l) => (l.used === null || l.used === undefined || !l.value ? -1 : l.used / l.value);

export const Sources = () => {
  const news = useNews("tick");
  const { data, error, retry } = useGet("/sources", {}, Math.floor(news / 3));
  if (error && !data) return html`<div class="page"><h1>Sources</h1><${Failed} error=${error} again=${retry} /></div>`;
  if (!data) return html`<div class="page"><h1>Sources</h1><${Waiting} /></div>`;
  const sum = (key) => data.sources.reduce((total, s) => total + (s[key] ?? 0), 0);
  const items = sum("items");
  const empty = !data.sources.length;
  const limits = [...data.limits].sort((a, b) => share(b) - share(a));
  return html`<div class="page"><h1>Sources</h1>${error && html`<${Failed} error=${error} again=${retry} />`}
    <p class="lede">${empty ? html`Nothing has arrived yet. Point an OpenTelemetry exporter or collector at this server: gRPC on port 4317 or HTTP on port 4318, unless it was started with others.` : html`${f.number(items)} items became ${f.number(sum("facts"))} facts. ${sum("refused") ? html`<b>${f.number(sum("refused"))}</b> (${items ? f.value(sum("refused") / items, "ratio") : "–"}) did not fit and were set aside; each is counted below with its reason.` : "Nothing was set aside."}`}</p>
    <${Section} id="sources" title="What arrives">${empty ? html`<${Empty}>No source has sent anything.<//>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Sources"><table class="plain sources"><thead><tr><th scope="col">Source</th><th scope="col">Last seen</th><th scope="col" class="num">Items</th><th scope="col" class="num">Facts</th><th scope="col" class="num">Set aside</th><th scope="col">Reasons</th></tr></thead>
      <tbody>${data.sources.map((s) => html`<${Source} s=${s} asOf=${data.as_of} />`)}</tbody></table></div>`}<//>
    <div class="two"><${Section} id="coverage" title="Coverage" note="how much of what should be known is known">${data.coverage.length ? html`<ul class="meters">${data.coverage.map((c) => html`<li><span>${c.text}</span><b class="num">${f.value(c.share, "ratio")}</b><${Bar} share=${c.share} label=${`${c.text}: ${f.value(c.share, "ratio")}`} /></li>`)}</ul>` : html`<${Empty}>Nothing to measure yet.<//>`}<//>
    <${Section} id="limits" title="Limits" note="every queue and cache has a bound; the fullest first"><ul class="meters">${limits.map((l) => html`<li><span><b class="limit-name">${l.name}</b><span class="note">${f.sentence(l.doc)}</span></span><span class="num">${l.used === null || l.used === undefined ? "" : `${amount(l.name, l.used)} of `}${amount(l.name, l.value)}</span>${l.used !== null && l.used !== undefined && html`<${Bar} share=${l.used / l.value} tone=${l.used > l.value * 0.8 ? "warn" : "ink"} label=${`${l.name}: ${f.percent(l.used / l.value)} used`} />`}</li>`)}</ul><//></div></div>`;
};

const Source = ({ s, asOf }) => {
  const [open, set] = useState(true);
  const [word, tone] = freshness(s.lag_seconds);
  return html`<tr><th scope="row">${s.name}</th><td><span class=${`dot ${tone}`} aria-hidden="true"></span>${word}${s.last_seen && `, ${f.ago(s.last_seen, asOf)}`}</td><td class="num">${f.number(s.items)}</td><td class="num">${f.number(s.facts)}</td><td class=${s.refused ? "num warn-text" : "num"}>${f.number(s.refused)}</td>
    <td>${s.reasons.length ? html`<button type="button" class="small quiet" aria-expanded=${open} onClick=${() => set(!open)}>${f.plural(s.reasons.length, "reason")} ${open ? "▾" : "▸"}</button>` : html`<span class="note">none</span>`}</td></tr>
    ${open && s.reasons.length > 0 && html`<tr class="reasons"><td colspan="6"><ul>${s.reasons.map((r) => html`<li><b class="num">${f.number(r.items)}</b> <span>${r.reason}${r.detail && html`<br /><span class="note">for example ${r.detail}</span>`}</span></li>`)}</ul></td></tr>`}`;
};
