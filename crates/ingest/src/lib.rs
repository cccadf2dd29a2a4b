//! From the bytes of a request to facts: decoders for OTLP and the JSON feeds, and one normaliser that knows only the mapping.
//!
//! Three layers. Each [`Wire`] form is taken apart by a module of its own into one stream of calls (`otlp::Sink`): resources,
//! attributes, spans, logs, points; feeds by `documents` and `feed`. Each item becomes a flat `record` of the fields that the
//! mapping files name; `recognise`, `scene` and `tell` apply the mapping's tables to it, and `memory` does so once for all
//! records of such a stream that look alike. What does not fit is counted as [`Refused`](ontology::Refused) and never hides its
//! neighbours; only a request that cannot be read at all is [`Malformed`].
//!
//! **Not here:** sockets, files, clocks, decompression (`server`); what was known before (`graph`); the name of any attribute
//! (`ontology/default/mapping.yaml`).
//!
//! **Next door:** `ontology` below, which says what everything means; `engine` above, which logs the same bytes and folds the facts.

mod atlas;
mod cardinality;
mod describe;
mod documents;
mod draw;
mod elastic;
mod embedded;
mod exposition;
mod feed;
mod hash;
mod intake;
mod jaeger;
mod loki;
mod memory;
mod names;
mod observation;
mod otlp;
mod plan;
mod prometheus;
mod proto;
mod recognise;
mod record;
mod refusal;
mod remote_write;
mod resource;
mod scene;
mod scrub;
mod statsd;
mod survey;
mod syslog;
mod tell;
mod wire;
mod zipkin;
mod zipkin_proto;

pub use describe::describe;
pub use elastic::{BulkItem, bulk_items};
pub use hash::concealed;
pub use refusal::{IN_PART, NOT_MAPPED, is_senders_fault};
pub use remote_write::{Written, written};
pub use scrub::Scrub;
pub use wire::{Delivery, Form, Wire};

use hash::Keyed;
use intake::{Intake, Signal};
use memory::{Memory, Most};
use ontology::expr::Context;
use ontology::survey::Survey;
use ontology::{Batch, Ontology, Time};
use plan::Plan;
use recognise::Reader;
use resource::Resources;
use std::sync::Arc;
use survey::Surveyor;

/// A request that cannot be read as what it was announced to be. Nothing of it is kept; sending it again will not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// What is wrong and where, for the sender.
    pub message: String,
}

/// How much is held, each with what happens beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Distinct resources whose attributes are kept read. Beyond: all are let go and read again when they come.
    pub resources: usize,
    /// Bytes of such resources. Beyond: the same.
    pub resource_bytes: usize,
    /// Looks of records remembered: what those with the same values of the fields that recognition reads are recognised as.
    /// Beyond: all are forgotten before the next request and worked out again.
    pub looks: usize,
    /// Bytes of such looks, of what they name and of the resources they stand under, roughly. Beyond: the same.
    pub look_bytes: usize,
    /// Keyed hashes of personal texts remembered. Beyond: all are forgotten and computed again.
    pub hashes: usize,
    /// Bytes of one text attribute. Beyond: the attribute is set aside.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            resources: 4096,
            resource_bytes: 64 << 20,
            looks: 16_384,
            look_bytes: 32 << 20,
            hashes: 65_536,
            text_bytes: 8192,
        }
    }
}

/// What a normaliser needs beside the ontology.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Key of the hashes that stand for personal data. The same key gives the same sessions after a restart.
    pub hash_key: [u8; 32],
    /// How much is held.
    pub limits: Limits,
}

/// Turns requests into facts. What it gives depends on the request, the ontology, the time of receipt and the hash key alone;
/// what it remembers between requests only saves work.
#[derive(Debug)]
pub struct Normaliser {
    ontology: Arc<Ontology>,
    plan: Plan,
    hasher: Keyed,
    memory: Memory,
    limits: Limits,
}

impl Normaliser {
    /// Compiles the mapping of an ontology.
    pub fn new(ontology: Arc<Ontology>, options: Options) -> Normaliser {
        let limits = options.limits;
        Normaliser {
            plan: Plan::new(&ontology),
            ontology,
            hasher: Keyed::new(options.hash_key, limits.hashes),
            memory: Memory::new(
                Resources::new(limits.resources, limits.resource_bytes),
                Most { looks: limits.looks, bytes: limits.look_bytes },
            ),
            limits,
        }
    }

    /// The facts that a request tells.
    ///
    /// # Errors
    /// When the request as a whole cannot be read.
    pub fn normalise(&mut self, wire: &Wire, body: &[u8], recorded: Time) -> Result<Batch, Malformed> {
        self.read(wire, body, recorded, None)
    }

    /// Adds to a survey what a request says that no mapping reads, and what was set aside of it.
    pub fn survey(&mut self, wire: &Wire, body: &[u8], recorded: Time, survey: &mut Survey) {
        let mut surveyor = Surveyor::of(std::mem::take(survey));
        let read = self.read(wire, body, recorded, Some(&mut surveyor));
        *survey = surveyor.survey;
        survey.requests += 1;
        survey.bytes += u64::try_from(body.len()).unwrap_or(u64::MAX);
        match read {
            Ok(batch) => {
                batch.refused.iter().for_each(|r| survey.set_aside(wire.source(), &r.reason, r.items))
            }
            Err(_) => survey.unreadable += 1,
        }
    }

    /// What hashes personal data.
    pub fn hasher(&self) -> &dyn ontology::Hasher {
        &self.hasher
    }

    fn read(
        &mut self,
        wire: &Wire,
        body: &[u8],
        recorded: Time,
        survey: Option<&mut Surveyor>,
    ) -> Result<Batch, Malformed> {
        let reader = Reader {
            ontology: &self.ontology,
            plan: &self.plan,
            context: Context { lookups: &self.ontology.mapping.lookups, hasher: &self.hasher },
            longest_text: self.limits.text_bytes,
        };
        let via = wire.via();
        let draw = match wire {
            Wire::Feed(delivery) => feed::read(&reader, delivery, body, recorded, survey)?,
            Wire::TracesProto | Wire::TracesJson => {
                let json = if *wire == Wire::TracesJson { Some(documents::json(body)?) } else { None };
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Traces, via).surveyed(survey);
                match &json {
                    Some(json) => otlp::json::traces(json, &mut intake)?,
                    None => otlp::traces::read(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::MetricsProto | Wire::MetricsJson => {
                let json = if *wire == Wire::MetricsJson { Some(documents::json(body)?) } else { None };
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Metrics, via).surveyed(survey);
                match &json {
                    Some(json) => otlp::json::metrics(json, &mut intake)?,
                    None => otlp::metrics::read(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::LogsProto | Wire::LogsJson => {
                let json = if *wire == Wire::LogsJson { Some(documents::json(body)?) } else { None };
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Logs, via).surveyed(survey);
                match &json {
                    Some(json) => otlp::json::logs(json, &mut intake)?,
                    None => otlp::logs::read(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::PrometheusWrite1 | Wire::PrometheusWrite2 => {
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Metrics, via).surveyed(survey);
                match wire {
                    Wire::PrometheusWrite1 => remote_write::read_1(body, &mut intake)?,
                    _ => remote_write::read_2(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::PrometheusText => {
                let page = exposition::parse(body)?;
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Metrics, via).surveyed(survey);
                exposition::tell(&page, recorded, &mut intake);
                intake.draw
            }
            Wire::AtlasJson | Wire::AtlasSmile => {
                let smile = *wire == Wire::AtlasSmile;
                let payload = if smile { atlas::parse_smile(body)? } else { atlas::parse_json(body)? };
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Metrics, via).surveyed(survey);
                atlas::tell(&payload, &mut intake);
                intake.draw
            }
            Wire::StatsD => {
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Metrics, via).surveyed(survey);
                statsd::read(body, recorded, &mut intake)?;
                intake.draw
            }
            Wire::ZipkinJson => {
                let json = documents::json(body)?;
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Traces, via).surveyed(survey);
                zipkin::read(&json, &mut intake)?;
                intake.draw
            }
            Wire::ZipkinProto | Wire::Jaeger => {
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Traces, via).surveyed(survey);
                match wire {
                    Wire::Jaeger => jaeger::read(body, &mut intake)?,
                    _ => zipkin_proto::read(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::LokiJson => {
                let json = documents::json(body)?;
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Logs, via).surveyed(survey);
                loki::json(&json, &mut intake)?;
                intake.draw
            }
            Wire::LokiProto | Wire::Syslog => {
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Logs, via).surveyed(survey);
                match wire {
                    Wire::Syslog => syslog::read(body, recorded, &mut intake)?,
                    _ => loki::proto(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::ElasticBulk => {
                let lines = elastic::parse(body)?;
                let mut intake =
                    Intake::new(reader, &mut self.memory, recorded, Signal::Logs, via).surveyed(survey);
                elastic::read(&lines, recorded, &mut intake);
                intake.draw
            }
        };
        Ok(draw.finish(wire.source()))
    }
}
