//! OTLP as a stream of resources, attributes and items, the same whether it came as protobuf or as JSON.

pub(crate) mod entities;
pub(crate) mod json;
pub(crate) mod json_values;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod traces;
pub(crate) mod values;

use crate::Malformed;

/// How deep lists and maps inside an attribute may be nested. Deeper ones make the request malformed. The protobuf libraries
/// in use stop at 100 messages, serde_json at 128 brackets; one level of ours is three brackets of OTLP/JSON.
pub(crate) const DEPTH: usize = 32;

/// A value of an attribute, as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Raw<'a> {
    /// Text; not yet checked to be UTF-8.
    Text(&'a [u8]),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// Whose attribute it is. Nearer ones win over farther ones: event, then item, then scope, then resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Of the resource that sent the items.
    Resource,
    /// Of the instrumentation scope.
    Scope,
    /// Of the span, log record or metric point itself.
    Item,
    /// Of an event inside a span.
    Event,
    /// Of the resource, told again under the entity that it identifies or describes.
    Entity,
}

/// An id as it came: its first bytes and how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    /// Not given.
    None,
    /// Given, with the right length.
    Is(u128),
    /// Given, with this many bytes.
    Length(usize),
    /// Given in JSON, and not hexadecimal.
    NotHex,
}

impl Id {
    /// From bytes that should be `N` long.
    #[inline]
    pub(crate) fn read<const N: usize>(bytes: &[u8]) -> Id {
        match bytes.len() {
            0 => Id::None,
            n if n == N => Id::Is(bytes.iter().fold(0, |id, b| id << 8 | u128::from(*b))),
            n => Id::Length(n),
        }
    }
}

/// A span without its attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SpanHead<'a> {
    pub trace: Id,
    pub span: Id,
    pub parent: Id,
    pub name: &'a [u8],
    /// OTLP's SpanKind, 0..5.
    pub kind: i64,
    pub start: u64,
    pub end: u64,
    /// OTLP's StatusCode: 0 unset, 1 ok, 2 error.
    pub status: i64,
    /// Zipkin: the answering side of a call, under the same id as the asking side.
    pub shared: bool,
}

impl SpanHead<'_> {
    pub(crate) const EMPTY: SpanHead<'static> = SpanHead {
        trace: Id::None,
        span: Id::None,
        parent: Id::None,
        name: &[],
        kind: 0,
        start: 0,
        end: 0,
        status: 0,
        shared: false,
    };
}

/// A log record without its attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogHead<'a> {
    pub time: u64,
    pub observed: u64,
    pub trace: Id,
    pub span: Id,
    pub severity: i64,
    pub severity_text: &'a [u8],
    pub event_name: &'a [u8],
}

impl LogHead<'_> {
    pub(crate) const EMPTY: LogHead<'static> = LogHead {
        time: 0,
        observed: 0,
        trace: Id::None,
        span: Id::None,
        severity: 0,
        severity_text: &[],
        event_name: &[],
    };
}

/// Whether a stream of numbers tells of what happened since the last or since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// Not said, or a level that has none.
    None,
    Delta,
    Cumulative,
}

impl Temporality {
    pub(crate) const fn from_number(n: i64) -> Temporality {
        match n {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => Temporality::None,
        }
    }
}

/// What a metric says about all its points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MetricHead<'a> {
    pub name: &'a [u8],
    pub unit: &'a [u8],
    pub temporality: Temporality,
    pub monotonic: bool,
}

/// The numbers of a metric point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    Int(i64),
    Float(f64),
    /// Counts between bounds; one more count than bounds, or none of either.
    Histogram {
        count: u64,
        sum: Option<f64>,
        counts: Vec<u64>,
        bounds: Vec<f64>,
        min: Option<f64>,
        max: Option<f64>,
    },
    /// Counts of buckets that grow by `2^(2^-scale)`.
    Exponential {
        count: u64,
        sum: Option<f64>,
        scale: i32,
        zeros: u64,
        positive: (i32, Vec<u64>),
        negative: (i32, Vec<u64>),
        min: Option<f64>,
        max: Option<f64>,
    },
    /// Count, sum and some quantiles with their values.
    Summary {
        count: u64,
        sum: f64,
        quantiles: Vec<(f64, f64)>,
    },
    /// A point that carries no number.
    Nothing,
}

/// A metric point without its attributes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub start: u64,
    pub time: u64,
    pub flags: u32,
    pub reading: Reading,
}

/// Takes a request apart: first each resource, then each scope's attributes, then each item's attributes and the item.
pub(crate) trait Sink<'a> {
    /// A resource begins; `raw` are its bytes when it came as protobuf. `true` when these bytes are known, so that its
    /// attributes need not be told.
    fn resource(&mut self, raw: Option<&'a [u8]>) -> bool;
    /// An entity that the resource refers to has been told.
    fn entity(&mut self, kind: &[u8]);
    /// A reference to an entity is of no use, or in part.
    fn entity_in_part(&mut self, detail: String);
    /// All attributes of the resource have been told.
    fn resource_done(&mut self);
    /// A scope begins.
    fn scope(&mut self);
    /// An item begins: attributes of items from here belong to it.
    fn begin(&mut self);
    /// One attribute; `index` is its place when it stands in a list.
    fn attribute(&mut self, level: Level, key: &[u8], index: u32, value: Raw<'a>);
    /// One attribute whose text stands nowhere in the request as it is meant: it was escaped, or put together.
    fn own_text(&mut self, level: Level, key: &[u8], index: u32, value: String);
    /// The item that began was a span; its events follow. `false` when they would be of no use.
    fn span(&mut self, head: &SpanHead<'a>) -> bool;
    /// An event of the span begins: attributes of events from here belong to it.
    fn begin_event(&mut self);
    /// The event that began has been told.
    fn event(&mut self, name: &'a [u8], time: u64);
    /// The item that began was a log record.
    fn log(&mut self, head: &LogHead<'a>);
    /// The item that began was a metric point.
    fn point(&mut self, metric: &MetricHead<'a>, point: &Point);
    /// A part of what was sent is of no use, whatever the mapping says.
    fn in_part(&mut self, what: &'static str, detail: String);
    /// Something that began could not be read.
    fn unreadable(&mut self, detail: String);
    /// Something that began was read and has no place here.
    fn aside(&mut self, what: &str, detail: &str);
}

#[cold]
pub(crate) fn too_deep() -> Malformed {
    Malformed { message: format!("an attribute is nested more than {DEPTH} levels deep") }
}
