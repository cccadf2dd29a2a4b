// Home: what is worse than it was and why, the question box, how fresh the knowledge is, and what changed lately.
import { html } from "../vendor/preact-htm.js";
import { useGet, useNews } from "../api.js";
import * as f from "../format.js";
import { go, href } from "../route.js";
import { Badge, CohortName, Empty, Failed, Mark, Section, Times, Waiting, kindOf, merged } from "../parts/common.js";
import { freshness } from "./sources.js";

export const Home = () => {
  const news = useNews("regression", "investigation");
  const { data, error, loading, retry } = useGet("/regressions", {}, news);
  const ask = (event) => { event.preventDefault(); const q = new FormData(event.target).get("q").trim(); if (q) go("/ask", { q }); };
  const open = data?.regressions.filter((r) => r.state === "open") ?? [];
  const closed = data?.regressions.filter((r) => r.state !== "open") ?? [];
  const blind = data && !f.begun(data.as_of);
  const shown = (list) => html`<div class="regressions">${byCause(list).map((g) => html`<${Group} list=${g} asOf=${data.as_of} />`)}</div>`;
  return html`<div class="page home">
    <div class="hero"><h1>What is wrong, and why?</h1>
      <form class="hero-ask" role="search" onSubmit=${ask}><label class="hidden-text" for="hero-q">Your question</label><input id="hero-q" data-ask name="q" autocomplete="off" placeholder="Ask in plain words why something is slow, failing or crashing" /><button type="submit" class="primary">Ask</button></form>
      ${open.length > 0 && html`<p class="examples"><span>Try</span> ${questions(open).slice(0, 3).map((q) => html`<a href=${href("/ask", { q })}>${q}</a>`)}</p>`}</div>
    <div class="home-columns"><div>
      ${error && html`<${Failed} error=${error} again=${retry} />`}
      <${Section} id="open" title="Open regressions" note=${data && !blind && open.length > 0 && `${f.plural(open.length, "measure")} worse than usual, as of ${f.near(data.as_of, data.as_of)} ${f.zoneName()}`}>
        ${!data ? loading && html`<${Waiting} />` : open.length ? shown(open) : blind ? html`<${Blind} />` : html`<p class="all-clear"><span aria-hidden="true">✓</span> Nothing is worse than usual, as of ${f.dayClock(data.as_of)} ${f.zoneName()}.</p>`}
      <//>
      ${closed.length > 0 && html`<${Section} id="closed" title="Went away" note=${f.plural(closed.length, "regression")}>${shown(closed)}<//>`}
    </div><aside class="home-side" aria-label="Sources and changes"><${Freshness} news=${news} /><${Recent} news=${news} /></aside></div></div>`;
};

/// Silence is not health: before anything has arrived nothing is called well.
const Blind = () => html`<div class="notice" role="note"><p><b>No telemetry has arrived yet, so nothing can be said about health.</b></p>
  <p>Point an OpenTelemetry exporter or collector at this server: gRPC on port 4317 or HTTP on port 4318, unless it was started with others. <a href=${href("/sources")}>Sources</a> shows what arrives and what does not fit.</p></div>`;

const questions = (open) => [...new Set(open.map((r) => `Why is ${r.measure} of ${r.subject.name} regressing?`))];

/// Regressions with the same likeliest cause are one trouble seen several times; they stand together, in the order of the first.
const byCause = (list) => {
  const groups = new Map();
  for (const r of list) {
    const key = r.top_cause?.title ?? r.id;
    groups.set(key, [...(groups.get(key) ?? []), r]);
  }
  return [...groups.values()];
};

const target = (r) => (r.investigation ? href(`/investigations/${encodeURIComponent(r.investigation)}`) : href("/ask", { q: `Why is ${r.measure} of ${r.subject.name} regressing?` }));
const likely = (list) => {
  const shares = [...new Set(list.map((r) => f.percent(r.top_cause.probability)))].sort();
  return shares.length > 1 ? `${shares[0].replace(/\s*%/, "")}–${shares.at(-1)}` : shares[0];
};

const Group = ({ list, asOf }) => {
  const [first] = list;
  return html`<article class=${`regression-group ${first.state}`}>
    <div>${list.map((r) => html`<${Regression} r=${r} asOf=${asOf} />`)}</div>
    <div class="regression-cause">${first.top_cause ? html`<span class="eyebrow">Most likely cause${list.length > 1 && ` of ${list.length === 2 ? "both" : `all ${list.length}`}`}</span><a class="cause-name" href=${target(first)}>${first.top_cause.title}</a><span class="cause-probability">${likely(list)} likely</span>`
      : html`<span class="note">${first.investigation ? "Investigated, no cause proven" : "Not investigated yet"}</span>`}</div></article>`;
};

const Regression = ({ r, asOf }) => html`<div class=${`regression ${r.state}`}>
    <div class="regression-what"><h3><a href=${target(r)}>${r.measure} of ${r.subject.name}</a></h3>
      ${r.measure_doc && html`<p class="note measure-doc">${r.measure_doc}</p>`}
      <p class="regression-where"><${CohortName} text=${r.cohort} /></p>
      <p class="regression-meta"><${Badge} status=${r.state} /><span>since <time datetime=${r.onset}>${f.near(r.onset, asOf)}</time>${r.closed_at ? html` until <time datetime=${r.closed_at}>${f.near(r.closed_at, asOf)}</time>` : ` (${f.ago(r.onset, asOf)})`}</span><span>${f.plural(r.sessions, "session")} hit</span></p></div>
    <div class="regression-change"><span class="big">${f.change(r.change)}</span><span class="note">${f.value(r.baseline, r.unit)} → ${f.value(r.observed, r.unit)}</span></div></div>`;

const Freshness = ({ news }) => {
  const { data, error } = useGet("/sources", {}, news);
  const refused = data?.sources.reduce((sum, s) => sum + s.refused, 0) ?? 0;
  return html`<${Section} id="fresh" title="Sources" extra=${html`<a class="more" href=${href("/sources")}>Details</a>`}>
    ${error ? html`<${Failed} error=${error} />` : !data ? html`<${Waiting} />` : !data.sources.length ? html`<${Empty}>No source has sent anything.<//>` : html`<ul class="rows">${data.sources.map((s) => { const [word, tone] = freshness(s.lag_seconds); return html`<li><span><span class=${`dot ${tone}`} aria-hidden="true"></span>${s.name}</span><span class="note">${tone === "warn" && `${word}, `}${f.ago(s.last_seen, data.as_of)}</span></li>`; })}</ul>
    <p class="note">${refused ? html`${f.plural(refused, "item")} set aside, <a href=${href("/sources")}>with reasons</a>` : "Nothing was set aside."}</p>`}<//>`;
};

const SHOWN = 10;
const Recent = ({ news }) => {
  const { data, error } = useGet("/changes", {}, news);
  const list = merged([...(data?.changes ?? [])].sort((a, b) => f.moment(b.at) - f.moment(a.at)));
  const more = list.length - SHOWN + (data?.hidden ?? 0);
  return html`<${Section} id="recent" title="Recent changes" note=${data && list.length > 0 && "last 24 hours"}>
    ${error ? html`<${Failed} error=${error} />` : !data ? html`<${Waiting} />` : list.length ? html`<ol class="changes">${list.slice(0, SHOWN).map((c) => html`<li><time datetime=${f.iso(c.at)}>${f.clock(c.at)}</time><${Mark} kind=${kindOf(c.class)} size=${16} /><a href=${href("/graph", { around: c.id, node: c.id })}>${c.text || c.name}<${Times} n=${c.times} /></a></li>`)}</ol>${more > 0 && html`<p class="note">${f.number(more)} earlier ones are not listed here.</p>`}` : html`<${Empty}>No change was reported.<//>`}<//>`;
};
