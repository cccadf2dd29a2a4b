//! What each source sends, and the facts it must become: one file per source under `feeds/`, each with several deliveries.
//! `UPDATE_EXPECT=1` writes what is said now into the files, to be read before it is kept.
//!
//! A delivery is `feed[?name=value&…] form`, then `header: value` lines, an empty line, the body (or `@file`, from the root of
//! the project), a line `>>>`, and what is said; deliveries stand between lines `===`. Keys are shown by their numbers alone.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ingest::{Delivery, Form, Limits, Normaliser, Options, Wire, describe};
use ontology::{Ontology, Time};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const RECEIVED: &str = "2025-01-15T12:00:00Z";

fn form(name: &str) -> Form {
    match name {
        "json" => Form::Json,
        "ndjson" => Form::Lines,
        "yaml" => Form::Yaml,
        "csv" => Form::Csv,
        "text" => Form::Text,
        other => panic!("no form {other}"),
    }
}

/// Without what would be different under another hash, and is the same wherever it counts.
fn without_hashes(text: &str) -> String {
    let word = |w: &str| {
        let plain = w.split_once(':').filter(|(slot, hash)| slot.len() == 1 && hash.len() == 16);
        match plain {
            Some((slot, hash)) if hash.bytes().all(|b| b.is_ascii_hexdigit()) => slot.to_owned(),
            _ if w.starts_with('#') && w.len() == 17 => "#".to_owned(),
            _ => w.to_owned(),
        }
    };
    let line = |l: &str| l.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(|l| line(l) + "\n").collect()
}

fn said(ontology: &Arc<Ontology>, root: &Path, given: &str) -> String {
    let (head, body) = given.split_once("\n\n").unwrap();
    let mut lines = head.lines().filter(|l| !l.starts_with('#'));
    let (address, kind) = lines.next().unwrap().split_once(' ').unwrap();
    let (feed, query) = address.split_once('?').unwrap_or((address, ""));
    let pairs = query.split('&').filter_map(|p| p.split_once('='));
    let mut around: BTreeMap<String, String> =
        pairs.map(|(k, v)| (format!("query.{k}"), v.to_owned())).collect();
    let declared = ontology.mapping.feed(feed).unwrap().headers;
    for (name, value) in lines.map(|l| l.split_once(": ").unwrap()) {
        assert!(declared.iter().any(|h| h == name), "{feed} does not read the header {name}");
        around.insert(format!("header.{name}"), value.to_owned());
    }
    let body = match body.trim().strip_prefix('@') {
        Some(file) if !file.contains('\n') => fs::read(root.join(file)).unwrap(),
        _ => body.as_bytes().to_vec(),
    };
    let delivery = Delivery { feed: feed.to_owned(), form: form(kind), around };
    let options = Options { hash_key: [7; 32], limits: Limits::default() };
    let batch = Normaliser::new(Arc::clone(ontology), options).normalise(
        &Wire::Feed(Arc::new(delivery)),
        &body,
        Time::parse(RECEIVED).unwrap(),
    );
    match batch {
        Ok(batch) => without_hashes(&describe(&batch, ontology)),
        Err(e) => format!("refused: {e}\n"),
    }
}

#[test]
fn every_source_says_what_its_file_shows() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let ontology = Arc::new(ontology::load(&[]).unwrap_or_else(|e| panic!("{e}")));
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut files: Vec<_> =
        fs::read_dir(here.join("tests/feeds")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut now = Vec::new();
        for delivery in text.split("\n===\n") {
            let (given, _) = delivery.split_once("\n>>>\n").unwrap_or((delivery, ""));
            now.push(format!("{given}\n>>>\n{}", said(&ontology, &root, given)));
            count += 1;
        }
        let now = now.join("===\n");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, &now).unwrap();
        } else if now != text {
            let (old, new): (Vec<&str>, Vec<&str>) = (text.lines().collect(), now.lines().collect());
            let gone = old.iter().filter(|l| !new.contains(l)).map(|l| format!("- {l}"));
            let came = new.iter().filter(|l| !old.contains(l)).map(|l| format!("+ {l}"));
            let lines: Vec<String> = gone.chain(came).collect();
            wrong.push(format!("{}\n{}", file.display(), lines.join("\n")));
        }
    }
    assert!(count >= 30, "only {count} deliveries");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
