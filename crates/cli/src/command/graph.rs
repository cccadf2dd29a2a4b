//! `e2egraph graph`: every question is written as query text, so that what the command line asks anyone can ask; an export is
//! handed through.

mod compare;
#[cfg(feature = "history")]
mod offline;

use super::operate;
use crate::args::{At, Cypher, Export, Graph, Pair, Snapshot, Trouble};
use crate::client::Client;
use crate::exit::{Exit, Wrong};
use crate::{out, print};
use query::text::{NodeName, Query, Way};
use serde_json::{Map, json};
use std::io::BufWriter;

/// Asks and prints.
pub async fn run(command: Graph) -> anyhow::Result<Exit> {
    let (query, at) = match asked(command)? {
        Asked::Query(query, at) => (query, at),
        Asked::Export(export) => return handed_through(export).await,
        Asked::Cypher(query) => return cypher(*query).await,
        Asked::Rows(rows) => return compare::rows(rows).await,
        Asked::Snapshot(snapshot) => return compare::snapshot(snapshot).await,
        Asked::Change(path, pair) => return operate::identity(path, pair).await,
    };
    #[cfg(feature = "history")]
    if at.offline.is_said() {
        let answer = offline::query(&query, &at).await?;
        if at.server.json {
            out::json(&answer)?;
        } else {
            out::print(&print::output(&answer))?;
        }
        return Ok(Exit::Done);
    }
    let client = Client::new(&at.server.server)?;
    let limit = at.limit.to_string();
    let (moment, known) = (at.at.map(|t| t.to_string()), at.as_known.map(|t| t.to_string()));
    let mut asked = vec![("q", query.as_str()), ("limit", limit.as_str())];
    // Not every form of query text has a moment of its own.
    asked.extend(moment.as_deref().map(|t| ("at", t)));
    asked.extend(known.as_deref().map(|t| ("as_known", t)));
    let answer = client.get("/api/v1/query", &asked).await?;
    if at.server.json {
        out::json(&answer)?;
    } else {
        out::print(&print::output(&answer))?;
    }
    Ok(Exit::Done)
}

/// Writes an export to standard output as it comes.
async fn handed_through(export: Export) -> anyhow::Result<Exit> {
    let (moment, known) = (export.at.map(|t| t.to_string()), export.as_known.map(|t| t.to_string()));
    let mut wanted = vec![("format", export.format.name())];
    wanted.extend(moment.as_deref().map(|t| ("at", t)));
    wanted.extend(known.as_deref().map(|t| ("as_known", t)));
    let mut to = BufWriter::new(std::io::stdout().lock());
    Client::new(&export.server)?.stream("/api/v1/graph/export", &wanted, &mut to).await?;
    Ok(Exit::Done)
}

/// Asks in openCypher; rows as a table.
async fn cypher(asked: Cypher) -> anyhow::Result<Exit> {
    let mut parameters = Map::new();
    for p in &asked.params {
        let Some((name, value)) = p.split_once('=') else {
            return Err(Wrong(format!("--param {p}: write it like name=value")).into());
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        parameters.insert(name.trim_start_matches('$').to_owned(), value);
    }
    let mut body = json!({
        "query": asked.query,
        "parameters": parameters,
        "limits": { "rows": asked.limit_rows, "seconds": asked.timeout },
    });
    if let Some(fields) = body.as_object_mut() {
        fields.extend(asked.at.map(|t| ("at".to_owned(), json!(t.to_string()))));
        fields.extend(asked.as_known.map(|t| ("as_known".to_owned(), json!(t.to_string()))));
        let between = asked.between.map(|b| json!({ "from": b.from.to_string(), "to": b.to.to_string() }));
        fields.extend(between.map(|b| ("between".to_owned(), b)));
    }
    #[cfg(feature = "history")]
    let answer = if asked.offline.is_said() {
        offline::cypher(&asked, body).await?
    } else {
        Client::new(&asked.server.server)?.post("/api/v1/cypher", &body).await?
    };
    #[cfg(not(feature = "history"))]
    let answer = Client::new(&asked.server.server)?.post("/api/v1/cypher", &body).await?;
    if asked.server.json {
        out::json(&answer)?;
    } else {
        out::print(&print::rows(&answer))?;
    }
    Ok(Exit::Done)
}

/// What is asked of the server.
enum Asked {
    Query(String, At),
    Export(Export),
    Cypher(Box<Cypher>),
    Rows(compare::Rows),
    Snapshot(Snapshot),
    /// Where a change of identity is asked for.
    Change(&'static str, Pair),
}

fn trouble_query(way: Way, trouble: Trouble) -> anyhow::Result<Asked> {
    let Trouble { things, of, at } = trouble;
    let pairs = things.chunks(2);
    if !things.len().is_multiple_of(2) {
        return Err(Wrong("things are said by class and name: one of these is missing".to_owned()).into());
    }
    if way != Way::Common && pairs.len() > 1 {
        return Err(Wrong("one thing at a time; `e2egraph graph common` takes several".to_owned()).into());
    }
    let node = |pair: &[String]| match pair {
        [class, name] => Some(NodeName { class: class.clone(), name: name.clone() }),
        _ => None,
    };
    let nodes = pairs.filter_map(node).collect();
    let query = Query::Trouble { way, nodes, aspect: of, at: at.at, limit: Some(at.limit) };
    Ok(Asked::Query(query.to_string(), at))
}

fn asked(command: Graph) -> anyhow::Result<Asked> {
    let node = |class: String, name: String| NodeName { class, name };
    let (query, at) = match command {
        Graph::Find { class, text, at } => {
            (Query::Find { class, text, at: at.at, limit: Some(at.limit) }.to_string(), at)
        }
        Graph::Show { class, name, at } => {
            (Query::Show { node: node(class, name), at: at.at }.to_string(), at)
        }
        Graph::Neighbours { class, name, hops, at } => {
            let query = Query::Neighbours {
                node: node(class, name),
                hops: Some(hops),
                at: at.at,
                limit: Some(at.limit),
            };
            (query.to_string(), at)
        }
        Graph::Path { from_class, from, to_class, to, at } => {
            (Query::Path { from: node(from_class, from), to: node(to_class, to), at: at.at }.to_string(), at)
        }
        Graph::Why { from_class, from, to_class, to, at } => {
            (Query::Why { from: node(from_class, from), to: node(to_class, to), at: at.at }.to_string(), at)
        }
        Graph::Origins(trouble) => return trouble_query(Way::Origins, trouble),
        Graph::Impact(trouble) => return trouble_query(Way::Impact, trouble),
        Graph::Common(trouble) => return trouble_query(Way::Common, trouble),
        Graph::Paths { from_class, from, to_class, to, of, hops, best, at } => {
            let query = Query::Paths {
                from: node(from_class, from),
                to: node(to_class, to),
                aspect: of,
                hops: Some(hops),
                at: at.at,
                best: Some(best),
            };
            // As many rows as ways.
            (query.to_string(), At { limit: at.limit.max(best), ..at })
        }
        Graph::Merges { class, at } => (Query::Merges { class, limit: Some(at.limit) }.to_string(), at),
        Graph::Split(pair) => return Ok(Asked::Change("/api/v1/identity/split", pair)),
        Graph::Rejoin(pair) => return Ok(Asked::Change("/api/v1/identity/rejoin", pair)),
        Graph::Follows { what, from, to, at } => {
            let end = |words: Vec<String>| {
                let [class, name] = <[String; 2]>::try_from(words).ok()?;
                Some(node(class, name))
            };
            let query =
                Query::Follows { what, from: end(from), to: end(to), at: at.at, limit: Some(at.limit) };
            (query.to_string(), at)
        }
        Graph::Diff(diff) => return Ok(Asked::Rows(compare::diff(*diff))),
        Graph::Cohort(cohort) => return Ok(Asked::Rows(compare::cohort(*cohort))),
        Graph::Snapshot(snapshot) => return Ok(Asked::Snapshot(snapshot)),
        Graph::Question { name, line, at } => {
            (Query::Question { name, line, at: at.at, limit: Some(at.limit) }.to_string(), at)
        }
        Graph::Query { text, at } => (text, at),
        Graph::Export(export) => return Ok(Asked::Export(export)),
        Graph::Cypher(query) => return Ok(Asked::Cypher(Box::new(query))),
    };
    Ok(Asked::Query(query, at))
}
