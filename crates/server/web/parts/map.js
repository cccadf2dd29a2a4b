// The map: nodes where the server placed them, so that nothing moves between moments; pan, zoom, focus and choose.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import * as f from "../format.js";
import { markOf, shapePath } from "./common.js";
import { bow, headings, lay, nameEdges, nameNodes, room, towards } from "./place.js";

export const CHANGE = { worse: ["▲", "worse"], better: ["▼", "better"], added: ["+", "added"], removed: ["−", "removed"], same: ["", "unchanged"] };

/// What is most worth saying of a node or an edge that changed: traffic when it multiplied, else time, errors, level.
export const saying = (now, before) => {
  if (!now || !before) return "";
  const grew = before.rate > 0 && now.rate > 0 ? now.rate / before.rate : 1;
  if (grew >= 2.5 || grew <= 0.4) return `×${f.number(grew, 1)} traffic`;
  if (before.latency_ms > 0 && now.latency_ms > 0 && Math.abs(now.latency_ms / before.latency_ms - 1) >= 0.05) return f.delta(now.latency_ms - before.latency_ms, "ms");
  // A share that was not measured before is no rise from nothing.
  const errors = Number.isFinite(now.error_ratio) && Number.isFinite(before.error_ratio) ? now.error_ratio - before.error_ratio : 0;
  if (Math.abs(errors) >= 0.002) return `${f.delta(errors, "ratio")} errors`;
  if (now.level <= 1.5 && before.level <= 1.5 && Math.abs(now.level - before.level) >= 0.05) return f.delta(now.level - before.level, "ratio");
  return "";
};

const useSeen = () => {
  const ref = useRef(null);
  const [width, set] = useState(0);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => set(Math.max(300, Math.round(entry.contentRect.width))));
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
};

export const GraphMap = ({ map, all, chosen, centre, choose }) => {
  const [ref, seen] = useSeen();
  return html`<div class="map" ref=${ref}>${seen > 0 && html`<${Drawing} map=${map} all=${all} chosen=${chosen} centre=${centre} choose=${choose} seen=${seen} />`}</div>`;
};

const Drawing = ({ map, all, chosen, centre, choose, seen }) => {
  const svg = useRef(null);
  const scroll = useRef(null);
  const [view, set] = useState(null);
  const [over, hover] = useState(null);
  const drag = useRef(false);
  const space = useMemo(() => room(all, seen), [all, seen]);
  const { width, height } = space;
  useEffect(() => set(null), [centre]);
  const whole = { x: 0, y: 0, w: width, h: height };
  const box = view ?? whole;
  // Letters and marks keep their size on the screen however far one zooms.
  const k = Math.max(box.w / width, box.h / height);
  const zoom = (factor, cx = box.x + box.w / 2, cy = box.y + box.h / 2) => set({ x: cx - (cx - box.x) * factor, y: cy - (cy - box.y) * factor, w: box.w * factor, h: box.h * factor });
  const place = (event) => { const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.current.getScreenCTM().inverse()); return [p.x, p.y]; };
  const wheel = (event) => { if (event.ctrlKey || event.metaKey || event.altKey) { event.preventDefault(); zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, ...place(event)); } };
  const down = (event) => { if (!event.target.closest(".node") && event.pointerType !== "touch") { drag.current = true; event.currentTarget.setPointerCapture(event.pointerId); } };
  const move = (event) => { if (drag.current) set((v) => ({ ...(v ?? whole), x: (v ?? whole).x - event.movementX * k, y: (v ?? whole).y - event.movementY * k })); };
  const up = () => { drag.current = false; };

  const laid = useMemo(() => lay(map.nodes, space, centre, saying), [map, space, centre]);
  const at = useMemo(() => new Map(laid.map((n) => [n.id, n])), [laid]);
  const edges = useMemo(() => map.edges.filter((e) => at.has(e.from) && at.has(e.to))
    .map((e, i) => ({ ...e, key: `${i} ${e.from} ${e.relation} ${e.to}`, curve: bow(at.get(e.from), at.get(e.to), k), told: e.change === "same" ? "" : saying(e.figures, e.before), word: e.relation.replaceAll("_", " ") }))
    .sort((a, b) => Number(a.change !== "same") - Number(b.change !== "same")), [map, at, k]);
  const calm = useMemo(() => written(laid, edges, k, [chosen, centre], width, (e) => e.told), [laid, edges, chosen, centre, k, width]);
  // Pointing at a node names its neighbours and their relations, and the rest steps back: by style alone, so that with hundreds of
  // nodes only the few that are lit are drawn again.
  const near = useMemo(() => new Set(over ? [over, ...edges.filter((e) => e.from === over || e.to === over).flatMap((e) => [e.from, e.to])] : []), [over, edges]);
  const touches = (e) => e.from === over || e.to === over;
  const pointed = useMemo(() => over && written(laid.filter((n) => near.has(n.id)), edges.filter(touches), k, [over], width, (e) => [e.word, e.told].filter(Boolean).join(" ")), [laid, edges, over, near, k, width]);
  useEffect(() => { const n = at.get(centre); if (n && scroll.current) scroll.current.scrollLeft = n.px - scroll.current.clientWidth / 2; }, [centre, width]);

  // One stop for the Tab key; arrows go from node to node.
  const stop = at.has(chosen) ? chosen : at.has(centre) ? centre : laid[0]?.id;
  const walk = (event) => {
    const id = towards(laid, event.target.closest?.("[data-id]")?.dataset.id, event.key);
    if (id) { event.preventDefault(); svg.current.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus(); }
  };
  const unnamed = laid.length - calm.names.size;
  return html`<div class="map-scroll" ref=${scroll}><svg ref=${svg} class=${`${map.nodes.length > 60 ? "dense" : ""} ${over ? "pointing" : ""}`} width=${width} height=${height} viewBox=${`${box.x} ${box.y} ${box.w} ${box.h}`} role="group" aria-label=${`Map of ${map.nodes.length} nodes and ${edges.length} edges; arrow keys go from node to node; the same as a table under “Table”`} onWheel=${wheel} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up} onKeyDown=${walk}>
      <defs>${Object.keys(CHANGE).map((c) => html`<marker id=${`arrow-${c}`} class=${`arrow ${c}`} viewBox="0 0 10 10" refX="9" refY="5" markerWidth=${8 * k} markerHeight=${8 * k} markerUnits="userSpaceOnUse" orient="auto"><path d="M0 1 10 5 0 9z" /></marker>`)}</defs>
      ${headings(laid, k).map(([x, cls]) => html`<text class="heading" transform=${`translate(${x} ${box.y + 18 * k}) scale(${k})`} text-anchor="middle">${cls}</text>`)}
      ${edges.map((e) => html`<${Edge} key=${e.key} e=${e} k=${k} a=${at.get(e.from)} b=${at.get(e.to)} lit=${touches(e)} />`)}
      ${laid.map((n) => html`<${Node} key=${n.id} n=${n} k=${k} lit=${near.has(n.id)} name=${near.has(n.id) ? pointed.names.get(n.id) : calm.names.get(n.id)} chosen=${n.id === chosen} centre=${n.id === centre} stop=${n.id === stop} choose=${choose} hover=${hover} />`)}
      <${Words} list=${calm.words} k=${k} />${pointed && html`<${Words} list=${pointed.words} k=${k} lit=${true} />`}
    </svg></div>
    <div class="map-tools"><span class="note">${unnamed > 0 && `${f.plural(unnamed, "name")} hidden for lack of room; point at a node to read them.`}</span><button type="button" class="small" aria-label="Zoom in" onClick=${() => zoom(1 / 1.3)}>+</button><button type="button" class="small" aria-label="Zoom out" onClick=${() => zoom(1.3)}>−</button><button type="button" class="small" onClick=${() => set(null)}>Fit</button></div>`;
};

/// Everything that is written: names of nodes, then what edges say, where room is left.
const written = (laid, edges, k, must, width, text) => {
  const { names, taken } = nameNodes(laid, k, new Set(must.filter(Boolean)), width);
  const said = edges.map((e) => ({ ...e, text: text(e) }));
  const where = nameEdges(said, k, taken);
  return { names, words: said.filter((e) => where.has(e.key)).map((e) => ({ key: e.key, change: e.change, text: e.text, at: where.get(e.key) })) };
};

const Words = ({ list, k, lit }) => useMemo(() => html`<g class=${lit ? "words lit" : "words"}>${list.map((w) => html`<text key=${w.key} class=${`edge-word ${w.change}`} transform=${`translate(${w.at[0]} ${w.at[1]}) scale(${k})`} text-anchor="middle">${w.text}</text>`)}</g>`, [list, k, lit]);

// Edges and nodes are drawn again only when something of theirs changed: with hundreds of them, pointing and panning stay light.
const Edge = ({ e, k, a, b, lit }) => useMemo(() => {
  const { x1, y1, x2, y2, mx, my } = e.curve;
  return html`<g class=${`edge ${e.change} ${lit ? "lit" : ""}`}><path d=${`M${x1} ${y1}Q${mx} ${my} ${x2} ${y2}`} stroke-width=${(e.change === "same" ? 1.2 : 2.4) * k} marker-end=${`url(#arrow-${e.change})`} /><title>${a.name} ${e.word} ${b.name}: ${CHANGE[e.change][1]}${e.told && `, ${e.told}`}</title></g>`;
}, [e, k, a, b, lit]);

const Node = ({ n, k, lit, name, chosen, centre, stop, choose, hover }) => useMemo(() => {
  const { r } = n;
  const [sign, word] = CHANGE[n.change];
  const press = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(n.id); } };
  return html`<g class=${`node ${n.change} ${lit ? "lit" : ""} ${chosen ? "chosen" : ""} ${centre ? "centre" : ""}`} transform=${`translate(${n.px} ${n.py}) scale(${k})`} onClick=${() => choose(n.id)} onPointerEnter=${() => hover(n.id)} onPointerLeave=${() => hover(null)}>
    <title>${n.class} ${n.name}</title>
    <g class="press" data-id=${n.id} tabindex=${stop ? 0 : -1} role="button" aria-pressed=${chosen} aria-label=${`${n.class} ${n.name}, ${word}${n.say ? `, ${n.say}` : ""}`} onKeyDown=${press} onFocus=${() => hover(n.id)} onBlur=${() => hover(null)}>
    <circle class="halo" r=${r + 5} /><circle class="body" r=${r} /><g class="shape" transform=${`translate(${-r * 0.62} ${-r * 0.62}) scale(${(r * 1.24) / 24})`}><path d=${shapePath(markOf(n.kind))} /></g></g>
    ${sign && html`<g class="flag" aria-hidden="true" transform=${`translate(${r * 0.8} ${-r * 0.8})`}><circle r="6.500" /><text y="3.500" text-anchor="middle">${sign}</text></g>`}
    ${name && html`<text class="name" aria-hidden="true" x=${name.x} y=${name.y} text-anchor=${name.anchor}>${name.text}</text>`}${name && n.say && html`<text class="say" aria-hidden="true" x=${name.x} y=${name.y + 13} text-anchor=${name.anchor}>${n.say}</text>`}</g>`;
}, [n, k, lit, name?.text, name?.anchor, name?.x, name?.y, chosen, centre, stop, choose, hover]);
