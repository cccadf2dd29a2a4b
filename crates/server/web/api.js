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

export const get = async (path, params, signal) => read(await fetch(address(path, params), { signal, headers: { accept: "application/json" } }));
export const post = async (path, body) =>
  read(await fetch(`/api/v1${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));

/// What lies at a path, asked again when the path, its parameters or `again` change; the last answer stays while a new one is on its way.
export const useGet = (path, params, again) => {
  const [state, set] = useState({ data: null, error: null, loading: true });
  const key = path === null ? null : address(path, params);
  useEffect(() => {
    if (key === null) return undefined;
    const stop = new AbortController();
    set((old) => ({ ...old, data: old.key === key.split("?")[0] ? old.data : null, error: null, loading: true }));
    get(path, params, stop.signal).then(
      (data) => set({ data, error: null, loading: false, key: key.split("?")[0] }),
      (error) => { if (error.name !== "AbortError") set({ data: null, error, loading: false }); },
    );
    return () => stop.abort();
  }, [key, again]);
  return state;
};

let stream = null;
const listen = (name, act) => {
  stream ??= new EventSource("/api/v1/events");
  const heard = (event) => { try { act(JSON.parse(event.data)); } catch { /* a broken event tells nothing */ } };
  stream.addEventListener(name, heard);
  return () => stream.removeEventListener(name, heard);
};
export const useEvent = (name, act) => {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => listen(name, (data) => latest.current(data)), [name]);
};
/// A number that grows whenever one of these events arrives: a reason to ask again.
export const useNews = (...names) => {
  const [count, set] = useState(0);
  useEffect(() => {
    const stops = names.map((name) => listen(name, () => set((n) => n + 1)));
    return () => stops.forEach((stop) => stop());
  }, []);
  return count;
};
