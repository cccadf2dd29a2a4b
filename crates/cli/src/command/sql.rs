//! `e2egraph sql`: a query to a server; or, with nobody in between, to a data folder or a history.

use crate::args::Sql;
use crate::client::Client;
use crate::exit::Exit;
use crate::{out, print};
use serde_json::{Value, json};

/// Asks and prints rows.
pub async fn run(asked: Sql) -> anyhow::Result<Exit> {
    let answer = answer(&asked).await?;
    if asked.server.json {
        out::json(&answer)?;
    } else {
        out::print(&print::rows(&answer).replace("raise --limit-rows", "raise --limit"))?;
    }
    Ok(Exit::Done)
}

async fn answer(asked: &Sql) -> anyhow::Result<Value> {
    #[cfg(feature = "history")]
    if asked.offline.is_said() {
        return crate::history::ask(asked).await;
    }
    let body = json!({
        "query": asked.query,
        "limits": { "rows": asked.limit, "seconds": asked.timeout },
    });
    // The server ends the query; the answer has a way to go as well.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of seconds"
    )]
    let patience = asked.timeout.min(3_600.0).ceil() as u64 + 10;
    Client::new(&asked.server.server)?.patient(patience).post("/api/v1/sql", &body).await
}
