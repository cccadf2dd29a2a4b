// Home: ask, see what is worse than it was, how fresh the knowledge is, and what changed lately.
import { html } from "../vendor/preact-htm.js";
import { useGet, useNews } from "../api.js";
import * as f from "../format.js";
import { go, href } from "../route.js";
import { Badge, Empty, Failed, Mark, Section, Waiting, kindOf } from "../parts/common.js";

const EXAMPLES = [
  "Why is TV UI lolomo TTR regressing in the latest version?",
  "What changed before the last regression?",
  "Is the backend, the network or the client to blame?",
];

export const Home = () => {
  const news = useNews("regression", "investigation");
  const { data, error, loading } = useGet("/regressions", {}, news);
  const ask = (event) => { event.preventDefault(); const q = new FormData(event.target).get("q").trim(); if (q) go("/ask", { q }); };
  const open = data?.regressions.filter((r) => r.state === "open") ?? [];
  const closed = data?.regressions.filter((r) => r.state !== "open") ?? [];
  return html`<div class="page home">
    <div class="hero"><h1>What is wrong, and why?</h1>
      <form class="hero-ask" role="search" onSubmit=${ask}><label class="hidden-text" for="hero-q">Your question</label><input id="hero-q" data-ask name="q" autocomplete="off" placeholder=${EXAMPLES[0]} /><button type="submit" class="primary">Ask</button></form>
      <p class="examples"><span>Try</span> ${EXAMPLES.slice(0, 1).concat(questions(open)).slice(0, 3).map((q) => html`<a href=${href("/ask", { q })}>${q}</a>`)}</p></div>
    <div class="home-columns"><div>
      <${Section} id="open" title="Open regressions" note=${data && `${f.plural(open.length, "measure")} worse than usual`}>
        ${error ? html`<${Failed} error=${error} />` : !data && loading ? html`<${Waiting} />` : open.length ? html`<div class="regressions">${open.map((r) => html`<${Regression} r=${r} asOf=${data.as_of} />`)}</div>` : html`<${Empty}>Nothing is worse than usual.<//>`}
      <//>
      ${closed.length > 0 && html`<${Section} id="closed" title="Went away" note=${f.plural(closed.length, "regression")}><div class="regressions">${closed.map((r) => html`<${Regression} r=${r} asOf=${data.as_of} />`)}</div><//>`}
    </div><aside class="home-side"><${Freshness} news=${news} /><${Recent} news=${news} /></aside></div></div>`;
};

const questions = (open) => [...new Set(open.map((r) => `Why is ${r.measure} of ${r.subject.name} worse?`))];

const Regression = ({ r, asOf }) => {
  const to = r.investigation ? href(`/investigations/${encodeURIComponent(r.investigation)}`) : href("/ask", { q: `Why is ${r.measure} of ${r.subject.name} worse?` });
  return html`<article class=${`regression ${r.state}`}>
    <div class="regression-what"><h3><a href=${to}><span title=${r.measure_doc}>${r.measure}</span> of ${r.subject.name}</a></h3>
      <p class="regression-where">${r.cohort}</p>
      <p class="regression-meta"><${Badge} status=${r.state} /><span>since <time datetime=${r.onset}>${f.dayClock(r.onset)}</time>${r.closed_at ? html` until <time datetime=${r.closed_at}>${f.clock(r.closed_at)}</time>` : ` (${f.ago(r.onset, asOf)})`}</span><span>${f.plural(r.sessions, "session")}</span><span>${f.pValue(r.p_value)}</span></p></div>
    <div class="regression-change"><span class="big">${f.change(r.change)}</span><span class="note">${f.value(r.baseline, r.unit)} → ${f.value(r.observed, r.unit)}</span></div>
    <div class="regression-cause">${r.top_cause ? html`<span class="eyebrow">Most likely cause</span><span class="cause-name">${r.top_cause.title}</span><span class="cause-probability">${f.percent(r.top_cause.probability)} likely</span>`
      : html`<span class="note">${r.investigation ? "No cause proven" : "Not investigated yet"}</span>`}</div></article>`;
};

const Freshness = ({ news }) => {
  const { data, error } = useGet("/sources", {}, news);
  const refused = data?.sources.reduce((sum, s) => sum + s.refused, 0) ?? 0;
  return html`<${Section} id="fresh" title="Sources" extra=${html`<a class="more" href=${href("/sources")}>Details</a>`}>
    ${error ? html`<${Failed} error=${error} />` : !data ? html`<${Waiting} />` : html`<ul class="rows">${data.sources.map((s) => html`<li><span>${s.name}</span><span class="note">${f.ago(s.last_seen, data.as_of)}</span></li>`)}</ul>
    <p class="note">${refused ? html`${f.plural(refused, "item")} set aside, <a href=${href("/sources")}>with reasons</a>` : "Nothing was set aside."}</p>`}<//>`;
};

const Recent = ({ news }) => {
  const { data, error } = useGet("/changes", {}, news);
  return html`<${Section} id="recent" title="Recent changes">
    ${error ? html`<${Failed} error=${error} />` : !data ? html`<${Waiting} />` : data.changes.length ? html`<ol class="changes">${[...data.changes].sort((a, b) => f.moment(b.at) - f.moment(a.at)).slice(0, 10).map((c) => html`<li><time datetime=${f.iso(c.at)}>${f.clock(c.at)}</time><${Mark} kind=${kindOf(c.class)} size=${16} /><a href=${href("/graph", { around: c.id, node: c.id })}>${c.text || c.name}</a></li>`)}</ol>` : html`<${Empty}>No change was reported.<//>`}<//>`;
};
