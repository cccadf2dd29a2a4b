//! The collectors between senders and us: they gather what arrives for some seconds and send it on, per region.

use crate::company::Company;
use crate::encode::{instance_resource, scope};
use crate::plan::{Payload, SECOND, Wire};
use crate::prng::Rng;
use crate::script::Script;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::collections::BTreeMap;

/// How long a collector gathers. At ten seconds a resource stood for 1.2 spans on average and made up most of the bytes.
pub(crate) const FLUSH_NS: i64 = 30 * SECOND;
/// Share of items that never arrive.
const LOST: f64 = 0.01;
/// Share of items that arrive late, by half a minute to ten.
const LATE: f64 = 0.02;
/// Share of items sent twice because the first answer was not heard.
const REPEATED: f64 = 0.005;

/// What one collector sends at one moment.
#[derive(Default)]
struct Batch {
    client_logs: Vec<ResourceLogs>,
    client_spans: Vec<ResourceSpans>,
    /// By place and generation of the instance, so that one resource stands for all its items.
    spans: BTreeMap<(usize, u64), Vec<Span>>,
    logs: BTreeMap<(usize, u64), Vec<LogRecord>>,
}

/// Items on their way.
#[derive(Default)]
pub(crate) struct Outbox {
    /// By number of the flush and region.
    batches: BTreeMap<(i64, usize), Batch>,
}

/// The flushes that will carry an item that is ready at `ready_ns`: usually one, sometimes none, sometimes one more.
fn flushes(ready_ns: i64, rng: &mut Rng) -> Option<(i64, Option<i64>)> {
    if rng.chance(LOST) {
        return None;
    }
    let late = if rng.chance(LATE) { rng.range(30.0, 600.0) as i64 * SECOND } else { 0 };
    let flush = (ready_ns + late).div_euclid(FLUSH_NS);
    Some((flush, rng.chance(REPEATED).then(|| flush + 1 + rng.below(3) as i64)))
}

impl Outbox {
    /// Puts an item that is ready at `ready_ns` where `place` says, in each batch that will carry it.
    fn post<T: Clone>(
        &mut self,
        region: usize,
        ready_ns: i64,
        item: T,
        rng: &mut Rng,
        place: impl Fn(&mut Batch) -> &mut Vec<T>,
    ) {
        if let Some((flush, again)) = flushes(ready_ns, rng) {
            if let Some(again) = again {
                place(self.batches.entry((again, region)).or_default()).push(item.clone());
            }
            place(self.batches.entry((flush, region)).or_default()).push(item);
        }
    }

    pub(crate) fn client_logs(&mut self, region: usize, ready_ns: i64, logs: ResourceLogs, rng: &mut Rng) {
        self.post(region, ready_ns, logs, rng, |batch| &mut batch.client_logs);
    }

    pub(crate) fn client_spans(&mut self, region: usize, ready_ns: i64, spans: ResourceSpans, rng: &mut Rng) {
        self.post(region, ready_ns, spans, rng, |batch| &mut batch.client_spans);
    }

    /// A span of the instance at `from` (place and generation).
    pub(crate) fn span(&mut self, from: (usize, u64), span: Span, rng: &mut Rng) {
        let (_, region, _) = Company::of_slot(from.0);
        let ready_ns = span.end_time_unix_nano as i64;
        self.post(region, ready_ns, span, rng, |batch| batch.spans.entry(from).or_default());
    }

    /// A log line of the instance at `from`.
    pub(crate) fn log(&mut self, from: (usize, u64), record: LogRecord, rng: &mut Rng) {
        let (_, region, _) = Company::of_slot(from.0);
        let ready_ns = record.time_unix_nano as i64;
        self.post(region, ready_ns, record, rng, |batch| batch.logs.entry(from).or_default());
    }

    /// Everything that collectors send up to `until_ns`.
    pub(crate) fn due(&mut self, until_ns: i64, company: &Company, script: &Script) -> Vec<Payload> {
        let mut payloads = Vec::new();
        while let Some(entry) = self.batches.first_entry() {
            let (flush, region) = *entry.key();
            let at_ns = (flush + 1) * FLUSH_NS;
            if at_ns > until_ns {
                break;
            }
            // the collectors of the regions do not send at the same instant
            encode(entry.remove(), at_ns + region as i64 * 7_000_000, company, script, &mut payloads);
        }
        payloads
    }
}

fn encode(batch: Batch, at_ns: i64, company: &Company, script: &Script, payloads: &mut Vec<Payload>) {
    let mut add = |offset: i64, wire: Wire, body: Vec<u8>| {
        if !body.is_empty() {
            payloads.push(Payload { at_ns: at_ns + offset, wire, body });
        }
    };
    let instance = |from: &(usize, u64)| {
        let version = script.version_of(company, from.0, from.1);
        Some(instance_resource(company, from.0, from.1, &version))
    };
    let resource_spans = batch
        .spans
        .into_iter()
        .map(|(from, spans)| ResourceSpans {
            resource: instance(&from),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope("io.opentelemetry.javaagent")),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        })
        .collect();
    let resource_logs = batch
        .logs
        .into_iter()
        .map(|(from, log_records)| ResourceLogs {
            resource: instance(&from),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope("logback")),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        })
        .collect();
    add(0, Wire::Traces, ExportTraceServiceRequest { resource_spans: batch.client_spans }.encode_to_vec());
    add(1_000_000, Wire::Logs, ExportLogsServiceRequest { resource_logs: batch.client_logs }.encode_to_vec());
    add(2_000_000, Wire::Traces, ExportTraceServiceRequest { resource_spans }.encode_to_vec());
    add(3_000_000, Wire::Logs, ExportLogsServiceRequest { resource_logs }.encode_to_vec());
}
