// States that a healthy demo does not show: no data, no server, errors, names without end, a crowded map, missing intervals.
// The pages are real; only what the API answers is altered on its way to the browser.
import { crowd } from "./fixtures/crowd.mjs";

/// Alters the JSON of every answer whose path matches.
const alter = (page, path, change) => page.route((url) => url.pathname.startsWith("/api/v1") && path.test(url.pathname), async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, json: change(await response.json()) });
});

/// What is written on the map, as rectangles on the screen: a name and what is said under it are one; and the bodies of nodes.
export const covered = (page) => page.evaluate(() => {
  const visible = (e) => e.getClientRects().length > 0;
  const box = (list) => { const r = list.map((e) => e.getBoundingClientRect()); return [Math.min(...r.map((b) => b.left)), Math.min(...r.map((b) => b.top)), Math.max(...r.map((b) => b.right)), Math.max(...r.map((b) => b.bottom))]; };
  const nodes = [...document.querySelectorAll(".map .node")];
  const texts = nodes.map((n) => [n, [...n.querySelectorAll(".name, .say")].filter(visible)]).filter(([, t]) => t.length).map(([n, t]) => [n.querySelector(".press").dataset.id, box(t), t.map((e) => e.textContent).join(" ")]);
  for (const w of document.querySelectorAll(".map .edge-word")) if (visible(w)) texts.push(["", box([w]), w.textContent]);
  const bodies = nodes.map((n) => [n.querySelector(".press").dataset.id, box([n.querySelector(".body")])]);
  // Letters reach a little less far than the box of their line.
  const meet = (a, b) => a[0] < b[2] - 1 && a[2] > b[0] + 1 && a[1] < b[3] - 3 && a[3] > b[1] + 3;
  const found = [];
  texts.forEach(([id, a, text], i) => {
    for (const [, b, other] of texts.slice(i + 1)) if (meet(a, b)) found.push(`“${text}” and “${other}”`);
    for (const [body, b] of bodies) if (body !== id && meet(a, b)) found.push(`“${text}” and the node ${body}`);
  });
  return { found, written: texts.length };
});

export const states = async ({ open, visit, check, accessible, lacks, base, place, first, answer }) => {
  const investigation = `#/investigations/${encodeURIComponent(first.investigation)}`;

  const empty = await open({ quiet: true });
  await alter(empty, /\/(regressions|sources|changes)$/, (body) => ({ ...body, ...(body.as_of && { as_of: "1970-01-01T00:00:00Z" }), ...(body.regressions && { regressions: [] }), ...(body.sources && { sources: body.sources.map((s) => ({ ...s, last_seen: null, reasons: [] })), coverage: [] }), ...(body.changes && { changes: [] }) }));
  await check("a server without data does not say that all is well", async () => {
    await visit(empty, "#/", ".home .notice");
    const text = await empty.locator("main").innerText();
    return lacks(text, /No telemetry has arrived yet/) || (/Nothing is worse/.test(text) ? text : "");
  });
  await check("home without data is free of axe findings", () => accessible(empty));
  await check("the graph without data says why it is empty", async () => { await visit(empty, "#/graph", ".empty"); return lacks(await empty.locator("main").innerText(), /No telemetry has arrived yet/); });
  await check("sources without data say what to do", async () => { await visit(empty, "#/sources", "main .page h1"); await empty.locator(".lede").waitFor(); return lacks(await empty.locator(".lede").innerText(), /OpenTelemetry/); });
  await check("sources that have sent nothing say what they would give, and where connecting them is told", async () => lacks(await empty.locator(".silent").innerText(), /would give [A-Z]/) || lacks(await empty.locator(".silent").innerText(), /docs\/connect\.md#/));

  const quiet = await open({ quiet: true });
  await alter(quiet, /\/regressions$/, (body) => ({ ...body, regressions: [] }));
  await check("when nothing is worse, that is said with its moment", async () => { await visit(quiet, "#/", ".all-clear"); return lacks(await quiet.locator(".all-clear").innerText(), /Nothing is worse than usual, as of .*\d\d:\d\d UTC/); });

  const broken = await open({ quiet: true });
  let fails = true;
  await broken.route("**/api/v1/regressions", (route) => (fails ? route.fulfill({ status: 500, json: { error: "the disk is on fire" } }) : route.continue()));
  await check("an error of the server is told, and trying again helps", async () => {
    await visit(broken, "#/", ".failed");
    const told = await broken.locator(".failed").first().innerText();
    fails = false;
    await broken.locator(".failed button").first().click();
    await broken.locator(".regression").first().waitFor();
    return lacks(told, /The disk is on fire/);
  });
  await check("an investigation that is not there leads back to those that are", async () => {
    await visit(broken, "#/investigations/nope", ".failed");
    await broken.locator("main a[href='#/']").click();
    await broken.locator(".regression").first().waitFor();
  });

  const alone = await open({ quiet: true });
  await alone.route("**/api/v1/events", (route) => route.abort());
  await check("a lost connection is said", async () => {
    await alone.goto(`${base}/#/`);
    await alone.locator(".lost p").waitFor();
    return lacks(await alone.locator(".lost").innerText(), /No connection to the server/);
  });

  const long = await open({ quiet: true, viewport: { width: 390, height: 844 } });
  const endless = (text) => text.replaceAll(first.subject.name, "a".repeat(60) + first.subject.name + "b".repeat(120));
  await alter(long, /\/(regressions|changes|graph\/(map|show))$|\/investigations\//, (body) => JSON.parse(endless(JSON.stringify(body))));
  await check("names without end widen no page, on a phone or a desktop", async () => {
    for (const width of [390, 1280]) {
      await long.setViewportSize({ width, height: 860 });
      for (const [hash, ready] of [["#/", ".regression"], [investigation, ".answer h1"], [`${place}&node=${first.subject.id}`, ".panel h2"], [`${place}&view=table`, ".tables tbody tr"]]) {
        await visit(long, hash, ready);
        const wide = await long.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width + 2) return `${hash} at ${width}: ${wide} px, because of ${await long.evaluate((w) => [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right + scrollX > w + 2 && !e.closest(".scroll, .map-scroll")).slice(0, 3).map((e) => e.outerHTML.slice(0, 90)).join(" "), width)}`;
      }
    }
    return "";
  });

  const few = await open({ quiet: true });
  await alter(few, /\/investigations\//, (body) => ({ ...body, cohort_split: { dimensions: ["Cell"], rows: [
    { values: ["few"], sessions: 3, healthy: 10, degraded: 12, change: 0.2, low: null, high: null }, { values: ["many"], sessions: 900, healthy: 10, degraded: 12, change: 0.2, low: 0.1, high: 0.3 }] } }));
  await check("a cohort too small for an interval shows a dash that says so", async () => {
    await visit(few, investigation, ".no-interval");
    return lacks(await few.locator(".no-interval").getAttribute("title"), /too few observations/) || ((await few.locator("svg.interval").count()) === 1 ? "" : "the other row lost its interval");
  });

  const full = await open({ viewport: { width: 2000, height: 1100 } });
  await alter(full, /\/graph\/map$/, (body) => crowd(body.at, body.compare ?? body.span.from));
  const crowded = `#/graph?${new URLSearchParams({ around: "c0-0", at: answer.windows.degraded.to, compare: answer.windows.healthy.to, changed: "0" })}`;
  await full.route("**/api/v1/graph/map?*", (route) => route.fulfill({ json: crowd(answer.windows.degraded.to, answer.windows.healthy.to) }));
  await check("no name on a map of 400 nodes covers another, and the hidden ones are counted", async () => {
    await visit(full, crowded, ".map .node");
    const { found, written } = await covered(full);
    const nodes = await full.locator(".map .node").count();
    const names = await full.locator(".map .name").count();
    const said = await full.locator(".map-tools .note").innerText();
    return (nodes === 400 ? "" : `${nodes} nodes`) || (written > 50 ? "" : `only ${written} names`) || (names === nodes ? "" : lacks(said, new RegExp(`^${nodes - names} names? hidden`))) || found.slice(0, 3).join("; ");
  });
  await check("what the server left out of a map is counted", async () => lacks(await full.locator(".graph-foot").innerText(), /1,234 more left out/));
  await check("pointing at one of 400 nodes redraws its neighbours only", async () => {
    await full.evaluate(() => { window.touched = new Set(); new MutationObserver((list) => list.forEach((m) => window.touched.add(m.target))).observe(document.querySelector(".map svg"), { subtree: true, childList: true, attributes: true }); });
    await full.locator('.map [data-id="c3-20"] .body').hover();
    await full.locator(".map svg.pointing").waitFor();
    const touched = await full.evaluate(() => window.touched.size);
    return touched > 1 && touched < 40 ? "" : `${touched} elements touched`;
  });
  await check("a crowded map is free of axe findings", () => accessible(full));

  for (const page of [empty, quiet, broken, alone, long, few, full]) await page.context().close();
};
