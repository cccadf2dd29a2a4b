// Opens every page in real Chromium as a person would: looks, types, presses keys, copies, and fails on any console error, CSP violation or axe finding.
// usage: node tests/browser/run.mjs BASE_URL [SCREENSHOT_DIR]      (playwright-core and @axe-core/playwright: in node_modules beside this file, or in the folder that WEBTOOLS names)
import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const tools = createRequire(process.env.WEBTOOLS ? join(process.env.WEBTOOLS, "package.json") : import.meta.url);
const { chromium } = tools("playwright-core");
const { AxeBuilder } = tools("@axe-core/playwright");

const base = (process.argv[2] ?? "http://127.0.0.1:8077").replace(/\/$/, "");
const pictures = process.argv[3];
if (pictures) mkdirSync(pictures, { recursive: true });
const FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(" ");

let passed = 0;
const failures = [];
const say = (good, name, detail = "") => {
  if (good) passed += 1;
  else failures.push(name);
  console.log(`${good ? "ok  " : "FAIL"} ${name}${good || !detail ? "" : `\n     ${detail}`}`);
};
const check = async (name, act) => {
  try {
    const trouble = await act();
    say(!trouble, name, trouble || "");
  } catch (error) {
    say(false, name, String(error.message).split("\n").slice(0, 4).join(" | "));
  }
};
const differs = (seen, wanted, what) => (seen === wanted ? "" : `${what}: ${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);
const lacks = (text, pattern) => (pattern.test(text) ? "" : `${pattern} not found in ${JSON.stringify(text.slice(0, 300))}`);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
const complaints = [];
const open = async (options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, permissions: ["clipboard-read", "clipboard-write"], reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") complaints.push(`${page.url()}: ${m.text()}`); });
  page.on("pageerror", (e) => complaints.push(`${page.url()}: ${e.message}`));
  page.on("request", (r) => { if (!r.url().startsWith(base) && !r.url().startsWith("data:")) complaints.push(`request to another host: ${r.url()}`); });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
  return page;
};
const visit = async (page, hash, ready) => {
  await page.goto(`${base}/${hash}`);
  await page.locator(ready).first().waitFor({ timeout: 20000 });
  await page.locator(".waiting").first().waitFor({ state: "detached", timeout: 20000 }).catch(() => {});
};
const picture = async (page, name, fullPage = false) => { if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage }); };
const accessible = async (page) => {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary?.split("\n")[1] ?? ""}`).join("; ")}`).join(" | ");
};
// Prose of the server is shown with clock times and without repeated names; here the same rule, said independently.
const told = (text) => text.replace(/\d{4}-\d\d-\d\dT(\d\d:\d\d):\d\dZ/g, "$1 UTC").replace(/(\w+) of (\S+) (?=\2\/)/g, "$1 ").replace(/ -(?=\d)/g, " −");
const literally = (text) => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
const api = async (path) => (await fetch(`${base}/api/v1${path}`)).json();

const { regressions } = await api("/regressions");
const first = regressions.find((r) => r.state === "open" && r.investigation && r.top_cause) ?? regressions.find((r) => r.investigation) ?? regressions[0];
const answer = first?.investigation ? await api(`/investigations/${encodeURIComponent(first.investigation)}`) : null;
await check("the server knows a regression that was investigated", () => (answer ? "" : "no regression with an investigation"));

const page = await open();
await check("the security headers forbid inline code and other hosts", async () => {
  const headers = (await page.goto(`${base}/`)).headers();
  const csp = headers["content-security-policy"] ?? "";
  return lacks(csp, /default-src 'self'/) || (/unsafe/.test(csp) ? csp : "") || differs(headers["x-content-type-options"], "nosniff", "x-content-type-options");
});

await visit(page, "#/", ".regression");
await check("home lists each regression with change, place and cause", async () => {
  const text = await page.locator(".regressions").first().innerText();
  return lacks(text, new RegExp(first.measure.replaceAll(".", "\\."))) || (first.top_cause ? lacks(text, new RegExp(first.top_cause.title.slice(0, 12).replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))) : "");
});
await check("home is free of axe findings", () => accessible(page));
await check("slash puts the cursor into the question", async () => {
  await page.locator("h1").click();
  await page.keyboard.press("/");
  return differs(await page.evaluate(() => document.activeElement?.dataset.ask !== undefined), true, "focus on ask");
});
await picture(page, "home");
await check("a regression opens its investigation by click", async () => {
  await page.locator(".regression h3 a").first().click();
  await page.locator(".answer h1").waitFor({ timeout: 20000 });
  return lacks(page.url(), /#\/(investigations|ask)/);
});

if (answer) {
  await visit(page, `#/investigations/${encodeURIComponent(first.investigation)}`, ".answer h1");
  await check("the investigation opens with the answer in one sentence", async () => differs(await page.locator(".answer h1").innerText(), told(answer.headline), "headline"));
  await check("the tier verdict is said in words", async () => (["client", "network", "backend"].includes(answer.tier.verdict) ? lacks(await page.locator(".tier-parts .guilty").innerText(), new RegExp(`${answer.tier.verdict}[\\s\\S]*at fault`, "i")) : ""));
  await check("the answer is on the first screen", async () => {
    const box = await page.locator(".answer-top").boundingBox();
    return box && box.y < 300 ? "" : `the verdict starts at ${box?.y}`;
  });
  if (answer.causes.length) {
    await check("the first cause is named with its probability", async () => lacks(await page.locator(".cause.first .cause-head").innerText(), /%/) || differs(await page.locator(".cause.first h3").innerText(), answer.causes[0].title, "title"));
    await check("the measure is drawn as a chart", async () => { await page.locator(".overview .chart path.line").first().waitFor({ timeout: 15000 }); });
    await check("the chart has a table with the same numbers", async () => {
      await page.locator(".overview .chart figcaption button").click();
      const rows = await page.locator(".overview table tbody tr").count();
      await page.locator(".overview .chart figcaption button").click();
      return rows > 3 ? "" : `${rows} rows`;
    });
    await check("evidence opens by keyboard, its query runs and the address remembers it", async () => {
      const proof = page.locator(".cause.first .evidence button").first();
      await proof.focus();
      await page.keyboard.press("Enter");
      await page.locator(".evidence-proof .query button").first().click();
      await page.locator(".evidence-proof .query-result").first().waitFor({ timeout: 15000 });
      return lacks(page.url(), /evidence=/);
    });
    await check("every query of the first cause recomputes something", async () => {
      for (const e of answer.causes[0].evidence) {
        const response = await fetch(`${base}/api/v1/query?q=${encodeURIComponent(e.query)}`);
        if (!response.ok) return `${e.query}: ${response.status} ${await response.text()}`;
      }
      return "";
    });
  }
  await check("copy as Markdown gives the headline", async () => {
    await page.getByRole("button", { name: "Copy as Markdown" }).click();
    return lacks(await page.evaluate(() => navigator.clipboard.readText()), new RegExp(`^# ${answer.headline.slice(0, 20).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`));
  });
  await check("the investigation is free of axe findings", () => accessible(page));
  await visit(page, `#/investigations/${encodeURIComponent(first.investigation)}`, ".overview .chart, .overview .empty");
  await page.waitForTimeout(400);
  await picture(page, "investigation");
  await picture(page, "investigation-full", true);
}

const [healthy, degraded] = answer ? [answer.windows.healthy.to, answer.windows.degraded.to].map((t) => new Date((typeof t === "number" ? t : Date.parse(t)) - 60000).toISOString()) : [];
const place = `#/graph?${new URLSearchParams({ around: first?.subject.id ?? "", at: degraded ?? "", compare: healthy ?? "" })}`;
await visit(page, place, ".map .node");
await check("the graph shows the surroundings and says what changed", async () => {
  const nodes = await page.locator(".map .node").count();
  const summary = await page.locator(".diff-summary").innerText();
  return (nodes > 2 && nodes <= 300 ? "" : `${nodes} nodes`) || lacks(summary, /worse/);
});
await picture(page, "graph");
await check("the graph is free of axe findings", () => accessible(page));
await check("brackets step through the events", async () => {
  const before = page.url();
  await page.keyboard.press("[");
  await page.waitForTimeout(300);
  return page.url() === before ? "the address did not change" : "";
});
await check("d switches the comparison off and on", async () => {
  await page.locator(".map .node").first().waitFor();
  await page.keyboard.press("d");
  await page.waitForFunction(() => !location.hash.includes("compare="));
  await page.keyboard.press("d");
  await page.waitForFunction(() => location.hash.includes("compare="));
});
await visit(page, place, ".map .node");
await check("a node opens its panel by keyboard", async () => {
  await page.locator(".map .node .press").last().focus();
  await page.keyboard.press("Enter");
  await page.locator(".panel h2").waitFor({ timeout: 15000 });
  return lacks(page.url(), /node=/);
});
await check("the graph with its panel is free of axe findings", () => accessible(page));
await check("the map has a table with as many nodes", async () => {
  const nodes = await page.locator(".map .node").count();
  await page.getByRole("button", { name: "Table", exact: true }).click();
  return differs(await page.locator(".tables table").first().locator("tbody tr").count(), nodes, "rows");
});
await check("the tables are free of axe findings", () => accessible(page));
await check("find offers things by name", async () => {
  await page.locator("#find").fill(first.subject.name.slice(0, 4));
  await page.locator(".found li").first().waitFor({ timeout: 15000 });
});

await visit(page, "#/sources", ".sources tbody tr");
await check("sources show freshness and what was set aside", async () => lacks(await page.locator("table.sources").innerText(), /ago|just now/));
await check("sources are free of axe findings", () => accessible(page));
await picture(page, "sources");

await check("an unknown word is said to be unknown", async () => {
  await visit(page, `#/ask?${new URLSearchParams({ q: "Why is the flurb slow?" })}`, ".answer h1, .failed");
  return lacks(await page.locator("main").innerText(), /flurb/) || lacks(await page.locator(".badge").first().innerText(), /understood/i);
});
await check("the answer to an unknown word is free of axe findings", () => accessible(page));
await check("a question typed in the head of the page is answered", async () => {
  await page.keyboard.press("Escape");
  await page.locator("[data-ask]").fill(answer?.question ?? "Why is it slow?");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => /#\/ask\?q=Why/.test(location.hash));
  await page.locator(".answer h1").waitFor({ timeout: 20000 });
});

const dark = await open({ colorScheme: "dark" });
for (const [name, hash, ready] of [["home", "#/", ".regression"], ["graph", place, ".map .node"], ["sources", "#/sources", ".sources tbody tr"], ...(answer ? [["investigation", `#/investigations/${encodeURIComponent(first.investigation)}`, ".overview .chart path, .overview .empty"]] : [])]) {
  await visit(dark, hash, ready);
  await check(`${name} in the dark is free of axe findings`, () => accessible(dark));
}
await picture(dark, "investigation-dark");
const phone = await open({ viewport: { width: 390, height: 844 } });
await check("no page is wider than a phone", async () => {
  for (const hash of ["#/", place, "#/sources", ...(answer ? [`#/investigations/${encodeURIComponent(first.investigation)}`] : [])]) {
    await visit(phone, hash, "main .page");
    await phone.waitForTimeout(300);
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
    if (wide > 392) return `${hash}: ${wide} px`;
  }
  return "";
});
await check("nothing complained: no console error, no CSP violation, no request to another host", () => complaints.slice(0, 8).join(" | "));

await browser.close();
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
