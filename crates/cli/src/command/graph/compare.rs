//! `graph diff`, `graph cohort` and `graph snapshot`: rows in pages or all of them as lines.

use crate::args::{At, Cohort, Diff, Snapshot};
use crate::client::Client;
use crate::exit::{Exit, Wrong};
use crate::{out, print};
use query::text::{Between, Side};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::io::BufWriter;

/// A question that is answered in rows.
pub(super) struct Rows {
    path: &'static str,
    wanted: Vec<(&'static str, String)>,
    lines: bool,
    at: At,
    /// What to say when it cannot be asked like this.
    wrong: Option<String>,
}

/// A side in one word.
fn word(side: &Side) -> String {
    match side {
        Side::Between(Between { from, to }) => format!("{from}..{to}"),
        Side::At(t) => t.to_string(),
        Side::Snapshot(name) => format!("snapshot:{name}"),
        Side::Known(t) => format!("known:{t}"),
    }
}

fn shared(at: &At, offset: usize, lines: bool) -> Vec<(&'static str, String)> {
    let mut wanted: Vec<(&'static str, String)> = Vec::new();
    wanted.extend(at.at.map(|t| ("at", t.to_string())));
    wanted.extend(at.as_known.map(|t| ("as_known", t.to_string())));
    wanted.push(("offset", offset.to_string()));
    if lines {
        wanted.push(("format", "ndjson".to_owned()));
    } else {
        wanted.push(("limit", at.limit.to_string()));
    }
    wanted
}

pub(super) fn diff(diff: Diff) -> Rows {
    let mut wanted = shared(&diff.at, diff.offset, diff.ndjson);
    wanted.extend(diff.before.as_ref().map(|s| ("before", word(s))));
    wanted.extend(diff.after.as_ref().map(|s| ("after", word(s))));
    wanted.push(("least", diff.least.to_string()));
    let mut cohorts = diff.cohort.into_iter().chain(diff.versus);
    wanted.extend(cohorts.next().map(|c| ("where", c)));
    wanted.extend(cohorts.next().map(|c| ("versus", c)));
    let wrong = cohorts.next().map(|c| format!("--cohort {c}: there are two sides, not three"));
    let nothing = wanted.iter().all(|w| !matches!(w.0, "before" | "after" | "versus"));
    let wrong = wrong.or_else(|| {
        nothing.then(|| "nothing to compare: say --before and --after, or two times --cohort".to_owned())
    });
    Rows { path: "/api/v1/diff", wanted, lines: diff.ndjson, at: diff.at, wrong }
}

pub(super) fn cohort(cohort: Cohort) -> Rows {
    let mut wanted = shared(&cohort.at, cohort.offset, cohort.ndjson);
    wanted.push(("where", cohort.people));
    let stretch = cohort.from.zip(cohort.to).map(|(from, to)| Side::Between(Between { from, to }));
    let inverted = cohort.from.zip(cohort.to).is_some_and(|(from, to)| from >= to);
    let wrong = inverted.then(|| "--from must be before --to".to_owned());
    wanted.extend(cohort.when.or(stretch).map(|s| ("when", word(&s))));
    Rows { path: "/api/v1/cohort", wanted, lines: cohort.ndjson, at: cohort.at, wrong }
}

/// Asks and prints.
pub(super) async fn rows(rows: Rows) -> anyhow::Result<Exit> {
    if let Some(wrong) = rows.wrong {
        return Err(Wrong(wrong).into());
    }
    let client = Client::new(&rows.at.server.server)?;
    let wanted: Vec<(&str, &str)> = rows.wanted.iter().map(|(k, v)| (*k, v.as_str())).collect();
    if rows.lines {
        let mut to = BufWriter::new(std::io::stdout().lock());
        client.stream(rows.path, &wanted, &mut to).await?;
        return Ok(Exit::Done);
    }
    let answer = client.get(rows.path, &wanted).await?;
    if rows.at.server.json {
        out::json(&answer)?;
    } else {
        out::print(&shown(&answer))?;
    }
    Ok(Exit::Done)
}

fn text<'a>(of: &'a Json, path: &str) -> Option<&'a str> {
    of.pointer(path).and_then(Json::as_str)
}

fn label(of: &Json, key: &str) -> Option<String> {
    Some(format!("{} {}", text(of, &format!("/{key}/class"))?, text(of, &format!("/{key}/name"))?))
}

/// `A -relation-> B`, or the thing itself, and what else is another.
fn what(row: &Json) -> String {
    let from = label(row, "of").or_else(|| text(row, "/from_class").map(str::to_owned)).unwrap_or_default();
    let mut what = match (text(row, "/relation"), label(row, "to")) {
        (Some(relation), Some(to)) => format!("{from} -{relation}-> {to}"),
        _ => from,
    };
    let others: Vec<String> = row
        .get("others")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .map(|o| {
            let name = text(o, "/what").unwrap_or_default();
            match (text(o, "/before"), text(o, "/after")) {
                (None, None) => name.to_owned(),
                (a, b) => format!("{name} {} → {}", a.unwrap_or("nothing"), b.unwrap_or("nothing")),
            }
        })
        .collect();
    if !others.is_empty() {
        let _ = write!(what, " ({})", others.join(", "));
    }
    what
}

/// A page as a table, with what there is in all below it.
fn shown(answer: &Json) -> String {
    let rows = answer.get("rows").and_then(Json::as_array).cloned().unwrap_or_default();
    let number = |row: &Json, paths: &[&str]| {
        let found = paths.iter().find_map(|p| row.pointer(p).filter(|v| !v.is_null()));
        print::cell(found.unwrap_or(&Json::Null))
    };
    let is_diff = rows.iter().any(|r| r.get("surprise").is_some());
    let (columns, cells): (&[&str], Vec<Vec<String>>) = if is_diff {
        let cells = |r: &Json| {
            vec![
                text(r, "/change").unwrap_or_default().to_owned(),
                text(r, "/measure").or(text(r, "/kind")).unwrap_or_default().to_owned(),
                what(r),
                number(r, &["/figures/before", "/figures/bad_before"]),
                number(r, &["/figures/after", "/figures/bad_after"]),
                number(r, &["/figures/rate_before"]),
                number(r, &["/figures/rate_after"]),
                number(r, &["/surprise"]),
            ]
        };
        (
            &[
                "change",
                "kind",
                "what",
                "before",
                "after",
                "per minute before",
                "per minute after",
                "surprise",
            ],
            rows.iter().map(cells).collect(),
        )
    } else {
        let cells = |r: &Json| {
            let of = |field: &str| number(r, &[&format!("/answered/{field}"), &format!("/asked/{field}")]);
            vec![
                text(r, "/kind").unwrap_or_default().to_owned(),
                what(r),
                number(r, &["/count"]),
                of("errors"),
                of("mean_ms"),
                of("p50_ms"),
                of("p95_ms"),
            ]
        };
        (
            &["kind", "what", "count", "errors", "mean ms", "p50 ms", "p95 ms"],
            rows.iter().map(cells).collect(),
        )
    };
    let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
    let mut out = if rows.is_empty() { "nothing found\n".to_owned() } else { print::table(&columns, &cells) };
    if let Some(next) = answer.get("next").and_then(Json::as_u64) {
        let hidden = answer.get("hidden").and_then(Json::as_u64).unwrap_or(0);
        let _ = writeln!(out, "… and {hidden} more; --offset {next} shows the next, --ndjson all of them");
    }
    let count = |path: &str| answer.pointer(path).and_then(Json::as_u64);
    if let (Some(from), Some(to)) = (text(answer, "/from"), text(answer, "/to")) {
        let n = |path: &str| count(path).unwrap_or(0);
        let _ = writeln!(
            out,
            "{from} to {to}: {} cohorts, {} nodes, {} edges, {} calls, {} errors",
            n("/totals/cohorts"),
            n("/totals/nodes"),
            n("/totals/edges"),
            n("/totals/calls"),
            n("/totals/errors")
        );
        let sampled = answer.pointer("/totals/sampled").and_then(Json::as_object);
        let sampled: Vec<String> = sampled.into_iter().flatten().map(|(c, n)| format!("{n} {c}")).collect();
        if !sampled.is_empty() {
            let _ = writeln!(out, "sampled of them: {}", sampled.join(", "));
        }
    } else {
        let sort = |name: &str| {
            let n = |kind: &str| count(&format!("/totals/{name}/{kind}")).unwrap_or(0);
            format!("{name}: {} added, {} removed, {} changed", n("added"), n("removed"), n("changed"))
        };
        let _ = writeln!(out, "{}; {}; {}", sort("nodes"), sort("edges"), sort("measures"));
    }
    if let Some(note) = text(answer, "/note") {
        let _ = writeln!(out, "{note}");
    }
    out
}

/// Keeps a moment, lists what is kept, or lets one go.
pub(super) async fn snapshot(asked: Snapshot) -> anyhow::Result<Exit> {
    let client = Client::new(&asked.server.server)?;
    let answer = match &asked.name {
        None => client.get("/api/v1/snapshots", &[]).await?,
        Some(name) if asked.delete => {
            client.post("/api/v1/snapshots/delete", &json!({ "name": name })).await?
        }
        Some(name) => {
            let mut body = json!({ "name": name });
            if let (Some(at), Some(fields)) = (asked.at, body.as_object_mut()) {
                fields.insert("at".to_owned(), json!(at.to_string()));
            }
            client.post("/api/v1/snapshots", &body).await?
        }
    };
    if asked.server.json {
        out::json(&answer)?;
        return Ok(Exit::Done);
    }
    let cells =
        |pin: &Json| ["name", "label", "at"].map(|k| print::cell(pin.get(k).unwrap_or(&Json::Null))).to_vec();
    let columns = ["name", "label", "at"].map(str::to_owned);
    match answer.get("snapshots").and_then(Json::as_array) {
        Some(all) if all.is_empty() => out::print("no snapshots\n")?,
        Some(all) => out::print(&print::table(&columns, &all.iter().map(cells).collect::<Vec<_>>()))?,
        None if asked.delete => out::print(&format!("deleted {}\n", asked.name.unwrap_or_default()))?,
        None => out::print(&print::table(&columns, &[cells(&answer)]))?,
    }
    Ok(Exit::Done)
}
