//! A query made ready to run: names resolved to slots of one frame, patterns to steps in the order they are taken.

use super::ast::{Binary, Compare, Order, Quantifier};
use super::data::{EdgeType, Label, PropertyKey, Way};
use super::error::Span;
use super::functions::Function;
use super::value::Value;
use std::collections::BTreeMap;

/// Place of a variable in the frame.
pub(crate) type Slot = usize;

/// One step; its place in the list of all steps is where its work is counted.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub op: Op,
    pub id: usize,
    /// Rows expected, as the planner guessed.
    pub guess: f64,
}

/// In which order a step tells of nodes or edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// As the data tells them; what is not asked for any more is not put in order.
    InOrder,
    /// In any: nothing that comes after depends on it, and all are wanted.
    All,
    /// In any, until one is enough.
    UntilOne,
    /// All at once, as one row that stands for so many: what comes after counts rows and reads nothing of them.
    Counted,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Every node, or every node with a label.
    Scan {
        slot: Slot,
        label: Option<Label>,
        told: Told,
        /// Properties of its nodes that the steps after it ask first.
        asked: Vec<PropertyKey>,
    },
    /// Nodes by the value of an indexed property.
    Find {
        slot: Slot,
        label: Option<Label>,
        key: PropertyKey,
        value: Ex,
    },
    /// Along one edge. `bound`: the far end is known already and must be met.
    Expand {
        from: Slot,
        edge: Slot,
        to: Slot,
        way: Way,
        types: Types,
        bound: bool,
        unlike: Vec<Slot>,
        told: Told,
        /// Properties of its far ends that the steps after it ask first.
        asked: Vec<PropertyKey>,
    },
    /// Along several edges; `edge` becomes their list.
    Walk(Box<Walk>),
    /// The shortest way between two known nodes.
    Shortest {
        walk: Box<Walk>,
        all: bool,
    },
    /// An edge that is known already: binds or checks its ends.
    Known {
        edge: Slot,
        from: (Slot, bool),
        to: (Slot, bool),
        way: Way,
        types: Types,
        unlike: Vec<Slot>,
    },
    /// A list of edges that is known already, as a walk from a known node.
    KnownWalk {
        edges: Slot,
        from: Slot,
        to: (Slot, bool),
        way: Way,
    },
    Filter(Ex),
    /// A named path from its parts: a node, then edges (one or a list) and nodes in turn.
    Path {
        slot: Slot,
        parts: Vec<Slot>,
    },
    /// Rows of `steps`, or one with nothing in `slots`.
    Optional {
        steps: Vec<Step>,
        slots: Vec<Slot>,
    },
    Unwind {
        list: Ex,
        slot: Slot,
    },
    Project(Vec<(Ex, Slot)>),
    Call {
        procedure: usize,
        args: Vec<Ex>,
        slots: Vec<Option<Slot>>,
    },
    Distinct {
        slots: Vec<Slot>,
        state: usize,
    },
    Skip {
        count: Ex,
        state: usize,
    },
    Limit {
        count: Ex,
        state: usize,
    },
    /// Everything before it is read before anything after it runs.
    Sort {
        keys: Vec<(Ex, Order)>,
        keep: Vec<Slot>,
        top: Option<(Option<Ex>, Ex)>,
        state: usize,
    },
    Aggregate {
        keys: Vec<(Ex, Slot)>,
        sums: Vec<Sum>,
        /// Groups are told in the order in which their first row would have come, had the step before told in order.
        ranked: bool,
        state: usize,
    },
}

impl Op {
    pub(crate) fn is_barrier(&self) -> bool {
        matches!(self, Op::Sort { .. } | Op::Aggregate { .. })
    }
}

/// Types an edge may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Types {
    Any,
    /// Sorted; may be empty, then nothing fits.
    These(Vec<EdgeType>),
}

#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub from: Slot,
    pub edges: Slot,
    pub to: Slot,
    pub way: Way,
    pub types: Types,
    pub least: u32,
    pub most: Option<u32>,
    pub bound: bool,
    /// What each edge must fulfil: the slot it is put into, and the condition.
    pub each: Option<(Slot, Ex)>,
    pub unlike: Vec<Slot>,
    /// The list is read the other way round: the pattern is followed from its right end.
    pub backwards: bool,
    pub told: Told,
}

/// One aggregate.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    pub kind: SumKind,
    pub distinct: bool,
    pub of: Option<Ex>,
    /// Second argument of percentiles.
    pub at: Option<Ex>,
    pub slot: Slot,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SumKind {
    CountAll,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Collect,
    PercentileCont,
    PercentileDisc,
    StDev,
    StDevP,
}

/// An expression over slots.
#[derive(Clone, Debug)]
pub(crate) enum Ex {
    Const(Value),
    Slot(Slot),
    List(Vec<Ex>),
    Map(Vec<(std::sync::Arc<str>, Ex)>),
    Property {
        of: Box<Ex>,
        name: std::sync::Arc<str>,
        key: Option<PropertyKey>,
        at: Span,
    },
    Index(Box<Ex>, Box<Ex>, Span),
    Slice(Box<Ex>, Option<Box<Ex>>, Option<Box<Ex>>, Span),
    HasLabels(Box<Ex>, Vec<LabelTest>, Span),
    Neg(Box<Ex>, Span),
    Pos(Box<Ex>, Span),
    Not(Box<Ex>, Span),
    And(Vec<Ex>, Span),
    Or(Vec<Ex>, Span),
    Binary(Binary, Box<Ex>, Box<Ex>, Span),
    Compare(Box<Ex>, Vec<(Compare, Ex)>),
    IsNull(Box<Ex>),
    IsNotNull(Box<Ex>),
    Call(&'static Function, Vec<Ex>, Span),
    Case {
        of: Option<Box<Ex>>,
        arms: Vec<(Ex, Ex)>,
        otherwise: Option<Box<Ex>>,
    },
    ListComp {
        slot: Slot,
        list: Box<Ex>,
        filter: Option<Box<Ex>>,
        map: Option<Box<Ex>>,
        at: Span,
    },
    Quantifier {
        kind: Quantifier,
        slot: Slot,
        list: Box<Ex>,
        filter: Option<Box<Ex>>,
        at: Span,
    },
    Reduce {
        sum: Slot,
        start: Box<Ex>,
        slot: Slot,
        list: Box<Ex>,
        body: Box<Ex>,
        at: Span,
    },
    /// Values of `map` for every row of the steps.
    Comprehend {
        steps: Vec<Step>,
        map: Box<Ex>,
    },
    Exists(Vec<Vec<Step>>),
    Count(Vec<Vec<Step>>),
    /// Whether every edge of a list fulfils a condition.
    EachEdge {
        list: Slot,
        slot: Slot,
        test: Box<Ex>,
    },
}

/// A label that a node is tested for; `edge` is the types that a relationship could have of this name.
#[derive(Clone, Debug)]
pub(crate) struct LabelTest {
    pub label: Option<Label>,
    pub types: Vec<EdgeType>,
}

/// A whole query.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub parts: Vec<Part>,
    /// Whether rows that are the same are told once.
    pub distinct: bool,
    pub columns: Vec<String>,
    /// Size of the frame.
    pub slots: usize,
    /// Number of steps in all.
    pub steps: usize,
    /// Number of states that steps keep.
    pub states: usize,
    /// What slots are called in the query.
    pub names: BTreeMap<Slot, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub steps: Vec<Step>,
    /// The slots of its columns.
    pub columns: Vec<Slot>,
}
