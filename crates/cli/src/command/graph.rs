//! `e2egraph graph`: every form is written as query text, so that what the command line asks anyone can ask.

use crate::args::{At, Graph};
use crate::client::Client;
use crate::exit::Exit;
use crate::print;
use anyhow::Context as _;
use ontology::Time;
use query::text::{Between, NodeName, Query};

/// Asks and prints.
pub async fn run(command: Graph) -> anyhow::Result<Exit> {
    let (query, at) = text(command)?;
    let client = Client::new(&at.server.server)?;
    let limit = at.limit.to_string();
    let answer = client.get("/api/v1/query", &[("q", &query), ("limit", &limit)]).await?;
    if at.server.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", print::output(&answer));
    }
    Ok(Exit::Done)
}

fn text(command: Graph) -> anyhow::Result<(String, At)> {
    let time = |at: &At| at.at.as_deref().map(Time::parse).transpose();
    let node = |class: String, name: String| NodeName { class, name };
    Ok(match command {
        Graph::Find { class, text, at } => {
            (Query::Find { class, text, at: time(&at)?, limit: Some(at.limit) }.to_string(), at)
        }
        Graph::Show { class, name, at } => {
            (Query::Show { node: node(class, name), at: time(&at)? }.to_string(), at)
        }
        Graph::Neighbours { class, name, hops, at } => {
            let query = Query::Neighbours {
                node: node(class, name),
                hops: Some(hops),
                at: time(&at)?,
                limit: Some(at.limit),
            };
            (query.to_string(), at)
        }
        Graph::Path { from_class, from, to_class, to, at } => (
            Query::Path { from: node(from_class, from), to: node(to_class, to), at: time(&at)? }.to_string(),
            at,
        ),
        Graph::Follows { what, from, to, at } => {
            let end = |words: Vec<String>| {
                let [class, name] = <[String; 2]>::try_from(words).ok()?;
                Some(node(class, name))
            };
            let query =
                Query::Follows { what, from: end(from), to: end(to), at: time(&at)?, limit: Some(at.limit) };
            (query.to_string(), at)
        }
        Graph::Diff { before, after, cohort, versus, least, at } => {
            let (before, after) = (stretch(&before)?, stretch(&after)?);
            let cohort = cohort.map_or_else(String::new, |c| format!(" where {c}"));
            let versus = versus.map_or_else(String::new, |v| format!(" versus where {v}"));
            (
                format!(
                    "diff {before} against {} and {}{cohort}{versus} least {least}",
                    after.from, after.to
                ),
                at,
            )
        }
        Graph::Query { text, at } => (text, at),
    })
}

fn stretch(text: &str) -> anyhow::Result<Between> {
    let (from, to) = text.split_once("..").with_context(|| {
        format!("`{text}` is not a stretch of time; write it like 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z")
    })?;
    Ok(Between { from: Time::parse(from)?, to: Time::parse(to)? })
}
