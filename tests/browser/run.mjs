// Opens every page in real Chromium as a person would: looks, types, presses keys, copies, and fails on any console error, CSP violation or axe finding.
// usage: node tests/browser/run.mjs BASE_URL [SCREENSHOT_DIR]      (playwright-core and @axe-core/playwright: in node_modules beside this file, or in the folder that WEBTOOLS names)
import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { covered, states } from "./states.mjs";

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
/// `quiet`: failures of requests are what is looked at, so the browser's own notes of them are no complaint.
const open = async ({ quiet, ...options } = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, permissions: ["clipboard-read", "clipboard-write"], reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("console", (m) => { if (quiet && /^Failed to load resource/.test(m.text())) return; if (m.type() === "error" || m.type() === "warning") complaints.push(`${page.url()}: ${m.text()}`); });
  page.on("pageerror", (e) => complaints.push(`${page.url()}: ${e.message}`));
  page.on("request", (r) => { if (!r.url().startsWith(base) && !r.url().startsWith("data:")) complaints.push(`request to another host: ${r.url()}`); });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
  return page;
};
const settled = async (page) => {
  await page.waitForFunction(() => !document.querySelector(".waiting"), null, { timeout: 20000 });
  await page.evaluate(() => document.fonts.ready);
};
// From an empty page: a change of the hash alone would find what the page showed before.
const visit = async (page, hash, ready) => {
  await page.goto("about:blank");
  await page.goto(`${base}/${hash}`);
  await page.locator(ready).first().waitFor({ timeout: 20000 });
  await settled(page);
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
const explained = regressions.filter((r) => r.state === "open" && r.investigation && r.top_cause);
// The demo is about time to render; that regression makes the clearest pictures.
const first = explained.find((r) => r.measure === "view.ttr") ?? explained[0] ?? regressions.find((r) => r.investigation) ?? regressions[0];
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
  return lacks(text, new RegExp(first.measure.replaceAll(".", "\\."))) || (first.top_cause ? lacks(text, literally(first.top_cause.title.slice(0, 12))) : "");
});
await check("home is free of axe findings", () => accessible(page));
await check("regressions with one cause stand together", async () => {
  const causes = new Set(regressions.filter((r) => r.state === "open").map((r) => r.top_cause?.title ?? r.id));
  return differs(await page.locator("#open").locator("xpath=../..").locator(".regression-group").count(), causes.size, "groups");
});
await check("a question that home offers is understood", async () => {
  const q = await page.locator(".examples a").first().innerText();
  const { not_understood: unknown } = await (await fetch(`${base}/api/v1/ask`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ question: q }) })).json();
  return unknown.map((w) => w.word).join(", ");
});
await picture(page, "home");
await check("slash puts the cursor into the question", async () => {
  await page.locator("h1").click();
  await page.keyboard.press("/");
  return differs(await page.evaluate(() => document.activeElement?.dataset.ask !== undefined), true, "focus on ask");
});
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
  await check("what to do and why not the others are on the first screen", async () => {
    for (const [wanted, text] of [[answer.mitigations.length, /What to do first/], [answer.ruled_out.length, /Why not the others/]]) {
      if (!wanted) continue;
      const box = await page.locator(".answer-verdict h2").filter({ hasText: text }).boundingBox();
      if (!box || box.y + box.height > 860) return `${text} is at ${box?.y}`;
    }
    return "";
  });
  await check("moments are told by the clock, not in the notation of machines", async () => {
    const text = await page.locator("main").evaluate((m) => { const copy = m.cloneNode(true); copy.querySelectorAll("code").forEach((c) => c.remove()); return copy.textContent; });
    return text.match(/\d{4}-\d\d-\d\dT\S*/)?.[0] ?? "";
  });
  await check("see why goes to the suspects, and every one of them is there", async () => {
    if (!answer.ruled_out.length) return "";
    await page.getByRole("button", { name: "see why" }).click();
    const top = await page.locator("#not").evaluate((h) => h.getBoundingClientRect().top);
    return (top >= 0 && top < 860 ? "" : `the heading is at ${top}`) || differs(await page.locator(".suspect-name").count(), answer.ruled_out.length, "suspects");
  });
  await check("a tier that was not measured is not called clear", async () => {
    const measured = Object.values(answer.tier.shares).some((s) => s > 0);
    const text = await page.locator(".tier-parts").first().innerText();
    return measured || answer.tier.verdict === "none" ? lacks(text, /clear|undecided/) : /clear|\d\s*%/.test(text) ? text : "";
  });
  if (answer.causes.length) {
    await check("each way from the user to the fault begins at the user", async () => {
      const starts = await page.locator(".cause.first .path > li:first-child").allInnerTexts();
      return starts.length && starts.every((s) => /user/.test(s)) ? "" : JSON.stringify(starts);
    });
    await check("the first cause is named with its probability", async () => lacks(await page.locator(".cause.first .cause-head").innerText(), /%/) || differs(await page.locator(".cause.first h3").innerText(), answer.causes[0].title, "title"));
    await check("the measure is drawn as a chart", async () => { await page.locator(".overview .chart path.line").first().waitFor({ timeout: 15000 }); });
    await check("no mark of a change on the chart covers another", async () => {
      const boxes = await page.locator(".overview .chart-mark .diamond").evaluateAll((list) => list.map((m) => m.getBoundingClientRect()).map((b) => [b.left, b.right]).sort((a, b) => a[0] - b[0]));
      const close = boxes.findIndex((b, i) => i && b[0] < boxes[i - 1][1] - 0.5);
      const listed = await page.locator(".overview .legend.marks li").count();
      return close < 0 ? differs(boxes.length, listed, "marks drawn") : `marks ${close} and ${close + 1}: ${boxes}`;
    });
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
    await check("going on to the graph and back keeps what was open", async () => {
      await page.locator(".to-graph a").click();
      await page.locator(".map .node").first().waitFor();
      await page.goBack();
      await page.locator(".evidence-proof").first().waitFor();
    });
    await check("closing the first cause is in the address too", async () => {
      await page.locator(".cause.first .cause-head button").click();
      await page.reload();
      await page.locator(".cause.first .cause-head").waitFor();
      const shut = (await page.locator(".cause.first .cause-body").count()) === 0;
      await page.locator(".cause.first .cause-head button").click();
      await page.locator(".cause.first .cause-body").waitFor();
      return shut ? "" : "it is open again";
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
    return lacks(await page.evaluate(() => navigator.clipboard.readText()), literally(`# ${answer.headline.slice(0, 20)}`));
  });
  await check("the investigation is free of axe findings", () => accessible(page));
  await page.goto("about:blank");
  await visit(page, `#/investigations/${encodeURIComponent(first.investigation)}`, ".overview .chart path.line, .overview .empty");
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
await check("no name on the map covers another, or a node", async () => {
  for (const more of ["", "&hops=3", "&hops=3&hide=none"]) {
    await visit(page, `${place}${more}`, ".map .node");
    const { found, written } = await covered(page);
    if (found.length || !written) return `${more}: ${found.slice(0, 3).join("; ") || "nothing is written"}`;
  }
  await visit(page, place, ".map .node");
  return "";
});
await check("E2EGraph's own records are off the map until asked for", async () => {
  const own = page.locator(".kinds label").filter({ hasText: "records of E2EGraph" }).locator("input");
  const before = await page.locator(".map .node").count();
  await own.check();
  await page.waitForFunction((n) => document.querySelectorAll(".map .node").length > n, before);
  await own.uncheck();
  await page.waitForFunction((n) => document.querySelectorAll(".map .node").length === n, before);
});
await check("arrow keys go from node to node, and Tab does not stop at each", async () => {
  const stops = await page.locator(".map .press[tabindex='0']").count();
  await page.locator(".map .press[tabindex='0']").focus();
  const from = await page.evaluate(() => document.activeElement.dataset.id);
  await page.keyboard.press("ArrowRight");
  const to = await page.evaluate(() => document.activeElement.dataset.id);
  return differs(stops, 1, "stops of Tab") || (to && to !== from ? "" : `from ${from} to ${to}`);
});
await check("the graph is free of axe findings", () => accessible(page));
await check("brackets step through the events", async () => {
  const before = await page.evaluate(() => location.hash);
  await page.keyboard.press("[");
  await page.waitForFunction((hash) => location.hash !== hash, before);
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
  await page.locator("#find").fill("no-such-thing-anywhere");
  await page.locator("p.found").waitFor();
});

await fetch(`${base}/api/v1/feeds/changes`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify([{ kind: "none-such", at: "x" }]) });
await visit(page, "#/sources", ".sources tbody tr");
await check("sources show freshness and what was set aside", async () => lacks(await page.locator("table.sources").innerText(), /ago|just now/));
await check("coverage is told in sentences with numbers", async () => { const texts = await page.locator("#coverage").locator("xpath=ancestor::section").locator(".meters .wide").allInnerTexts(); return texts.length > 3 && texts.every((t) => /\d ?%? .* of /.test(t)) ? "" : JSON.stringify(texts.slice(0, 4)); });
await check("a question that cannot be answered names what is missing and who would give it, or that nobody does", async () => {
  const { questions } = await api("/sources");
  const lacking = questions.filter((q) => q.state === "lacks");
  const rows = await page.locator(".questions").first().locator(":scope > li").allInnerTexts();
  return differs(rows.length, lacking.length, "questions that lack a source") || rows.map((r) => lacks(r, /gives? it|was seen/)).find(Boolean) || "";
});
await check("more examples of what was set aside open under their source", async () => {
  const more = page.getByRole("button", { name: "More examples" });
  await more.first().click();
  await page.locator("table.examples tbody tr").first().waitFor();
  return lacks(await page.locator("table.examples").first().innerText(), /none-such/);
});
await check("sources are free of axe findings", () => accessible(page));
await visit(page, "#/sources", ".sources tbody tr");
await picture(page, "sources");

const whole = await api("/ontology");
await visit(page, "#/ontology", ".chip-class");
await check("every class with things is on the ontology's map, none covers another, and no line is drawn unasked", async () => {
  const wanted = whole.classes.filter((c) => !c.abstract).length;
  const boxes = await page.locator(".chip-class .body").evaluateAll((all) => all.map((e) => e.getBoundingClientRect()).map((b) => [b.left, b.top, b.right, b.bottom]));
  const meet = boxes.some((a, i) => boxes.some((b, j) => j > i && a[0] < b[2] && a[2] > b[0] && a[1] < b[3] && a[3] > b[1]));
  await page.locator('.chip-class [data-id="Service"]').hover();
  const cut = await page.locator(".chip-class").evaluateAll((all) => all.filter((g) => { const body = g.querySelector(".body").getBoundingClientRect(); return [...g.querySelectorAll("text")].some((t) => t.getBoundingClientRect().right > body.right + 1); }).map((g) => g.textContent));
  await page.locator("h1").hover();
  return differs(boxes.length, wanted, "classes") || (meet ? "two overlap" : "") || (cut.length ? `sticks out: ${cut}` : "") || differs(await page.locator(".lane-line").count(), 0, "lines");
});
await check("the namespaces stand from the user down to the host", async () => {
  const tops = await page.locator(".lane").evaluateAll((all) => all.map((g) => [g.textContent, g.getBoundingClientRect().left, g.getBoundingClientRect().top]));
  const left = Math.min(...tops.map((t) => t[1]));
  const names = tops.filter((t) => t[1] < left + 5).sort((a, b) => a[2] - b[2]).map((t) => t[0]);
  return names.indexOf("Users") === 0 && names.indexOf("Services") < names.indexOf("Infrastructure") ? "" : JSON.stringify(names);
});
await check("the ontology's map is free of axe findings", () => accessible(page));
await check("pointing at a class draws its relations, and only those", async () => {
  await page.locator('.chip-class [data-id="Service"]').hover();
  const near = await page.locator(".chip-class.near").count();
  const drawn = await page.locator(".lane-line").count();
  const away = await page.locator(".chip-class.away").count();
  await page.locator("h1").hover();
  return near > 3 && drawn >= near && away > 0 ? differs(await page.locator(".lane-line").count(), 0, "lines afterwards") : `${near} near, ${drawn} lines, ${away} away`;
});
await check("a class is chosen by keyboard: keys, relations, measures, and who tells of it", async () => {
  await page.locator('.chip-class [data-id="Service"]').focus();
  await page.keyboard.press("ArrowRight");
  const id = await page.evaluate(() => document.activeElement.dataset.id);
  if (!id || id === "Service") return `the arrow led to ${id}`;
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await page.locator(".panel h2").filter({ hasText: "Service" }).waitFor();
  const text = await page.locator(".panel").innerText();
  for (const wanted of [/known by/, /otlp\.resource/, /Leads to/, /Led to by/, /depends on/]) { const trouble = lacks(text, wanted); if (trouble) return trouble; }
  return lacks(page.url(), /class=Service/);
});
await check("what the panel counts is what the server counts", async () => {
  const { classes } = await api("/ontology");
  const service = classes.find((c) => c.name === "Service");
  return service.count > 0 && service.told_by.length ? lacks(await page.locator(".panel dl").innerText(), new RegExp(`seen\\s+${service.count.toLocaleString("en-US")}`)) : JSON.stringify(service);
});
await check("a chosen class is free of axe findings", () => accessible(page));
await picture(page, "ontology");
await check("Escape lets the class go", async () => { await page.locator("h1").click(); await page.keyboard.press("Escape"); await page.waitForFunction(() => !location.hash.includes("class=")); });
await check("every relation that was seen can be drawn at once", async () => {
  await page.getByLabel("Draw every relation that was seen").check();
  await page.waitForFunction(() => document.querySelectorAll(".lane-line").length > 30);
  return lacks(page.url(), /all=1/);
});
await visit(page, "#/ontology?view=faults&class=Host&aspect=saturation", ".reach li");
await check("trouble of a host is shown to reach its instances first, and users with less chance", async () => {
  const rows = await page.locator(".reach li").allInnerTexts();
  const share = (text) => Number(text.match(/(\d+)\s*%/)?.[1]);
  const at = (name) => rows.findIndex((r) => r.includes(name));
  return /^60\s*%\s*Instance/.test(rows[0]) && at("View") > 0 && share(rows[at("View")]) < 60 ? "" : rows.join(" | ");
});
await check("another kind of trouble goes another way", async () => {
  const before = await page.locator(".reach li").count();
  await page.getByLabel("Kind of trouble").selectOption("staleness");
  await page.locator(".panel .empty").waitFor();
  return lacks(page.url(), /aspect=staleness/) || (before > 2 ? "" : `${before} classes reached`);
});
await visit(page, "#/ontology?view=faults&class=Host&aspect=saturation", ".reach li");
await check("how faults travel is free of axe findings", () => accessible(page));
await visit(page, "#/ontology?view=tables", "#t-classes");
await check("the ontology as tables holds every class and relation, and the filter narrows both", async () => {
  const rows = (id) => page.locator("section", { has: page.locator(`#${id}`) }).locator("tbody tr").count();
  const trouble = differs(await rows("t-classes"), whole.classes.length, "classes") || differs(await rows("t-relations"), whole.relations.length, "relations") || differs(await rows("t-measures"), whole.measures.length, "measures");
  if (trouble) return trouble;
  await page.getByLabel("Filter").fill("runs on");
  await page.waitForFunction((n) => document.querySelectorAll("#t-relations").length && document.querySelectorAll("tbody tr").length < n, whole.classes.length);
  return lacks(await page.locator("section", { has: page.locator("#t-relations") }).innerText(), /Instance → Host/);
});
await check("the ontology's tables are free of axe findings", () => accessible(page));
await visit(page, "#/ontology?view=sources", "#s-sources");
await check("which source tells what is said with counts, and what was never seen", async () => {
  const rows = await page.locator("section", { has: page.locator("#s-sources") }).locator("tbody tr").allInnerTexts();
  return differs(rows.length, whole.sources.length, "sources") || lacks(rows.find((r) => r.startsWith("otlp.resource")) ?? "", /Host\s*\d/) || (rows.some((r) => /never seen/.test(r)) ? "" : "all were seen");
});
await check("the ontology's sources are free of axe findings", () => accessible(page));

await check("an unknown word is said to be unknown", async () => {
  await visit(page, `#/ask?${new URLSearchParams({ q: "Why is the flurb slow?" })}`, ".answer h1, .failed");
  return lacks(await page.locator("main").innerText(), /flurb/) || lacks(await page.locator(".badge").first().innerText(), /understood/i) || lacks(await page.locator("main").innerText(), /What can be asked/);
});
await check("a question mark in a hand-written address stays in the question", async () => {
  await visit(page, "#/ask?q=Why is it slow?", ".answer h1, .failed");
  return differs(await page.locator("[data-ask]").inputValue(), "Why is it slow?", "question");
});
await check("asking about something healthy says so and draws it", async () => {
  const { nodes } = await api("/graph/find?class=View&q=search");
  const view = nodes.find((n) => !regressions.some((r) => r.subject.id === n.id));
  await visit(page, `#/ask?${new URLSearchParams({ q: `Why is view.ttr of ${view.name} regressing?` })}`, ".answer .chart path.line");
  return lacks(await page.locator(".badge").first().innerText(), /Nothing wrong/) || (/degraded/.test(await page.locator(".overview").innerText()) ? "what is healthy is called degraded" : "");
});
await check("another question than why is answered first, its figures with their queries", async () => {
  await visit(page, `#/ask?${new URLSearchParams({ q: "Compare cell A with cell B" })}`, ".answer h1, .failed");
  const head = await page.locator(".answer h1").innerText();
  if (!/cell A and cell B/.test(head)) return `the headline says: ${head}`;
  const rows = page.locator("section", { has: page.locator("#reply") }).locator("details");
  if (await rows.count() !== 2) return `${await rows.count()} figures`;
  await rows.first().locator("summary").click();
  return lacks(await rows.first().innerText(), /series view/, "query");
});
await check("an answer with figures first is free of axe findings", () => accessible(page));
await visit(page, `#/ask?${new URLSearchParams({ q: "Why is the flurb slow?" })}`, ".answer h1");
await check("the answer to an unknown word is free of axe findings", () => accessible(page));
await check("a question typed in the head of the page is answered", async () => {
  await page.keyboard.press("Escape");
  await page.locator("[data-ask]").fill(answer?.question ?? "Why is it slow?");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => /#\/ask\?q=Why/.test(location.hash));
  await page.locator(".answer h1").waitFor({ timeout: 20000 });
});

const dark = await open({ colorScheme: "dark" });
for (const [name, hash, ready] of [["home", "#/", ".regression"], ["graph", place, ".map .node"], ["sources", "#/sources", ".sources tbody tr"], ["ontology", "#/ontology?class=Operation", ".chip-class"], ["faults", "#/ontology?view=faults&class=Host", ".reach li"], ...(answer ? [["investigation", `#/investigations/${encodeURIComponent(first.investigation)}`, ".overview .chart path.line, .overview .empty"]] : [])]) {
  await visit(dark, hash, ready);
  await check(`${name} in the dark is free of axe findings`, () => accessible(dark));
}
await picture(dark, "investigation-dark");
const phone = await open({ viewport: { width: 390, height: 844 } });
const wall = await open({ viewport: { width: 2000, height: 1100 } });
await check("no page is wider than a phone, or than a wall screen", async () => {
  for (const hash of ["#/", place, "#/sources", "#/ontology?class=Host", "#/ontology?view=faults&class=Host", "#/ontology?view=tables", "#/ontology?view=sources", ...(answer ? [`#/investigations/${encodeURIComponent(first.investigation)}`] : [])]) {
    for (const [screen, width] of [[phone, 390], [wall, 2000]]) {
      await visit(screen, hash, "main .page");
      const wide = await screen.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width + 2) return `${hash}: ${wide} px`;
    }
  }
  return "";
});
await check("on a phone the answer starts on the first screen, and the head leaves it room", async () => {
  await visit(phone, `#/investigations/${encodeURIComponent(first.investigation)}`, ".answer h1");
  const head = await phone.locator(".top").boundingBox();
  const top = await phone.locator(".answer h1").boundingBox();
  return head.height <= 110 && top.y < 300 ? "" : `head ${head.height} px, answer at ${top.y}`;
});
await check("on a phone the investigation is free of axe findings", () => accessible(phone));
await picture(phone, "phone");
if (answer) await states({ open, visit, check, accessible, lacks, base, place, first, answer });
await check("nothing complained: no console error, no CSP violation, no request to another host", () => complaints.slice(0, 8).join(" | "));

await browser.close();
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
