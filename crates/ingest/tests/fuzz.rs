//! Bodies that are nearly what senders send: facts or a refusal, never a panic; the same facts whatever was read before; and facts
//! that a graph takes, once or twice.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

#[path = "../../../tests/fuzz/mod.rs"]
mod fuzz;

use graph::Fold;
use ingest::{Delivery, Form, Limits, Normaliser, Options, Wire, describe};
use ontology::{Ontology, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Files of the corpus that have a form of their own.
const FORMS: &[(&str, Wire)] = &[
    ("traces.json", Wire::TracesJson),
    ("traces.pb", Wire::TracesProto),
    ("metrics.json", Wire::MetricsJson),
    ("metrics.pb", Wire::MetricsProto),
    ("logs.json", Wire::LogsJson),
    ("logs.pb", Wire::LogsProto),
    ("zipkin.json", Wire::ZipkinJson),
    ("zipkin.pb", Wire::ZipkinProto),
    ("jaeger.pb", Wire::Jaeger),
    ("loki.json", Wire::LokiJson),
    ("loki.pb", Wire::LokiProto),
    ("elastic.ndjson", Wire::ElasticBulk),
    ("syslog.txt", Wire::Syslog),
    ("statsd.txt", Wire::StatsD),
    ("prometheus.txt", Wire::PrometheusText),
    ("write1.pb", Wire::PrometheusWrite1),
    ("atlas.json", Wire::AtlasJson),
];

/// Recorded requests, as they are compressed on their way.
const RECORDED: &[(&str, Wire)] =
    &[("remote_write_1.snappy", Wire::PrometheusWrite1), ("remote_write_2.snappy", Wire::PrometheusWrite2)];

fn form(file: &str) -> Option<Form> {
    match file.rsplit_once('.')?.1 {
        "json" => Some(Form::Json),
        "ndjson" => Some(Form::Lines),
        "yaml" | "yml" => Some(Form::Yaml),
        "csv" => Some(Form::Csv),
        "txt" => Some(Form::Text),
        _ => None,
    }
}

/// What is told is changed: every body with the form it was sent in.
fn inputs(ontology: &Ontology) -> Vec<(String, Wire, Vec<u8>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = Vec::new();
    let of = |all: &[(&str, Wire)], name: &str| all.iter().find(|f| f.0 == name).map(|f| f.1.clone());
    for (name, body) in fuzz::corpus(&tests.join("corpus")) {
        let wire = of(FORMS, &name).unwrap_or_else(|| panic!("{name} has no form"));
        found.push((name, wire, body));
    }
    for (name, body) in fuzz::corpus(&tests.join("recorded")) {
        let wire = of(RECORDED, &name).unwrap_or_else(|| panic!("{name} has no form"));
        found.push((name, wire, snap::raw::Decoder::new().decompress_vec(&body).unwrap()));
    }
    let documents = [tests.join("clients"), tests.join("../../../docs/feeds")];
    for (name, body) in documents.iter().flat_map(|d| fuzz::corpus(d)) {
        let feed = name.split('.').next().unwrap_or_default().to_owned();
        if let Some(form) = form(&name).filter(|_| ontology.mapping.feed(&feed).is_some()) {
            found.push((name, Wire::Feed(Arc::new(Delivery { feed, form, around: BTreeMap::new() })), body));
        }
    }
    found
}

#[test]
fn nearly_bodies_become_facts_or_are_refused() {
    let ontology = Arc::new(Ontology::builtin());
    let options = Options { hash_key: [7; 32], limits: Limits::default() };
    let fresh = || Normaliser::new(Arc::clone(&ontology), options);
    let at = Time::from_secs(1_795_521_960);
    let inputs = inputs(&ontology);
    assert!(inputs.len() >= 40, "only {} inputs", inputs.len());
    let mut long = fresh();
    for (name, wire, body) in &inputs {
        assert!(long.normalise(wire, body, at).is_ok(), "{name}");
    }
    let mut anew = fresh();
    let mut tried = 0;
    fuzz::cases(10_000, |draw| {
        let (name, wire, body) = draw.one_of(&inputs).clone();
        let other = draw.one_of(&inputs).2.clone();
        let mut body = body;
        fuzz::mutate(draw, &mut body, &other);
        if tried % 100 == 0 {
            anew = fresh();
        }
        tried += 1;
        let (one, two) = (long.normalise(&wire, &body, at), anew.normalise(&wire, &body, at));
        let said = |r: &Result<ontology::Batch, ingest::Malformed>| match r {
            Ok(batch) => describe(batch, &ontology),
            Err(e) => e.to_string(),
        };
        assert_eq!(said(&one), said(&two), "{name} is read otherwise after others");
        let Ok(batch) = one else { return };
        let mut fold =
            Fold::new(Arc::clone(&ontology), ontology.mapping.trust.clone(), graph::Limits::default());
        fold.fold(&batch, at);
        let once = fold.graph().canonical();
        fold.fold(&batch, at);
        assert_eq!(fold.graph().canonical(), once, "{name} counts twice");
    });
}
