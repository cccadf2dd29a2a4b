//! What clients, players, browsers and flag services send, and the facts it must become: one payload and one text each in
//! `tests/clients`. `E2EGRAPH_UPDATE=1` writes the texts anew, to be read before they are kept.

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

/// Feed, form, payload, what stood around it.
const CASES: &[(&str, Form, &str, &[(&str, &str)])] = &[
    ("web-vitals", Form::Json, "web-vitals.bare.json", &[("query.app", "webui"), ("query.page", "/browse")]),
    ("web-vitals", Form::Json, "web-vitals.nowhere.json", &[("header.origin", "https://shop.example")]),
    ("web-vitals", Form::Json, "web-vitals.list.json", &[]),
    ("web-vitals", Form::Json, "web-vitals.wrapped.json", &[]),
    ("reports", Form::Json, "reports.nel.json", &[]),
    ("reports", Form::Json, "reports.page.json", &[]),
    ("reports", Form::Json, "reports.csp.json", &[]),
    ("cmcd", Form::Text, "cmcd.lines.txt", &[]),
    ("cmcd", Form::Text, "cmcd.events.txt", &[]),
    ("cmcd", Form::Json, "cmcd.json", &[]),
    ("cmcd", Form::Json, "cmcd.headers.json", &[("query.cdn", "cdn-b")]),
    ("unleash", Form::Lines, "unleash.webhook.ndjson", &[]),
    ("unleash", Form::Json, "unleash.register.json", &[("request.path", "client/register")]),
    ("unleash", Form::Json, "unleash.metrics.json", &[("request.path", "client/metrics")]),
    ("unleash", Form::Json, "unleash.edge.json", &[("request.path", "client/metrics/bulk")]),
    ("launchdarkly", Form::Json, "launchdarkly.json", &[]),
    ("launchdarkly-events", Form::Lines, "launchdarkly-events.ndjson", &[]),
    ("statsig", Form::Json, "statsig.json", &[]),
    ("growthbook", Form::Lines, "growthbook.ndjson", &[]),
    ("flagd", Form::Json, "flagd.json", &[]),
    ("experiments", Form::Json, "experiments.exposures.json", &[]),
];

#[test]
fn what_clients_and_flag_services_send_becomes_these_facts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let ontology = Arc::new(Ontology::builtin());
    let options = Options { hash_key: [7; 32], limits: Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
    let now = Time::parse("2026-11-25T07:20:00Z").unwrap();
    let mut wrong = Vec::new();
    for (feed, form, file, around) in CASES {
        let body = fs::read(folder.join(file)).unwrap();
        let around: BTreeMap<String, String> =
            around.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let wire = Wire::Feed(Arc::new(Delivery { feed: (*feed).to_owned(), form: *form, around }));
        let said = describe(&normaliser.normalise(&wire, &body, now).unwrap(), &ontology);
        assert!(!said.contains("alice") || file.contains("events"), "{file} tells who it was:\n{said}");
        let wanted = folder.join(format!("{file}.facts"));
        if std::env::var_os("E2EGRAPH_UPDATE").is_some() {
            fs::write(&wanted, &said).unwrap();
        }
        if fs::read_to_string(&wanted).unwrap_or_default() != said {
            wrong.push(format!("{file} says now\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_payload_is_read_by_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let unread: Vec<String> =
        names.filter(|n| !n.ends_with(".facts") && !CASES.iter().any(|(_, _, file, _)| file == n)).collect();
    assert!(unread.is_empty(), "{unread:?}");
}
