// The ontology as the pages look at it: kinds of classes, who is joined with whom, and how far trouble travels. Pure.

/// The classes by name, and for each the classes with things that are it or a kind of it.
export const indexed = (o) => {
  const classes = new Map(o.classes.map((c) => [c.name, c]));
  const above = (name) => { const list = []; for (let c = classes.get(name); c; c = classes.get(c.is)) list.push(c.name); return list; };
  const kinds = new Map(o.classes.map((c) => [c.name, []]));
  for (const c of o.classes) if (!c.abstract) for (const name of above(c.name)) kinds.get(name)?.push(c.name);
  return { o, classes, kinds, above, relations: new Map(o.relations.map((r) => [r.name, r])), sources: new Map(o.sources.map((s) => [s.name, s])), inlets: new Map(o.inlets.map((i) => [i.name, i])) };
};

/// Which classes are joined: pairs that were seen, and pairs that the ontology names outright though nothing was seen. What it
/// allows by way of a general class only ("anything may have an owner") is no line of its own.
export const lines = ({ o, classes }) => {
  const all = [];
  for (const r of o.relations) {
    const seen = new Set();
    for (const [from, to, count] of r.pairs ?? []) { seen.add(`${from} ${to}`); all.push({ relation: r.name, from, to, count, derived: r.derived }); }
    for (const [from, to] of r.arrows) if (!classes.get(from)?.abstract && !classes.get(to)?.abstract && !seen.has(`${from} ${to}`)) all.push({ relation: r.name, from, to, count: 0, derived: r.derived });
  }
  return all;
};

/// The relations that may lead from or to a class, its own and those of the classes above it.
export const relationsOf = ({ o, above }, name) => {
  const own = new Set(above(name));
  const touching = (end) => o.relations.map((r) => ({ r, arrows: r.arrows.filter((a) => own.has(a[end])) })).filter((x) => x.arrows.length)
    .map(({ r, arrows }) => {
      const pairs = (r.pairs ?? []).filter((p) => p[end] === name);
      return { relation: r.name, derived: r.derived, others: [...new Set(arrows.map((a) => a[1 - end]))], seen: pairs.map((p) => ({ name: p[1 - end], count: p[2] })), count: pairs.reduce((n, p) => n + p[2], 0) };
    }).sort((a, b) => b.count - a.count || a.relation.localeCompare(b.relation));
  return { out: touching(0), into: touching(1) };
};

/// Ways that trouble can take, one for each relation, direction and pair of classes as declared.
export const faultLines = ({ o }) => o.relations.flatMap((r) => r.faults.flatMap((fault) => r.arrows.map(([a, b]) => {
  const [from, to] = fault.travel === "to_source" ? [b, a] : [a, b];
  return { ...fault, relation: r.name, from, to, seen: r.count > 0 };
})));

/// The same with the classes that one relation carries trouble to from one class in one line.
export const grouped = (list) => {
  const rows = new Map();
  for (const l of list) {
    const key = `${l.relation} ${l.travel} ${l.from} ${l.aspects} ${l.prior}`;
    rows.set(key, { ...l, to: [...(rows.get(key)?.to ?? []), l.to] });
  }
  return [...rows.values()];
};

/// Less than this gets lost in what happens anyway.
const LEAST = 0.02;

/// Where trouble that begins in a class can go: best way first, by the product of the chances; a kind of trouble turns into others
/// on the way as the ontology says. Without an aspect, every kind is tried.
export const travel = (index, start, aspect) => {
  const all = faultLines(index).map((l) => ({ ...l, sources: new Set(index.kinds.get(l.from)), targets: index.kinds.get(l.to) ?? [] }));
  const becomes = new Map(index.o.aspects.map((a) => [a.name, a.becomes]));
  const first = aspect ? [aspect] : index.o.aspects.map((a) => a.name);
  const queue = first.map((a) => ({ at: start, aspect: a, weight: 1, delay: [0, 0], steps: [] }));
  const done = new Set();
  const best = new Map();
  while (queue.length) {
    queue.sort((a, b) => a.weight - b.weight || b.steps.length - a.steps.length);
    const here = queue.pop();
    const key = `${here.at} ${here.aspect}`;
    if (done.has(key)) continue;
    done.add(key);
    if (here.at !== start && !best.has(here.at)) best.set(here.at, here);
    for (const b of becomes.get(here.aspect) ?? []) if (here.weight * b.weight >= LEAST) queue.push({ ...here, aspect: b.aspect, weight: here.weight * b.weight });
    for (const line of all) {
      const weight = here.weight * line.prior;
      if (weight < LEAST || !line.sources.has(here.at) || !line.aspects.includes(here.aspect)) continue;
      for (const to of line.targets) {
        if (done.has(`${to} ${here.aspect}`)) continue;
        queue.push({ at: to, aspect: here.aspect, weight, delay: [here.delay[0] + line.delay_min_secs, here.delay[1] + line.delay_max_secs], steps: [...here.steps, { from: here.at, to, relation: line.relation, aspect: here.aspect, prior: line.prior, seen: line.seen }] });
      }
    }
  }
  return [...best.values()].sort((a, b) => b.weight - a.weight || a.at.localeCompare(b.at));
};
