// How numbers, units and moments are written everywhere.

let zone = "UTC";
export const setZone = (name) => { zone = name === "local" ? undefined : "UTC"; };
export const zoneName = () => (zone === "UTC" ? "UTC" : "local time");

const MINUS = "−";
const NARROW = " ";

export const number = (v, digits) => {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  const size = Math.abs(v);
  const places = digits ?? (size >= 100 || Number.isInteger(v) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
  return v.toLocaleString("en-US", { maximumFractionDigits: places }).replace("-", MINUS);
};

const SCALES = {
  s: (v) => (Math.abs(v) < 1 ? [v * 1000, "ms"] : Math.abs(v) >= 7200 ? [v / 3600, "h"] : Math.abs(v) >= 120 ? [v / 60, "min"] : [v, "s"]),
  ms: (v) => (Math.abs(v) >= 10000 ? [v / 1000, "s"] : [v, "ms"]),
  ratio: (v) => [v * 100, "%"],
  // The ontology's unit 1 is a share almost always; what exceeds one is a plain number.
  "1": (v) => (Math.abs(v) <= 1 ? [v * 100, "%"] : [v, ""]),
  bytes: (v) => (Math.abs(v) >= 1e9 ? [v / 1e9, "GB"] : Math.abs(v) >= 1e6 ? [v / 1e6, "MB"] : Math.abs(v) >= 1e3 ? [v / 1e3, "kB"] : [v, "B"]),
};
const NAMES = { ms: "ms", s: "s", count: "", items: "", "items/min": "/min", "1/s": "/s", By: "bytes", "%": "%" };

/// A value with its unit, in the scale people would say it.
export const value = (v, unit = "") => {
  if (typeof v === "string") return v;
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (unit === "rows") return plural(v, "row");
  const name = unit === "By" ? "bytes" : unit;
  const [scaled, shown] = SCALES[name] ? SCALES[name](v) : [v, NAMES[name] ?? name];
  return shown ? `${number(scaled)}${NARROW}${shown}` : number(scaled);
};

/// A difference with its sign and unit.
export const delta = (v, unit) => (Number.isFinite(v) ? (v > 0 ? "+" : "") + value(v, unit) : "–");

/// A relative change: in percent, as a factor once it is large.
export const change = (v) => {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (v >= 1.5) return `×${number(1 + v, 1)}`;
  const percent = v * 100;
  return `${percent > 0 ? "+" : ""}${number(percent, Math.abs(percent) < 10 ? 1 : 0)}${NARROW}%`;
};

/// A level: a share of what is there, or (memory, connections) a plain number, which no percent sign fits.
export const level = (v) => (Math.abs(v) <= 1.5 ? value(v, "ratio") : Number.isFinite(v) ? v.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 }) : "–");

export const percent = (v) => {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (v > 0 && v < 0.005) return `<${NARROW}1${NARROW}%`;
  if (v > 0.995 && v < 1) return `>${NARROW}99${NARROW}%`;
  return `${Math.round(v * 100)}${NARROW}%`;
};

export const pValue = (v) => (v === null || v === undefined ? "" : v < 0.0001 ? "p < 0.0001" : `p = ${number(v, 4)}`);

export const moment = (v) => (v === null || v === undefined ? NaN : typeof v === "number" ? v : Date.parse(v));

const written = (v, options) => {
  const ms = moment(v);
  return Number.isFinite(ms) ? new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options }).format(ms) : "–";
};
export const clock = (v) => written(v, { hour: "2-digit", minute: "2-digit" });
export const clockSeconds = (v) => written(v, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const day = (v) => written(v, { day: "numeric", month: "short" });
export const dayClock = (v) => `${day(v)}, ${clock(v)}`;
/// Whether a moment is one at all: before anything has arrived, the server's time stands at the epoch.
export const begun = (v) => moment(v) > 0;
/// The clock, with the day when that is another one than the day of `asOf`.
export const near = (v, asOf) => (day(v) === day(asOf) ? clock(v) : dayClock(v));
/// Prose of the server as people read it: moments by the clock that is shown, true minus signs, and a name that repeats its owner
/// (`Cell of rows rows/B`) said once.
export const prose = (text, asOf) => (text ?? "")
  .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z/g, (t) => `${near(t, asOf ?? t)} ${zone === "UTC" ? "UTC" : "local"}`)
  .replace(/\b([A-Z]\w*) of (\S+) (?=\2\/)/g, "$1 ")
  .replace(/(^|[\s(])-(?=\d)/g, `$1${MINUS}`);
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");
export const iso = (v) => { const ms = moment(v); return Number.isFinite(ms) ? new Date(ms).toISOString().replace(/\.000Z$/, "Z") : ""; };

/// A length of time in the largest unit that keeps it readable.
export const length = (seconds) => {
  if (!Number.isFinite(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size < 90) return `${number(seconds, size < 10 ? 1 : 0)}${NARROW}s`;
  if (size < 5400) return `${Math.round(seconds / 60)}${NARROW}min`;
  if (size < 172800) return `${number(seconds / 3600, 1)}${NARROW}h`;
  return `${Math.round(seconds / 86400)}${NARROW}days`;
};
export const ago = (v, asOf) => {
  const seconds = (moment(asOf) - moment(v)) / 1000;
  return Number.isFinite(seconds) ? (seconds < 1 ? "just now" : `${length(seconds)} ago`) : "–";
};
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
