//! What machines and services count about themselves, once a minute.

use crate::company::{Company, speaks_http};
use crate::encode::{host_resource, instance_resource, scope, text};
use crate::plan::{MINUTE, Payload, Wire};
use crate::prng::Rng;
use crate::script::Script;
use crate::tables::REGIONS;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::BTreeMap;

/// Bounds in seconds that the semantic conventions advise for request durations.
const BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Durations of one operation at one instance since the last minute.
#[derive(Clone, Default)]
struct Durations {
    buckets: Vec<u64>,
    sum: f64,
    min: f64,
    max: f64,
}

/// Counters of all instances.
#[derive(Default)]
pub(crate) struct Readings {
    /// By place and operation.
    durations: BTreeMap<(usize, usize), Durations>,
    /// Requests answered at each place in this minute.
    requests: BTreeMap<usize, u64>,
}

impl Readings {
    /// An answer was given.
    pub(crate) fn count(&mut self, slot: usize, operation: usize, ms: f64) {
        let seconds = ms / 1000.0;
        let durations = self.durations.entry((slot, operation)).or_default();
        if durations.buckets.is_empty() {
            durations.buckets = vec![0; BOUNDS.len() + 1];
            (durations.min, durations.max) = (seconds, seconds);
        }
        let bucket = BOUNDS.iter().position(|b| seconds <= *b).unwrap_or(BOUNDS.len());
        durations.buckets[bucket] += 1;
        durations.sum += seconds;
        durations.min = durations.min.min(seconds);
        durations.max = durations.max.max(seconds);
        *self.requests.entry(slot).or_default() += 1;
    }

    /// The requests of all regions for the minute that ended at `at_ns`; counting starts anew.
    pub(crate) fn due(
        &mut self,
        at_ns: i64,
        company: &Company,
        script: &Script,
        load: f64,
        rng: &mut Rng,
    ) -> Vec<Payload> {
        let durations = std::mem::take(&mut self.durations);
        let requests = std::mem::take(&mut self.requests);
        let mut metrics: Vec<Vec<ResourceMetrics>> = vec![Vec::new(); REGIONS.len()];
        let mut busy = Vec::with_capacity(company.hosts.len());
        for (index, host) in company.hosts.iter().enumerate() {
            let share = (script.busy(company, index, at_ns, load) + rng.normal() * 0.012).clamp(0.02, 0.998);
            busy.push(share);
            let gauges = vec![gauge("system.cpu.utilization", "1", at_ns, share)];
            metrics[host.region].push(resource_metrics(host_resource(company, index), gauges));
        }
        for slot in 0..Company::slots() {
            let (service, region, replica) = Company::of_slot(slot);
            let generation = script.generation(slot, at_ns);
            let version = script.version_of(company, slot, generation);
            let asked = requests.get(&slot).copied().unwrap_or_default() as f64;
            let guilty = script.guilty(service, region, replica, at_ns);
            let cpu = 0.18
                + 0.25 * busy[company.host_of[slot]]
                + 0.001 * asked.min(100.0)
                + if guilty { 0.2 } else { 0.0 };
            let cpu = (cpu + rng.normal() * 0.015).clamp(0.01, 0.99);
            let memory = 6.2e8 + (slot % 17) as f64 * 3.1e7 + rng.normal() * 8e6;
            let mut all = vec![
                gauge("container.cpu.utilization", "1", at_ns, cpu),
                gauge("container.memory.usage", "By", at_ns, memory.round()),
            ];
            let name = if speaks_http(service) {
                "http.server.request.duration"
            } else {
                "rpc.server.call.duration"
            };
            let points: Vec<HistogramDataPoint> = durations
                .range((slot, 0)..(slot + 1, 0))
                .map(|((_, operation), durations)| point(durations, labels(company, *operation), at_ns))
                .collect();
            if !points.is_empty() {
                let aggregation_temporality = AggregationTemporality::Delta as i32;
                let histogram = Histogram { data_points: points, aggregation_temporality };
                all.push(metric(name, "s", Data::Histogram(histogram)));
            }
            metrics[region]
                .push(resource_metrics(instance_resource(company, slot, generation, &version), all));
        }
        let payload = |(region, resource_metrics)| Payload {
            at_ns: at_ns + 4_000_000 + region as i64 * 7_000_000,
            wire: Wire::Metrics,
            body: ExportMetricsServiceRequest { resource_metrics }.encode_to_vec(),
        };
        metrics.into_iter().enumerate().map(payload).collect()
    }
}

fn labels(company: &Company, operation: usize) -> Vec<KeyValue> {
    let row = &company.operations[operation];
    if speaks_http(row.service) {
        vec![text("http.request.method", "GET"), text("http.route", row.name.clone())]
    } else {
        vec![text("rpc.system.name", "grpc"), text("rpc.method", row.name.clone())]
    }
}

fn point(durations: &Durations, attributes: Vec<KeyValue>, at_ns: i64) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: (at_ns - MINUTE) as u64,
        time_unix_nano: at_ns as u64,
        count: durations.buckets.iter().sum(),
        sum: Some(durations.sum),
        bucket_counts: durations.buckets.clone(),
        explicit_bounds: BOUNDS.to_vec(),
        min: Some(durations.min),
        max: Some(durations.max),
        ..HistogramDataPoint::default()
    }
}

fn gauge(name: &str, unit: &str, at_ns: i64, value: f64) -> Metric {
    let value = Some(Value::AsDouble(value));
    let point = NumberDataPoint { time_unix_nano: at_ns as u64, value, ..NumberDataPoint::default() };
    metric(name, unit, Data::Gauge(Gauge { data_points: vec![point] }))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_string(), unit: unit.to_string(), data: Some(data), ..Metric::default() }
}

fn resource_metrics(resource: Resource, metrics: Vec<Metric>) -> ResourceMetrics {
    let scope_metrics =
        vec![ScopeMetrics { scope: Some(scope("collector")), metrics, ..ScopeMetrics::default() }];
    ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() }
}
