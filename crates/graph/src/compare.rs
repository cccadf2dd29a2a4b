//! What differs between two moments, two snapshots or two cohorts, most surprising first, nothing cut off.
//!
//! Surprise of a figure is its change over its own variability from minute to minute on the healthy side; surprise of
//! something that came or went is how rare that is for its class, in bits. Both are comparable in size: 3 is worth a look.
//!
//! Rows name things by their places, so that millions of them can be ranked before the first is written down.

mod edges;
mod figures;
mod learned;
mod nodes;

pub use learned::learned;

use crate::delta::Terms;
use crate::series::CohortId;
use crate::subgraph::Subgraph;
use crate::topology::{EdgeId, Graph, NodeId};
use ontology::{MeasureId, Stretch, Time};
use serde::Serialize;

/// What happened to it from the first to the second side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only on the second side.
    Added,
    /// Only on the first side.
    Removed,
    /// On both, with other figures.
    Changed,
}

/// Figures of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// How many on the first side, per minute.
    pub rate_before: f64,
    /// How many on the second side, per minute.
    pub rate_after: f64,
    /// Typical value (geometric mean) before; milliseconds for calls, the measure's unit for measures.
    pub before: Option<f64>,
    /// Typical value after.
    pub after: Option<f64>,
    /// Share of bad ones before.
    pub bad_before: Option<f64>,
    /// Share of bad ones after.
    pub bad_after: Option<f64>,
    /// Largest of the changes of value, bad share and rate, each over its healthy variability.
    pub surprise: f64,
}

/// A node that came or went, or of which other attributes are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeChange {
    /// In the first graph.
    pub before: Option<NodeId>,
    /// In the second graph.
    pub after: Option<NodeId>,
    /// What happened.
    pub kind: Kind,
    /// In bits: how rare it is that this happens to one of its class.
    pub surprise: f64,
}

/// The edges that say one thing: one for each pair of keys it was told under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// None.
    #[default]
    Nothing,
    /// One, as nearly always.
    One(EdgeId),
    /// Several, ascending.
    Several(Box<[EdgeId]>),
}

impl Told {
    fn and(self, id: EdgeId) -> Told {
        match self {
            Told::Nothing => Told::One(id),
            Told::One(first) => Told::Several([first, id].into()),
            Told::Several(all) => Told::Several(all.into_iter().chain([id]).collect()),
        }
    }

    /// The edges.
    pub fn edges(&self) -> &[EdgeId] {
        match self {
            Told::Nothing => &[],
            Told::One(id) => std::slice::from_ref(id),
            Told::Several(all) => all,
        }
    }
}

/// An edge that came, went, or carries other traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeChange {
    /// In the first graph.
    pub before: Told,
    /// In the second graph.
    pub after: Told,
    /// What happened.
    pub kind: Kind,
    /// Figures, for edges that carry traffic on both sides.
    pub change: Option<Change>,
    /// How surprising.
    pub surprise: f64,
}

/// A measure of a node that came, went or moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasureChange {
    /// Which, in the first graph's ontology, or else in the second's.
    pub measure: MeasureId,
    /// The node in the first graph.
    pub before: Option<NodeId>,
    /// The node in the second graph.
    pub after: Option<NodeId>,
    /// What happened.
    pub kind: Kind,
    /// Figures, when both sides have some.
    pub change: Option<Change>,
    /// How surprising.
    pub surprise: f64,
}

/// Everything that differs, each list with the most surprising first and then by stable ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// Nodes.
    pub nodes: Vec<NodeChange>,
    /// Edges.
    pub edges: Vec<EdgeChange>,
    /// Measures.
    pub measures: Vec<MeasureChange>,
    /// How many nodes there are on either side.
    pub held: [usize; 2],
}

/// One side of a comparison.
#[derive(Clone, Copy)]
pub struct Half<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// The stretch of the figures, and of what is there unless a moment is said.
    pub during: Stretch,
    /// What is there at this moment.
    pub at: Option<Time>,
    /// Only what these people touched in the stretch.
    pub only: Option<&'a Subgraph>,
}

impl<'a> Half<'a> {
    /// Everything in a stretch.
    pub fn during(graph: &'a Graph, during: Stretch) -> Half<'a> {
        Half { graph, during, at: None, only: None }
    }

    fn keeps(&self, cohort: CohortId) -> bool {
        self.only.is_none_or(|s| s.counts(cohort))
    }

    fn minutes(&self) -> f64 {
        ((self.during.to.minute().0 - self.during.from.minute().0) as f64).max(1.0)
    }

    /// Whether two sides are one.
    fn is(&self, other: &Half<'_>) -> bool {
        let same_people = match (self.only, other.only) {
            (None, None) => true,
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            _ => false,
        };
        std::ptr::eq(self.graph, other.graph)
            && (self.during, self.at) == (other.during, other.at)
            && same_people
    }
}

/// Compares two sides. Only changes at least this surprising are reported; 0 reports every figure that is not equal.
pub fn diff(before: Half<'_>, after: Half<'_>, at_least: f64) -> Difference {
    // The same epoch, the same time, the same people: nothing differs, whatever there is.
    if before.is(&after) {
        return Difference::default();
    }
    let terms = Terms::new(before.graph.ontology(), after.graph.ontology());
    let (nodes, held) = nodes::compare(before, after, at_least);
    Difference {
        nodes,
        held,
        edges: edges::compare(before, after, &terms, at_least),
        measures: figures::measures(before, after, &terms, at_least),
    }
}

/// In bits: how rare it is that something happens to one of a kind.
fn rarity((all, moved): (usize, usize)) -> f64 {
    ((all + 1) as f64 / moved.max(1) as f64).log2()
}

/// Most surprising first, then by what tells rows apart.
fn ranked<T, K: Ord>(mut rows: Vec<(K, T)>, surprise: impl Fn(&T) -> f64) -> Vec<T> {
    rows.sort_unstable_by(|a, b| surprise(&b.1).total_cmp(&surprise(&a.1)).then_with(|| a.0.cmp(&b.0)));
    rows.into_iter().map(|r| r.1).collect()
}
