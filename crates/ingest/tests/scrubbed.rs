//! What is kept of requests whose texts do not stand beside their names: nothing personal, and the same facts as of their twins.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ingest::{Limits, Normaliser, Options, Scrub, Wire, describe};
use ontology::{Batch, Ontology, SourceFile, Time};
use prost::Message;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

const SITE: &str = r#"
sources:
  site.starts:
    reads: metric
    when: metric.name in [playback_starts, playback.starts]
    Device: {device_id: device.id | hash, os: os}
    DeviceModel: {maker: maker, model: model}
    Session: {session_id: session.id | hash}
"#;

static ONTOLOGY: LazyLock<Arc<Ontology>> = LazyLock::new(|| {
    let site = SourceFile { name: "site.mapping.yaml".to_owned(), text: SITE.to_owned() };
    Arc::new(ontology::load(&[site]).unwrap())
});
const NOW: i64 = 1_795_521_900;
const KEY: [u8; 32] = [7; 32];

fn read(wire: &Wire, body: &[u8]) -> Batch {
    let options = Options { hash_key: KEY, limits: Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ONTOLOGY), options);
    normaliser.normalise(wire, body, Time::from_secs(NOW)).unwrap()
}

fn scrub(wire: &Wire, body: &[u8]) -> Option<(Wire, Vec<u8>)> {
    Scrub::new(&ONTOLOGY, KEY, 64).scrub(wire, body)
}

fn clean(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    assert!(!text.contains("secret") && !text.contains("192.0.2"), "{text}");
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

mod one {
    use super::Sample;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Label {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Series {
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Request {
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<Series>,
    }
}

mod two {
    use super::Sample;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Exemplar {
        #[prost(uint32, repeated, tag = "1")]
        pub labels: Vec<u32>,
        #[prost(double, tag = "2")]
        pub value: f64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Metadata {
        #[prost(int32, tag = "1")]
        pub kind: i32,
        #[prost(uint32, tag = "3")]
        pub help: u32,
        #[prost(uint32, tag = "4")]
        pub unit: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Series {
        #[prost(uint32, repeated, tag = "1")]
        pub labels: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub exemplars: Vec<Exemplar>,
        #[prost(message, optional, tag = "5")]
        pub metadata: Option<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Request {
        #[prost(string, repeated, tag = "4")]
        pub symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub timeseries: Vec<Series>,
    }
}

/// The labels of a series.
type Labels<'l> = Vec<(&'l str, &'l str)>;

fn sample(value: f64) -> Vec<Sample> {
    vec![Sample { value, timestamp: NOW * 1000 }]
}

fn write_1(all: &[Labels<'_>]) -> Vec<u8> {
    let label = |(n, v): &(&str, &str)| one::Label { name: (*n).to_owned(), value: (*v).to_owned() };
    let series = all.iter().zip(1..).map(|(labels, n)| one::Series {
        labels: labels.iter().map(label).collect(),
        samples: sample(f64::from(n)),
    });
    one::Request { timeseries: series.collect() }.encode_to_vec()
}

fn write_2(all: &[Labels<'_>], change: impl Fn(&mut two::Request, &mut dyn FnMut(&str) -> u32)) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut symbol = |text: &str| -> u32 {
        let place = symbols.iter().position(|s| s == text).unwrap_or_else(|| {
            symbols.push(text.to_owned());
            symbols.len() - 1
        });
        u32::try_from(place).unwrap()
    };
    let mut request = two::Request::default();
    for (labels, n) in all.iter().zip(1..) {
        request.timeseries.push(two::Series {
            labels: labels.iter().flat_map(|(n, v)| [symbol(n), symbol(v)]).collect(),
            samples: sample(f64::from(n)),
            ..two::Series::default()
        });
    }
    change(&mut request, &mut symbol);
    request.symbols = symbols;
    request.encode_to_vec()
}

fn series() -> Vec<Labels<'static>> {
    let start = |device, session, os| {
        let mut labels =
            vec![("__name__", "playback_starts"), ("client_address", "192.0.2.7"), ("device.id", device)];
        labels.extend([("maker", "m"), ("model", "q"), ("os", os), ("session.id", session)]);
        labels
    };
    vec![start("secret-1", "secret-2", "x"), start("secret-3", "secret-2", "y"), start("secret-1", "", "x")]
}

#[test]
fn personal_labels_of_remote_write_2_are_hashed_as_those_of_1() {
    let body = write_2(&series(), |request, symbol| {
        let labels = vec![symbol("session.id"), symbol("secret-4"), symbol("trace_id"), symbol("t")];
        request.timeseries[0].exemplars.push(two::Exemplar { labels, value: 1.0 });
        request.timeseries[0].metadata = Some(two::Metadata { kind: 2, help: symbol("what it is"), unit: 0 });
        symbol("secret-5 that nothing uses");
    });
    let (wire, kept) = scrub(&Wire::PrometheusWrite2, &body).unwrap();
    clean(&kept);
    assert_eq!(wire, Wire::PrometheusWrite2);
    let hash = |text: &str| ingest::concealed(KEY, text);
    let request = two::Request::decode(kept.as_slice()).unwrap();
    for text in ["secret-1", "secret-2", "secret-3", "secret-4", "192.0.2.7"] {
        assert_eq!(request.symbols.iter().filter(|s| **s == format!("hashed:{}", hash(text))).count(), 1);
    }
    assert!(request.symbols.iter().any(|s| s == "what it is"));
    let (_, twin) = scrub(&Wire::PrometheusWrite1, &write_1(&series())).unwrap();
    clean(&twin);
    // Metadata says that it is a gauge, as 1.0 takes what has no metadata for.
    assert_eq!(read(&wire, &kept), read(&Wire::PrometheusWrite1, &twin));
    let facts = describe(&read(&wire, &kept), &ONTOLOGY);
    assert_eq!(facts, describe(&read(&wire, &body), &ONTOLOGY), "the same as what came");
    assert!(
        facts.contains(&format!("Device({})", &hash("secret-1")[..8])) || facts.contains(&hash("secret-1")),
        "{facts}"
    );
    assert_eq!(scrub(&wire, &kept), None, "again changes nothing");
    assert_eq!(ingest::written(&kept).unwrap(), ingest::written(&body).unwrap());
}

#[test]
fn a_symbol_that_is_used_for_something_else_too_stays_for_that() {
    // The address of one series is the operating system of another, and a name besides.
    let all = vec![
        vec![("__name__", "playback_starts"), ("device.id", "shared"), ("os", "shared"), ("shared", "z")],
        vec![("__name__", "playback_starts"), ("device.id", "own"), ("os", "device.id")],
    ];
    let body = write_2(&all, |request, symbol| {
        let labels = vec![symbol("device.id"), symbol("shared"), symbol("note"), symbol("shared")];
        request.timeseries[1].exemplars.push(two::Exemplar { labels, value: 2.0 });
    });
    let (wire, kept) = scrub(&Wire::PrometheusWrite2, &body).unwrap();
    let request = two::Request::decode(kept.as_slice()).unwrap();
    let text = |n: &u32| request.symbols[*n as usize].as_str();
    let hashed = |t: &str| format!("hashed:{}", ingest::concealed(KEY, t));
    let labels: Vec<&str> = request.timeseries[0].labels.iter().map(text).collect();
    let shared = hashed("shared");
    assert_eq!(labels, ["__name__", "playback_starts", "device.id", &shared, "os", "shared", "shared", "z"]);
    let labels: Vec<&str> = request.timeseries[1].labels.iter().map(text).collect();
    assert_eq!(labels, ["__name__", "playback_starts", "device.id", &hashed("own"), "os", "device.id"]);
    let labels: Vec<&str> = request.timeseries[1].exemplars[0].labels.iter().map(text).collect();
    assert_eq!(labels, ["device.id", &shared, "note", "shared"]);
    assert_eq!(request.timeseries[1].exemplars[0].value, 2.0);
    let (_, twin) = scrub(&Wire::PrometheusWrite1, &write_1(&all)).unwrap();
    assert_eq!(read(&wire, &kept), read(&Wire::PrometheusWrite1, &twin));
    assert_eq!(scrub(&wire, &kept), None);
}

#[test]
fn a_request_without_personal_labels_is_kept_as_it_came() {
    let body = write_2(&[vec![("__name__", "up"), ("job", "session.id"), ("instance", "a:1")]], |_, _| {});
    assert_eq!(scrub(&Wire::PrometheusWrite2, &body), None);
}

#[test]
fn what_atlas_gets_as_smile_is_kept_as_json_without_personal_tags() {
    let start = |device: &str, value: Value| {
        let tags = json!({"name": "playback.starts", "device.id": device, "os": "x", "maker": "m", "model": "q",
            "session.id": "secret-2", "atlas.dstype": "gauge"});
        json!({"tags": tags, "timestamp": NOW * 1000, "value": value})
    };
    let payload = json!({"tags": {"nf.app": "tv", "client.address": "192.0.2.7"}, "metrics": [
        start("secret-1", json!(0.1)), start("secret-3", json!(7)), start("secret-1", json!("NaN")),
        {"tags": {"name": "other"}, "timestamp": NOW * 1000, "start": NOW * 1000 - 5000, "value": 1e300},
    ]});
    let smile = serde_smile::to_vec(&payload).unwrap();
    let (wire, kept) = scrub(&Wire::AtlasSmile, &smile).unwrap();
    assert_eq!(wire, Wire::AtlasJson);
    clean(&kept);
    let (_, twin) = scrub(&Wire::AtlasJson, payload.to_string().as_bytes()).unwrap();
    assert_eq!(read(&wire, &kept), read(&Wire::AtlasJson, &twin));
    let facts = describe(&read(&wire, &kept), &ONTOLOGY);
    assert_eq!(facts, describe(&read(&Wire::AtlasSmile, &smile), &ONTOLOGY), "the same as what came");
    assert!(facts.contains("Device("), "{facts}");
    let other =
        serde_smile::to_vec(&json!({"metrics": [{"tags": {"name": "x"}, "timestamp": 1, "value": 2}]}));
    assert_eq!(scrub(&Wire::AtlasSmile, &other.unwrap()), None);
}

#[test]
fn smile_with_numbers_that_json_does_not_have_reads_the_same() {
    #[derive(serde::Serialize)]
    struct Payload {
        metrics: Vec<Measurement>,
    }
    #[derive(serde::Serialize)]
    struct Measurement {
        tags: std::collections::BTreeMap<&'static str, &'static str>,
        timestamp: i64,
        value: f64,
    }
    let tags = [("name", "playback.starts"), ("device.id", "secret-1")].into();
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE];
    let one = |value| Measurement { tags: Clone::clone(&tags), timestamp: NOW * 1000, value };
    let smile = serde_smile::to_vec(&Payload { metrics: odd.map(one).into() }).unwrap();
    let (wire, kept) = scrub(&Wire::AtlasSmile, &smile).unwrap();
    clean(&kept);
    assert_eq!(
        describe(&read(&wire, &kept), &ONTOLOGY),
        describe(&read(&Wire::AtlasSmile, &smile), &ONTOLOGY)
    );
}
