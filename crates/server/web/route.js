// The address holds the whole state of a page: path and parameters live in the hash, nothing is kept aside.
import { useEffect, useState } from "./vendor/preact-htm.js";

export const parse = (hash) => {
  // At the first question mark only: what follows may be a question, and end with one.
  const [, path, search = ""] = (hash || "#/").match(/^#?([^?]*)\??(.*)$/s);
  return { path: path || "/", params: Object.fromEntries(new URLSearchParams(search)) };
};

export const href = (path, params = {}) => {
  const kept = Object.entries({ tz: parse(location.hash).params.tz, ...params }).filter(([, v]) => v !== undefined && v !== null && v !== "" && v !== false);
  const search = new URLSearchParams(kept).toString();
  return `#${path}${search ? `?${search}` : ""}`;
};

export const go = (path, params) => { location.hash = href(path, params).slice(1); };

/// Changes parameters of the present page without a step in the browser's history.
export const tune = (changes) => {
  const { path, params } = parse(location.hash);
  history.replaceState(null, "", href(path, { ...params, ...changes }));
  dispatchEvent(new HashChangeEvent("hashchange"));
};

export const useRoute = () => {
  const [route, set] = useState(() => parse(location.hash));
  useEffect(() => {
    const follow = () => set(parse(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
};
