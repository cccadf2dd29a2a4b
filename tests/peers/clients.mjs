// Real libraries send what the feeds read: `web-vitals` and a reporting observer in Chromium, the Common Media Library's CMCD
// reporter, the Unleash SDK. Prints what it did as one line of JSON.
import { CmcdReporter } from "@svta/cml-cmcd";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { initialize } from "unleash-client";

const [feeds, pages] = process.argv.slice(2);
const done = {};

// --- a page with web vitals
const library = readFileSync(createRequire(import.meta.url).resolve("web-vitals").replace(/[^/]*$/, "web-vitals.js"));
const html = `<!doctype html><meta http-equiv="Content-Security-Policy" content="img-src 'none'">
<h1>Rows</h1><button>More</button><p>${"Some text that is drawn. ".repeat(40)}</p>
<script type="module">
import { onCLS, onFCP, onINP, onLCP, onTTFB } from "/web-vitals.js";
const metrics = window.metrics = [];
for (const on of [onLCP, onINP, onCLS, onFCP, onTTFB]) on(({ name, value, delta, id, rating, navigationType }) =>
  metrics.push({ name, value, delta, id, rating, navigationType }));
addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden" && metrics.length) navigator.sendBeacon("${pages}/v1/feeds/web-vitals",
    JSON.stringify({ app: "webui", version: "3.1.0", session: "session-of-a-page", page: location.href, metrics: metrics.splice(0) }));
});
new ReportingObserver(async reports => {
  const answer = await fetch("${pages}/v1/feeds/reports?app=webui", { method: "POST", headers: { "Content-Type": "application/reports+json" }, body: JSON.stringify(reports) });
  window.reported = await answer.json();
}, { buffered: true }).observe();
const image = new Image();
image.src = "/hero.png";
</script>`;
const site = createServer((request, response) => {
  const script = request.url === "/web-vitals.js";
  response.writeHead(200, { "Content-Type": script ? "text/javascript" : "text/html" });
  response.end(script ? library : html);
});
await new Promise((ready) => site.listen(0, "127.0.0.1", ready));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
const errors = [];
page.on("pageerror", (e) => errors.push(String(e)));
await page.goto(`http://127.0.0.1:${site.address().port}/title/80100172?from=row`);
await page.click("button");
await page.waitForFunction(() => window.reported && window.metrics.some((m) => m.name === "TTFB"));
done.reported = await page.evaluate(() => window.reported);
await page.goto("about:blank");
await page.waitForTimeout(500);
done.errors = errors;
await browser.close();
site.close();

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
