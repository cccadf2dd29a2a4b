//! `e2egraph send`: files to a feed of a running server, one request each.

use crate::args::{As, Send};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::out;
use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;

/// Sends and prints what was taken and refused. Fails when nothing of a file was taken.
pub async fn run(args: Send) -> anyhow::Result<Exit> {
    let client = Client::new(&args.server.server)?;
    let pairs: Vec<String> =
        args.parameters.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    let path = format!("/api/v1/feeds/{}{query}", encode(&args.feed));
    let mut told = Vec::new();
    let mut exit = Exit::Done;
    for file in &args.files {
        let name = file.display().to_string();
        let form = args.form.unwrap_or_else(|| form_of(file));
        let body = read(file).with_context(|| format!("reading {name}"))?;
        let answer = client.post_as(&path, form.content_type(), body).await.with_context(|| name.clone())?;
        let accepted = answer.get("accepted").and_then(Value::as_u64).unwrap_or_default();
        let refused = answer.get("refused").cloned().unwrap_or_default();
        if accepted == 0 && refused.as_array().is_some_and(|r| !r.is_empty()) {
            exit = Exit::Failed;
        }
        if args.server.json {
            told.push(json!({"file": name, "accepted": accepted, "refused": refused}));
        } else {
            out::print(&said(&name, accepted, &refused))?;
        }
    }
    if args.server.json {
        out::json(&told)?;
    }
    Ok(exit)
}

fn said(name: &str, accepted: u64, refused: &Value) -> String {
    let mut text = format!("{name}: {accepted} taken\n");
    for r in refused.as_array().into_iter().flatten() {
        let part = |key: &str| r.get(key).and_then(Value::as_str).unwrap_or_default();
        let items = r.get("items").and_then(Value::as_u64).unwrap_or_default();
        text.push_str(&format!("  {items} × {}: {}\n", part("reason"), part("detail")));
    }
    text
}

fn read(file: &Path) -> std::io::Result<Bytes> {
    let mut body = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut body)?;
    } else {
        body = std::fs::read(file)?;
    }
    Ok(body.into())
}

/// The form that a file's name says; JSON when it says none.
fn form_of(file: &Path) -> As {
    let lower = |s: Option<&std::ffi::OsStr>| s.and_then(|s| s.to_str()).map(str::to_ascii_lowercase);
    match lower(file.extension()).as_deref() {
        Some("yaml" | "yml") => As::Yaml,
        Some("csv") => As::Csv,
        Some("ndjson" | "jsonl") => As::Ndjson,
        Some("txt" | "text" | "log") => As::Text,
        _ if lower(file.file_name()).as_deref() == Some("codeowners") => As::Text,
        _ => As::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_form() {
        for (name, form) in [
            ("a/objects.json", As::Json),
            ("watch.ndjson", As::Ndjson),
            ("catalog-info.YAML", As::Yaml),
            ("owners.csv", As::Csv),
            (".github/CODEOWNERS", As::Text),
            ("/var/log/nginx/access.log", As::Text),
            ("-", As::Json),
        ] {
            assert_eq!(form_of(Path::new(name)), form, "{name}");
        }
    }

    #[test]
    fn what_was_refused_is_told_with_its_reason() {
        let refused = json!([{"reason": "not mapped", "detail": "{}", "items": 2}]);
        assert_eq!(said("a.json", 1, &refused), "a.json: 1 taken\n  2 × not mapped: {}\n");
    }
}
