//! `e2egraph ask`: a question in plain words to a running server.

use crate::args::Ask;
use crate::client::Client;
use crate::exit::Exit;
use crate::{out, print};
use serde_json::json;

/// Asks and prints; the exit code says how it went.
pub async fn run(args: Ask) -> anyhow::Result<Exit> {
    let client = Client::new(&args.server.server)?;
    let answer = client
        .post("/api/v1/ask", &json!({"question": args.question, "at": args.at.map(|t| t.to_string())}))
        .await?;
    if args.server.json {
        out::json(&answer)?;
    } else {
        out::print(&print::answer(&answer))?;
    }
    Ok(Exit::of_status(answer.get("status").and_then(|s| s.as_str()).unwrap_or_default()))
}
