// The ontology: what may exist, how it relates, how faults travel, which source tells what; of each what was seen.
import { html, useEffect, useMemo, useState } from "../vendor/preact-htm.js";
import { useGet, useNews } from "../api.js";
import * as f from "../format.js";
import { href, parse, tune } from "../route.js";
import { Empty, Failed, Mark, Section, Waiting, nameOfKind } from "../parts/common.js";
import { Lanes } from "../parts/lanes.js";
import { faultLines, grouped, indexed, lines, relationsOf, travel } from "../parts/words.js";

const VIEWS = [["map", "Map"], ["faults", "How faults travel"], ["tables", "Tables"], ["sources", "Sources"]];
const typing = (event) => event.target.closest?.("input:not([type=checkbox]), textarea, select");
const plain = (relation) => relation.replaceAll("_", " ");
const toClass = (name) => href("/ontology", { ...parse(location.hash).params, view: undefined, class: name });
const ClassLink = ({ name, index }) => (index.classes.get(name)?.abstract ? html`<span title=${index.classes.get(name).doc}>any ${name}</span>` : html`<a href=${toClass(name)}>${name}</a>`);
const when = (v, asOf) => (v ? f.ago(v, asOf) : "never");
const delay = (from, to) => (to === 0 ? "at once" : from === to ? f.length(to) : `${from === 0 ? "0" : f.length(from)} to ${f.length(to)}`);

export const OntologyPage = ({ params }) => {
  const news = useNews("tick");
  const { data, error, retry } = useGet("/ontology", {}, Math.floor(news / 6));
  const index = useMemo(() => data && indexed(data), [data]);
  useEffect(() => {
    const key = (event) => { if (event.key === "Escape" && params.class && !typing(event)) tune({ class: undefined }); };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [params.class]);
  if (!data) return html`<div class="page"><h1>Ontology</h1>${error ? html`<${Failed} error=${error} again=${retry} />` : html`<${Waiting} />`}</div>`;
  const view = VIEWS.some(([v]) => v === params.view) ? params.view : "map";
  const concrete = data.classes.filter((c) => !c.abstract);
  const seen = concrete.filter((c) => c.count).length;
  const chosen = index.classes.has(params.class) ? params.class : undefined;
  const Shown = { map: MapView, faults: FaultView, tables: TableView, sources: SourceView }[view];
  return html`<div class="page ontology-page">
    <div class="graph-head"><div><h1>Ontology</h1><p class="note">${data.name} ${data.version}: ${f.plural(concrete.length, "class", "classes")} in ${data.namespaces.filter((n) => concrete.some((c) => c.namespace === n)).length} namespaces, ${f.plural(data.relations.length, "relation")}, ${f.plural(data.measures.length, "measure")}. Things of ${seen === concrete.length ? "every class" : f.plural(seen, "class", "classes")} and ${f.plural(data.relations.filter((r) => r.count).length, "relation")} were seen.</p></div>
      <div class="switch" role="group" aria-label="View">${VIEWS.map(([v, name]) => html`<button type="button" aria-pressed=${v === view} onClick=${() => tune({ view: v === "map" ? undefined : v })}>${name}</button>`)}</div></div>
    ${error && html`<${Failed} error=${error} again=${retry} />`}
    <${Shown} index=${index} chosen=${chosen} params=${params} /></div>`;
};

/// What is written on the chips around a class: by which relations they are joined with it, and which way.
const around = (all, name) => {
  const said = new Map();
  const add = (id, text) => said.set(id, [...(said.get(id) ?? []), text]);
  add(name);
  for (const l of all) {
    if (l.from === name && l.to === name) add(name, `↻ ${plain(l.relation)}`);
    else if (l.from === name) add(l.to, `← ${plain(l.relation)}`);
    else if (l.to === name) add(l.from, `${plain(l.relation)} →`);
  }
  return new Map([...said].map(([id, texts]) => [id, { text: texts.filter(Boolean).join(", "), tone: id === name ? "" : "near" }]));
};
/// Several relations between two classes are lines beside each other.
const spread = (list) => {
  const times = new Map();
  return list.map((l) => { const key = `${l.from} ${l.to}`; const n = times.get(key) ?? 0; times.set(key, n + 1); return { ...l, bend: (n % 2 ? -1 : 1) * (1 + Math.floor(n / 2) * 0.7) }; });
};

const MapView = ({ index, chosen, params }) => {
  const [over, point] = useState(null);
  const all = useMemo(() => lines(index), [index]);
  const everything = params.all === "1";
  const focus = over ?? chosen;
  const said = useMemo(() => (focus ? around(all, focus) : new Map()), [all, focus]);
  const drawn = useMemo(() => spread([...(everything ? all.filter((l) => l.count && l.from !== focus && l.to !== focus).map((l) => ({ ...l, faint: true })) : []), ...all.filter((l) => focus && (l.from === focus || l.to === focus))].map((l) => ({ ...l, tone: l.count ? "seen" : "unseen" }))), [all, focus, everything]);
  const choose = (id) => tune({ class: chosen === id ? undefined : id });
  return html`<div class="filters"><p class="note lane-note">Each box is a class, with how many things of it were seen. Point at one or choose it to see what it is joined with: a full line was seen, a broken one only may be.</p>
      <label class="chip"><input type="checkbox" checked=${everything} onChange=${() => tune({ all: everything ? undefined : "1" })} />Draw every relation that was seen</label></div>
    <div class="lane-body"><${Lanes} o=${index.o} drawn=${drawn} said=${said} chosen=${chosen} choose=${choose} pointed=${point} label="Map of the classes; arrow keys go from class to class, Enter chooses one; the same as tables under “Tables”" />
      ${chosen ? html`<${ClassPanel} index=${index} cls=${index.classes.get(chosen)} />` : html`<${Overview} index=${index} />`}</div>
    <p class="note graph-foot"><span class="keys">Keys: arrows go from class to class, <kbd>Enter</kbd> chooses one, <kbd>Esc</kbd> lets it go.</span></p>`;
};

const Overview = ({ index }) => {
  const never = index.o.classes.filter((c) => !c.abstract && !c.count);
  const lacking = never.filter((c) => c.given_by.length);
  const list = (all) => html`<p class="class-list">${all.map((c) => html`<a href=${toClass(c.name)}>${c.name}</a> `)}</p>`;
  return html`<aside class="panel" aria-label="Overview"><h2>Choose a class</h2><p class="note">Here stand its keys, attributes, relations and measures, and which source tells of it.</p>
    ${lacking.length > 0 && html`<h3>Never seen, though a source would give it</h3>${list(lacking)}`}
    ${never.length > lacking.length && html`<h3>Never seen, and no source gives it</h3><p class="note">E2EGraph writes some of these itself, such as regressions.</p>${list(never.filter((c) => !c.given_by.length))}`}
    ${!never.length && html`<p>Things of every class were seen.</p>`}</aside>`;
};

const Fed = ({ index, names, of }) => {
  const { as_of: asOf } = index.o;
  return html`<table class="plain small-table fed"><thead><tr><th scope="col">Source</th><th scope="col">Comes by</th><th scope="col" class="num">Told of</th></tr></thead><tbody>${names.map((name) => {
    const s = index.sources.get(name);
    const count = of(s);
    return html`<tr class=${count ? "" : "never"}><th scope="row">${name}</th><td>${s.inlets.map((i) => html`<span>${i} <span class="note">${when(index.inlets.get(i)?.last_seen, asOf)}</span></span> `)}</td><td class="num">${count ? f.number(count) : "–"}</td></tr>`;
  })}</tbody></table>`;
};

const RelationList = ({ index, title, list, out }) => (list.length ? html`<h3>${title}</h3><ul class="relations">${list.map((x) => html`<li class=${x.count ? "" : "never"}><b>${out ? "→" : "←"} ${plain(x.relation)}</b> ${x.seen.length ? x.seen.map((s, i) => html`${i > 0 && ", "}<${ClassLink} name=${s.name} index=${index} /> <span class="note">${f.number(s.count)}</span>`) : html`${x.others.map((n, i) => html`${i > 0 && ", "}<${ClassLink} name=${n} index=${index} />`)} <span class="note">never seen</span>`}${x.derived && html` <span class="note">(concluded)</span>`}</li>`)}</ul>` : null);

const ClassPanel = ({ index, cls }) => {
  const { o, above } = index;
  const { out, into } = useMemo(() => relationsOf(index, cls.name), [index, cls]);
  const own = new Set(above(cls.name));
  const measures = o.measures.filter((m) => own.has(m.of));
  const key = (k) => k.map((p) => (index.relations.has(p) ? plain(p) : p)).join(" + ");
  return html`<aside class="panel" aria-label="Class"><button type="button" class="small quiet shut" aria-label="Let the class go" onClick=${() => tune({ class: undefined })}>✕</button>
    <p class="eyebrow"><${Mark} kind=${cls.namespace} size=${14} /> ${nameOfKind(cls.namespace)}${above(cls.name).slice(1, -1).map((n) => html` · a kind of ${n}`)}</p><h2>${cls.name}</h2>${cls.doc && html`<p>${cls.doc}</p>`}
    <dl><dt>seen</dt><dd>${cls.count ? html`<b>${f.number(cls.count)}</b>, last ${when(cls.last_seen, o.as_of)}` : "never"}${cls.grain === "sampled" && html` <span class="note">(kept for a while, then counted only)</span>`}</dd>
      <dt>known by</dt><dd>${cls.keys.map((k, i) => html`${i > 0 && html`<span class="note"> or </span>`}<code>${key(k)}</code>`)}</dd>
      ${cls.names.length > 0 && html`<dt>also called</dt><dd>${cls.names.join(", ")}</dd>`}<dt>attributes</dt><dd>${cls.attrs.map((a, i) => html`${i > 0 && ", "}<span title=${a.type}>${a.name}</span> <span class="note">${a.type.length > 24 ? "one of" : a.type}</span>`)}</dd></dl>
    <h3>Told by</h3>${cls.given_by.length ? html`<${Fed} index=${index} names=${cls.given_by} of=${(s) => s.classes.find((c) => c.name === cls.name)?.count} />` : html`<p class="note">No source of the mapping gives it${cls.count ? "; it is written here" : ""}.</p>`}
    <${RelationList} index=${index} title="Leads to" list=${out} out=${true} /><${RelationList} index=${index} title="Led to by" list=${into} />
    ${measures.length > 0 && html`<h3>Measures</h3><ul class="relations">${measures.map((m) => html`<li class=${m.count ? "" : "never"} title=${m.doc}><b>${m.name}</b> <span class="note">${[m.unit === "1" ? m.kind : `${m.kind} in ${m.unit}`, m.better === "steady" ? "steady is good" : `${m.better} is better`, m.count ? `on ${f.number(m.count)}` : "never seen"].join(", ")}</span></li>`)}</ul>`}
    <p class="panel-more"><a class="button" href=${href("/ontology", { view: "faults", class: cls.name })}>Where its faults go</a></p></aside>`;
};

const Select = ({ label, value, options, none, pick }) => html`<label class="inline">${label} <select value=${value ?? ""} onChange=${(e) => pick(e.target.value || undefined)}><option value="" selected=${!value}>${none}</option>${options.map(([group, names]) => (group ? html`<optgroup label=${group}>${names.map((n) => html`<option value=${n} selected=${n === value}>${n}</option>`)}</optgroup>` : names.map((n) => html`<option value=${n} selected=${n === value}>${n}</option>`)))}</select></label>`;

const FaultView = ({ index, chosen, params }) => {
  const { o } = index;
  const aspect = o.aspects.some((a) => a.name === params.aspect) ? params.aspect : undefined;
  const start = chosen && !index.classes.get(chosen).abstract ? chosen : undefined;
  const reach = useMemo(() => (start ? travel(index, start, aspect) : []), [index, start, aspect]);
  const all = useMemo(() => faultLines(index).filter((l) => !aspect || l.aspects.includes(aspect)), [index, aspect]);
  const said = useMemo(() => new Map(start ? [[start, { text: aspect ? `begins: ${aspect}` : "begins here", tone: "source" }], ...reach.map((r) => [r.at, { text: `${f.percent(r.weight)} ${r.aspect}`, tone: r.weight >= 0.3 ? "hit strong" : "hit" }])] : []), [start, reach, aspect]);
  const drawn = useMemo(() => {
    const steps = new Map();
    for (const r of reach) { const s = r.steps.at(-1); steps.set(`${s.from} ${s.to}`, { ...s, tone: "trouble", faint: r.weight < 0.1 }); }
    if (!start && aspect) for (const l of all) for (const a of index.kinds.get(l.from)) for (const b of index.kinds.get(l.to)) if (!index.classes.get(l.from).abstract && !index.classes.get(l.to).abstract) steps.set(`${a} ${b}`, { relation: l.relation, from: a, to: b, tone: "trouble", faint: true });
    return spread([...steps.values()]);
  }, [reach, start, aspect, all]);
  const turn = o.aspects.find((a) => a.name === aspect)?.becomes ?? [];
  const groups = o.namespaces.map((n) => [f.sentence(nameOfKind(n)), o.classes.filter((c) => c.namespace === n && !c.abstract).map((c) => c.name)]).filter(([, names]) => names.length);
  const choose = (id) => tune({ class: start === id ? undefined : id });
  return html`<div class="filters"><${Select} label="Kind of trouble" value=${aspect} none="any" options=${[["", o.aspects.map((a) => a.name)]]} pick=${(v) => tune({ aspect: v })} />
      <${Select} label="begins at" value=${start} none="choose a class" options=${groups} pick=${(v) => tune({ class: v })} />
      <p class="note lane-note">${start ? `${f.sentence(aspect ?? "trouble")} of one ${start} can reach ${f.plural(reach.length, "class", "classes")}. Percentages are the chances that the ontology starts from, multiplied along the best way.` : aspect ? `${f.plural(all.length, "way")} carry ${aspect}. Choose where it begins to see how far it goes.` : "Choose a class, here or on the map, to see where its trouble can go."}${turn.length ? ` On one thing, ${aspect} turns into ${turn.map((b) => `${b.aspect} (${f.percent(b.weight)})`).join(", ")}.` : ""}</p></div>
    <div class="lane-body"><${Lanes} o=${o} drawn=${drawn} said=${said} chosen=${start} choose=${choose} pointed=${() => {}} label="Map of where trouble can go; arrow keys go from class to class, Enter starts at one; the same as a list beside it" />
      <aside class="panel" aria-label="Where it goes">${start ? html`<h2>From ${start}</h2>${reach.length ? html`<ol class="reach">${reach.map((r) => html`<li><b>${f.percent(r.weight)}</b> <span><a href=${href("/ontology", { ...params, class: r.at })}>${r.at}</a> <span class="note">as ${r.aspect}, ${delay(...r.delay)}</span><br /><span class="note">${[start, ...r.steps.flatMap((s) => [`–${plain(s.relation)}–`, s.to])].join(" ")}</span></span></li>`)}</ol>` : html`<${Empty}>By what the ontology says, it goes nowhere.<//>`}` : html`<h2>Where it goes</h2><p class="note">Nothing is chosen yet.</p>`}</aside></div>
    <${Section} id="fault-lines" title="Every way that faults take" note=${aspect ? `that carries ${aspect}` : "the starting chance, before anything is learned"}><div class="scroll" tabindex="0" role="region" aria-label="Ways of faults"><table class="plain"><thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Along</th><th scope="col" class="num">Chance</th><th scope="col">After</th><th scope="col">Carries</th><th scope="col">Relation seen</th></tr></thead>
      <tbody>${grouped(all).map((l) => html`<tr class=${l.seen ? "" : "never"}><td><${ClassLink} name=${l.from} index=${index} /></td><td>${l.to.map((to, i) => html`${i > 0 && ", "}<${ClassLink} name=${to} index=${index} />`)}</td><td>${l.travel === "to_source" ? "against" : "along"} ${plain(l.relation)}</td><td class="num">${f.percent(l.prior)}</td><td>${delay(l.delay_min_secs, l.delay_max_secs)}</td><td>${l.aspects.join(", ")}</td><td>${l.seen ? "yes" : "never"}</td></tr>`)}</tbody></table></div><//>`;
};

const Filter = ({ params, what }) => html`<label class="inline">Filter <input class="filter" type="search" placeholder=${what} value=${params.filter ?? ""} onInput=${(e) => tune({ filter: e.target.value || undefined })} /></label>`;
const fits = (q) => { const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean); return (...texts) => { const all = texts.flat(3).join(" ").toLowerCase(); return words.every((w) => all.includes(w)); }; };

const TableView = ({ index, params }) => {
  const { o } = index;
  const fit = fits(params.filter);
  const classes = o.classes.filter((c) => fit(c.name, nameOfKind(c.namespace), c.doc, c.names, c.attrs.map((a) => a.name), c.given_by));
  const relations = o.relations.filter((r) => fit(r.name, plain(r.name), r.arrows, r.given_by, r.faults.map((x) => x.aspects)));
  const measures = o.measures.filter((m) => fit(m.name, m.of, m.aspect, m.doc, m.given_by));
  const none = html`<${Empty}>Nothing here fits the filter.<//>`;
  const by = (x) => x.told_by?.map((t, i) => html`${i > 0 && ", "}${t.name} <span class="note">${f.number(t.count)}</span>`);
  return html`<div class="filters"><${Filter} params=${params} what="a class, relation, measure, source…" /></div>
    <${Section} id="t-classes" title="Classes" note=${f.plural(classes.length, "row")}>${classes.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Table of classes"><table class="plain"><thead><tr><th scope="col">Class</th><th scope="col">Namespace</th><th scope="col" class="num">Seen</th><th scope="col">Last</th><th scope="col">Told by</th><th scope="col">Known by</th></tr></thead>
      <tbody>${classes.map((c) => html`<tr class=${c.count || c.abstract ? "" : "never"}><th scope="row" title=${c.doc}>${c.abstract ? c.name : html`<${ClassLink} name=${c.name} index=${index} />`}</th><td>${c.abstract ? "general" : nameOfKind(c.namespace)}</td><td class="num">${c.abstract ? "" : f.number(c.count ?? 0)}</td><td class="soon">${c.abstract ? "" : when(c.last_seen, o.as_of)}</td><td>${by(c)}</td><td>${c.keys.map((k) => k.map(plain).join(" + ")).join(" or ")}</td></tr>`)}</tbody></table></div>` : none}<//>
    <${Section} id="t-relations" title="Relations" note=${f.plural(relations.length, "row")}>${relations.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Table of relations"><table class="plain"><thead><tr><th scope="col">Relation</th><th scope="col">From → to</th><th scope="col">Holds</th><th scope="col" class="num">Seen</th><th scope="col">Told by</th><th scope="col">Faults</th></tr></thead>
      <tbody>${relations.map((r) => html`<tr class=${r.count ? "" : "never"}><th scope="row" title=${r.rules.join("\n")}>${plain(r.name)}${r.derived && html` <span class="note">(concluded)</span>`}</th><td>${[...new Map(r.arrows.map(([a, b]) => [a, []])).keys()].map((a, i) => html`${i > 0 && html`<br />`}${a} → ${r.arrows.filter((x) => x[0] === a).map((x) => x[1]).join(", ")}`)}</td><td>${{ fixed: "for good", while: "for a while", flow: "as traffic" }[r.holds]}</td><td class="num">${f.number(r.count ?? 0)}</td><td>${by(r)}</td><td>${r.faults.map((x) => html`<div>${x.travel === "to_source" ? "←" : "→"} ${f.percent(x.prior)} <span class="note">${x.aspects.join(", ")}</span></div>`)}</td></tr>`)}</tbody></table></div>` : none}<//>
    <${Section} id="t-measures" title="Measures" note=${f.plural(measures.length, "row")}>${measures.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Table of measures"><table class="plain"><thead><tr><th scope="col">Measure</th><th scope="col">Of</th><th scope="col">Kind</th><th scope="col">Better</th><th scope="col" class="num">Carried by</th><th scope="col">Told by</th><th scope="col">What it is</th></tr></thead>
      <tbody>${measures.map((m) => html`<tr class=${m.count ? "" : "never"}><th scope="row">${m.name}</th><td><${ClassLink} name=${m.of} index=${index} /></td><td>${m.kind}${m.unit !== "1" ? ` in ${m.unit}` : ""}, ${m.show}</td><td>${m.better}</td><td class="num">${f.number(m.count)}</td><td>${m.given_by.join(", ")}</td><td>${m.doc || html`<span class="note">${m.aspect}</span>`}</td></tr>`)}</tbody></table></div>` : none}<//>`;
};

const SourceView = ({ index, params }) => {
  const { o } = index;
  const fit = fits(params.filter);
  const rows = o.sources.filter((s) => fit(s.name, s.inlets, s.reads, s.classes.map((c) => c.name), s.relations, s.measures.map((m) => m.name), s.seen ? "seen" : "never seen"));
  const aside = o.inlets.filter((i) => i.refused > 0);
  const given = (list) => list.map((c, i) => html`${i > 0 && ", "}<span class=${c.count ? "" : "never-word"}>${c.name}</span>${c.count ? html` <span class="note">${f.number(c.count)}</span>` : ""}`);
  return html`<div class="filters"><${Filter} params=${params} what="a source, class, measure, “never seen”…" /><p class="note lane-note">A source of the mapping reads one kind of record. Numbers say how many things its way in told of; what is grey was never seen from it.</p></div>
    <${Section} id="s-sources" title="Which source tells what" note=${f.plural(rows.length, "source")}>${rows.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Sources of the mapping"><table class="plain"><thead><tr><th scope="col">Source</th><th scope="col">Comes by</th><th scope="col">Last seen</th><th scope="col">Classes</th><th scope="col">Measures</th></tr></thead>
      <tbody>${rows.map((s) => html`<tr class=${s.seen ? "" : "never"}><th scope="row">${s.name}</th><td>${s.inlets.join(", ")} <span class="note">${s.reads.filter((r) => !s.inlets.includes(r)).map(plain).join(", ")}</span></td><td class="soon">${s.seen ? s.inlets.map((i) => when(index.inlets.get(i)?.last_seen, o.as_of)).join(", ") : "never seen"}</td><td>${given(s.classes)}</td><td>${given(s.measures)}</td></tr>`)}</tbody></table></div>` : html`<${Empty}>No source fits the filter.<//>`}<//>
    <${Section} id="s-aside" title="What is set aside, and why" note="most frequent reasons of each way in">${aside.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Set aside"><table class="plain"><thead><tr><th scope="col">Comes by</th><th scope="col" class="num">Set aside</th><th scope="col" class="num">Of</th><th scope="col">Reasons</th></tr></thead>
      <tbody>${aside.map((i) => html`<tr><th scope="row">${i.name}</th><td class="num warn-text">${f.number(i.refused)}</td><td class="num">${f.number(i.items)}</td><td>${i.reasons.map((r) => html`<div><b class="num">${f.number(r.items)}</b> ${r.reason}${r.detail && html` <span class="note">for example ${r.detail}</span>`}</div>`)}</td></tr>`)}</tbody></table></div>` : html`<${Empty}>Nothing was set aside.<//>`}<p class="note"><a href=${href("/sources")}>Sources</a> lists more examples of each.</p><//>`;
};
