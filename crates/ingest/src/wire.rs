//! The forms in which telemetry arrives, with the numbers the log and the names reports use.

use ontology::Reads;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A form of a request body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// OTLP `ExportTraceServiceRequest`, protobuf.
    TracesProto,
    /// The same as OTLP/JSON.
    TracesJson,
    /// OTLP `ExportMetricsServiceRequest`, protobuf.
    MetricsProto,
    /// The same as OTLP/JSON.
    MetricsJson,
    /// OTLP `ExportLogsServiceRequest`, protobuf.
    LogsProto,
    /// The same as OTLP/JSON.
    LogsJson,
    /// Prometheus remote write 1.0, `prometheus.WriteRequest`, protobuf.
    PrometheusWrite1,
    /// Prometheus remote write 2.0, `io.prometheus.write.v2.Request`, protobuf.
    PrometheusWrite2,
    /// The text that Prometheus scrapes: its own format 0.0.4, or OpenMetrics 1.0.
    PrometheusText,
    /// What Netflix's Spectator publishes to Atlas, as JSON.
    AtlasJson,
    /// The same as Smile.
    AtlasSmile,
    /// Lines of StatsD and DogStatsD.
    StatsD,
    /// Zipkin v2, a JSON list of spans.
    ZipkinJson,
    /// The same as `zipkin.proto3.ListOfSpans`.
    ZipkinProto,
    /// Jaeger's `jaeger.api_v2.PostSpansRequest`, protobuf.
    Jaeger,
    /// Loki's `logproto.PushRequest`, protobuf with snappy undone.
    LokiProto,
    /// The same as JSON.
    LokiJson,
    /// Elasticsearch's `_bulk`: lines of JSON.
    ElasticBulk,
    /// Syslog messages, each with its length in bytes before it (RFC 6587, octet counting).
    Syslog,
    /// Documents of a feed: what has no form of its own here.
    Feed(Arc<Delivery>),
}

/// How the documents of a feed were sent: under which name, in which form, with what around the body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Delivery {
    /// The feed's name, as the mapping files `read` it.
    pub feed: String,
    /// The form of the body.
    pub form: Form,
    /// What its records see beside the body: `header.x-github-event`, `query.repository`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub around: BTreeMap<String, String>,
}

/// The form of a feed's body. Each gives documents; every document, or every element of the list that a mapping names, is a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One JSON document, or a list of them. A CloudEvent is what its `data` holds.
    Json,
    /// JSON documents one after the other, each on a line or over several.
    Lines,
    /// YAML, several documents between `---`.
    Yaml,
    /// Comma-separated values; the first row names the columns, each further row is a document.
    Csv,
    /// Text; each line that is not empty is a document `{line: …, words: […]}`.
    Text,
}

impl Form {
    /// Whether what is sent in it may be lines of a log.
    pub(crate) fn has_lines(self) -> bool {
        matches!(self, Form::Lines | Form::Text)
    }

    /// The form that a content type says; `None` when it says none of them.
    pub fn of_content_type(value: &str) -> Option<Form> {
        let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match kind.as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/json-lines" => Form::Lines,
            "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Form::Yaml,
            "text/csv" => Form::Csv,
            // CMCD reports are one a line (CTA-5004-B, event mode).
            "text/plain" | "application/cmcd" => Form::Text,
            "application/json" | "text/json" => Form::Json,
            k if k.starts_with("application/") && k.ends_with("+json") => Form::Json,
            _ => return None,
        })
    }
}

const SPANS: &[Reads] = &[Reads::Resource, Reads::Span, Reads::SpanEvent];
const POINTS: &[Reads] = &[Reads::Resource, Reads::Metric];
const RECORDS: &[Reads] = &[Reads::Resource, Reads::Log];
const BOTH: &[Reads] = &[Reads::Resource, Reads::Metric, Reads::Log];

/// Every form whose body is all there is to it, with its number in the log, the source it counts
/// for, and the records in it.
const PLAIN: &[(Wire, u8, &str, &[Reads])] = &[
    (Wire::TracesProto, 1, "otlp", SPANS),
    (Wire::TracesJson, 2, "otlp", SPANS),
    (Wire::MetricsProto, 3, "otlp", POINTS),
    (Wire::MetricsJson, 4, "otlp", POINTS),
    (Wire::LogsProto, 5, "otlp", RECORDS),
    (Wire::LogsJson, 6, "otlp", RECORDS),
    (Wire::PrometheusWrite1, 8, "prometheus", POINTS),
    (Wire::PrometheusWrite2, 9, "prometheus", POINTS),
    (Wire::PrometheusText, 10, "prometheus", POINTS),
    (Wire::AtlasJson, 11, "atlas", POINTS),
    (Wire::AtlasSmile, 12, "atlas", POINTS),
    (Wire::StatsD, 13, "statsd", BOTH),
    (Wire::ZipkinJson, 16, "zipkin", SPANS),
    (Wire::ZipkinProto, 17, "zipkin", SPANS),
    (Wire::Jaeger, 18, "jaeger", SPANS),
    (Wire::LokiProto, 19, "loki", RECORDS),
    (Wire::LokiJson, 20, "loki", RECORDS),
    (Wire::ElasticBulk, 21, "elasticsearch", RECORDS),
    (Wire::Syslog, 22, "syslog", RECORDS),
];
const FEED: u8 = 31;

impl Wire {
    /// Plain JSON of a feed.
    pub fn feed(name: &str) -> Wire {
        let around = BTreeMap::new();
        Wire::Feed(Arc::new(Delivery { feed: name.to_owned(), form: Form::Json, around }))
    }

    /// The number written to the log. Never changes meaning.
    pub fn code(&self) -> u8 {
        PLAIN.iter().find(|(w, ..)| w == self).map_or(FEED, |(_, code, ..)| *code)
    }

    /// What is written to the log for a body: the body itself; for a feed, a line that says how it was sent, then the body.
    pub fn logged<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        let Wire::Feed(delivery) = self else { return Cow::Borrowed(body) };
        let mut whole = serde_json::to_vec(&**delivery).unwrap_or_default();
        whole.push(b'\n');
        whole.extend_from_slice(body);
        Cow::Owned(whole)
    }

    /// The reverse of [`Wire::code`] and [`Wire::logged`]; `None` for what a newer version wrote.
    pub fn from_log(code: u8, logged: &[u8]) -> Option<(Wire, &[u8])> {
        if code != FEED {
            let (wire, ..) = PLAIN.iter().find(|(_, c, ..)| *c == code)?;
            return Some((wire.clone(), logged));
        }
        let line = logged.iter().position(|b| *b == b'\n')?;
        let (head, rest) = logged.split_at_checked(line)?;
        let delivery: Delivery = serde_json::from_slice(head).ok()?;
        Some((Wire::Feed(Arc::new(delivery)), rest.get(1..)?))
    }

    /// The records that requests of this form hold, as mapping files `read` them.
    pub fn reads(&self) -> Vec<Reads> {
        match self {
            Wire::Feed(delivery) => vec![Reads::Feed(delivery.feed.clone())],
            plain => {
                PLAIN.iter().find(|(w, ..)| w == plain).map_or_else(Vec::new, |(.., reads)| reads.to_vec())
            }
        }
    }

    /// The name of the source it counts for.
    pub fn source(&self) -> &str {
        match self {
            Wire::Feed(delivery) => &delivery.feed,
            plain => plain.via(),
        }
    }

    /// What records see as the way they came; nothing for feeds, whose sources read them by name.
    pub(crate) fn via(&self) -> &'static str {
        PLAIN.iter().find(|(w, ..)| w == self).map_or("", |(_, _, source, _)| source)
    }

    /// Every form whose body is all there is to it.
    pub fn plain() -> impl Iterator<Item = Wire> {
        PLAIN.iter().map(|(wire, ..)| wire.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_is_read_back() {
        let around = [("header.x-github-event".to_owned(), "push\n".to_owned())].into();
        let feed = Delivery { feed: "github".into(), form: Form::Yaml, around };
        let body = b"a: 1\n";
        for wire in Wire::plain().chain([Wire::Feed(Arc::new(feed)), Wire::feed("changes")]) {
            let logged = wire.logged(body);
            assert_eq!(Wire::from_log(wire.code(), &logged), Some((wire.clone(), &body[..])));
        }
        assert_eq!(Wire::from_log(0, body), None);
        assert_eq!(Wire::from_log(FEED, b"{}"), None);
    }

    #[test]
    fn content_types_say_the_form() {
        for (kind, form) in [
            ("application/json; charset=utf-8", Some(Form::Json)),
            ("application/cloudevents+json", Some(Form::Json)),
            ("Application/X-NDJSON", Some(Form::Lines)),
            ("text/yaml", Some(Form::Yaml)),
            ("text/csv", Some(Form::Csv)),
            ("text/plain;charset=UTF-8", Some(Form::Text)),
            ("application/x-www-form-urlencoded", None),
            ("", None),
        ] {
            assert_eq!(Form::of_content_type(kind), form, "{kind}");
        }
    }
}
