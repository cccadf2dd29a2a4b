//! The only thing that flows: facts, in batches as normalisers make them and graphs fold them.
//!
//! A batch is self-contained: entities are recognised once as [`Draft`]s, and facts name them by [`Ref`]. Facts are never
//! edited. Folding the same facts in any order, any number of times, gives the same graph: a fact that counts something
//! carries an [`ItemId`], and an item is counted once.

use crate::model::{AttrId, ClassId, MeasureId, RelationId};
use crate::time::Time;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An entity of the same batch: an index into [`Batch::drafts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref(pub u32);

/// Identifies one item that was sent (a span, a log record, a metric point) however often it arrives: a hash of what makes
/// it that item (trace and span id; series and time; the record's bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

/// Identifies what successive readings of one growing number are readings of: a hash of everything that names it (resource,
/// metric, attributes). Several of them may land on one subject; each grows, and starts again, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub u64);

/// One complete key of an entity: which key of its class, and a hash of class, key number and canonical values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// 0 is the class's `key`; 1.. are its `also` keys, strongest first.
    pub slot: u8,
    /// Equal exactly when class, key number and values are equal (128 bits: collisions do not happen).
    pub hash: u128,
}

/// An entity as one record told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it is.
    pub class: ClassId,
    /// Its complete keys, strongest first; never empty.
    pub keys: Vec<Key>,
    /// What was said of it, in attribute order.
    pub attrs: Vec<(AttrId, Value)>,
}

/// What was observed of a measure.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// One value, in the measure's unit.
    One(f64),
    /// One try of a ratio: `true` is what the ratio counts (an error, a crash).
    Flag(bool),
    /// Something happened this often (rates).
    Count(u64),
    /// So many tries of a ratio at once, and how many of them are what the ratio counts. Where a ratio shares out time, parts of one.
    Tries {
        /// All of them.
        count: f64,
        /// Those that the ratio counts.
        bad: f64,
    },
    /// A reading of a counter that grows since `start`; what counts is the growth between readings.
    Cumulative {
        /// Whose reading it is.
        stream: StreamId,
        /// When the counter was last zero; [`Time::EPOCH`] when the source does not say. Then a fall tells of a new start.
        start: Time,
        /// Its reading, in the measure's unit.
        value: f64,
    },
    /// A reading of a counter of tries, all of one outcome.
    GrowingTries {
        /// Whose reading it is.
        stream: StreamId,
        /// As in [`Observation::Cumulative`].
        start: Time,
        /// How many so far.
        count: f64,
        /// Whether they are what the ratio counts.
        bad: bool,
    },
    /// Many values at once (histograms, summaries): representative value and how many, ascending.
    Many {
        /// Values in the measure's unit with their counts.
        values: Vec<(f64, u64)>,
        /// Exact sum of all values when the source gave it.
        sum: Option<f64>,
    },
    /// A reading of a distribution that grows since `start`; what counts is what came between readings.
    Growing {
        /// Whose reading it is.
        stream: StreamId,
        /// When it was last empty; as in [`Observation::Cumulative`].
        start: Time,
        /// Values in the measure's unit with their counts, ascending; the same value stands for the same bucket each time.
        values: Vec<(f64, u64)>,
        /// Exact sum of all values when the source gave it.
        sum: Option<f64>,
    },
}

/// Which side of a call a step tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The one that asked (OTLP CLIENT, PRODUCER).
    Asking,
    /// The one that answered (OTLP SERVER, CONSUMER).
    Answering,
    /// Neither.
    Inside,
}

/// An edge from the nearest ancestor of a step, declared by the mapping as `Class@parent -relation-> Class`.
///
/// All upward edges of a step are resolved together: the nearest ancestor that carries any of their `from` classes decides,
/// and only the edges from classes that this ancestor carries are drawn. (So an operation is called either by the operation
/// before it or, when there is none, by the user's interaction.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upward {
    /// Class to find at the ancestor.
    pub from: ClassId,
    /// The relation to draw from it.
    pub relation: RelationId,
    /// The entity of this step it leads to.
    pub to: Ref,
}

/// One step of a distributed trace: a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Counts once.
    pub id: ItemId,
    /// Trace it belongs to.
    pub trace: u128,
    /// Its own id, unique in the trace.
    pub span: u64,
    /// The step that caused it; `None` for a root.
    pub parent: Option<u64>,
    /// When it started.
    pub from: Time,
    /// When it ended; not before it started.
    pub to: Time,
    /// Whether it ended in an error.
    pub failed: bool,
    /// Which side it tells of.
    pub side: Side,
    /// Everything recognised in its record, resource included: what descendants find here, and the cohort its flow counts for.
    pub here: Arc<[Ref]>,
    /// Edges to draw from ancestors.
    pub upward: Arc<[Upward]>,
}

/// One statement about the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// An entity was there at a moment.
    Seen {
        /// Which.
        entity: Ref,
        /// When.
        at: Time,
    },
    /// An entity came to its end.
    Ended {
        /// Which.
        entity: Ref,
        /// When.
        at: Time,
    },
    /// A relation held at a moment, and until `until` when the source knows.
    Related {
        /// Which relation.
        relation: RelationId,
        /// From.
        from: Ref,
        /// To.
        to: Ref,
        /// A moment at which it held.
        at: Time,
        /// When it stopped holding, if said.
        until: Option<Time>,
    },
    /// A measure was observed on a subject, by the population that `cohort` names.
    Sample {
        /// Counts once.
        id: ItemId,
        /// Which measure.
        measure: MeasureId,
        /// On what.
        subject: Ref,
        /// The components the record names beside the subject: version, cell, device model, place, instance, host…
        cohort: Arc<[Ref]>,
        /// When.
        at: Time,
        /// What.
        value: Observation,
    },
    /// Something went along a relation once, and one record names both ends (a proxy's access log, a mesh).
    Call {
        /// Counts once.
        id: ItemId,
        /// Along which relation.
        relation: RelationId,
        /// From.
        from: Ref,
        /// To.
        to: Ref,
        /// The components the record names.
        cohort: Arc<[Ref]>,
        /// When it began.
        at: Time,
        /// How long it took, as the asking side saw it.
        lasted_ns: i64,
        /// Whether it failed.
        failed: bool,
    },
    /// A step of a trace.
    Step(Step),
}

/// Something that could not become facts, and why. Never a reason to refuse its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Short, stable, countable: `span without trace id`, `time in the future`, `no key of Host is complete`.
    pub reason: String,
    /// What exactly was wrong here, for a person: names the field and shows (at most 200 characters of) the value.
    pub detail: String,
    /// How many items this stands for.
    pub items: u64,
}

/// What one request told: the facts, what was refused, and what it was called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Name of the source in the mapping files that told it (for example `otlp`, `alertmanager`).
    pub source: String,
    /// Entities, each once; facts refer to them by [`Ref`].
    pub drafts: Vec<Draft>,
    /// What was said.
    pub facts: Vec<Fact>,
    /// What was not understood.
    pub refused: Vec<Refused>,
    /// Items (spans, records, points, list elements) that the request held, refused ones included.
    pub items: u64,
}
