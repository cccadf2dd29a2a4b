// The shell: where one is, what is asked, which page shows it, and what arrives meanwhile.
import { html, render, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { get, useEvent, useLost } from "./api.js";
import * as f from "./format.js";
import { go, href, tune, useRoute } from "./route.js";
import { learnClasses } from "./parts/common.js";
import { Home } from "./pages/home.js";
import { Asked, Investigation } from "./pages/investigation.js";
import { GraphPage } from "./pages/graph.js";
import { OntologyPage } from "./pages/ontology.js";
import { Sources } from "./pages/sources.js";

const PAGES = [
  [/^\/$/, () => html`<${Home} />`, "Home"],
  [/^\/investigations\/(.+)$/, (m) => html`<${Investigation} id=${decodeURIComponent(m[1])} />`, "Investigation"],
  [/^\/ask$/, (_, params) => html`<${Asked} question=${params.q ?? ""} at=${params.at} />`, "Answer"],
  [/^\/graph$/, (_, params) => html`<${GraphPage} params=${params} />`, "Graph"],
  [/^\/ontology$/, (_, params) => html`<${OntologyPage} params=${params} />`, "Ontology"],
  [/^\/sources$/, () => html`<${Sources} />`, "Sources"],
];
const NAV = [["/", "Regressions"], ["/graph", "Graph"], ["/ontology", "Ontology"], ["/sources", "Sources"]];

const typing = (event) => event.target.closest?.("input, textarea, select, [contenteditable]");

const App = () => {
  const { path, params } = useRoute();
  const ask = useRef(null);
  const [asOf, tick] = useState(null);
  const [ready, set] = useState(false);
  const lost = useLost();
  f.setZone(params.tz);
  useEvent("tick", (data) => tick(data.as_of));
  useEffect(() => { get("/classes").then((c) => learnClasses(c.classes), () => {}).finally(() => set(true)); }, []);
  useEffect(() => {
    const key = (event) => {
      if (event.key === "/" && !typing(event) && !event.ctrlKey && !event.metaKey) { const box = document.querySelector("[data-ask]"); event.preventDefault(); box?.focus(); box?.select(); }
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const found = PAGES.map(([pattern, page, title]) => [path.match(pattern), page, title]).find(([match]) => match);
  useEffect(() => { document.title = `${found?.[2] ?? "Not found"} · E2EGraph`; scrollTo(0, 0); }, [path]);
  const submit = (event) => {
    event.preventDefault();
    const question = ask.current.value.trim();
    if (question) go("/ask", { q: question });
  };
  const local = params.tz === "local";
  return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main").focus(); }}>Skip to content</a>
    <header class="top"><div class="top-inner">
      <a class="brand" href=${href("/")}><img src="/icon.svg" alt="" width="24" height="24" /> E2EGraph</a>
      ${path === "/" ? html`<span class="top-space"></span>` : html`<form role="search" class="ask" onSubmit=${submit}><label class="hidden-text" for="ask">Ask a question</label>
        <input id="ask" data-ask ref=${ask} type="search" autocomplete="off" placeholder="Ask why something is slow or failing" value=${params.q ?? ""} /><kbd aria-hidden="true">/</kbd><button type="submit">Ask</button></form>`}
      <nav aria-label="Pages">${NAV.map(([to, name]) => html`<a href=${href(to)} aria-current=${path === to ? "page" : undefined}>${name}</a>`)}</nav>
      <button type="button" class="small quiet zone" title=${`${f.begun(asOf) ? `The newest telemetry is of ${f.dayClock(asOf)}. ` : ""}Switch between UTC and local time`} onClick=${() => tune({ tz: local ? undefined : "local" })}>${f.begun(asOf) ? `${f.clock(asOf)} ${local ? "local" : "UTC"}` : "no data yet"}</button>
    </div></header>
    <div class="lost" role="status">${lost && html`<p><b>No connection to the server.</b> What you see may be old${f.begun(asOf) ? html`; it is as of ${f.clock(asOf)} ${f.zoneName()}` : ""}. It is tried again every few seconds.</p>`}</div>
    <main id="main" tabindex="-1">${!ready ? null : found ? found[1](found[0], params) : html`<div class="page"><h1>There is no such page</h1><p class="lede"><a href=${href("/")}>To the list of regressions</a></p></div>`}</main>`;
};

render(html`<${App} />`, document.getElementById("app"));
