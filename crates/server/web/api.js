// What the pages may ask of the server: JSON under /api/v1 and its stream of events.
import { useEffect, useRef, useState } from "./vendor/preact-htm.js";

const read = async (response) => {
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.error ?? `The server answered ${response.status} ${response.statusText}`);
  return body;
};
const address = (path, params) => {
  const kept = Object.entries(params ?? {}).filter(([, v]) => v !== undefined && v !== null && v !== "");
  return `/api/v1${path}${kept.length ? `?${new URLSearchParams(kept)}` : ""}`;
};
// Browsers say "Failed to fetch" when nobody answers.
const reach = (...request) => fetch(...request).catch((error) => { throw error.name === "AbortError" ? error : new Error("The server does not answer."); });

export const get = async (path, params, signal) => read(await reach(address(path, params), { signal, headers: { accept: "application/json" } }));
export const post = async (path, body) =>
  read(await reach(`/api/v1${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));

/// What lies at a path, asked again when the path, its parameters or `again` change, or on `retry`. The last answer stays while a
/// new one is on its way, and beside the error when asking the same again failed: old figures are better than none, if that is said.
export const useGet = (path, params, again) => {
  const [state, set] = useState({ data: null, error: null, loading: true });
  const [tries, bump] = useState(0);
  const key = path === null ? null : address(path, params);
  useEffect(() => {
    if (key === null) return undefined;
    const stop = new AbortController();
    const place = key.split("?")[0];
    set((old) => ({ ...old, data: old.place === place ? old.data : null, error: null, loading: true }));
    get(path, params, stop.signal).then(
      (data) => set({ data, error: null, loading: false, key, place }),
      (error) => { if (error.name !== "AbortError") set((old) => ({ ...old, data: old.key === key ? old.data : null, error, loading: false })); },
    );
    return () => stop.abort();
  }, [key, again, tries]);
  return { ...state, retry: () => bump((n) => n + 1) };
};

// One stream for the whole page. Listeners are kept beside it, because a stream that the server ended has to be opened anew.
const RETRY_MS = 3000;
const REOPENED = "reopened";
const listeners = new Map();
let stream = null;
let lost = false;
const tell = (name, data) => listeners.get(name)?.forEach((act) => act(data));
const attach = (name) => stream?.addEventListener(name, (event) => { try { tell(name, JSON.parse(event.data)); } catch { /* a broken event tells nothing */ } });
const connect = () => {
  stream = new EventSource("/api/v1/events");
  stream.onopen = () => { if (lost) { lost = false; tell(REOPENED); } };
  stream.onerror = () => {
    lost = true;
    tell("lost");
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
  [...listeners.keys()].forEach(attach);
};
const listen = (name, act) => {
  if (!listeners.has(name)) { listeners.set(name, new Set()); attach(name); }
  if (!stream) connect();
  listeners.get(name).add(act);
  return () => listeners.get(name).delete(act);
};
export const useEvent = (name, act) => {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => listen(name, (data) => latest.current(data)), [name]);
};
/// A number that grows whenever one of these events arrives, or may have been missed: a reason to ask again.
export const useNews = (...names) => {
  const [count, set] = useState(0);
  useEffect(() => {
    const stops = [...names, REOPENED].map((name) => listen(name, () => set((n) => n + 1)));
    return () => stops.forEach((stop) => stop());
  }, []);
  return count;
};
/// Whether the stream of news is broken, so that what is shown may be old.
export const useLost = () => {
  const [now, set] = useState(lost);
  useEvent("lost", () => set(true));
  useEvent(REOPENED, () => set(false));
  return now;
};
