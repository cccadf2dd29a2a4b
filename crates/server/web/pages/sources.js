// Sources: what arrives, how fresh it is, what was set aside and why, how complete the picture is, what cannot be answered for lack
// of which source, how near the limits are.
import { html, useState } from "../vendor/preact-htm.js";
import { useGet, useNews } from "../api.js";
import * as f from "../format.js";
import { href } from "../route.js";
import { Bar, Empty, Failed, Section, Waiting } from "../parts/common.js";

/// How fresh a source is, in a word and a tone. A feed of changes may be quiet for long without being broken, so nothing here is red.
export const freshness = (lag) => (lag === null || lag === undefined ? ["nothing yet", "calm"] : lag < 120 ? ["fresh", "good"] : lag < 1800 ? ["quiet", "calm"] : ["silent", "warn"]);
/// The name of a limit ends in its unit, where it has one.
const amount = (name, v) => (name.endsWith("_bytes") ? f.value(v, "By") : name.endsWith("_us") ? f.value(v / 1000, "ms") : f.number(v));
const share = (l) => (l.used === null || l.used === undefined || !l.value ? -1 : l.used / l.value);
/// Gaps shown before the rest is asked for.
const GAPS = 12;

export const Sources = () => {
  const news = useNews("tick");
  const { data, error, retry } = useGet("/sources", {}, Math.floor(news / 3));
  if (error && !data) return html`<div class="page"><h1>Sources</h1><${Failed} error=${error} again=${retry} /></div>`;
  if (!data) return html`<div class="page"><h1>Sources</h1><${Waiting} /></div>`;
  const sum = (key) => data.sources.reduce((total, s) => total + (s[key] ?? 0), 0);
  const items = sum("items");
  const sent = data.sources.filter((s) => s.last_seen);
  const silent = data.sources.filter((s) => !s.last_seen);
  const empty = !sent.length;
  const limits = [...data.limits].sort((a, b) => share(b) - share(a));
  return html`<div class="page"><h1>Sources</h1>${error && html`<${Failed} error=${error} again=${retry} />`}
    <p class="lede">${empty ? html`Nothing has arrived yet. Point an OpenTelemetry exporter or collector at this server: gRPC on port 4317 or HTTP on port 4318, unless it was started with others.` : html`${f.number(items)} items became ${f.number(sum("facts"))} facts. ${sum("refused") ? html`<b>${f.number(sum("refused"))}</b> (${items ? f.value(sum("refused") / items, "ratio") : "–"}) did not fit and were set aside; each is counted below with its reason.` : "Nothing was set aside."}`}</p>
    <${Section} id="sources" title="What arrives">${empty ? html`<${Empty}>No source has sent anything.<//>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Sources"><table class="plain sources"><thead><tr><th scope="col">Source</th><th scope="col">Last seen</th><th scope="col" class="num">Items</th><th scope="col" class="num">Facts</th><th scope="col" class="num">Set aside</th><th scope="col">Reasons</th></tr></thead>
      <tbody>${sent.map((s) => html`<${Source} s=${s} asOf=${data.as_of} />`)}</tbody></table></div>`}<//>
    ${silent.length > 0 && html`<${Section} id="silent" title="Never seen" note="the mapping reads these, but nothing has come"><ul class="silent">${silent.map((s) => html`<li><h3>${s.name}</h3><p>would give ${gives(s)}</p>${s.page && html`<p class="note">How to connect it: <code>${s.page}</code></p>`}</li>`)}</ul><//>`}
    ${data.questions.length > 0 && html`<${Questions} all=${data.questions} />`}
    <div class="two"><${Coverage} all=${data.coverage} />
    <${Section} id="limits" title="Limits" note="every queue and cache has a bound; the fullest first"><ul class="meters">${limits.map((l) => html`<li><span><b class="limit-name">${l.name}</b><span class="note">${f.sentence(l.doc)}</span></span><span class="num">${l.used === null || l.used === undefined ? "" : `${amount(l.name, l.used)} of `}${amount(l.name, l.value)}</span>${l.used !== null && l.used !== undefined && html`<${Bar} share=${l.used / l.value} tone=${l.used > l.value * 0.8 ? "warn" : "ink"} label=${`${l.name}: ${f.percent(l.used / l.value)} used`} />`}</li>`)}</ul><//></div></div>`;
};

const gives = (s) => {
  const names = [...new Set((s.mapping ?? []).flatMap((m) => m.classes.map((c) => c.name)))].sort();
  return names.length ? names.map((n, i) => html`${i > 0 && ", "}<a href=${href("/ontology", { class: n })}>${n}</a>`) : "measures";
};

const Source = ({ s, asOf }) => {
  const [open, set] = useState(true);
  const [more, ask] = useState(false);
  const [word, tone] = freshness(s.lag_seconds);
  return html`<tr><th scope="row">${s.name}</th><td><span class=${`dot ${tone}`} aria-hidden="true"></span>${word}${s.last_seen && `, ${f.ago(s.last_seen, asOf)}`}${s.lag_seconds >= 1 && html` <span class="note">${f.length(s.lag_seconds)} behind</span>`}</td><td class="num">${f.number(s.items)}</td><td class="num">${f.number(s.facts)}</td><td class=${s.refused ? "num warn-text" : "num"}>${f.number(s.refused)}</td>
    <td>${s.reasons.length ? html`<button type="button" class="small quiet" aria-expanded=${open} onClick=${() => set(!open)}>${f.plural(s.reasons.length, "reason")} ${open ? "▾" : "▸"}</button>` : html`<span class="note">none</span>`}</td></tr>
    ${open && s.reasons.length > 0 && html`<tr class="reasons"><td colspan="6"><ul>${s.reasons.map((r) => html`<li><b class="num">${f.number(r.items)}</b> <span>${r.reason}${r.detail && html`<br /><span class="note">for example ${r.detail}</span>`}</span></li>`)}</ul>
      <button type="button" class="small" aria-expanded=${more} onClick=${() => ask(!more)}>${more ? "Fewer examples" : "More examples"}</button>${more && html`<${Examples} source=${s.name} />`}</td></tr>`}`;
};

const Examples = ({ source }) => {
  const { data, error } = useGet("/sources/refused", { source });
  if (error) return html`<${Failed} error=${error} />`;
  if (!data) return html`<${Waiting} />`;
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label=${`Examples of what ${source} sent that was set aside`}><table class="plain examples"><thead><tr><th scope="col">Last</th><th scope="col" class="num">Times</th><th scope="col">Reason</th><th scope="col">What was sent</th></tr></thead>
    <tbody>${data.refused.map((r) => html`<tr><td class="num">${f.dayClock(r.last)}</td><td class="num">${f.number(r.items)}</td><td>${r.reason}</td><td>${r.detail}</td></tr>`)}</tbody></table></div>${data.hidden > 0 && html`<p class="note">${f.number(data.hidden)} more; <code>e2egraph sources refused --source ${source}</code> lists them.</p>`}`;
};

const Questions = ({ all }) => {
  const lacks = all.filter((q) => q.state === "lacks");
  const waits = all.filter((q) => q.state === "waits");
  const well = all.filter((q) => q.state === "answerable");
  const row = (q) => html`<li><p><span class="question-name">${q.name}</span> ${q.ask}</p><ul>${q.missing.map((m) => html`<li class=${m.own ? "own" : ""}>${f.sentence(m.text)}</li>`)}</ul></li>`;
  return html`<${Section} id="questions" title="What can be answered" note=${`${well.length} of ${all.length} questions; a question needs each class and relation on its path to have been seen`}>
    ${lacks.length > 0 && html`<h3 class="sub">For lack of a source, ${f.plural(lacks.length, "question")} cannot</h3><ul class="questions">${lacks.map(row)}</ul>`}
    ${waits.length > 0 && html`<h3 class="sub">${f.plural(waits.length, "question")} ${waits.length === 1 ? "waits" : "wait"} for something to happen</h3><ul class="questions">${waits.map(row)}</ul>`}
    ${well.length > 0 && html`<details class="well"><summary>${f.plural(well.length, "question")} that can be answered</summary><ul>${well.map((q) => html`<li><span class="question-name">${q.name}</span> ${q.ask}</li>`)}</ul></details>`}<//>`;
};

const Coverage = ({ all }) => {
  const [whole, set] = useState(false);
  const gaps = all.filter((c) => c.whole === undefined || c.share < 1).slice(0, GAPS);
  const shown = whole ? all : gaps;
  return html`<${Section} id="coverage" title="Coverage" note="how much of what should be known is known">${all.length ? html`<ul class="meters">${shown.map((c) => html`<li title=${c.questions?.length ? `on the path of ${c.questions.join(", ")}` : ""}><span class="wide">${c.text}</span><${Bar} share=${c.share} tone=${c.share >= 0.9 ? "good" : c.share <= 0 ? "warn" : "ink"} label=${c.text} /></li>`)}</ul>${all.length > gaps.length && html`<p class="more-rows"><button type="button" class="small" aria-expanded=${whole} onClick=${() => set(!whole)}>${whole ? "Only the gaps" : `All ${all.length}`}</button></p>`}` : html`<${Empty}>Nothing to measure yet.<//>`}<//>`;
};
