//! Questions to a data folder that no server has open, or to history alone.

use crate::args::{At, Cypher};
use crate::exit::{NotThere, Wrong};
use crate::history::{Looked, look};
use ontology::{Stretch, Time};
use query::View;
use query::run::{Output, QueryError};
use serde_json::Value as Json;

fn no_known(known: Option<Time>) -> anyhow::Result<()> {
    match known {
        None => Ok(()),
        Some(_) => Err(Wrong(
            "--as-known needs a server: neither a data folder nor history says when things became known"
                .to_owned(),
        )
        .into()),
    }
}

fn moments(at: Option<Time>) -> Vec<Stretch> {
    at.map(|t| Stretch { from: t, to: t }).into_iter().collect()
}

/// Answers a question as text.
pub async fn query(text: &str, at: &At) -> anyhow::Result<Json> {
    no_known(at.as_known)?;
    let query: query::Query = text.parse().map_err(|e| anyhow::Error::new(QueryError::Text(e)))?;
    let mut of = query.times();
    if of.is_empty() {
        of = moments(at.at);
    }
    let Looked { graph, note, .. } = look(&at.offline, of).await?;
    let mut view = View::latest(&graph);
    view.as_of = at.at.map_or(view.as_of, |t| t.min(view.as_of));
    let mut output: Output = query::run::run(&view, &query).map_err(|e| {
        if e.is_about_what_is_missing() { NotThere(e.to_string()).into() } else { anyhow::Error::new(e) }
    })?;
    output.hidden += output.rows.len().saturating_sub(at.limit);
    output.rows.truncate(at.limit);
    if let Some(note) = note {
        output.note = [note, output.note].join(" ").trim_end().to_owned();
    }
    Ok(serde_json::to_value(output)?)
}

/// Answers a query in openCypher; the body is what a server would be sent.
pub async fn cypher(asked: &Cypher, body: Json) -> anyhow::Result<Json> {
    no_known(asked.as_known)?;
    let between = asked.between.map(|b| Stretch { from: b.from, to: b.to });
    let of = between.map_or_else(|| moments(asked.at), |during| vec![during]);
    let Looked { graph, now, note } = look(&asked.offline, of).await?;
    server::ask_cypher(&graph, now, note, body)
        .map_err(|(why, missing)| if missing { NotThere(why).into() } else { anyhow::anyhow!(why) })
}
