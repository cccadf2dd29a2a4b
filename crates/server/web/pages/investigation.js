// The investigation: the answer in one sentence, then why, why not otherwise, for whom, and what to do.
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { post, useGet, useNews } from "../api.js";
import * as f from "../format.js";
import { href, parse, tune } from "../route.js";
import { Badge, CohortName, CopyButton, Empty, Entity, Failed, Section, Waiting, kindOf, merged } from "../parts/common.js";
import { QueryChart } from "../parts/chart.js";
import { CohortSplit, Path, Probability, Tier } from "../parts/answer.js";
import { QueryBlock } from "../parts/query.js";
import { markdown } from "../parts/markdown.js";

export const Investigation = ({ id }) => {
  const news = useNews("investigation");
  const { data, error, retry } = useGet(`/investigations/${encodeURIComponent(id)}`, {}, news);
  if (error && !data) return html`<div class="page"><h1>Investigation</h1><${Failed} error=${error} again=${retry} /><p><a href=${href("/")}>To the list of regressions</a></p></div>`;
  return data ? html`<${Answer} answer=${data} />` : html`<div class="page"><h1 class="hidden-text">Investigation</h1><${Waiting} what="Fetching the investigation" /></div>`;
};

export const Asked = ({ question, at }) => {
  const [state, set] = useState({});
  const [tries, bump] = useState(0);
  useEffect(() => {
    let wanted = true;
    set({});
    if (question) post("/ask", at ? { question, at } : { question }).then((answer) => wanted && set({ answer }), (error) => wanted && set({ error }));
    return () => { wanted = false; };
  }, [question, at, tries]);
  if (!question) return html`<div class="page"><h1>No question was asked</h1><p class="lede">Type one into the box above (<kbd>/</kbd> goes there).</p></div>`;
  if (state.error) return html`<div class="page"><h1>${question}</h1><${Failed} error=${state.error} again=${() => bump(tries + 1)} /></div>`;
  return state.answer ? html`<${Answer} answer=${state.answer} />` : html`<div class="page"><h1>${question}</h1><${Waiting} what="The experts are looking" /></div>`;
};

const Answer = ({ answer: a }) => {
  const r = a.regression;
  const link = () => `${location.origin}/${href(`/investigations/${encodeURIComponent(a.id)}`)}`;
  return html`<div class="page answer">
    <div class="answer-head"><p class="answer-line"><${Badge} status=${a.status} /><span class="question">${a.question}</span><span class="answer-tools"><span class="note">as of ${f.dayClock(a.as_of)} ${f.zoneName()}</span><${CopyButton} text=${() => markdown(a, link())} label="Copy as Markdown" /></span></p>
      <h1>${f.prose(a.headline, a.as_of)}</h1></div>
    ${a.not_understood.length > 0 && html`<${NotUnderstood} a=${a} />`}
    ${a.status !== "not_understood" && html`
    ${a.reply?.length > 0 && html`<${Reply} list=${a.reply} a=${a} />`}
    <div class="answer-top"><${Overview} a=${a} /><${Glance} a=${a} /></div>
    ${a.causes.length > 0 && html`<${Section} id="causes" title="Why" note="causes, most likely first">${a.causes.map((c, i) => html`<${Cause} cause=${c} first=${i === 0} a=${a} />`)}<//>`}
    ${a.mitigations.length > 0 && html`<${Mitigations} list=${a.mitigations} />`}
    ${a.cohort_split?.rows?.length > 0 && html`<${Section} id="split" title="Who suffers" note=${`${r?.measure ?? "the measure"}, healthy against degraded, cohort by cohort`}><${CohortSplit} split=${a.cohort_split} unit=${r?.unit} /><//>`}
    ${a.ruled_out.length > 0 && html`<${RuledOut} list=${a.ruled_out} />`}
    <div class="two"><${Missing} list=${a.missing} /><${Understood} u=${a.understood} a=${a} /></div>
    ${a.plan.length > 0 && html`<${Plan} plan=${a.plan} />`}`}
    ${a.status === "not_understood" && html`<div class="two"><${Understood} u=${a.understood} a=${a} title="What was understood" /><${CanBeAsked} asOf=${a.as_of} /></div>`}
  </div>`;
};

/// The figures of a headline that answers something else than "why", each with the query that gives it again.
const Reply = ({ list, a }) => html`<${Section} id="reply" title="In figures">${list.map((e) => html`<details><summary>${f.prose(e.claim, a.as_of)}${shown(e) && html` · <b>${f.value(e.value, e.unit)}</b>${known(e.baseline) ? ` against ${f.value(e.baseline, e.unit)}` : ""}`}</summary><${QueryBlock} query=${e.query} /></details>`)}<//>`;
const known = (v) => v !== null && v !== undefined;
const shown = (e) => known(e.value) && e.unit !== "rows";

const NotUnderstood = ({ a }) => html`<div class="notice" role="note">${a.not_understood.map((w) => html`<p>“<b>${w.word}</b>” is not a word of the ontology or a name in the graph.${w.nearest.length > 0 && html` Did you mean ${w.nearest.map((n, i) => html`${i ? ", " : ""}<a href=${href("/ask", { q: a.question.replace(w.word, () => n) })}>${n}</a>`)}?`}</p>`)}</div>`;

const CanBeAsked = ({ asOf }) => html`<${Section} id="askable" title="What can be asked">${f.begun(asOf)
  ? html`<p>Name something the graph knows (an app, a view, a service, a version) and what is wrong with it: <i>slow</i>, <i>failing</i>, <i>crashing</i>, or a measure by its name. The <a href=${href("/graph")}>graph</a> finds things by a part of their name.</p>`
  : html`<p>No telemetry has arrived yet, so no names are known. <a href=${href("/sources")}>Sources</a> shows what arrives.</p>`}<//>`;

const jump = (id) => { const head = document.getElementById(id); head?.scrollIntoView({ block: "start" }); head?.focus({ preventScroll: true }); };
const Jump = ({ to, children }) => html`<button type="button" class="link" onClick=${() => jump(to)}>${children}</button>`;

/// What one has to know before scrolling: whose fault, who is hit, what to do, and that the others were looked at.
const Glance = ({ a }) => {
  const r = a.regression;
  const [first] = a.mitigations;
  return html`<div class="answer-verdict"><h2>Client, network or backend?</h2><${Tier} tier=${a.tier} asOf=${a.as_of} />
    ${(a.impact?.sessions > 0 || a.impact?.text) && html`<h2>Who is hit</h2>${a.impact.sessions > 0 && html`<p class="impact"><span class="big">${f.number(a.impact.sessions)}</span> sessions<span class="note">${a.impact.share ? ` · ${f.percent(a.impact.share)} of those looked at` : ""}</span></p>`}<p class="impact-text">${f.prose(a.impact.text, a.as_of)}</p>`}
    ${first && html`<h2>What to do first</h2><p class="glance-do"><b>${f.sentence(first.title)}</b></p><p class="note">reaches ${f.plural(first.reach_sessions, "session")} · <${Jump} to="do">${a.mitigations.length > 1 ? `see all ${a.mitigations.length} suggestions` : "why, and how to undo it"}<//></p>`}
    ${a.ruled_out.length > 0 && html`<h2>Why not the others</h2><p class="impact-text">${f.plural(a.ruled_out.length, "other suspect was", "other suspects were")} ruled out · <${Jump} to="not">see why<//></p>`}
    ${r && html`<p class="to-graph"><a class="button" href=${href("/graph", { around: r.subject.id, at: a.windows?.degraded.to, compare: a.windows?.healthy.to })}>Compare healthy and degraded in the graph</a></p>`}</div>`;
};

/// Where nothing regressed there is no line of the sufferers; then the measure that was asked about is drawn, where it is of one thing.
const asked = (a) => {
  const [, cls, name] = (a.understood?.entity ?? "").match(/^(\w+) ([^,"]+)$/) ?? [];
  if (!a.windows || !a.understood.measure || kindOf(cls) === "other") return [];
  const [from, to] = [a.windows.healthy.from, a.windows.degraded.to];
  const every = Math.max(1, Math.floor((f.moment(to) - f.moment(from)) / 60000 / 120));
  return [{ name, query: `series ${a.understood.measure} of ${cls} "${name}" between ${f.iso(from)} and ${f.iso(to)} every ${every}m` }];
};

/// The measure itself, so that the change can be seen before anything is argued.
const Overview = ({ a }) => {
  const r = a.regression;
  const queries = a.chart_queries?.length ? a.chart_queries : a.causes.flatMap((c) => c.evidence).find((e) => e.chart_queries.length)?.chart_queries ?? asked(a);
  const from = f.moment(a.windows?.healthy.from);
  const to = f.moment(a.windows?.degraded.to);
  const { data } = useGet(a.windows ? "/changes" : null, { from: f.iso(from), to: f.iso(to) });
  const accused = new Set(a.causes[0]?.entities.map((e) => e.id) ?? []);
  const marks = relevant(data?.changes ?? [], from, to, accused);
  return html`<div class="overview">
    ${r && html`<div class="overview-figure"><span class="eyebrow"><b>${r.measure}</b> of ${r.subject.name}${r.measure_doc && ` · ${r.measure_doc}`}</span>
      <p><span class="was">${f.value(r.baseline, r.unit)}</span><span class="arrow" aria-label="became">→</span><span class="is">${f.value(r.observed, r.unit)}</span><span class="by">${f.change(r.change)}</span></p>
      <span class="note"><${CohortName} text=${r.cohort} /> · since ${f.near(r.onset, a.as_of)} (${f.ago(r.onset, a.as_of)}) · ${f.pValue(r.p_value)}</span></div>`}
    ${queries.length ? html`<${QueryChart} queries=${queries} windows=${a.windows} onset=${r?.onset} marks=${marks} height=${350} ...${r ? { label: `${r.measure} of ${r.subject.name}` } : { title: `${a.understood.measure} of ${a.understood.entity}`, bands: ["compared with", "looked at"] }} />` : html`<${Empty}>No single measure of a single thing was asked about, so there is no line to draw.<//>`}</div>`;
};

/// At most seven changes are drawn: those that touch the accused first, then the ones closest to the moment things turned.
const relevant = (changes, from, to, accused) => merged(changes)
  .map((c) => ({ at: c.at, label: `${c.text || c.name}${c.times > 1 ? ` (${c.times} times)` : ""}`, kind: c.class, strong: accused.has(c.id) || c.targets.some((t) => accused.has(t.id)) }))
  .filter((c) => f.moment(c.at) >= from && f.moment(c.at) <= to)
  .sort((x, y) => Number(y.strong) - Number(x.strong) || f.moment(y.at) - f.moment(x.at))
  .slice(0, 7)
  .sort((x, y) => f.moment(x.at) - f.moment(y.at));

const Cause = ({ cause, first, a }) => {
  // The address says which causes are open; without a word in it, the first is.
  const { params } = parse(location.hash);
  const opened = params.causes === undefined ? ["1"] : params.causes.split(",").filter((n) => n && n !== "none");
  const rank = String(cause.rank);
  const open = opened.includes(rank);
  const toggle = () => tune({ causes: (open ? opened.filter((n) => n !== rank) : [...opened, rank]).join(",") || "none" });
  const key = `cause-${cause.rank}`;
  return html`<article class=${`cause ${first ? "first" : ""}`} aria-labelledby=${key}>
    <div class="cause-head"><span class="rank" aria-label=${`rank ${cause.rank}`}>${cause.rank}</span>
      <div class="cause-title"><h3 id=${key}>${cause.title}</h3><p class="cause-kind">${kindWord(cause.kind)}</p></div>
      <${Probability} value=${cause.probability} tone=${first ? "bad" : "ink"} />
      <button type="button" class="small quiet" aria-expanded=${open} aria-controls=${`${key}-body`} onClick=${toggle}>${open ? "Less" : "More"}<span class="hidden-text"> of cause ${cause.rank}</span></button></div>
    <p class="cause-summary">${f.prose(cause.summary, a.as_of)}</p>
    ${open && html`<div id=${`${key}-body`} class="cause-body">
      <div class="cause-path"><h4>From the user to the fault</h4>${cause.path.length ? html`<${Path} path=${cause.path} />` : html`<${Empty}>No path is known.<//>`}
        ${cause.counterfactual && html`<p class="counterfactual"><b>If it were undone:</b> ${f.prose(cause.counterfactual, a.as_of)}</p>`}</div>
      <div class="cause-evidence"><div class="evidence-head"><h4>Evidence</h4>${cause.evidence.length > 0 && html`<span class="note" aria-hidden="true">against <span class="evidence-axis"></span> for</span>`}</div><${EvidenceList} list=${cause.evidence} a=${a} /></div></div>`}</article>`;
};

const EvidenceList = ({ list, a }) => {
  const most = Math.max(1, ...list.map((e) => Math.abs(e.strength)));
  return html`<ol class="evidence">${list.map((e) => html`<${Evidence} e=${e} most=${most} a=${a} />`)}</ol>`;
};

const Evidence = ({ e, most, a }) => {
  const { params } = parse(location.hash);
  const opened = (params.evidence ?? "").split(",").filter(Boolean);
  const open = opened.includes(e.id);
  const toggle = () => tune({ evidence: (open ? opened.filter((id) => id !== e.id) : [...opened, e.id]).join(",") });
  const size = (Math.abs(e.strength) / most) * 56;
  return html`<li class=${e.supports ? "for" : "against"}>
    <div class="evidence-row"><span class="sign"><span aria-hidden="true">${e.supports ? "+" : "−"}</span><span class="hidden-text">${e.supports ? "for" : "against"}</span></span>
      <div class="evidence-claim"><p>${f.prose(e.claim, a.as_of)}</p><p class="note"><span class="expert">${e.expert}</span>${e.value !== null && e.value !== undefined && html` · <b>${f.value(e.value, e.unit)}</b>${e.baseline !== null && e.baseline !== undefined ? ` against ${f.value(e.baseline, e.unit)}` : ""}`}</p></div>
      <svg class="strength" width="116" height="14" viewBox="0 0 116 14" role="img" aria-label=${`speaks ${e.supports ? "for" : "against"} it with a log-likelihood ratio of ${f.number(e.strength, 1)}`}><line x1="58" x2="58" y1="0" y2="14" /><rect x=${e.strength >= 0 ? 58 : 58 - size} y="3" width=${size} height="8" /></svg>
      <button type="button" class="small quiet" aria-expanded=${open} onClick=${toggle} >${open ? "Hide" : "Proof"}<span class="hidden-text"> of ${e.id}</span></button></div>
    ${open && html`<div class="evidence-proof">${e.chart_queries.length > 0 && html`<${QueryChart} queries=${e.chart_queries} windows=${a.windows} onset=${a.regression?.onset} height=${190} label=${e.claim} />`}
      <p class="note">${e.id} · log-likelihood ratio ${f.number(e.strength, 1)} · this query gives the number again:</p><${QueryBlock} query=${e.query} /></div>`}</li>`;
};

/// How freely the site's policy would let each be done. Nothing is done by these pages.
const POLICY = { propose: "a person has to decide", approve: "needs one approval", automatic: "needs no approval" };
const Mitigations = ({ list }) => html`<${Section} id="do" title="What to do" note="suggestions; nothing is done by itself"><ol class="mitigations">${list.map((m, i) => html`<li class=${i === 0 ? "first" : ""}>
  ${i === 0 && list.length > 1 && html`<p class="eyebrow">First choice</p>`}<h3>${f.sentence(m.title)}</h3><p>${f.sentence(m.why)}</p><dl><dt>Target</dt><dd><${Entity} entity=${m.target} /></dd><dt>Reaches</dt><dd>${f.plural(m.reach_sessions, "session")}</dd><dt>Undo</dt><dd>${m.undo}</dd><dt>Policy</dt><dd>${POLICY[m.trust] ?? m.trust}</dd></dl></li>`)}</ol><//>`;

/// Suspects that fell for the same reason stand together, so that a dozen are read as three or four reasons.
const RuledOut = ({ list }) => {
  const reasons = new Map();
  for (const r of list) reasons.set(r.why, [...(reasons.get(r.why) ?? []), r]);
  const most = [...reasons].sort((a, b) => Math.max(...b[1].map((r) => r.probability)) - Math.max(...a[1].map((r) => r.probability)));
  return html`<${Section} id="not" title="Why not the others" note=${`${f.plural(list.length, "suspect")} looked at and ruled out`}>
    <ul class="ruled">${most.map(([why, suspects]) => html`<li><div class="ruled-why"><b>${f.sentence(f.prose(why))}</b><span class="note">${f.plural(suspects.length, "suspect")}</span></div>
      <ul class="suspects">${suspects.map((r) => html`<li><${Suspect} r=${r} /></li>`)}</ul></li>`)}</ul><//>`;
};
const Suspect = ({ r }) => {
  const name = html`<span class="suspect-name">${r.title}</span> <span class="note">${kindWord(r.kind)}, ${f.percent(r.probability)} likely</span>`;
  return r.evidence.length ? html`<details><summary>${name} <span class="more">${f.plural(r.evidence.length, "piece", "pieces")} of evidence</span></summary>${r.evidence.map((e) => html`<div class="ruled-proof"><p><span class="expert">${e.expert}</span> ${f.prose(e.claim)}</p><${QueryBlock} query=${e.query} /></div>`)}</details>` : html`<p>${name}</p>`;
};

const Missing = ({ list }) => html`<${Section} id="missing" title="What is missing">${list.length ? html`<ul class="missing">${list.map((m) => html`<li><b>${f.sentence(m.what)}</b><span>${f.sentence(f.prose(m.why))}</span></li>`)}</ul>` : html`<${Empty}>Every expert had the data it needed.<//>`}<//>`;

const Understood = ({ u, a, title = "How the question was read" }) => html`<${Section} id="understood" title=${title}><dl class="understood">
  ${u.words.map((w) => html`<dt>“${w.text}”</dt><dd>${w.meaning}</dd>`)}${!u.words.length && u.measure && html`<dt>measure</dt><dd>${u.measure}</dd>`}${u.cohort && html`<dt>cohort</dt><dd>${f.prose(u.cohort)}</dd>`}
  ${a.windows && html`<dt>${a.regression ? "healthy" : "compared with"}</dt><dd>${f.dayClock(a.windows.healthy.from)} – ${f.clock(a.windows.healthy.to)}</dd><dt>${a.regression ? "degraded" : "looked at"}</dt><dd>${f.dayClock(a.windows.degraded.from)} – ${f.clock(a.windows.degraded.to)}</dd>`}
  ${a.snapshots?.healthy && html`<dt>snapshots</dt><dd><code>${a.snapshots.healthy}</code>, <code>${a.snapshots.degraded}</code></dd>`}<dt>ontology</dt><dd>${a.ontology_version}</dd></dl><//>`;

const Plan = ({ plan }) => html`<${Section} id="plan" title="Who looked at what"><div class="scroll" tabindex="0" role="region" aria-label="The experts' work"><table class="plain"><thead><tr><th scope="col">Expert</th><th scope="col">Task</th><th scope="col" class="num">Looked at</th><th scope="col" class="num">Findings</th><th scope="col">Missing</th></tr></thead>
  <tbody>${plan.map((p) => html`<tr><th scope="row">${p.expert}</th><td>${f.sentence(p.task)}</td><td class="num">${typeof p.looked_at === "number" ? f.number(p.looked_at) : p.looked_at}</td><td class="num">${f.number(count(p.findings))}</td><td>${Array.isArray(p.missing) ? p.missing.join("; ") || html`<span class="note">nothing</span>` : f.number(count(p.missing))}</td></tr>`)}</tbody></table></div><//>`;
const kindWord = (kind) => ({ interaction: "version and treatment together" })[kind] ?? kind.replaceAll("_", " ");
const count = (v) => (Array.isArray(v) ? v.length : v ?? 0);
