// The investigation: the answer in one sentence, then why, why not otherwise, for whom, and what to do.
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { post, useGet, useNews } from "../api.js";
import * as f from "../format.js";
import { href, parse, tune } from "../route.js";
import { Badge, CopyButton, Empty, Entity, Failed, Section, Waiting } from "../parts/common.js";
import { QueryChart } from "../parts/chart.js";
import { CohortSplit, Path, Probability, Tier } from "../parts/answer.js";
import { QueryBlock } from "../parts/query.js";
import { markdown } from "../parts/markdown.js";

export const Investigation = ({ id }) => {
  const news = useNews("investigation");
  const { data, error } = useGet(`/investigations/${encodeURIComponent(id)}`, {}, news);
  if (error) return html`<div class="page"><h1>Investigation</h1><${Failed} error=${error} /></div>`;
  return data ? html`<${Answer} answer=${data} />` : html`<div class="page"><h1 class="hidden-text">Investigation</h1><${Waiting} what="Fetching the investigation" /></div>`;
};

export const Asked = ({ question, at }) => {
  const [state, set] = useState({});
  useEffect(() => {
    let wanted = true;
    set({});
    if (question) post("/ask", at ? { question, at } : { question }).then((answer) => wanted && set({ answer }), (error) => wanted && set({ error }));
    return () => { wanted = false; };
  }, [question, at]);
  if (state.error) return html`<div class="page"><h1>${question}</h1><${Failed} error=${state.error} /></div>`;
  return state.answer ? html`<${Answer} answer=${state.answer} />` : html`<div class="page"><h1>${question}</h1><${Waiting} what="The experts are looking" /></div>`;
};

const Answer = ({ answer: a }) => {
  const r = a.regression;
  const link = () => `${location.origin}/${href(`/investigations/${encodeURIComponent(a.id)}`)}`;
  return html`<div class="page answer">
    <div class="answer-head"><p class="answer-line"><${Badge} status=${a.status} /><span class="question">${a.question}</span><span class="answer-tools"><span class="note">as of ${f.dayClock(a.as_of)} ${f.zoneName()}</span><${CopyButton} text=${() => markdown(a, link())} label="Copy as Markdown" /></span></p>
      <h1>${a.headline}</h1></div>
    ${a.not_understood.length > 0 && html`<${NotUnderstood} words=${a.not_understood} question=${a.question} />`}
    ${a.status !== "not_understood" && html`
    <div class="answer-top"><${Overview} a=${a} />
      <div class="answer-verdict"><h2>Where the fault is</h2><${Tier} tier=${a.tier} />
        <h2>Who is hit</h2>${a.impact?.sessions ? html`<p class="impact"><span class="big">${f.number(a.impact.sessions)}</span> sessions<span class="note">${a.impact.share ? ` · ${f.percent(a.impact.share)} of those looked at` : ""}</span></p>` : null}<p class="impact-text">${a.impact?.text}</p>
        ${r && html`<p class="to-graph"><a href=${href("/graph", { around: r.subject.id, at: a.windows?.degraded.to, compare: a.windows?.healthy.to })}>See healthy and degraded side by side in the graph</a></p>`}</div></div>
    ${a.causes.length > 0 && html`<${Section} id="causes" title="Why" note="causes, most likely first">${a.causes.map((c, i) => html`<${Cause} cause=${c} first=${i === 0} a=${a} />`)}<//>`}
    ${a.mitigations.length > 0 && html`<${Mitigations} list=${a.mitigations} />`}
    ${a.cohort_split?.rows?.length > 0 && html`<${Section} id="split" title="Who suffers" note="the same measure, healthy against degraded, cohort by cohort"><${CohortSplit} split=${a.cohort_split} unit=${r?.unit} /><//>`}
    ${a.ruled_out.length > 0 && html`<${RuledOut} list=${a.ruled_out} />`}
    <div class="two"><${Missing} list=${a.missing} /><${Understood} u=${a.understood} a=${a} /></div>
    ${a.plan.length > 0 && html`<${Plan} plan=${a.plan} />`}`}
  </div>`;
};

const NotUnderstood = ({ words, question }) => html`<div class="notice" role="note">${words.map((w) => html`<p>“<b>${w.word}</b>” is not a word of the ontology or a name in the graph.${w.nearest.length > 0 && html` Did you mean ${w.nearest.map((n, i) => html`${i ? ", " : ""}<a href=${href("/ask", { q: question.replace(w.word, n) })}>${n}</a>`)}?`}</p>`)}</div>`;

/// The measure itself, so that the change can be seen before anything is argued.
const Overview = ({ a }) => {
  const r = a.regression;
  const queries = a.chart_queries?.length ? a.chart_queries : a.causes.flatMap((c) => c.evidence).find((e) => e.chart_queries.length)?.chart_queries ?? [];
  const from = f.moment(a.windows?.healthy.from);
  const to = f.moment(a.windows?.degraded.to);
  const { data } = useGet(a.windows ? "/changes" : null, { from: f.iso(from), to: f.iso(to) });
  const accused = new Set(a.causes[0]?.entities.map((e) => e.id) ?? []);
  const marks = relevant(data?.changes ?? [], from, to, accused);
  return html`<div class="overview">
    ${r && html`<div class="overview-figure"><span class="eyebrow" title=${r.measure_doc}>${r.measure} of ${r.subject.name}</span>
      <p><span class="was">${f.value(r.baseline, r.unit)}</span><span class="arrow" aria-label="became">→</span><span class="is">${f.value(r.observed, r.unit)}</span><span class="by">${f.change(r.change)}</span></p>
      <span class="note">${r.cohort} · since ${f.clock(r.onset)} · ${f.pValue(r.p_value)}</span></div>`}
    ${queries.length ? html`<${QueryChart} queries=${queries} windows=${a.windows} onset=${r?.onset} marks=${marks} height=${250} label=${r ? `${r.measure} of ${r.subject.name}` : "The measure"} />` : html`<${Empty}>There is no line to draw.<//>`}</div>`;
};

/// At most seven changes are drawn: those that touch the accused first, then the ones closest to the moment things turned.
const relevant = (changes, from, to, accused) => changes
  .map((c) => ({ at: c.at, label: c.text || c.name, kind: c.class, strong: accused.has(c.id) || c.targets.some((t) => accused.has(t.id)) }))
  .filter((c) => f.moment(c.at) >= from && f.moment(c.at) <= to)
  .sort((x, y) => Number(y.strong) - Number(x.strong) || f.moment(y.at) - f.moment(x.at))
  .slice(0, 7)
  .sort((x, y) => f.moment(x.at) - f.moment(y.at));

const Cause = ({ cause, first, a }) => {
  const [open, set] = useState(first);
  const key = `cause-${cause.rank}`;
  return html`<article class=${`cause ${first ? "first" : ""}`} aria-labelledby=${key}>
    <div class="cause-head"><span class="rank" aria-label=${`rank ${cause.rank}`}>${cause.rank}</span>
      <div class="cause-title"><h3 id=${key}>${cause.title}</h3><p class="cause-kind">${kindWord(cause.kind)}</p></div>
      <${Probability} value=${cause.probability} tone=${first ? "bad" : "ink"} />
      <button type="button" class="small quiet" aria-expanded=${open} aria-controls=${`${key}-body`} onClick=${() => set(!open)}>${open ? "Less" : "More"}</button></div>
    <p class="cause-summary">${cause.summary}</p>
    ${open && html`<div id=${`${key}-body`} class="cause-body">
      <div class="cause-path"><h4>From the user to the fault</h4>${cause.path.length ? html`<${Path} path=${cause.path} />` : html`<${Empty}>No path is known.<//>`}
        ${cause.counterfactual && html`<p class="counterfactual"><b>If it were undone:</b> ${cause.counterfactual}</p>`}</div>
      <div class="cause-evidence"><h4>Evidence</h4><${EvidenceList} list=${cause.evidence} a=${a} /></div></div>`}</article>`;
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
      <div class="evidence-claim"><p>${e.claim}</p><p class="note"><span class="expert">${e.expert}</span>${e.value !== null && e.value !== undefined && html` · <b>${f.value(e.value, e.unit)}</b>${e.baseline !== null && e.baseline !== undefined ? ` against ${f.value(e.baseline, e.unit)}` : ""}`}</p></div>
      <svg class="strength" width="116" height="14" viewBox="0 0 116 14" role="img" aria-label=${`log-likelihood ratio ${f.number(e.strength, 1)}`}><line x1="58" x2="58" y1="0" y2="14" /><rect x=${e.strength >= 0 ? 58 : 58 - size} y="3" width=${size} height="8" /></svg>
      <button type="button" class="small quiet" aria-expanded=${open} onClick=${toggle} >${open ? "Hide" : "Proof"}<span class="hidden-text"> of ${e.id}</span></button></div>
    ${open && html`<div class="evidence-proof">${e.chart_queries.length > 0 && html`<${QueryChart} queries=${e.chart_queries} windows=${a.windows} onset=${a.regression?.onset} height=${190} label=${e.claim} />`}
      <p class="note">${e.id} · log-likelihood ratio ${f.number(e.strength, 1)} · this query gives the number again:</p><${QueryBlock} query=${e.query} /></div>`}</li>`;
};

const Mitigations = ({ list }) => html`<${Section} id="do" title="What to do" note="suggestions; nothing is done by itself"><ol class="mitigations">${list.map((m, i) => html`<li class=${i === 0 ? "first" : ""}>
  <h3>${m.title}</h3><p>${m.why}</p><dl><dt>Target</dt><dd><${Entity} entity=${m.target} /></dd><dt>Reaches</dt><dd>${f.plural(m.reach_sessions, "session")}</dd><dt>Undo</dt><dd>${m.undo}</dd><dt>Trust</dt><dd>${m.trust}</dd></dl></li>`)}</ol><//>`;

const RuledOut = ({ list }) => html`<${Section} id="not" title="Why not the others" note=${f.plural(list.length, "suspect") + " looked at and ruled out"}>
  <ul class="ruled">${list.map((r) => html`<li><div class="ruled-name"><b>${r.title}</b><span class="note">${kindWord(r.kind)}, ${f.percent(r.probability)}</span></div><div><p>${r.why}</p>
    ${r.evidence.length > 0 && html`<details><summary>${f.plural(r.evidence.length, "piece", "pieces")} of evidence</summary>${r.evidence.map((e) => html`<div class="ruled-proof"><p><span class="expert">${e.expert}</span> ${e.claim}</p><${QueryBlock} query=${e.query} /></div>`)}</details>`}</div></li>`)}</ul><//>`;

const Missing = ({ list }) => html`<${Section} id="missing" title="What is missing">${list.length ? html`<ul class="missing">${list.map((m) => html`<li><b>${m.what}</b><span>${m.why}</span></li>`)}</ul>` : html`<${Empty}>Every expert had the data it needed.<//>`}<//>`;

const Understood = ({ u, a }) => html`<${Section} id="understood" title="How the question was read"><dl class="understood">
  ${u.words.map((w) => html`<dt>“${w.text}”</dt><dd>${w.meaning}</dd>`)}${!u.words.length && u.measure && html`<dt>measure</dt><dd>${u.measure}</dd>`}${u.cohort && html`<dt>cohort</dt><dd>${u.cohort}</dd>`}
  ${a.windows && html`<dt>healthy</dt><dd>${f.dayClock(a.windows.healthy.from)} – ${f.clock(a.windows.healthy.to)}</dd><dt>degraded</dt><dd>${f.dayClock(a.windows.degraded.from)} – ${f.clock(a.windows.degraded.to)}</dd>`}
  ${a.snapshots?.healthy && html`<dt>snapshots</dt><dd>${a.snapshots.healthy}, ${a.snapshots.degraded}</dd>`}<dt>ontology</dt><dd>${a.ontology_version}</dd></dl><//>`;

const Plan = ({ plan }) => html`<${Section} id="plan" title="Who looked at what"><div class="scroll" tabindex="0" role="region" aria-label="The experts' work"><table class="plain"><thead><tr><th scope="col">Expert</th><th scope="col">Task</th><th scope="col" class="num">Looked at</th><th scope="col" class="num">Findings</th><th scope="col">Missing</th></tr></thead>
  <tbody>${plan.map((p) => html`<tr><th scope="row">${p.expert}</th><td>${p.task}</td><td class="num">${typeof p.looked_at === "number" ? f.number(p.looked_at) : p.looked_at}</td><td class="num">${f.number(count(p.findings))}</td><td>${Array.isArray(p.missing) ? p.missing.join("; ") || html`<span class="note">nothing</span>` : f.number(count(p.missing))}</td></tr>`)}</tbody></table></div><//>`;
const kindWord = (kind) => ({ interaction: "version and treatment together" })[kind] ?? kind.replaceAll("_", " ");
const count = (v) => (Array.isArray(v) ? v.length : v ?? 0);
