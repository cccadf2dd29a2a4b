// The ontology as a map: a lane for each namespace, what there is on the left from the user down to the host, what happens and who
// cares on the right. Lines are drawn of one class at a time, or all on demand.
import { html, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import * as f from "../format.js";
import { markOf, nameOfKind, shapePath } from "./common.js";
import { towards } from "./place.js";

/// From the user down to the machine; a namespace that a site adds comes below.
const DOWN = ["ux", "client", "exp", "net", "svc", "data", "infra"];
const ASIDE = ["change", "signal", "incident", "action", "org"];
const CHIP = { width: 128, height: 37, gap: 7 };
const HEAD = 25;
const PAD = 17;
const MIDDLE = 16;
/// Beneath this width the right side goes below the left one.
const TWO = 640;

/// Places for the classes, in lanes. Pure: names in, places out.
export const place = (classes, namespaces, width) => {
  const present = namespaces.filter((n) => classes.some((c) => c.namespace === n));
  const left = [...DOWN.filter((n) => present.includes(n)), ...present.filter((n) => !DOWN.includes(n) && !ASIDE.includes(n))];
  const right = ASIDE.filter((n) => present.includes(n));
  const fit = (room) => Math.max(1, Math.floor((room + CHIP.gap) / (CHIP.width + CHIP.gap)));
  const whole = fit(width - 2 * PAD);
  const beside = width >= TWO && whole >= 4 ? Math.max(2, Math.floor(whole * 0.34)) : 0;
  const lanes = [];
  const chips = [];
  const column = (names, x, columns, top) => {
    let y = top;
    for (const name of names) {
      const of = classes.filter((c) => c.namespace === name);
      const rows = Math.ceil(of.length / columns);
      const high = HEAD + rows * (CHIP.height + CHIP.gap) + 3;
      lanes.push({ name, x: x - 7, y, width: columns * (CHIP.width + CHIP.gap) - CHIP.gap + 14, height: high });
      of.forEach((c, i) => chips.push({ id: c.name, c, x: x + (i % columns) * (CHIP.width + CHIP.gap), y: y + HEAD + Math.floor(i / columns) * (CHIP.height + CHIP.gap) }));
      y += high + 7;
    }
    return y;
  };
  const columns = beside ? Math.max(1, fit(width - 2 * PAD - MIDDLE - beside * (CHIP.width + CHIP.gap))) : whole;
  const low = column(left, PAD, columns, PAD - 4);
  const end = beside ? Math.max(low, column(right, width - PAD - beside * (CHIP.width + CHIP.gap) + CHIP.gap, beside, PAD - 4)) : column(right, PAD, whole, low);
  return { lanes, chips: chips.map((c) => ({ ...c, px: c.x + CHIP.width / 2, py: c.y + CHIP.height / 2 })), height: end };
};

/// Where a line from the middle of one chip to the middle of another crosses the border of a chip.
const border = (at, to, more) => {
  const [dx, dy] = [to.px - at.px, to.py - at.py];
  const t = Math.min((CHIP.width / 2 + more) / (Math.abs(dx) || 1e-6), (CHIP.height / 2 + more) / (Math.abs(dy) || 1e-6));
  return [at.px + dx * t, at.py + dy * t];
};
/// Chips stand in a grid, so a straight line would run through those between: it bows out.
const curve = (a, b, bend) => {
  const [x1, y1] = border(a, b, 1);
  const [x2, y2] = border(b, a, 5);
  const [dx, dy] = [x2 - x1, y2 - y1];
  const size = Math.hypot(dx, dy) || 1;
  const off = Math.min(46, 8 + size * 0.11) * bend;
  return `M${x1} ${y1}Q${(x1 + x2) / 2 - (dy / size) * off} ${(y1 + y2) / 2 + (dx / size) * off} ${x2} ${y2}`;
};

const useWidth = () => {
  const ref = useRef(null);
  const [width, set] = useState(0);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => set(Math.max(300, Math.round(entry.contentRect.width))));
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
};

/// `said`: by class, a second line in place of its count, and a tone. `drawn`: the lines.
export const Lanes = ({ o, drawn, said, chosen, choose, pointed, label }) => {
  const [ref, width] = useWidth();
  const svg = useRef(null);
  const classes = useMemo(() => o.classes.filter((c) => !c.abstract), [o]);
  const laid = useMemo(() => place(classes, o.namespaces, width || 900), [classes, o.namespaces, width]);
  const at = useMemo(() => new Map(laid.chips.map((c) => [c.id, c])), [laid]);
  const stop = at.has(chosen) ? chosen : laid.chips[0]?.id;
  const walk = (event) => {
    const id = towards(laid.chips, event.target.closest?.("[data-id]")?.dataset.id, event.key);
    if (id) { event.preventDefault(); svg.current.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus(); }
  };
  return html`<div class="map lanes" ref=${ref}>${width > 0 && html`<svg ref=${svg} width=${width} height=${laid.height} viewBox=${`0 0 ${width} ${laid.height}`} role="group" aria-label=${label} onKeyDown=${walk}>
    <defs>${["seen", "unseen", "trouble"].map((tone) => html`<marker id=${`lane-${tone}`} class=${`lane-arrow ${tone}`} viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 1 10 5 0 9z" /></marker>`)}</defs>
    ${laid.lanes.map((l) => html`<g class="lane"><rect x=${l.x} y=${l.y} width=${l.width} height=${l.height} rx="9" /><text x=${l.x + 10} y=${l.y + 17}>${f.sentence(nameOfKind(l.name))}</text></g>`)}
    <g class="lane-lines" aria-hidden="true">${drawn.filter((d) => d.from !== d.to && at.has(d.from) && at.has(d.to)).map((d) => html`<path key=${`${d.relation} ${d.from} ${d.to}`} class=${`lane-line ${d.tone} ${d.faint ? "faint" : ""}`} d=${curve(at.get(d.from), at.get(d.to), d.bend ?? 1)} marker-end=${`url(#lane-${d.tone})`}><title>${d.from} ${d.relation.replaceAll("_", " ")} ${d.to}${d.count ? `: ${f.plural(d.count, "edge")}` : ""}</title></path>`)}</g>
    ${laid.chips.map((c) => html`<${Chip} key=${c.id} c=${c} said=${said.get(c.id)} away=${said.size > 0 && !said.has(c.id)} chosen=${c.id === chosen} stop=${c.id === stop} choose=${choose} pointed=${pointed} />`)}
  </svg>`}</div>`;
};

const Chip = ({ c, said, away, chosen, stop, choose, pointed }) => useMemo(() => {
  const { c: cls } = c;
  const never = !cls.count;
  const under = said?.text || (never ? "never seen" : `${f.number(cls.count)} seen`);
  const press = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(c.id); } };
  const cut = under.length > 17 ? `${under.slice(0, 15)}…` : under;
  return html`<g class=${`chip-class ${never ? "never" : ""} ${chosen ? "chosen" : ""} ${away ? "away" : ""} ${said?.tone ?? ""}`} transform=${`translate(${c.x} ${c.y})`} onClick=${() => choose(c.id)} onPointerEnter=${() => pointed(c.id)} onPointerLeave=${() => pointed(null)}>
    <title>${cls.name}${cls.doc ? `: ${cls.doc}` : ""}${said?.text ? ` (${said.text})` : ""}</title>
    <g data-id=${c.id} class="press" tabindex=${stop ? 0 : -1} role="button" aria-pressed=${chosen} aria-label=${`${cls.name}, ${under}`} onKeyDown=${press} onFocus=${() => pointed(c.id)} onBlur=${() => pointed(null)}>
      <rect class="ring" x="-3" y="-3" width=${CHIP.width + 6} height=${CHIP.height + 6} rx="10" /><rect class="body" width=${CHIP.width} height=${CHIP.height} rx="7" />
      <g class="shape" transform="translate(7 9) scale(0.8)"><path d=${shapePath(markOf(cls.namespace))} /></g></g>
    <text class="name" aria-hidden="true" x="30" y="16">${cls.name}</text><text class="under" aria-hidden="true" x="30" y="29.500">${cut}</text></g>`;
}, [c, said?.text, said?.tone, away, chosen, stop, choose, pointed]);
