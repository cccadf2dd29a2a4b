//! Small helpers for saying things: documents, series, attributes read back from a resource.

use super::{Form, Letter};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use prost::Message;
use serde_json::Value;

/// The text of an attribute.
pub(crate) fn get<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|a| a.key == key).and_then(|a| a.value.as_ref()?.value.as_ref());
    match found {
        Some(Any::StringValue(text)) => text,
        _ => "",
    }
}

/// A document of a feed.
pub(crate) fn feed(at_ns: i64, name: &'static str, document: &Value) -> Letter {
    around(at_ns, name, document, Vec::new())
}

/// The same, with what stands around its body.
pub(crate) fn around(
    at_ns: i64,
    name: &'static str,
    document: &Value,
    by: Vec<(&'static str, String)>,
) -> Letter {
    Letter { at_ns, form: Form::Feed(name, by), body: document.to_string().into_bytes() }
}

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

impl WriteRequest {
    /// One sample; labels that are empty are not there.
    pub(crate) fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64, at_ns: i64) {
        let mut labels: Vec<Label> = labels
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .chain([&("__name__", name)])
            .map(|(n, v)| Label { name: (*n).to_owned(), value: (*v).to_owned() })
            .collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        self.series
            .push(TimeSeries { labels, samples: vec![Sample { value, timestamp: at_ns / 1_000_000 }] });
    }

    /// The request.
    pub(crate) fn letter(&self, at_ns: i64) -> Letter {
        Letter { at_ns, form: Form::RemoteWrite, body: self.encode_to_vec() }
    }
}
