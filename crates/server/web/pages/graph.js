// The graph: what surrounds a thing at a moment, how that differs from another moment, as a map and as tables.
import { html, useEffect, useMemo, useState } from "../vendor/preact-htm.js";
import { useGet } from "../api.js";
import * as f from "../format.js";
import { href, parse, tune } from "../route.js";
import { Empty, Entity, Failed, Mark, Waiting, docOf, kindRank, nameOfKind } from "../parts/common.js";
import { CHANGE, GraphMap, saying } from "../parts/map.js";
import { Timeline } from "../parts/timeline.js";

/// More nodes than this are hard to take in at once.
const MANY = 60;
/// What E2EGraph itself writes into the graph about a regression. It appears with every regression, so a comparison would be full
/// of it; it is kept off the map until it is asked for.
const OWN = new Set(["Regression", "Snapshot", "Prediction", "Hypothesis"]);
const measured = (figures) => Object.values(figures ?? {}).some((v) => Number.isFinite(v));
/// What had figures at the other moment was there: it came within reach of the centre, and is not new.
const tidy = (map) => map && {
  ...map, nodes: map.nodes.map((n) => ({ ...n, kind: OWN.has(n.class) ? "own" : n.kind, change: n.change === "added" && measured(n.before) ? "same" : n.change })),
};
/// What is connected with the centre over the nodes that are kept.
const reach = (map, from, keep) => {
  const next = new Map();
  for (const e of map.edges) for (const [a, b] of [[e.from, e.to], [e.to, e.from]]) next.set(a, [...(next.get(a) ?? []), b]);
  const seen = new Set([from]);
  for (const id of seen) for (const other of next.get(id) ?? []) if (keep.has(other)) seen.add(other);
  return seen;
};
/// The nodes of the kinds that are shown, without those that hang on the rest by a hidden one only.
const ofKinds = (map, around, hidden) => {
  const kept = map.nodes.filter((n) => n.id === around || !hidden.has(n.kind));
  const everything = reach(map, around, new Set(map.nodes.map((n) => n.id)));
  const still = reach(map, around, new Set(kept.map((n) => n.id)));
  return kept.filter((n) => still.has(n.id) || !everything.has(n.id));
};
const typing = (event) => event.target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select");

export const GraphPage = ({ params }) => {
  const start = useGet(params.around ? null : "/regressions", {});
  const around = params.around || (start.data?.regressions.find((r) => r.state === "open") ?? start.data?.regressions[0])?.subject.id || null;
  const hops = Number(params.hops ?? 2);
  const { data, error, loading, retry } = useGet(around === null ? null : "/graph/map", { around, hops, at: params.at, compare: params.compare });
  const map = useMemo(() => tidy(data), [data]);
  const hide = params.hide ?? "own";
  const hiddenKinds = new Set(hide.split(",").filter((kind) => kind && kind !== "none"));
  const table = params.view === "table";
  // Where much is drawn beside another moment, what did not change stays aside until it is asked for.
  const much = Boolean(params.compare) && (map?.nodes.length ?? 0) > MANY && map.nodes.some((n) => n.change !== "same");
  const onlyChanged = params.changed === undefined ? much : params.changed === "1";
  const marks = map ? [...map.marks].sort((a, b) => f.moment(a.at) - f.moment(b.at)) : [];
  // Keys may come faster than pages are drawn, so what holds is what the address says.
  const step = (direction) => {
    const now = f.moment(parse(location.hash).params.at ?? map.at);
    const next = direction > 0 ? marks.find((m) => f.moment(m.at) > now) : [...marks].reverse().find((m) => f.moment(m.at) < now);
    if (next) tune({ at: f.iso(next.at) });
  };
  const compare = () => tune({ compare: parse(location.hash).params.compare ? undefined : f.iso(healthyMoment(map, marks)) });
  useEffect(() => {
    const key = (event) => {
      if (!map || typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "[") step(-1);
      if (event.key === "]") step(1);
      if (event.key === "d") compare();
      if (event.key === "Escape" && params.node) tune({ node: undefined });
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  });
  const kinds = map ? [...new Set(map.nodes.map((n) => n.kind))].sort((a, b) => kindRank(a) - kindRank(b)) : [];
  const changedEnds = new Set((map?.edges ?? []).filter((e) => e.change !== "same").flatMap((e) => [e.from, e.to]));
  const all = useMemo(() => (map ? ofKinds(map, around, hiddenKinds) : []), [map, around, hide]);
  const nodes = useMemo(() => all.filter((n) => n.id === around || !onlyChanged || n.change !== "same" || changedEnds.has(n.id)), [all, around, onlyChanged]);
  const shown = useMemo(() => {
    const ids = new Set(nodes.map((n) => n.id));
    return map && { ...map, nodes, edges: map.edges.filter((e) => ids.has(e.from) && ids.has(e.to)) };
  }, [map, nodes]);
  const centre = map?.nodes.find((n) => n.id === around);
  const toggleKind = (k) => { hiddenKinds.has(k) ? hiddenKinds.delete(k) : hiddenKinds.add(k); tune({ hide: [...hiddenKinds].join(",") || "none" }); };
  return html`<div class="page graph-page">
    <div class="graph-head"><div><h1>${centre ? centre.name : "Graph"}</h1><p class="note">${centre ? html`${centre.class}, and what lies within ${f.plural(hops, "step")}` : "Choose what to look around"}</p></div><${Finder} /></div>
    ${error && html`<${Failed} error=${error} again=${retry} />`}${start.error && html`<${Failed} error=${start.error} again=${start.retry} />`}${around === null && start.data && (f.begun(start.data.as_of) ? html`<${Empty}>There is no regression to start from. Find a thing above by a part of its name.<//>` : html`<${Empty}>No telemetry has arrived yet, so the graph is empty. <a href=${href("/sources")}>Sources</a> shows what arrives.<//>`)}${around !== null && !map && loading && html`<${Waiting} />`}
    ${map && html`
      <${Timeline} map=${map} marks=${marks} at=${params.at ?? map.at} compare=${params.compare} step=${step} toggle=${compare} />
      ${params.compare && html`<${Summary} map=${shown} />`}
      <div class="filters"><fieldset class="kinds"><legend class="hidden-text">Kinds shown</legend>${kinds.map((k) => html`<label class="chip"><input type="checkbox" checked=${!hiddenKinds.has(k)} onChange=${() => toggleKind(k)} /><${Mark} kind=${k} size=${15} />${nameOfKind(k)} <span class="note">${map.nodes.filter((n) => n.kind === k).length}</span></label>`)}</fieldset>
        <label class="chip"><input type="checkbox" checked=${onlyChanged} onChange=${() => tune({ changed: onlyChanged ? "0" : "1" })} />Only what changed</label>
        <label class="inline">Steps <select value=${String(hops)} onChange=${(e) => tune({ hops: e.target.value })}>${["1", "2", "3"].map((h) => html`<option value=${h} selected=${Number(h) === hops}>${h}</option>`)}</select></label>
        <div class="switch" role="group" aria-label="View"><button type="button" aria-pressed=${!table} onClick=${() => tune({ view: undefined })}>Map</button><button type="button" aria-pressed=${table} onClick=${() => tune({ view: "table" })}>Table</button></div></div>
      <div class=${`graph-body ${params.node ? "with-panel" : ""}`}>
        ${table ? html`<${Tables} map=${shown} />` : html`<${GraphMap} map=${shown} all=${all} chosen=${params.node} centre=${around} choose=${(id) => tune({ node: params.node === id ? undefined : id })} />`}
        ${params.node && html`<${Panel} id=${params.node} map=${map} at=${params.at} around=${around} />`}</div>
      <p class="note graph-foot">${f.plural(nodes.length, "node")} and ${f.plural(shown.edges.length, "edge")} shown${map.nodes.length > nodes.length ? `, ${map.nodes.length - nodes.length} hidden by the filters above` : ""}${map.hidden ? `, ${f.number(map.hidden)} more left out because they matter least` : ""}. <span class="keys">Keys: <kbd>[</kbd> <kbd>]</kbd> step through events, <kbd>d</kbd> compare, arrows go from node to node, <kbd>Enter</kbd> opens one, <kbd>Esc</kbd> closes it. Ctrl and wheel zoom.</span></p>`}
  </div>`;
};

/// The moment that is compared with when none was named: just before things turned, else the start.
const healthyMoment = (map, marks) => {
  const turn = marks.find((m) => m.kind === "Regression");
  return turn ? Math.max(f.moment(map.span.from), f.moment(turn.at) - 300000) : f.moment(map.span.from);
};

const Summary = ({ map }) => {
  const count = (list, change) => list.filter((x) => x.change === change).length;
  const none = (c) => !count(map.nodes, c) && !count(map.edges, c);
  return html`<ul class="diff-summary">${["worse", "better", "added", "removed"].map((c) => html`<li class=${none(c) ? "nothing" : c}><span class="sign" aria-hidden="true">${CHANGE[c][0]}</span> <b>${count(map.nodes, c)}</b> ${count(map.nodes, c) === 1 ? "node" : "nodes"}, <b>${count(map.edges, c)}</b> ${count(map.edges, c) === 1 ? "edge" : "edges"} ${CHANGE[c][1]}</li>`)}
    <li class="note">${f.clock(map.at)} against ${f.clock(map.compare)}</li></ul>`;
};

const Finder = () => {
  const [text, set] = useState("");
  const { data } = useGet(text.trim().length > 1 ? "/graph/find" : null, { q: text.trim() });
  const found = text.trim().length > 1 ? data?.nodes : null;
  const list = found?.slice(0, 8) ?? [];
  const more = found ? found.length - list.length + (data.hidden ?? 0) : 0;
  return html`<div class="finder"><label for="find">Look around</label><input id="find" type="search" autocomplete="off" placeholder="a service, version, host…" value=${text} onInput=${(e) => set(e.target.value)} />
    ${list.length > 0 && html`<ul class="found" onClick=${() => set("")}>${list.map((n) => html`<li><${Entity} entity=${n} /></li>`)}${more > 0 && html`<li class="note found-more">${f.number(more)} more; type further to narrow them down</li>`}</ul>`}${found?.length === 0 && html`<p class="found note" role="status">Nothing is called that.</p>`}</div>`;
};

const figure = (v, unit) => (v === null || v === undefined ? "–" : unit === "level" ? f.level(v) : f.value(v, unit));
const ROWS = [["latency_ms", "Latency", "ms"], ["error_ratio", "Errors", "ratio"], ["rate", "Rate", "/min"], ["level", "Level", "level"]];

const Tables = ({ map }) => {
  const names = new Map(map.nodes.map((n) => [n.id, n.name]));
  const here = parse(location.hash).params;
  const rank = { worse: 0, added: 1, removed: 1, better: 2, same: 3 };
  const nodes = [...map.nodes].sort((a, b) => rank[a.change] - rank[b.change] || b.score - a.score);
  const edges = [...map.edges].sort((a, b) => rank[a.change] - rank[b.change]);
  const pair = (now, before, unit) => (before !== null && before !== undefined && before !== now ? `${figure(before, unit)} → ${figure(now, unit)}` : figure(now, unit));
  const change = (c) => html`<td class=${`change ${c}`}><span aria-hidden="true">${CHANGE[c][0]}</span> ${CHANGE[c][1]}</td>`;
  return html`<div class="tables"><div class="scroll" tabindex="0" role="region" aria-label="Nodes"><table class="plain"><caption>Nodes</caption><thead><tr><th scope="col">Class</th><th scope="col">Name</th><th scope="col">Change</th><th scope="col" class="num">Latency</th><th scope="col" class="num">Errors</th><th scope="col" class="num">Rate</th><th scope="col" class="num">Level</th></tr></thead>
    <tbody>${nodes.map((n) => html`<tr><td>${n.class}</td><th scope="row"><a href=${href("/graph", { ...here, node: n.id })}>${n.name}</a></th>${change(n.change)}${ROWS.map(([k, , unit]) => html`<td class="num">${pair(n.figures?.[k], n.before?.[k], unit)}</td>`)}</tr>`)}</tbody></table></div>
    <div class="scroll" tabindex="0" role="region" aria-label="Edges"><table class="plain"><caption>Edges</caption><thead><tr><th scope="col">From</th><th scope="col">Relation</th><th scope="col">To</th><th scope="col">Change</th><th scope="col" class="num">Latency</th><th scope="col" class="num">Errors</th><th scope="col" class="num">Rate</th></tr></thead>
    <tbody>${edges.map((e) => html`<tr><td>${names.get(e.from)}</td><td>${e.relation.replaceAll("_", " ")}</td><td>${names.get(e.to)}</td>${change(e.change)}${ROWS.slice(0, 3).map(([k, , unit]) => html`<td class="num">${pair(e.figures?.[k], e.before?.[k], unit)}</td>`)}</tr>`)}</tbody></table></div></div>`;
};

const Panel = ({ id, map, at, around }) => {
  const { data, error } = useGet("/graph/show", { id, at });
  const node = map.nodes.find((n) => n.id === id);
  const shut = html`<button type="button" class="small quiet shut" aria-label="Close the panel" onClick=${() => tune({ node: undefined })}>✕</button>`;
  if (error) return html`<aside class="panel" aria-label="Node">${shut}<${Failed} error=${error} /></aside>`;
  if (!data) return html`<aside class="panel" aria-label="Node">${shut}<${Waiting} /></aside>`;
  const say = node && saying(node.figures, node.before);
  const text = (v) => (v !== null && typeof v === "object" ? JSON.stringify(v) : String(v));
  return html`<aside class="panel" aria-label="Node">${shut}<p class="eyebrow" title=${docOf(data.class)}>${data.class}</p><h2>${data.name}</h2>
    ${node && node.change !== "same" && html`<p class=${`change ${node.change}`}><span aria-hidden="true">${CHANGE[node.change][0]}</span> ${CHANGE[node.change][1]}${say && `: ${say}`}</p>`}
    ${node && ROWS.some(([k]) => Number.isFinite(node.figures?.[k])) && html`<table class="plain small-table"><thead><tr><td></td><th scope="col" class="num">${f.clock(map.at)}</th>${node.before && html`<th scope="col" class="num">${f.clock(map.compare)}</th>`}</tr></thead><tbody>${ROWS.filter(([k]) => Number.isFinite(node.figures?.[k])).map(([k, name, unit]) => html`<tr><th scope="row">${name}</th><td class="num">${figure(node.figures[k], unit)}</td>${node.before && html`<td class="num">${figure(node.before[k], unit)}</td>`}</tr>`)}</tbody></table>`}
    <dl>${Object.entries(data.attrs).map(([k, v]) => html`<dt>${k}</dt><dd>${text(v)}</dd>`)}<dt>first seen</dt><dd>${f.dayClock(data.first_seen)}</dd><dt>last seen</dt><dd>${f.dayClock(data.last_seen)}</dd></dl>
    ${data.relations.length > 0 && html`<h3>Relations</h3><ul class="relations">${data.relations.slice(0, 40).map((r) => html`<li><span class="note">${r.direction === "in" ? "←" : "→"} ${r.relation.replaceAll("_", " ")}</span> <a href=${href("/graph", { ...parse(location.hash).params, around, node: r.node.id })}>${r.node.name}</a></li>`)}</ul>${data.relations.length + (data.hidden ?? 0) > 40 && html`<p class="note">${f.number(data.relations.length + (data.hidden ?? 0) - 40)} more relations are not listed</p>`}`}
    ${data.sources?.length > 0 && html`<h3>Told by</h3><ul class="relations">${data.sources.map((s) => html`<li>${typeof s === "string" ? s : html`${s.name} <span class="note">${f.dayClock(s.last_seen)}</span>`}</li>`)}</ul>`}
    ${id !== around && html`<p><a class="button" href=${href("/graph", { around: id, at, compare: map.compare, node: id })}>Look around this</a></p>`}</aside>`;
};
