//! `e2egraph sources`: what arrives, what was set aside, how complete the picture is, which questions lack what.

use crate::args::{Refused, Server, Sources, SourcesCommand};
use crate::client::Client;
use crate::exit::Exit;
use crate::{out, print};
use serde_json::Value as Json;
use std::fmt::Write as _;

/// Asks and prints.
pub async fn run(args: Sources) -> anyhow::Result<Exit> {
    match args.command {
        Some(SourcesCommand::Refused(args)) => refused(args).await,
        None => all(args.server).await,
    }
}

async fn all(server: Server) -> anyhow::Result<Exit> {
    let answer = Client::new(&server.server)?.get("/api/v1/sources", &[]).await?;
    if server.json {
        out::json(&answer)?;
    } else {
        out::print(&told(&answer))?;
    }
    Ok(Exit::Done)
}

async fn refused(args: Refused) -> anyhow::Result<Exit> {
    let limit = args.limit.to_string();
    let mut asked = vec![("limit", limit.as_str())];
    asked.extend(args.source.as_deref().map(|s| ("source", s)));
    asked.extend(args.reason.as_deref().map(|r| ("reason", r)));
    let answer = Client::new(&args.server.server)?.get("/api/v1/sources/refused", &asked).await?;
    if args.server.json {
        out::json(&answer)?;
    } else {
        out::print(&set_aside(&answer))?;
    }
    Ok(Exit::Done)
}

fn list<'a>(v: &'a Json, key: &str) -> &'a [Json] {
    v.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(v: &'a Json, key: &str) -> &'a str {
    v.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn cell(v: &Json, key: &str) -> String {
    v.get(key).map(print::cell).unwrap_or_default()
}

/// A moment to the second.
fn second(moment: &str) -> String {
    moment.split_once('.').map_or_else(|| moment.to_owned(), |(whole, _)| format!("{whole}Z"))
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|c| (*c).to_owned()).collect()
}

fn set_aside(answer: &Json) -> String {
    let all = list(answer, "refused");
    if all.is_empty() {
        return "nothing of this was set aside\n".to_owned();
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|r| {
            let [source, items, reason, detail] = ["source", "items", "reason", "detail"].map(|k| cell(r, k));
            vec![source, items, second(text(r, "last")), reason, detail]
        })
        .collect();
    let mut out = print::table(&columns(&["source", "items", "last", "reason", "for example"]), &rows);
    if let Some(hidden) = answer.get("hidden").and_then(Json::as_u64).filter(|h| *h > 0) {
        let _ = writeln!(out, "… and {hidden} more; raise --limit to see them");
    }
    out
}

fn told(answer: &Json) -> String {
    let (sent, silent): (Vec<&Json>, Vec<&Json>) =
        list(answer, "sources").iter().partition(|s| !s.get("last_seen").is_none_or(Json::is_null));
    let mut out = String::new();
    if sent.is_empty() {
        out.push_str("nothing has arrived yet\n");
    } else {
        let rows: Vec<Vec<String>> = sent
            .iter()
            .map(|s| {
                let lag = s.get("lag_seconds").and_then(Json::as_f64);
                let reasons: Vec<String> = list(s, "reasons")
                    .iter()
                    .take(3)
                    .map(|r| format!("{} × {}", cell(r, "items"), text(r, "reason")))
                    .collect();
                vec![
                    text(s, "name").to_owned(),
                    second(text(s, "last_seen")),
                    lag.map_or_else(|| "–".to_owned(), |l| format!("{l:.1} s")),
                    cell(s, "items"),
                    cell(s, "refused"),
                    reasons.join("; "),
                ]
            })
            .collect();
        out.push_str(&print::table(
            &columns(&["source", "last seen", "lag", "items", "refused", "why"]),
            &rows,
        ));
    }
    if !silent.is_empty() {
        out.push_str("\nNever seen\n");
        for s in silent {
            let mut gives: Vec<&str> =
                list(s, "mapping").iter().flat_map(|m| list(m, "classes")).map(|c| text(c, "name")).collect();
            gives.sort_unstable();
            gives.dedup();
            let _ =
                writeln!(out, "  {}: would give {} ({})", text(s, "name"), gives.join(", "), text(s, "page"));
        }
    }
    // What is whole says little more than that.
    let whole = |c: &&Json| c.get("whole").is_some() && c.get("part") == c.get("whole");
    let (complete, gaps): (Vec<&Json>, Vec<&Json>) = list(answer, "coverage").iter().partition(whole);
    section(&mut out, "Coverage", gaps.iter().map(|c| text(c, "text").to_owned()));
    if !complete.is_empty() {
        let _ = writeln!(out, "  and {} more that are whole (--json lists them)", complete.len());
    }
    let questions = list(answer, "questions");
    let of = |state: &str| questions.iter().filter(|q| text(q, "state") == state).count();
    let _ = writeln!(
        out,
        "\nQuestions: {} of {} can be answered; waiting until something happens: {}; lacking a source: {}",
        of("answerable"),
        questions.len(),
        of("waits"),
        of("lacks")
    );
    for q in questions.iter().filter(|q| text(q, "state") != "answerable") {
        let _ = writeln!(out, "  {} {}", text(q, "name"), text(q, "ask"));
        for m in list(q, "missing") {
            let _ = writeln!(out, "      {}", text(m, "text"));
        }
    }
    out
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        let _ = writeln!(out, "\n{title}");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_silent_and_what_a_question_lacks_is_told_in_words() {
        let answer = json!({
            "sources": [
                {"name": "otlp", "last_seen": "2026-11-24T12:00:00.25Z", "lag_seconds": 1.44, "items": 10, "refused": 2,
                 "reasons": [{"reason": "no key", "items": 2, "detail": "x"}]},
                {"name": "flags", "last_seen": null, "page": "docs/connect.md#feeds",
                 "mapping": [{"classes": [{"name": "FlagChange", "count": 0}, {"name": "Flag", "count": 0}]}]},
            ],
            "coverage": [
                {"text": "91 % of instances have a host (-runs_on->): 91 of 100", "share": 0.91, "part": 91, "whole": 100},
                {"text": "100 % of hosts have a zone (-in_zone->): 9 of 9", "share": 1.0, "part": 9, "whole": 9},
            ],
            "questions": [
                {"name": "q1", "ask": "Why?", "state": "answerable", "missing": []},
                {"name": "q2", "ask": "Which flag?", "state": "lacks", "missing": [{"text": "no Flag was seen yet"}]},
            ],
        });
        let printed = told(&answer);
        assert!(!printed.contains("hosts have a zone"), "what is whole is only counted: {printed}");
        for wanted in [
            "and 1 more that are whole",
            "otlp    2026-11-24T12:00:00Z  1.4 s  10     2        2 × no key",
            "flags: would give Flag, FlagChange (docs/connect.md#feeds)",
            "91 % of instances have a host",
            "1 of 2 can be answered; waiting until something happens: 0; lacking a source: 1",
            "q2 Which flag?\n      no Flag was seen yet",
        ] {
            assert!(printed.contains(wanted), "{wanted} is missing in\n{printed}");
        }
    }

    #[test]
    fn examples_are_a_table_and_none_is_said() {
        let one = json!({"refused": [{"source": "otlp", "reason": "no key", "detail": "x = 1", "items": 3,
            "last": "2026-11-24T12:00:00Z", "of_reason": 9}], "hidden": 4});
        let printed = set_aside(&one);
        assert!(printed.contains("no key  x = 1") && printed.contains("… and 4 more"), "{printed}");
        assert_eq!(set_aside(&json!({"refused": [], "hidden": 0})), "nothing of this was set aside\n");
    }
}
