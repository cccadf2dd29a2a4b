// Small pieces that every page uses: marks of kinds, badges, buttons that copy, states of waiting and failing.
import { html, useState } from "../vendor/preact-htm.js";
import * as f from "../format.js";
import { href } from "../route.js";

/// What the server said of each class: its kind (for the mark) and its definition (for the tooltip).
const classes = new Map();
export const learnClasses = (list) => list.forEach((c) => classes.set(c.name, c));
export const kindOf = (cls) => classes.get(cls)?.kind ?? "other";
export const docOf = (cls) => classes.get(cls)?.doc ?? "";

/// The ontology's namespaces: the mark each is drawn with, and what people call it. A namespace that a site adds gets the plain mark and its own name.
const NAMESPACES = {
  ux: ["user", "users"], client: ["client", "clients"], net: ["network", "network"], svc: ["service", "services"], data: ["data", "data stores"], infra: ["infra", "infrastructure"],
  change: ["change", "changes"], exp: ["experiment", "experiments"], signal: ["signal", "signals"], incident: ["signal", "incidents"], action: ["change", "actions"], org: ["user", "teams"],
  own: ["signal", "records of E2EGraph"],
};
export const markOf = (kind) => NAMESPACES[kind]?.[0] ?? kind;
export const nameOfKind = (kind) => NAMESPACES[kind]?.[1] ?? kind;
export const kindRank = (kind) => { const at = Object.keys(NAMESPACES).indexOf(kind); return at < 0 ? 99 : at; };

// One shape per kind, so that colour is never the only sign. Drawn in a box of 24.
const SHAPES = {
  user: "M12 3.5a4 4 0 1 1 0 8 4 4 0 0 1 0-8ZM4 20.5c.6-4.2 3.9-6.5 8-6.5s7.400 2.300 8 6.500Z",
  client: "M3.500 5h17v11.500h-17zM9 20h6",
  experiment: "M9.500 3.500h5M10.500 3.500v6l-5.500 9.500a1.200 1.200 0 0 0 1 1.800h12a1.200 1.200 0 0 0 1-1.800l-5.500-9.500v-6",
  network: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17ZM3.500 12h17M12 3.500c-5 5-5 12 0 17M12 3.500c5 5 5 12 0 17",
  data: "M4.500 7c0-2 3.400-3.500 7.500-3.500s7.500 1.500 7.500 3.500-3.400 3.500-7.500 3.500S4.500 9 4.500 7ZM4.500 7v10c0 2 3.400 3.500 7.500 3.500s7.500-1.500 7.500-3.500V7",
  service: "M12 3.500 19.500 7.800v8.400L12 20.500l-7.500-4.300V7.800Z",
  infra: "M4 4.500h16v6H4zM4 13.500h16v6H4zM7.500 7.500h.01M7.500 16.500h.01",
  change: "M12 3.500 20.500 12 12 20.500 3.500 12Z",
  signal: "M12 4 21 19.500H3ZM12 10v4.500M12 17v.01",
  other: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16Z",
};
export const shapePath = (kind) => SHAPES[kind] ?? SHAPES.other;
export const Mark = ({ kind, size = 18 }) => html`<svg class=${`mark mark-${markOf(kind)}`} width=${size} height=${size} viewBox="0 0 24 24" aria-hidden="true"><path d=${shapePath(markOf(kind))} /></svg>`;

export const Entity = ({ entity, plain }) => {
  const body = html`<${Mark} kind=${kindOf(entity.class)} size=${16} /><span class="entity-name">${entity.name}</span><span class="entity-class">${entity.class}</span>`;
  return plain ? html`<span class="entity" title=${docOf(entity.class)}>${body}</span>`
    : html`<a class="entity" href=${href("/graph", { around: entity.id, node: entity.id })} title=${docOf(entity.class)}>${body}</a>`;
};

const STATUS = {
  explained: ["Explained", "bad", "●"], not_proven: ["Not proven", "warn", "◐"], nothing_wrong: ["Nothing wrong", "good", "✓"], not_understood: ["Not understood", "warn", "?"],
  open: ["Open", "bad", "●"], closed: ["Closed", "calm", "○"],
};
export const Badge = ({ status }) => {
  const [text, tone, sign] = STATUS[status] ?? [status, "calm", "○"];
  return html`<span class=${`badge ${tone}`}><span aria-hidden="true">${sign}</span> ${text}</span>`;
};

export const CopyButton = ({ text, label = "Copy", done = "Copied" }) => {
  const [copied, set] = useState(false);
  const copy = async () => {
    const words = typeof text === "function" ? text() : text;
    try { await navigator.clipboard.writeText(words); } catch { copyByHand(words); }
    set(true);
    setTimeout(() => set(false), 1600);
  };
  return html`<button type="button" class="small" onClick=${copy}>${copied ? done : label}</button>`;
};
// Without a secure origin there is no clipboard API.
const copyByHand = (words) => {
  const area = document.createElement("textarea");
  area.value = words;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
};

export const Bar = ({ share, tone = "ink", label }) =>
  html`<svg class=${`bar ${tone}`} viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=${label ?? f.percent(share)}><rect class="bar-bed" width="100" height="6" /><rect class="bar-fill" width=${Math.max(0, Math.min(1, share || 0)) * 100} height="6" /></svg>`;

export const Waiting = ({ what = "Loading" }) => html`<p class="waiting" role="status">${what}…</p>`;
export const Failed = ({ error, again }) => html`<div class="failed" role="alert"><strong>That did not work.</strong> ${f.sentence(error.message)}${again && html` <button type="button" class="small" onClick=${again}>Try again</button>`}</div>`;
/// A cohort by its members: what each is, then its name.
export const CohortName = ({ text }) => html`<span class="cohort">${f.prose(text).split(" × ").map((part, i) => {
  const [, cls, name] = part.match(/^([A-Z]\w*)(?: name)? (.+)$/) ?? [];
  return html`${i > 0 && html`<span class="times"> × </span>`}${cls ? html`<span class="entity-class" title=${docOf(cls)}>${cls}</span> ${name}` : part}`;
})}</span>`;

/// Changes that read the same and happened in the same minute (one deployment, three clusters) are one line with a count.
export const merged = (changes) => {
  const seen = new Map();
  for (const c of changes) {
    const key = `${Math.floor(f.moment(c.at) / 60000)} ${c.text || c.name}`;
    if (seen.has(key)) seen.get(key).times += 1;
    else seen.set(key, { ...c, times: 1 });
  }
  return [...seen.values()];
};
export const Times = ({ n }) => (n > 1 ? html` <span class="note">${n} times</span>` : null);

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

export const Section = ({ title, note, id, children, extra }) => html`<section class="section" aria-labelledby=${id}>
  <div class="section-head"><h2 id=${id} tabindex="-1">${title}</h2>${note && html`<p class="note">${note}</p>`}${extra}</div>${children}</section>`;
