//! The temporal graph: who and what there is, how it relates and when, what flowed along it, minute by minute.
//!
//! Facts go in through [`Fold`]; what comes out is a [`Graph`], an immutable epoch that shares everything unchanged with the
//! epochs before it, so that keeping a snapshot is keeping a pointer. Late, repeated and reordered facts fold to the same
//! graph. What follows from them by the ontology's kept rules is drawn as they come, as edges like any other.
//!
//! **Not here:** I/O, clocks, threads, randomness; no name of a class, relation or measure.
//!
//! **Next door:** `ontology` and `stats` below; `query` above reads graphs, `engine` folds facts into them.

mod census;
mod checkpoint;
mod columns;
mod compare;
mod conclude;
mod concluded;
mod delta;
mod flows;
mod fold;
mod glance;
mod growing;
mod hops;
mod hours;
mod identity;
mod index;
mod items;
mod join;
mod known;
mod limits;
mod links;
mod names;
mod near;
mod pages;
mod past;
mod read;
mod rules;
mod runs;
mod sampled;
mod series;
mod sources;
mod stat;
mod subgraph;
mod supports;
mod topology;
mod touched;
mod trace;
mod why;

pub use census::{Census, Count, ENDS_PER_CLASS, End};
pub use checkpoint::{Checkpoint, NotReadable, Part, Restore};
pub use columns::Column;
pub use compare::{
    Change, Difference, EdgeChange, Half, Kind, MeasureChange, NodeChange, Told, diff, learned,
};
pub use delta::{Delta, Pair, delta, delta_by_keys};
pub use flows::{Side, Went};
pub use fold::Fold;
pub use hours::Flow;
pub use limits::{Folded, Limits, Totals};
pub use past::Past;
pub use read::{Agg, Cohort, Direction, Hop};
pub use runs::Runs;
pub use series::{CohortId, Series, SeriesId};
pub use stat::{Stat, Sums};
pub use subgraph::{Condition, Led, Names, Subgraph};
pub use topology::{Edge, EdgeId, Graph, Node, NodeId};
pub use why::{Because, Evidence};
