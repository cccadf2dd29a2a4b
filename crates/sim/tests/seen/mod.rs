//! Reads what a world sent, with prost alone, as an independent witness.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a witness that cannot read what was sent has found a fault"
)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use sim::{Plan, Scale, Scenario, Wire, World};
use std::collections::{BTreeMap, BTreeSet};

/// 2026-11-18 09:00 UTC.
pub(crate) const START_NS: i64 = 1_794_992_400 * 1_000_000_000;

pub(crate) fn plan(scenario: Scenario, seed: u64) -> Plan {
    Plan { scenario, seed, start_ns: START_NS, scale: Scale::SCORE }
}

/// One drawn view, as its event told it.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) at_ns: i64,
    pub(crate) session: String,
    pub(crate) name: String,
    pub(crate) outcome: String,
    /// The app start time for the start of the app.
    pub(crate) ttr: Option<f64>,
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) maker: String,
    pub(crate) model: String,
    pub(crate) asn: String,
    pub(crate) country: String,
    /// `experiment/cell`.
    pub(crate) cells: Vec<String>,
    pub(crate) traced: bool,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) views: Vec<View>,
    /// Flag evaluations: session to `flag/variant`.
    pub(crate) flags: BTreeMap<String, BTreeSet<String>>,
    pub(crate) spans: usize,
    pub(crate) distinct_spans: BTreeSet<(Vec<u8>, Vec<u8>)>,
    pub(crate) parents: BTreeSet<(Vec<u8>, Vec<u8>)>,
    pub(crate) services: BTreeSet<String>,
    pub(crate) service_versions: BTreeSet<(String, String, String)>,
    pub(crate) instances: BTreeSet<String>,
    pub(crate) hosts: BTreeSet<String>,
    pub(crate) points: usize,
    pub(crate) app_logs: usize,
    /// Highest reading of each host's processors.
    pub(crate) busiest: BTreeMap<String, f64>,
    pub(crate) feeds: BTreeMap<&'static str, Vec<serde_json::Value>>,
    pub(crate) bytes: usize,
    pub(crate) payloads: usize,
    pub(crate) sent_in_order: bool,
}

pub(crate) fn words(attributes: &[KeyValue], key: &str) -> Vec<String> {
    let found = attributes
        .iter()
        .find(|a| a.key == key)
        .and_then(|a| a.value.as_ref())
        .and_then(|v| v.value.as_ref());
    match found {
        Some(Value::StringValue(s)) => vec![s.clone()],
        Some(Value::IntValue(i)) => vec![i.to_string()],
        Some(Value::DoubleValue(d)) => vec![d.to_string()],
        Some(Value::ArrayValue(all)) => all
            .values
            .iter()
            .filter_map(|v| match &v.value {
                Some(Value::StringValue(s)) => Some(s.clone()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn word(attributes: &[KeyValue], key: &str) -> String {
    words(attributes, key).into_iter().next().unwrap_or_default()
}

/// Plays a world to its end and reads everything.
pub(crate) fn play(plan: Plan) -> Seen {
    let mut seen = Seen { sent_in_order: true, ..Seen::default() };
    let mut last = i64::MIN;
    for payload in World::new(plan) {
        seen.payloads += 1;
        seen.bytes += payload.body.len();
        seen.sent_in_order &= payload.at_ns >= last;
        last = payload.at_ns;
        match payload.wire {
            Wire::Traces => traces(&mut seen, &payload.body),
            Wire::Metrics => metrics(&mut seen, &payload.body),
            Wire::Logs => logs(&mut seen, &payload.body),
            Wire::Feed(name) => {
                seen.feeds.entry(name).or_default().push(serde_json::from_slice(&payload.body).unwrap());
            }
        }
    }
    assert!(last <= World::new(plan).end_ns());
    seen
}

fn traces(seen: &mut Seen, body: &[u8]) {
    for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        if !word(&attributes, "service.instance.id").is_empty() {
            let (service, version) =
                (word(&attributes, "service.name"), word(&attributes, "service.version"));
            seen.service_versions.insert((service.clone(), version, word(&attributes, "cloud.region")));
            seen.services.insert(service);
            seen.instances.insert(word(&attributes, "service.instance.id"));
            seen.hosts.insert(word(&attributes, "host.id"));
        }
        for span in resource.scope_spans.into_iter().flat_map(|s| s.spans) {
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
            seen.spans += 1;
            if !span.parent_span_id.is_empty() {
                seen.parents.insert((span.trace_id.clone(), span.parent_span_id));
            }
            seen.distinct_spans.insert((span.trace_id, span.span_id));
        }
    }
}

fn metrics(seen: &mut Seen, body: &[u8]) {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    for resource in ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics {
        let host = word(&resource.resource.unwrap().attributes, "host.id");
        for metric in resource.scope_metrics.into_iter().flat_map(|s| s.metrics) {
            match metric.data.unwrap() {
                Data::Gauge(gauge) => {
                    seen.points += gauge.data_points.len();
                    if metric.name == "system.cpu.utilization" {
                        let Some(Value::AsDouble(share)) = gauge.data_points[0].value else {
                            panic!("no number")
                        };
                        let busiest = seen.busiest.entry(host.clone()).or_default();
                        *busiest = busiest.max(share);
                    }
                }
                Data::Histogram(histogram) => {
                    seen.points += histogram.data_points.len();
                    for point in histogram.data_points {
                        assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                    }
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

fn logs(seen: &mut Seen, body: &[u8]) {
    for resource in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
        let of = resource.resource.unwrap().attributes;
        for record in resource.scope_logs.into_iter().flat_map(|s| s.log_records) {
            let said = &record.attributes;
            match record.event_name.as_str() {
                "e2e.view.rendered" | "e2e.app.started" => {
                    let (names, cells) =
                        (words(said, "e2e.experiment.name"), words(said, "e2e.experiment.cell"));
                    assert_eq!(names.len(), cells.len());
                    let key = if record.event_name == "e2e.app.started" {
                        "e2e.app.start_time"
                    } else {
                        "e2e.view.ttr"
                    };
                    seen.views.push(View {
                        at_ns: record.time_unix_nano as i64,
                        session: word(said, "session.id"),
                        name: word(said, "e2e.view.name"),
                        outcome: word(said, "e2e.outcome"),
                        ttr: word(said, key).parse().ok(),
                        app: word(&of, "e2e.app.name"),
                        version: word(&of, "service.version"),
                        maker: word(&of, "device.manufacturer"),
                        model: word(&of, "device.model.identifier"),
                        asn: word(&of, "e2e.client.asn"),
                        country: word(&of, "geo.country.iso_code"),
                        cells: names.iter().zip(&cells).map(|(n, c)| format!("{n}/{c}")).collect(),
                        traced: !record.trace_id.is_empty(),
                    });
                }
                "feature_flag.evaluation" => {
                    let said_flag = format!(
                        "{}/{}",
                        word(said, "feature_flag.key"),
                        word(said, "feature_flag.result.variant")
                    );
                    seen.flags.entry(word(said, "session.id")).or_default().insert(said_flag);
                }
                "app.crash" | "session.start" => {}
                "" => {
                    assert!(record.trace_id.len() == 16 && record.body.is_some());
                    seen.app_logs += 1;
                }
                other => panic!("unexpected event {other}"),
            }
        }
    }
}

/// Geometric mean of the times of the chosen views, and how many there are.
pub(crate) fn level(views: &[View], test: impl Fn(&View) -> bool) -> (f64, usize) {
    let logs: Vec<f64> = views.iter().filter(|v| test(v)).filter_map(|v| v.ttr).map(f64::ln).collect();
    ((logs.iter().sum::<f64>() / logs.len() as f64).exp(), logs.len())
}
