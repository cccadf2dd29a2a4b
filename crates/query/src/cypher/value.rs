//! Values of the language: what compares with what, what is equal, and in which order things are sorted.

use super::temporal::{Date, DateTime, Duration, LocalDateTime, LocalTime, ZonedTime};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A node of the data at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRef(pub u32);

/// An edge of the data at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeRef(pub u32);

/// A walk: nodes and the edges between them, one fewer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Nodes in order.
    pub nodes: Vec<NodeRef>,
    /// Edges in order.
    pub edges: Vec<EdgeRef>,
}

/// Names to values.
pub type Map = BTreeMap<Arc<str>, Value>;

/// Items in order; knows how deep lists and maps are nested in it.
#[derive(Clone, Debug)]
pub struct List {
    items: Vec<Value>,
    depth: usize,
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

/// One value. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing known.
    #[default]
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Arc<List>),
    /// A map.
    Map(Arc<Map>),
    /// A node.
    Node(NodeRef),
    /// An edge.
    Edge(EdgeRef),
    /// A path.
    Path(Arc<Path>),
    /// A date.
    Date(Date),
    /// A time of day.
    LocalTime(LocalTime),
    /// A time of day with an offset.
    Time(ZonedTime),
    /// A date and time without a place.
    LocalDateTime(LocalDateTime),
    /// A moment.
    DateTime(Arc<DateTime>),
    /// A length of time.
    Duration(Arc<Duration>),
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<str>) -> Value {
        Value::Text(Arc::from(text.as_ref()))
    }

    /// A list.
    pub fn list(items: Vec<Value>) -> Value {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        Value::List(Arc::new(List { items, depth }))
    }

    /// A map.
    pub fn map(entries: Map) -> Value {
        Value::Map(Arc::new(entries))
    }

    /// How deep lists and maps are nested. Maps are walked: they are small, and lists in them know.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Value::List(l) => l.depth,
            Value::Map(m) => 1 + m.values().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    pub(crate) fn duration(d: Duration) -> Value {
        Value::Duration(Arc::new(d))
    }

    pub(crate) fn moment(d: DateTime) -> Value {
        Value::DateTime(Arc::new(d))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// What people call its type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Node(_) => "a node",
            Value::Edge(_) => "a relationship",
            Value::Path(_) => "a path",
            Value::Date(_) => "a date",
            Value::LocalTime(_) => "a local time",
            Value::Time(_) => "a time",
            Value::LocalDateTime(_) => "a local date time",
            Value::DateTime(_) => "a date time",
            Value::Duration(_) => "a duration",
        }
    }

    /// Position in the order of types (openCypher, "Orderability").
    fn rank(&self) -> u8 {
        match self {
            Value::Map(_) => 0,
            Value::Node(_) => 1,
            Value::Edge(_) => 2,
            Value::List(_) => 3,
            Value::Path(_) => 4,
            Value::DateTime(_) => 5,
            Value::LocalDateTime(_) => 6,
            Value::Date(_) => 7,
            Value::Time(_) => 8,
            Value::LocalTime(_) => 9,
            Value::Duration(_) => 10,
            Value::Text(_) => 11,
            Value::Bool(_) => 12,
            Value::Int(_) | Value::Float(_) => 13,
            Value::Null => 14,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

/// `=`: whether two values are equal, if that can be known.
pub(crate) fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            all_equal(a.iter().zip(b.iter()))
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() || !a.keys().eq(b.keys()) {
                return Some(false);
            }
            all_equal(a.values().zip(b.values()))
        }
        (Value::Float(x), Value::Float(y)) => Some(x == y),
        (Value::Int(i), Value::Float(x)) | (Value::Float(x), Value::Int(i)) => {
            Some(numbers(*i, *x) == Some(Ordering::Equal))
        }
        _ => Some(same(a, b)),
    }
}

fn all_equal<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Option<bool> {
    let mut known = true;
    for (a, b) in pairs {
        match equal(a, b) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = false,
        }
    }
    known.then_some(true)
}

/// An integer against a float, exactly.
fn numbers(i: i64, x: f64) -> Option<Ordering> {
    if x.is_nan() {
        return None;
    }
    // Beyond 2^63 every float is larger (or smaller) than any integer.
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    if x >= EDGE {
        return Some(Ordering::Less);
    }
    if x < -EDGE {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    let whole = x.trunc() as i64;
    Some(i.cmp(&whole).then_with(|| 0.0f64.total_cmp(&(x.fract() + 0.0))))
}

/// `<`, `>`: how two values of comparable types compare; `None` when they do not.
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(i), Value::Float(x)) => numbers(*i, *x),
        (Value::Float(x), Value::Int(i)) => numbers(*i, *x).map(Ordering::reverse),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::LocalTime(a), Value::LocalTime(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.order().cmp(&b.order())),
        (Value::LocalDateTime(a), Value::LocalDateTime(b)) => Some(a.cmp(b)),
        (Value::DateTime(a), Value::DateTime(b)) => Some(a.instant().cmp(&b.instant())),
        (Value::List(a), Value::List(b)) => {
            for (x, y) in a.iter().zip(b.iter()) {
                match compare(x, y) {
                    Some(Ordering::Equal) => {}
                    other => return other,
                }
            }
            Some(a.len().cmp(&b.len()))
        }
        _ => None,
    }
}

/// Whether two values of any kind may be told apart by `<`: numbers with NaN compare as false, other pairs as unknown.
pub(crate) fn both_numbers(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| matches!(v, Value::Int(_) | Value::Float(_));
    number(a) && number(b)
}

/// ORDER BY: a total order over all values, null last.
pub(crate) fn order(a: &Value, b: &Value) -> Ordering {
    let by_type = a.rank().cmp(&b.rank());
    if by_type != Ordering::Equal {
        return by_type;
    }
    match (a, b) {
        (Value::Float(x), Value::Float(y)) => x.partial_cmp(y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan())),
        (Value::Int(i), Value::Float(x)) => numbers(*i, *x).unwrap_or(Ordering::Less),
        (Value::Float(x), Value::Int(i)) => numbers(*i, *x).map_or(Ordering::Greater, Ordering::reverse),
        (Value::List(a), Value::List(b)) => {
            let first = a.iter().zip(b.iter()).map(|(x, y)| order(x, y)).find(|o| *o != Ordering::Equal);
            first.unwrap_or(a.len().cmp(&b.len()))
        }
        (Value::Map(a), Value::Map(b)) => {
            let pairs = a.iter().zip(b.iter());
            let first = pairs
                .map(|((k, v), (l, w))| k.cmp(l).then_with(|| order(v, w)))
                .find(|o| *o != Ordering::Equal);
            first.unwrap_or(a.len().cmp(&b.len()))
        }
        (Value::Node(a), Value::Node(b)) => a.cmp(b),
        (Value::Edge(a), Value::Edge(b)) => a.cmp(b),
        (Value::Path(a), Value::Path(b)) => a.cmp(b),
        (Value::Duration(a), Value::Duration(b)) => a.rough_nanos().cmp(&b.rough_nanos()),
        (Value::DateTime(a), Value::DateTime(b)) => {
            (a.instant(), a.offset, &a.zone).cmp(&(b.instant(), b.offset, &b.zone))
        }
        _ => compare(a, b).unwrap_or(Ordering::Equal),
    }
}

/// DISTINCT, grouping: whether two values are the same; null is the same as null.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // Texts of unlike length are told apart without reading them.
        (Value::Text(a), Value::Text(b)) => Arc::ptr_eq(a, b) || a == b,
        (Value::Node(a), Value::Node(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::DateTime(a), Value::DateTime(b)) => a.instant() == b.instant() && a.zone() == b.zone(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(x, y)| same(x, y))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|((k, v), (l, w))| k == l && same(v, w))
        }
        _ => order(a, b) == Ordering::Equal,
    }
}

/// A row of values as a key: equal where all values are the same.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub Vec<Value>);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| same(a, b))
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for v in &self.0 {
            hash(v, state);
        }
    }
}

/// A hash of values that is equal where all values are the same.
pub(crate) fn hashed(values: &[Value]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    values.iter().for_each(|v| hash(v, &mut hasher));
    hasher.finish()
}

/// A value as a key, like [`Key`] of one.
#[derive(Clone, Debug)]
pub(crate) struct Single(pub Value);

impl PartialEq for Single {
    fn eq(&self, other: &Single) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for Single {}

impl Hash for Single {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

/// Of two values that sort alike but are written otherwise the one that comes first: what is kept of several does not depend on
/// which came first.
pub(crate) fn order_written(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(_), Value::Float(_)) => Ordering::Less,
        (Value::Float(_), Value::Int(_)) => Ordering::Greater,
        (Value::Float(x), Value::Float(y)) => x.total_cmp(y),
        (Value::Int(_), Value::Int(_)) | (Value::Text(_), Value::Text(_)) => Ordering::Equal,
        _ => order(a, b).then_with(|| format!("{a:?}").cmp(&format!("{b:?}"))),
    }
}

fn hash<H: Hasher>(value: &Value, state: &mut H) {
    value.rank().hash(state);
    match value {
        Value::Null => {}
        Value::Bool(b) => b.hash(state),
        // Integers and floats of one value are the same.
        Value::Int(i) => float_hash(*i as f64, state),
        Value::Float(x) => float_hash(*x, state),
        Value::Text(t) => t.hash(state),
        Value::List(l) => l.iter().for_each(|v| hash(v, state)),
        Value::Map(m) => m.iter().for_each(|(k, v)| {
            k.hash(state);
            hash(v, state);
        }),
        Value::Node(n) => n.hash(state),
        Value::Edge(e) => e.hash(state),
        Value::Path(p) => p.hash(state),
        Value::Date(d) => d.hash(state),
        Value::LocalTime(t) => t.hash(state),
        Value::Time(t) => t.order().hash(state),
        Value::LocalDateTime(t) => t.hash(state),
        Value::DateTime(t) => t.instant().hash(state),
        Value::Duration(d) => d.hash(state),
    }
}

fn float_hash<H: Hasher>(x: f64, state: &mut H) {
    let bits = if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() };
    bits.hash(state);
}
