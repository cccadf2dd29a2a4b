//! `e2egraph ontology reload`, `e2egraph ontology replay-refused`, `e2egraph rotate-key`: changes to a running server.

use crate::args::{Pair, Server};
use crate::client::Client;
use crate::exit::Exit;
use crate::{out, print};
use serde_json::{Value, json};

/// Reading everything again takes as long as a start.
const PATIENCE_SECS: u64 = 3_600;

/// What is printed of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// That it was done.
    Briefly,
    /// What went in of what had been set aside, by source and reason.
    ByReason,
}

/// Has the server read its ontology, and under it all that it keeps, again.
pub async fn reload(server: Server, told: Told) -> anyhow::Result<Exit> {
    let client = Client::new(&server.server)?.patient(PATIENCE_SECS);
    let answer = client.post("/api/v1/ontology/reload", &json!({})).await?;
    if server.json {
        out::json(&answer)?;
        return Ok(Exit::Done);
    }
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |of: &Value, key: &str| of.get(key).and_then(Value::as_i64).unwrap_or(0);
    let what = if text("before") == text("now") { "unchanged" } else { "new" };
    let requests = number(&answer, "requests");
    out::line(&format!("ontology {} ({what}); {requests} requests read again", text("now")))?;
    let aside = answer.get("set_aside").and_then(Value::as_array).cloned().unwrap_or_default();
    if told == Told::ByReason {
        let columns = ["source", "set aside for", "items before", "items now"].map(str::to_owned);
        let rows: Vec<Vec<String>> = aside
            .iter()
            .map(|r| {
                let of = |key: &str| r.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                vec![
                    of("source"),
                    of("reason"),
                    number(r, "before").to_string(),
                    number(r, "now").to_string(),
                ]
            })
            .collect();
        if rows.is_empty() {
            out::line("nothing is set aside")?;
        } else {
            out::print(&print::table(&columns, &rows))?;
        }
    }
    let still: i64 = aside.iter().map(|r| number(r, "now")).sum();
    out::line(&format!("{} items went in, {still} are still set aside", number(&answer, "went_in").max(0)))?;
    Ok(Exit::Done)
}

/// Has the server take two ids for two things, or for one again.
pub async fn identity(path: &str, pair: Pair) -> anyhow::Result<Exit> {
    let client = Client::new(&pair.server.server)?.patient(PATIENCE_SECS);
    let answer = client.post(path, &json!({"stand_in": pair.stand_in, "node": pair.node})).await?;
    if pair.server.json {
        out::json(&answer)?;
    } else {
        let requests = answer.get("requests").and_then(Value::as_i64).unwrap_or(0);
        out::line(&format!("done; {requests} requests read again"))?;
    }
    Ok(Exit::Done)
}

/// Has the server hash personal data with a new key from now on.
pub async fn rotate_key(server: Server) -> anyhow::Result<Exit> {
    let answer = Client::new(&server.server)?.post("/api/v1/hash-key/rotate", &json!({})).await?;
    if server.json {
        out::json(&answer)?;
    } else {
        out::line("personal data is hashed with a new key from now on; who comes again gets another id")?;
    }
    Ok(Exit::Done)
}
