//! From the bytes of a request to facts: decoders for OTLP and the JSON feeds, and one normaliser that knows only the mapping.
//!
//! Three layers. [`Wire`] forms are taken apart by `otlp` (protobuf in one pass over the bytes, JSON to the same calls) and
//! `feed`; each item becomes a flat `record` of the fields that the mapping files name; `recognise`, `scene` and `tell` apply
//! the mapping's tables to it, and `memory` does so once for all OTLP records that look alike. What does not fit is counted as
//! [`Refused`](ontology::Refused) and never hides its neighbours; only a request that cannot be read at all is [`Malformed`].
//!
//! **Not here:** sockets, files, clocks, decompression (`server`); what was known before (`graph`); the name of any attribute
//! (`ontology/default/mapping.yaml`).
//!
//! **Next door:** `ontology` below, which says what everything means; `engine` above, which logs the same bytes and folds the facts.

mod describe;
mod draw;
mod feed;
mod intake;
mod memory;
mod names;
mod observation;
mod otlp;
mod plan;
mod proto;
mod recognise;
mod record;
mod refusal;
mod resource;
mod scene;
mod tell;
mod wire;

pub use describe::describe;
pub use refusal::{IN_PART, NOT_MAPPED, is_senders_fault};
pub use wire::{Feed, Wire};

use intake::{Intake, Signal};
use memory::{Memory, Most};
use ontology::expr::{Context, Hasher};
use ontology::{Batch, Ontology, Time};
use plan::Plan;
use recognise::Reader;
use resource::Resources;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::sync::Arc;

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
            hasher: Keyed { key: options.hash_key, most: limits.hashes, known: RefCell::default() },
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
    pub fn normalise(&mut self, wire: Wire, body: &[u8], recorded: Time) -> Result<Batch, Malformed> {
        let reader = Reader {
            ontology: &self.ontology,
            plan: &self.plan,
            context: Context { lookups: &self.ontology.mapping.lookups, hasher: &self.hasher },
            longest_text: self.limits.text_bytes,
        };
        let draw = match wire {
            Wire::Feed(feed) => feed::read(&reader, feed.name(), body, recorded)?,
            Wire::TracesProto | Wire::TracesJson => {
                let json = if wire == Wire::TracesJson { Some(feed::parse(body)?) } else { None };
                let mut intake = Intake::new(reader, &mut self.memory, recorded, Signal::Traces);
                match &json {
                    Some(json) => otlp::json::traces(json, &mut intake)?,
                    None => otlp::traces::read(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::MetricsProto | Wire::MetricsJson => {
                let json = if wire == Wire::MetricsJson { Some(feed::parse(body)?) } else { None };
                let mut intake = Intake::new(reader, &mut self.memory, recorded, Signal::Metrics);
                match &json {
                    Some(json) => otlp::json::metrics(json, &mut intake)?,
                    None => otlp::metrics::read(body, &mut intake)?,
                }
                intake.draw
            }
            Wire::LogsProto | Wire::LogsJson => {
                let json = if wire == Wire::LogsJson { Some(feed::parse(body)?) } else { None };
                let mut intake = Intake::new(reader, &mut self.memory, recorded, Signal::Logs);
                match &json {
                    Some(json) => otlp::json::logs(json, &mut intake)?,
                    None => otlp::logs::read(body, &mut intake)?,
                }
                intake.draw
            }
        };
        Ok(draw.finish(wire.source()))
    }
}

/// Keyed BLAKE3, 128 bits of it in hexadecimal: without the key nobody can tell who it was, nor try all names there are.
#[derive(Debug)]
struct Keyed {
    key: [u8; 32],
    most: usize,
    known: RefCell<FxHashMap<Box<str>, Box<str>>>,
}

impl Hasher for Keyed {
    fn hash(&self, text: &str) -> String {
        let mut known = self.known.borrow_mut();
        if let Some(hash) = known.get(text) {
            return hash.to_string();
        }
        let hex = blake3::keyed_hash(&self.key, text.as_bytes()).to_hex();
        let hash = hex.get(..32).unwrap_or_default();
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(text.into(), hash.into());
        hash.to_owned()
    }
}
