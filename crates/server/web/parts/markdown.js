// An answer as Markdown, for a ticket or a chat.
import * as f from "../format.js";
import { ways } from "./answer.js";

const table = (head, rows) => [`| ${head.join(" | ")} |`, `| ${head.map(() => "---").join(" | ")} |`, ...rows.map((r) => `| ${r.map((v) => String(v).replaceAll("|", "\\|")).join(" | ")} |`)];

export const markdown = (a, link) => {
  const unit = a.regression?.unit ?? "";
  const out = [`# ${a.headline}`, "", `*${a.question}* · ${a.status.replaceAll("_", " ")} · as of ${f.iso(a.as_of)}${link ? ` · ${link}` : ""}`, ""];
  if (a.reply?.length) out.push("## In figures", "", ...a.reply.map((e) => `- [${e.id}] ${e.claim}${e.value !== null && e.unit !== "rows" ? `: ${f.value(e.value, e.unit)}${e.baseline !== null ? ` (healthy ${f.value(e.baseline, e.unit)})` : ""}` : ""}\n  \`${e.query}\``), "");
  if (a.regression) {
    const r = a.regression;
    out.push(`**${r.measure}** of ${r.subject.name} (${r.cohort}): ${f.value(r.baseline, unit)} → ${f.value(r.observed, unit)} (${f.change(r.change)}) since ${f.iso(r.onset)}, ${f.plural(r.sessions, "session")}, ${f.pValue(r.p_value)}.`, "");
  }
  out.push(`**Tier:** ${a.tier.verdict}. ${a.tier.why}`, "");
  if (a.causes.length) out.push("## Causes", "");
  for (const c of a.causes) {
    out.push(`### ${c.rank}. ${c.title} (${f.percent(c.probability)})`, "", c.summary, "");
    const chains = ways(c.path).map((way) => way.map((s) => s.node.name).join(" → "));
    if (chains.length) out.push(`Path: ${chains.join("; ")}`, "");
    for (const e of c.evidence) out.push(`- ${e.supports ? "for" : "against"} [${e.id}, ${e.expert}] ${e.claim}${e.baseline !== null && e.value !== null ? ` (${f.value(e.value, e.unit)}, healthy ${f.value(e.baseline, e.unit)})` : ""}\n  \`${e.query}\``);
    out.push("");
  }
  if (a.ruled_out.length) out.push("## Why not the others", "", ...a.ruled_out.map((r) => `- **${r.title}**: ${r.why}`), "");
  if (a.cohort_split?.rows?.length) out.push("## Cohorts", "", ...table([...a.cohort_split.dimensions, "sessions", "healthy", "degraded", "change", "95 %"], a.cohort_split.rows.map((r) => [...r.values, f.number(r.sessions), f.value(r.healthy, unit), f.value(r.degraded, unit), f.change(r.change), Number.isFinite(r.low) && Number.isFinite(r.high) ? `${f.change(r.low)} … ${f.change(r.high)}` : "too few"])), "");
  if (a.missing.length) out.push("## What is missing", "", ...a.missing.map((m) => `- ${m.what}: ${m.why}`), "");
  if (a.impact?.text) out.push("## Impact", "", a.impact.text, "");
  if (a.mitigations.length) out.push("## Mitigations", "", ...a.mitigations.map((m) => `- **${m.title}** (${m.action}): ${m.why} Reach ${f.plural(m.reach_sessions, "session")}; undo: ${m.undo}.`), "");
  return `${out.join("\n").trim()}\n`;
};
