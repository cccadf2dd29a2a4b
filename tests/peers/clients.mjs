// Real libraries send what the feeds read: `web-vitals` in Chromium, Chromium itself (NEL, content security policy), the Common Media Library's CMCD
// reporter, the Unleash SDK. Prints what it did as one line of JSON.
import { CmcdReporter } from "@svta/cml-cmcd";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { initialize } from "unleash-client";

const [feeds, pages] = process.argv.slice(2);
const done = {};

// --- a page that measures itself, and a browser that reports by itself; it does so over HTTPS only
const [key, cert] = ["key.pem", "cert.pem"].map((name) => readFileSync(new URL(name, import.meta.url)));
const trusted = createHash("sha256").update(new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" })).digest("base64");
const library = readFileSync(createRequire(import.meta.url).resolve("web-vitals").replace(/[^/]*$/, "web-vitals.js"));
const open = async (server) => {
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return `https://localhost:${server.address().port}`;
};
// What stands before the port in real life: it ends TLS and hands on what comes.
done.reports = [];
const proxy = createServer({ key, cert }, async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  const { origin, ...sent } = request.headers;
  const headers = Object.fromEntries(Object.entries({ origin, "content-type": sent["content-type"],
    "access-control-request-headers": sent["access-control-request-headers"] }).filter(([, value]) => value));
  const { method } = request;
  const answer = await fetch(pages + request.url, { method, headers, body: method === "POST" ? body : undefined });
  const text = await answer.text();
  if (method === "POST" && request.url.includes("/reports")) done.reports.push([answer.status, text, JSON.parse(body).map((r) => [r.type, r.body.type])]);
  const back = [...answer.headers].filter(([name]) => name.startsWith("access-control") || name === "content-type");
  response.writeHead(answer.status, Object.fromEntries(back));
  response.end(text);
});
const graph = await open(proxy);
const html = `<!doctype html><h1>Rows</h1><button>More</button><p>${"Some text that is drawn. ".repeat(40)}</p><img src="/hero.png">
<script type="module">
import { onCLS, onFCP, onINP, onLCP, onTTFB } from "/web-vitals.js";
const metrics = window.metrics = [];
for (const on of [onLCP, onINP, onCLS, onFCP, onTTFB]) on(({ name, value, delta, id, rating, navigationType }) =>
  metrics.push({ name, value, delta, id, rating, navigationType }));
addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden" && metrics.length) navigator.sendBeacon("${graph}/v1/feeds/web-vitals",
    JSON.stringify({ app: "webui", version: "3.1.0", session: "session-of-a-page", page: location.href, metrics: metrics.splice(0) }));
});
for (const path of ["/missing", "/reset"]) fetch(path).catch(() => {});
</script>`;
const reports = `${graph}/v1/feeds/reports?app=webui`;
const site = createServer({ key, cert }, (request, response) => {
  if (request.url === "/reset") return request.socket.destroy();
  const script = request.url === "/web-vitals.js";
  response.writeHead(request.url === "/missing" ? 404 : 200, {
    "Content-Type": script ? "text/javascript" : "text/html",
    "Reporting-Endpoints": `default="${reports}"`,
    "Report-To": JSON.stringify({ group: "nel", max_age: 3600, endpoints: [{ url: reports }] }),
    NEL: JSON.stringify({ report_to: "nel", max_age: 3600, success_fraction: 1, failure_fraction: 1 }),
    "Content-Security-Policy": "img-src 'none'; report-to default",
  });
  response.end(script ? library : html);
});
const address = await open(site);
const browser = await chromium.launchPersistentContext(new URL("profile", import.meta.url).pathname, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--short-reporting-delay", `--ignore-certificate-errors-spki-list=${trusted}`],
});
const page = await browser.newPage();
done.errors = [];
page.on("pageerror", (e) => done.errors.push(String(e)));
await page.goto(`${address}/title/80100172?from=row`);
await page.click("button");
await page.waitForFunction(() => window.metrics.some((m) => m.name === "TTFB"));
await page.goto("about:blank");
const kinds = () => done.reports.flatMap(([, , all]) => all.map(([type, of]) => of ?? type));
const wanted = ["ok", "http.error", "csp-violation"];
for (let i = 0; i < 60 && !wanted.every((kind) => kinds().includes(kind)); i++) await new Promise((later) => setTimeout(later, 250));
done.kinds = kinds();
await browser.close();
site.close();
proxy.close();

// --- a player
const statuses = [];
const reporter = new CmcdReporter({
  sid: "sid-of-a-player", cid: "80100172", version: 2,
  eventTargets: [{ url: `${pages}/v1/feeds/cmcd?app=tvui&version=8.42.0`, version: 2, events: ["ps"], interval: 0, batchSize: 2, enabledKeys: ["e", "ts", "sid", "cid", "sta", "br", "bl", "bs", "msd", "cdn", "st"] }],
}, async ({ url, method, headers, body }) => {
  const answer = await fetch(url, { method, headers, body });
  statuses.push([answer.status, await answer.json()]);
  return { status: answer.status };
});
reporter.update({ sta: "s", st: "v", cdn: "cdn-a" });
reporter.recordEvent("ps");
reporter.update({ sta: "p", br: [3200], bl: [21300], msd: 1240 });
reporter.recordEvent("ps");
reporter.update({ sta: "r", bs: true });
reporter.recordEvent("ps");
reporter.flush();
await new Promise((later) => setTimeout(later, 500));
reporter.stop();
done.cmcd = statuses;

// --- a service that asks for flags
const flag = (name, variants) => ({ name, type: "release", enabled: true, project: "default", stale: false, impressionData: false,
  strategies: [{ name: "default", constraints: [], parameters: {}, variants }], variants: [] });
const halves = ["deep", "flat"].map((name) => ({ name, weight: 500, stickiness: "userId", payload: { type: "string", value: name } }));
const unleash = initialize({ url: `${feeds}/api/v1/feeds/unleash`, appName: "gateway", instanceId: "gateway-1", metricsInterval: 300, refreshInterval: 0,
  bootstrap: { data: [flag("new-rows", []), flag("row-order", halves)], override: true } });
done.unleash = [];
for (const event of ["error", "warn", "registered", "sent"]) unleash.on(event, (what) => done.unleash.push([event, String(what)]));
const sent = new Promise((resolve) => unleash.on("sent", resolve));
await new Promise((later) => setTimeout(later, 200));
for (let i = 0; i < 20; i++) {
  unleash.isEnabled("new-rows", { userId: `u${i}` });
  unleash.getVariant("row-order", { userId: `u${i}` });
}
await Promise.race([sent, new Promise((later) => setTimeout(later, 5000))]);
unleash.destroy();
console.log(JSON.stringify(done));
process.exit(0);
