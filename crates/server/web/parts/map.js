// The map: nodes where the server placed them, so that nothing moves between moments; pan, zoom, focus and choose.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact-htm.js";
import * as f from "../format.js";
import { markOf, shapePath } from "./common.js";

export const CHANGE = { worse: ["▲", "worse"], better: ["▼", "better"], added: ["+", "added"], removed: ["−", "removed"], same: ["", "unchanged"] };

/// What is most worth saying of a node or an edge that changed: traffic when it multiplied, else time, errors, level.
export const saying = (now, before) => {
  if (!now || !before) return "";
  const grew = before.rate > 0 && now.rate > 0 ? now.rate / before.rate : 1;
  if (grew >= 2.5 || grew <= 0.4) return `×${f.number(grew, 1)} traffic`;
  if (before.latency_ms > 0 && now.latency_ms > 0 && Math.abs(now.latency_ms / before.latency_ms - 1) >= 0.05) return f.delta(now.latency_ms - before.latency_ms, "ms");
  const errors = (now.error_ratio ?? 0) - (before.error_ratio ?? 0);
  if (Math.abs(errors) >= 0.002) return `${f.delta(errors, "ratio")} errors`;
  if (Number.isFinite(now.level) && Number.isFinite(before.level) && Math.abs(now.level - before.level) >= 0.05) return f.delta(now.level - before.level, "ratio");
  return "";
};

const PAD = { x: 60, top: 50, bottom: 40 };
const BASE = { same: 9, worse: 14, better: 13, added: 12, removed: 12 };
const radius = (n, centre) => Math.max(BASE[n.change] + Math.min(4, Math.max(0, n.score ?? 0) / 5), n.id === centre ? 14 : 0);

/// Width, and a height that leaves each node of the fullest column some room.
const useSpace = (nodes) => {
  const ref = useRef(null);
  const [width, set] = useState(1100);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => set(Math.max(320, Math.round(entry.contentRect.width))));
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  const columns = new Map();
  for (const n of nodes) columns.set(n.x, (columns.get(n.x) ?? 0) + 1);
  const rows = Math.max(1, ...columns.values());
  return [ref, Math.max(width, columns.size * 74), Math.min(1000, Math.max(470, rows * 34 + PAD.top + PAD.bottom)), width];
};

/// Greedy labelling: what matters most is named first, and a name that would cover another waits until it is pointed at.
const named = (nodes, k, first) => {
  const weight = (n) => (first.has(n.id) ? 1000 : 0) + (n.change === "same" ? 0 : 100) + Math.abs(n.score ?? 0);
  const taken = [];
  const out = new Set();
  for (const n of [...nodes].sort((a, b) => weight(b) - weight(a) || a.px - b.px || a.py - b.py)) {
    const half = (Math.min(22, short(n.name).length) * 6.1 * k) / 2 + 3 * k;
    const top = n.py + (n.r + 3) * k;
    const box = [n.px - half, top, n.px + half, top + (n.say ? 27 : 14) * k];
    const bodies = nodes.some((m) => m !== n && m.px + m.r * k > box[0] && m.px - m.r * k < box[2] && m.py + m.r * k > box[1] && m.py - m.r * k < box[3]);
    if (!first.has(n.id) && (bodies || taken.some((t) => t[0] < box[2] && t[2] > box[0] && t[1] < box[3] && t[3] > box[1]))) continue;
    taken.push(box);
    out.add(n.id);
  }
  return out;
};
const short = (text, most = 22) => { const last = text.length > most ? text.split("/").slice(-1)[0] : text; return last.length > most ? `${last.slice(0, most - 1)}…` : last; };

/// The heading of each column: the class, once for neighbouring columns of the same class.
const headings = (nodes, k) => {
  const at = new Map();
  for (const n of nodes) at.set(n.px, at.has(n.px) && at.get(n.px) !== n.class ? "" : n.class);
  let free = -Infinity;
  return [...at].sort((a, b) => a[0] - b[0]).filter(([x, cls], i, all) => {
    const half = cls.length * 3.4 * k;
    if (!cls || cls === all[i - 1]?.[1] || x - half < free) return false;
    free = x + half + 8 * k;
    return true;
  });
};

export const GraphMap = ({ map, all, chosen, centre, choose }) => {
  const [ref, width, height, seen] = useSpace(all);
  const svg = useRef(null);
  const [view, set] = useState(null);
  const [over, hover] = useState(null);
  const drag = useRef(false);
  useEffect(() => set(null), [centre]);
  const whole = { x: 0, y: 0, w: width, h: height };
  const box = view ?? whole;
  // Letters and marks keep their size on the screen however far one zooms.
  const k = Math.max(box.w / seen, box.h / height);
  const zoom = (factor, cx = box.x + box.w / 2, cy = box.y + box.h / 2) => set({ x: cx - (cx - box.x) * factor, y: cy - (cy - box.y) * factor, w: box.w * factor, h: box.h * factor });
  const place = (event) => { const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.current.getScreenCTM().inverse()); return [p.x, p.y]; };
  const wheel = (event) => { if (event.ctrlKey || event.metaKey || event.altKey) { event.preventDefault(); zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, ...place(event)); } };
  const down = (event) => { if (!event.target.closest(".node")) { drag.current = true; event.currentTarget.setPointerCapture(event.pointerId); } };
  const move = (event) => { if (drag.current) set((v) => ({ ...(v ?? whole), x: (v ?? whole).x - event.movementX * k, y: (v ?? whole).y - event.movementY * k })); };
  const up = () => { drag.current = false; };

  const laid = map.nodes.map((n) => ({ ...n, px: PAD.x + n.x * (width - 2 * PAD.x), py: PAD.top + n.y * (height - PAD.top - PAD.bottom), r: radius(n, centre), say: saying(n.figures, n.before) }));
  const at = new Map(laid.map((n) => [n.id, n]));
  const edges = map.edges.filter((e) => at.has(e.from) && at.has(e.to));
  const near = new Set(over ? edges.filter((e) => e.from === over || e.to === over).flatMap((e) => [e.from, e.to]) : []);
  const first = new Set([over, chosen, centre, ...near].filter(Boolean));
  const names = named(laid, k, first);
  const faintNode = (n) => over && n.id !== over && !near.has(n.id);
  const faintEdge = (e) => over && e.from !== over && e.to !== over;
  return html`<div class="map" ref=${ref}>
    <div class="map-tools"><button type="button" class="small" aria-label="Zoom in" onClick=${() => zoom(1 / 1.3)}>+</button><button type="button" class="small" aria-label="Zoom out" onClick=${() => zoom(1.3)}>−</button><button type="button" class="small" onClick=${() => set(null)}>Fit</button></div>
    <svg ref=${svg} class=${map.nodes.length > 60 ? "dense" : ""} height=${height} viewBox=${`${box.x} ${box.y} ${box.w} ${box.h}`} role="group" aria-label=${`Map of ${map.nodes.length} nodes and ${edges.length} edges; the same as a table under “Table”`} onWheel=${wheel} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}>
      <defs>${Object.keys(CHANGE).map((c) => html`<marker id=${`arrow-${c}`} class=${`arrow ${c}`} viewBox="0 0 10 10" refX="9" refY="5" markerWidth=${8 * k} markerHeight=${8 * k} markerUnits="userSpaceOnUse" orient="auto"><path d="M0 1 10 5 0 9z" /></marker>`)}</defs>
      ${headings(laid, k).map(([x, cls]) => html`<text class="heading" transform=${`translate(${x} ${box.y + 18 * k}) scale(${k})`} text-anchor="middle">${cls}</text>`)}
      ${[...edges].sort((a, b) => Number(a.change !== "same") - Number(b.change !== "same")).map((e) => html`<${Edge} e=${e} k=${k} a=${at.get(e.from)} b=${at.get(e.to)} faint=${faintEdge(e)} named=${over && !faintEdge(e)} />`)}
      ${[...laid].sort((a, b) => Number(names.has(a.id)) - Number(names.has(b.id)) || a.score - b.score).map((n) => html`<${Node} key=${n.id} n=${n} k=${k} faint=${faintNode(n)} label=${names.has(n.id)} chosen=${n.id === chosen} centre=${n.id === centre} choose=${choose} hover=${hover} />`)}
    </svg></div>`;
};

const Edge = ({ e, k, a, b, faint, named: wanted }) => {
  const [dx, dy] = [b.px - a.px, b.py - a.py];
  const size = Math.hypot(dx, dy) || 1;
  const [ra, rb] = [(a.r + 2) * k, (b.r + 3) * k];
  const [x1, y1, x2, y2] = [a.px + (dx / size) * ra, a.py + (dy / size) * ra, b.px - (dx / size) * rb, b.py - (dy / size) * rb];
  // Two nodes of one column are joined by a wider bow, so that the line passes beside those between them.
  const bend = Math.abs(dx) < 4 ? Math.min(70, size * 0.3) : Math.min(22, size * 0.07);
  const [mx, my] = [(x1 + x2) / 2 - (dy / size) * bend, (y1 + y2) / 2 + (dx / size) * bend];
  const word = e.relation.replaceAll("_", " ");
  const say = e.change === "same" ? "" : saying(e.figures, e.before) || (e.change === "worse" || e.change === "better" ? "" : `${CHANGE[e.change][0]} ${word}`);
  const text = wanted ? [word, saying(e.figures, e.before)].filter(Boolean).join(" ") : say === a.say || say === b.say || size < 90 * k ? "" : say;
  return html`<g class=${`edge ${e.change} ${faint ? "faint" : ""}`}><path d=${`M${x1} ${y1}Q${mx} ${my} ${x2} ${y2}`} stroke-width=${(e.change === "same" ? 1.2 : 2.4) * k} marker-end=${`url(#arrow-${e.change})`} /><title>${a.name} ${word} ${b.name}: ${CHANGE[e.change][1]}</title>
    ${text && html`<text transform=${`translate(${(x1 + x2) / 4 + mx / 2} ${(y1 + y2) / 4 + my / 2 - 4 * k}) scale(${k})`} text-anchor="middle">${text}</text>`}</g>`;
};

const Node = ({ n, k, faint, label, chosen, centre, choose, hover }) => {
  const { r } = n;
  const [sign, word] = CHANGE[n.change];
  const press = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(n.id); } };
  return html`<g class=${`node ${n.change} ${faint ? "faint" : ""} ${chosen ? "chosen" : ""} ${centre ? "centre" : ""}`} transform=${`translate(${n.px} ${n.py}) scale(${k})`} onClick=${() => choose(n.id)} onPointerEnter=${() => hover(n.id)} onPointerLeave=${() => hover(null)}>
    <g class="press" tabindex="0" role="button" aria-pressed=${chosen} aria-label=${`${n.class} ${n.name}, ${word}${n.say ? `, ${n.say}` : ""}`} onKeyDown=${press} onFocus=${() => hover(n.id)} onBlur=${() => hover(null)}>
    <circle class="halo" r=${r + 5} /><circle class="body" r=${r} /><g class="shape" transform=${`translate(${-r * 0.62} ${-r * 0.62}) scale(${(r * 1.24) / 24})`}><path d=${shapePath(markOf(n.kind))} /></g></g>
    ${sign && html`<g class="flag" aria-hidden="true" transform=${`translate(${r * 0.8} ${-r * 0.8})`}><circle r="6.500" /><text y="3.500" text-anchor="middle">${sign}</text></g>`}
    ${label && html`<text class="name" aria-hidden="true" y=${r + 14} text-anchor="middle">${short(n.name)}</text>`}${label && n.say && html`<text class="say" aria-hidden="true" y=${r + 27} text-anchor="middle">${n.say}</text>`}</g>`;
};
