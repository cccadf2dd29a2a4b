// A line chart drawn as SVG: series, the healthy and degraded stretch, marks of changes, a cursor, and the same numbers as a table.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact-htm.js";
import { get } from "../api.js";
import * as f from "../format.js";
import { Failed, Waiting } from "./common.js";

const STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080];
const niceStep = (span, count) => {
  const rough = span / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
};
const timeTicks = (from, to, count) => {
  const step = (STEPS_MIN.find((m) => (to - from) / 60000 / m <= count) ?? 10080) * 60000;
  const ticks = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) ticks.push(t);
  return ticks;
};
const near = (points, at) => {
  let best = null;
  for (const p of points) if (p[1] !== null && (best === null || Math.abs(p[0] - at) < Math.abs(best[0] - at))) best = p;
  return best;
};
const pathOf = (points, x, y) => {
  let d = "";
  let pen = false;
  for (const [t, v] of points) {
    if (v === null || !Number.isFinite(v)) { pen = false; continue; }
    d += `${pen ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
    pen = true;
  }
  return d;
};
// Labels at line ends are pushed apart so that none covers another.
const spread = (labels, gap, top, bottom) => {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  sorted.forEach((l, i) => { l.y = Math.max(l.y, i ? sorted[i - 1].y + gap : top); });
  for (let i = sorted.length - 1, floor = bottom; i >= 0; i -= 1) { sorted[i].y = Math.min(sorted[i].y, floor); floor = sorted[i].y - gap; }
  return sorted;
};
// The same for the numbered marks above the lines, along the other axis; a bent line leads from each to its moment.
const spreadMarks = (marks, x, left, right) => spread(marks.map((m) => ({ ...m, y: x(m.ms) })), 21, left, right);
const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

const useWidth = () => {
  const ref = useRef(null);
  const [width, set] = useState(640);
  useLayoutEffect(() => {
    if (!ref.current) return undefined;
    const measure = () => { const w = Math.floor(ref.current.clientWidth); if (w > 0) set(w); };
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
};

export const Chart = ({ series, unit, height: most = 230, windows, bands = ["healthy", "degraded"], marks = [], onset, label, title }) => {
  const [box, width] = useWidth();
  // A chart that is taller than wide shows noise as cliffs.
  const height = Math.min(most, Math.max(170, Math.round(width * 0.62)));
  const [at, point] = useState(null);
  const [table, showTable] = useState(false);
  const full = series.filter((s) => s.points.some((p) => p[1] !== null));
  if (!full.length) return html`<p class="empty">No points in this stretch.</p>`;
  const times = full.flatMap((s) => s.points.map((p) => p[0]));
  const values = full.flatMap((s) => s.points.map((p) => p[1])).filter((v) => v !== null && Number.isFinite(v));
  const [from, to] = [Math.min(...times), Math.max(...times)];
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (low > 0 && low < high * 0.45) low = 0;
  const step = niceStep(high - low || Math.abs(high) || 1, 4);
  [low, high] = [Math.floor(low / step) * step, Math.ceil((high + (high - low) * 0.04) / step) * step];
  const named = full.length > 1;
  const lines = full.slice(0, 6).map((s) => ({ ...s, name: f.prose(s.name) }));
  // Names stand at the ends of their lines where they fit there, else in a legend.
  const atEnds = named && width > 520 && lines.every((s) => s.name.length <= 20);
  const pad = { left: 58, right: atEnds ? 136 : 18, top: marks.length ? 44 : onset ? 24 : 12, bottom: 28 };
  const x = (t) => pad.left + ((t - from) / (to - from || 1)) * (width - pad.left - pad.right);
  const y = (v) => height - pad.bottom - ((v - low) / (high - low || 1)) * (height - pad.top - pad.bottom);
  const ys = [];
  for (let v = low; v <= high + step / 2; v += step) ys.push(v);
  const ends = spread(lines.map((s, i) => { const last = s.points.filter((p) => p[1] !== null).at(-1); return { i, name: s.name, y: y(last[1]), x: x(last[0]) }; }), 15, pad.top + 4, height - pad.bottom);
  const visible = spreadMarks(marks.map((m) => ({ ...m, ms: f.moment(m.at) })).filter((m) => m.ms >= from && m.ms <= to).map((m, i) => ({ ...m, n: i + 1 })), x, pad.left, width - pad.right);
  const longer = to - from > 86400000;
  const band = (w, name) => {
    if (!w) return null;
    const [a, b] = [Math.max(from, f.moment(w.from)), Math.min(to, f.moment(w.to))];
    return b > a && html`<g class=${`band ${name.replaceAll(" ", "-")}`}><rect x=${x(a)} y=${pad.top} width=${x(b) - x(a)} height=${height - pad.top - pad.bottom} /><text x=${x(a) + 6} y=${pad.top + 15}>${name}</text></g>`;
  };
  const move = (event) => {
    const frame = event.currentTarget.getBoundingClientRect();
    const px = event.clientX - frame.left;
    point(px < pad.left || px > width - pad.right ? null : from + ((px - pad.left) / (width - pad.left - pad.right)) * (to - from));
  };
  const summary = lines.map((s) => { const own = s.points.filter((p) => p[1] !== null); return `${s.name}: from ${f.value(own[0][1], unit)} to ${f.value(own.at(-1)[1], unit)}`; }).join("; ");
  const reading = at === null ? null : lines.map((s) => near(s.points, at));
  const moment = reading?.find(Boolean)?.[0];
  return html`<figure class="chart" ref=${box}>
    <figcaption>${title && html`<span class="chart-title">${title}</span>`}
      <span class="chart-reading" aria-hidden="true">${reading && html`${f.clock(moment)} ${lines.map((s, i) => reading[i] && html`<span class=${`key line-${i}`}>${named ? `${shorten(s.name, 26)} ` : ""}<b>${f.value(reading[i][1], unit)}</b></span>`)}`}</span>
      <button type="button" class="small quiet" aria-expanded=${table} onClick=${() => showTable(!table)}>${table ? "Chart only" : "As table"}</button></figcaption>
    <svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" class=${bands[1] === "degraded" ? "" : "calm"} aria-label=${`${label ?? title ?? "Chart"}. ${summary}`} onPointerMove=${move} onPointerLeave=${() => point(null)}>
      ${band(windows?.healthy, bands[0])}${band(windows?.degraded, bands[1])}
      ${ys.map((v) => html`<g class="grid"><line x1=${pad.left} x2=${width - pad.right} y1=${y(v)} y2=${y(v)} /><text x=${pad.left - 8} y=${y(v) + 4} text-anchor="end">${f.value(v, unit)}</text></g>`)}
      ${timeTicks(from, to, Math.max(3, Math.floor((width - pad.left - pad.right) / 90))).map((t) => html`<text class="tick" x=${x(t)} y=${height - 9} text-anchor="middle">${longer && f.clock(t) === "00:00" ? f.day(t) : f.clock(t)}</text>`)}
      ${onset && f.moment(onset) >= from && f.moment(onset) <= to && html`<g class="onset"><line x1=${x(f.moment(onset))} x2=${x(f.moment(onset))} y1=${pad.top - 14} y2=${height - pad.bottom} /><text x=${x(f.moment(onset)) + 5} y=${pad.top - 6}>onset ${f.clock(onset)}</text></g>`}
      ${visible.map((m) => html`<g class=${`chart-mark ${m.strong ? "strong" : ""}`}><title>${f.clock(m.at)} ${m.label}</title><path class="lead" d=${`M${m.y} 19L${x(m.ms)} 29V${height - pad.bottom}`} /><path class="diamond" d=${`M${m.y} 1l9 9-9 9-9-9z`} /><text x=${m.y} y="14" text-anchor="middle">${m.n}</text></g>`)}
      ${lines.map((s, i) => html`<path class=${`line line-${i}`} d=${pathOf(s.points, x, y)} />`).reverse()}
      ${atEnds && ends.map((e) => html`<text class=${`end line-${e.i}`} x=${width - pad.right + 8} y=${e.y + 4}>${e.name}</text>`)}
      ${reading && html`<g class="cursor"><line x1=${x(moment)} x2=${x(moment)} y1=${pad.top} y2=${height - pad.bottom} />${lines.map((s, i) => reading[i] && html`<circle class=${`line-${i}`} cx=${x(reading[i][0])} cy=${y(reading[i][1])} r="3.5" />`)}</g>`}
    </svg>
    ${named && !atEnds && html`<ul class="legend">${lines.map((s, i) => html`<li class=${`key line-${i}`}><svg width="26" height="8" aria-hidden="true"><path class=${`line line-${i}`} d="M0 4h26" /></svg> ${s.name}</li>`)}</ul>`}
    ${visible.length > 0 && html`<ol class="legend marks">${visible.map((m) => html`<li class=${m.strong ? "strong" : ""}><span class="mark-number">${m.n}</span><span class="time">${f.clock(m.at)}</span> ${m.label}</li>`)}</ol>`}
    ${full.length > lines.length && html`<p class="note legend">${f.plural(full.length - lines.length, "more line")} not drawn.</p>`}
    ${table && html`<${Twin} series=${lines} unit=${unit} label=${label ?? title} />`}
  </figure>`;
};

const Twin = ({ series, unit, label }) => {
  const times = [...new Set(series.flatMap((s) => s.points.map((p) => p[0])))].sort((a, b) => a - b);
  const by = series.map((s) => new Map(s.points));
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label=${`${label ?? "Chart"} as a table`}><table class="plain"><thead><tr><th scope="col">Time (${f.zoneName()})</th>${series.map((s) => html`<th scope="col" class="num">${s.name}</th>`)}</tr></thead>
    <tbody>${times.map((t) => html`<tr><th scope="row">${f.dayClock(t)}</th>${by.map((m) => html`<td class="num">${f.value(m.get(t) ?? null, unit)}</td>`)}</tr>`)}</tbody></table></div>`;
};

/// A chart of several named queries, each of which gives one line or more.
export const QueryChart = ({ queries, ...rest }) => {
  const [state, set] = useState({});
  const key = queries.map((q) => q.query).join("\n");
  useEffect(() => {
    const stop = new AbortController();
    set({});
    Promise.all(queries.map((q) => get("/query", { q: q.query }, stop.signal).then((r) => ({ ...r, name: q.name })))).then(
      (results) => set({ unit: results[0]?.unit, series: results.flatMap((r) => (r.series ?? []).map((s, _, all) => ({ ...s, name: all.length > 1 ? `${r.name}: ${s.name}` : r.name }))) }),
      (error) => { if (error.name !== "AbortError") set({ error }); },
    );
    return () => stop.abort();
  }, [key]);
  if (state.error) return html`<${Failed} error=${state.error} />`;
  if (!state.series) return html`<div class="chart chart-waiting"><${Waiting} what="Drawing" /></div>`;
  return html`<${Chart} ...${rest} series=${state.series} unit=${state.unit} />`;
};
