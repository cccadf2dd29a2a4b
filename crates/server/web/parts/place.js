// Where things stand on the map: columns, rows, and names of which none covers another or a node. Pure: figures in, places out.
import * as f from "../format.js";

const PAD = { x: 64, top: 52, bottom: 44 };
/// Narrower columns leave no room for names; then the map is scrolled sideways instead.
const COLUMN = 92;
const ROW = 50;
const MOST_HIGH = 1500;
const BASE = { same: 9, worse: 14, better: 13, added: 12, removed: 12 };
const LETTER = 6.7;
const LONGEST = 24;

const ISO = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
/// A name as short as it stays telling: the last part of a path, a cohort by the last part of each member, a moment by the clock.
export const short = (text) => {
  const last = (part) => {
    const parts = part.split("/");
    return ISO.test(parts.at(-1)) ? `${parts.at(-2) ?? ""} ${f.clock(parts.at(-1))}`.trim() : parts.at(-1);
  };
  const told = text.includes(" × ") ? text.split(" × ").map((p) => last(p.split(" ").at(-1))).join(" × ") : text.length > LONGEST || ISO.test(text.split("/").at(-1)) || ISO.test(text.split("/")[0]) ? last(text) : text;
  return told.length > LONGEST ? `${told.slice(0, LONGEST - 1)}…` : told;
};

/// Shorter still, for where the name does not fit.
const brief = (text) => { const last = text.split("/").at(-1); return last.length > 14 ? `${last.slice(0, 13)}…` : last; };

/// The room the map takes: a column for each class that is there, and enough rows for the fullest column.
export const room = (nodes, seen) => {
  const columns = [...new Set(nodes.map((n) => n.x))].sort((a, b) => a - b);
  const filled = columns.map((x) => nodes.filter((n) => n.x === x).length);
  const rows = Math.max(1, ...filled);
  const height = Math.min(MOST_HIGH, Math.max(470, rows * ROW + PAD.top + PAD.bottom));
  return { columns, width: Math.max(seen, columns.length * COLUMN), height, crowd: Math.min(1, (height - PAD.top - PAD.bottom) / rows / 26) };
};

/// Nodes with their place in pixels. The server says which column and how high, so that nothing moves from one moment to another.
export const lay = (nodes, space, centre, say) => {
  const order = new Map(space.columns.map((x, i) => [x, i]));
  const wide = space.width - 2 * PAD.x;
  return nodes.map((n) => ({
    ...n, short: short(n.name), say: n.change === "same" ? "" : say(n.figures, n.before),
    px: PAD.x + (space.columns.length > 1 ? (order.get(n.x) ?? 0) / (space.columns.length - 1) : 0.5) * wide,
    py: PAD.top + n.y * (space.height - PAD.top - PAD.bottom),
    r: Math.max(BASE[n.change] + Math.min(4, Math.max(0, n.score ?? 0) / 5), n.id === centre ? 14 : 0) * space.crowd,
  }));
};

/// The heading of each column: the class, once for neighbouring columns of the same class.
export const headings = (laid, k) => {
  const at = new Map();
  for (const n of laid) at.set(n.px, at.has(n.px) && at.get(n.px) !== n.class ? "" : n.class);
  let free = -Infinity;
  return [...at].sort((a, b) => a[0] - b[0]).filter(([x, cls], i, all) => {
    const half = cls.length * 3.4 * k;
    if (!cls || cls === all[i - 1]?.[1] || x - half < free) return false;
    free = x + half + 8 * k;
    return true;
  });
};

const meet = (a, b) => a[0] < b[2] && a[2] > b[0] && a[1] < b[3] && a[3] > b[1];
const weight = (n) => (n.change === "same" ? 0 : 100) + Math.abs(n.score ?? 0);

/// Names, what matters most first. Each tries below, right, above and left of its node, then the same with less of the name; one that would cover a node or another name
/// waits until it is pointed at. `must` are named in any case, and first. Answers the boxes too, for what is written afterwards.
export const nameNodes = (laid, k, must, width) => {
  const bodies = laid.map((n) => [n.id, [n.px - (n.r + 2) * k, n.py - (n.r + 2) * k, n.px + (n.r + 2) * k, n.py + (n.r + 2) * k]]);
  const taken = [];
  const out = new Map();
  const rank = (n) => (must.has(n.id) ? 10000 : 0) + weight(n);
  for (const n of [...laid].sort((a, b) => rank(b) - rank(a) || a.px - b.px || a.py - b.py)) {
    const high = (n.say ? 29 : 16) * k;
    // Clear of the ring that shows focus and choice.
    const gap = (n.r + 8) * k;
    // Where the text starts, measured from the node's middle in unscaled pixels, and how it is anchored.
    const spots = (text, wide = (Math.max(text.length, n.say.length) * LETTER + 6) * k) => [
      ["middle", 0, n.r + 19, [n.px - wide / 2, n.py + gap, n.px + wide / 2, n.py + gap + high]],
      ["start", n.r + 14, n.say ? -2 : 4, [n.px + gap + 3 * k, n.py - high / 2, n.px + gap + 3 * k + wide, n.py + high / 2]],
      ["middle", 0, -n.r - (n.say ? 25 : 12), [n.px - wide / 2, n.py - gap - high, n.px + wide / 2, n.py - gap]],
      ["end", -n.r - 10, n.say ? -2 : 4, [n.px - gap - wide, n.py - high / 2, n.px - gap, n.py + high / 2]],
    ];
    const fits = ([, , , box]) => box[0] >= 2 && box[2] <= width - 2 && box[1] >= 24 && !taken.some((t) => meet(t, box)) && !bodies.some(([id, b]) => id !== n.id && meet(b, box));
    const texts = [...new Set([n.short, brief(n.short)])];
    let [text, spot] = texts.map((t) => [t, spots(t).find(fits)]).find(([, s]) => s) ?? [];
    // What one has chosen is named even over nodes, though not over another name.
    if (!spot && must.has(n.id)) [text, spot] = texts.map((t) => [t, spots(t)[0]]).find(([, s]) => !taken.some((t) => meet(t, s[3]))) ?? [];
    if (!spot) continue;
    taken.push(spot[3]);
    out.set(n.id, { text, anchor: spot[0], x: spot[1], y: spot[2] });
  }
  return { names: out, taken: [...taken, ...bodies.map((b) => b[1])] };
};

/// The line of an edge: a flat bow, so that edges there and back are two lines; wider between two nodes of one column.
export const bow = (a, b, k) => {
  const [dx, dy] = [b.px - a.px, b.py - a.py];
  const size = Math.hypot(dx, dy) || 1;
  const [ra, rb] = [(a.r + 2) * k, (b.r + 3) * k];
  const [x1, y1, x2, y2] = [a.px + (dx / size) * ra, a.py + (dy / size) * ra, b.px - (dx / size) * rb, b.py - (dy / size) * rb];
  const bend = Math.abs(dx) < 4 ? Math.min(70, size * 0.3) : Math.min(22, size * 0.07);
  return { x1, y1, x2, y2, mx: (x1 + x2) / 2 - (dy / size) * bend, my: (y1 + y2) / 2 + (dx / size) * bend };
};
const along = (c, t) => [(1 - t) ** 2 * c.x1 + 2 * t * (1 - t) * c.mx + t * t * c.x2, (1 - t) ** 2 * c.y1 + 2 * t * (1 - t) * c.my + t * t * c.y2];

/// Words on edges, where there is room for them beside everything written so far.
export const nameEdges = (edges, k, taken) => {
  const out = new Map();
  const used = [...taken];
  for (const e of edges) {
    if (!e.text) continue;
    const half = (e.text.length * LETTER * k) / 2 + 2 * k;
    for (const t of [0.5, 0.38, 0.62, 0.27, 0.73]) {
      const [x, y] = along(e.curve, t);
      const box = [x - half, y - 11 * k, x + half, y + 4 * k];
      if (used.some((u) => meet(u, box))) continue;
      used.push(box);
      out.set(e.key, [x, y]);
      break;
    }
  }
  return out;
};

/// The nearest node in the direction of an arrow key: what lies off to the side counts as three times as far.
export const towards = (laid, from, key) => {
  const turn = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
  const here = laid.find((n) => n.id === from);
  if (!turn || !here) return null;
  let best = null;
  for (const n of laid) {
    const [dx, dy] = [n.px - here.px, n.py - here.py];
    const ahead = dx * turn[0] + dy * turn[1];
    if (n.id === from || ahead <= 1) continue;
    const far = ahead + 3 * Math.abs(dx * turn[1] + dy * turn[0]);
    if (!best || far < best.far) best = { id: n.id, far };
  }
  return best?.id ?? null;
};
