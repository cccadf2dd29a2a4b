// Time as a slider: events above it, the moment shown, the moment compared with.
import { html } from "../vendor/preact-htm.js";
import * as f from "../format.js";
import { tune } from "../route.js";

const sign = (kind) => (kind === "Regression" ? "onset" : kind === "Alert" ? "alert" : "change");
const MARKS = { change: "M0-6 6 0 0 6-6 0z", alert: "M0-6 6.500 5h-13z", onset: "M-5-6h10L0 6z" };

export const Timeline = ({ map, marks, at, compare, step, toggle }) => {
  const [from, to] = [f.moment(map.span.from), f.moment(map.span.to)];
  const share = (t) => Math.max(0, Math.min(1, (f.moment(t) - from) / (to - from || 1)));
  const minutes = Math.max(1, Math.round((to - from) / 60000));
  const slide = (event) => tune({ at: f.iso(from + Number(event.target.value) * 60000) });
  const next = [...marks].reverse().find((m) => f.moment(m.at) <= f.moment(at));
  return html`<div class="timeline">
    <div class="timeline-words"><button type="button" class="small" onClick=${() => step(-1)} title="Key [">◂ Earlier event</button><button type="button" class="small" onClick=${() => step(1)} title="Key ]">Later event ▸</button>
      <p><b>${f.dayClock(at)}</b> ${next ? html`<span class="note">last before it: ${f.clock(next.at)} ${next.label}</span>` : ""}</p>
      <label class="chip"><input type="checkbox" checked=${Boolean(compare)} onChange=${toggle} />Compare with ${compare ? html`<b>${f.clock(compare)}</b>` : "a healthy moment"} <kbd aria-hidden="true">d</kbd></label>
      ${compare && html`<button type="button" class="small" onClick=${() => tune({ compare: f.iso(at) })} title="What is shown now becomes what other moments are compared with">Use ${f.clock(at)} as baseline</button>`}</div>
    <div class="timeline-track">
      <svg class="timeline-marks" width="100%" height="36" aria-hidden="true">${marks.map((m) => html`<svg x=${`${share(m.at) * 100}%`} y="0" overflow="visible"><g class=${`tl-mark ${sign(m.kind)}`} transform="translate(0 22)"><title>${f.clock(m.at)} ${m.label}</title><line y1="6" y2="16" /><path d=${MARKS[sign(m.kind)]} /></g></svg>`)}
        ${compare && html`<svg x=${`${share(compare) * 100}%`} overflow="visible"><g class="tl-compare"><line y1="0" y2="36" /><text x=${share(compare) > 0.85 ? -5 : 5} y="10" text-anchor=${share(compare) > 0.85 ? "end" : "start"}>compared with ${f.clock(compare)}</text></g></svg>`}</svg>
      <input type="range" aria-label="Moment shown" aria-valuetext=${f.dayClock(at)} min="0" max=${minutes} step="1" value=${Math.round(share(at) * minutes)} onInput=${slide} />
      <div class="timeline-ends note"><span>${f.dayClock(from)}</span><span>${f.dayClock(to)} ${f.zoneName()}</span></div></div></div>`;
};
