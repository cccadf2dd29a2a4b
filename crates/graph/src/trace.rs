//! Joining the steps of traces: from a step to the nearest ancestor that an upward edge of it can start from.
//!
//! Steps come in any order, late and more than once. A step whose ancestors are not all here yet waits; the newcomer may be
//! the one that was missing.

use crate::series::CohortId;
use crate::sources::Sources;
use crate::topology::NodeId;
use ontology::fact::Side;
use ontology::{ClassId, RelationId, Time};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub span: u64,
    pub parent: Option<u64>,
    pub from: Time,
    pub lasted_ns: i64,
    pub failed: bool,
    pub side: Side,
    pub here: Vec<(ClassId, NodeId)>,
    pub upward: Vec<(ClassId, RelationId, NodeId)>,
    pub cohort: CohortId,
    /// Who told of it.
    pub sources: Sources,
    /// Its upward edges are drawn, or it is known that there are none.
    pub done: bool,
}

/// One joined call: from where, along what, to where, and what both sides saw.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub relation: RelationId,
    pub from: NodeId,
    pub to: NodeId,
    pub at: Time,
    pub cohort: CohortId,
    pub lasted_ns: i64,
    pub failed: bool,
    /// What the asking side saw of the same call.
    pub asked: Option<(i64, bool)>,
    /// Who told of the two steps it joins: whichever came last, the call is known from both.
    pub sources: Sources,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trace {
    steps: Vec<Waiting>,
    latest: Time,
}

/// The traces still open to newcomers. Bounded: the longest untouched are let go, and steps that come for them later are
/// counted but not joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces {
    open: FxHashMap<u128, Arc<Trace>>,
    by_age: BTreeSet<(Time, u128)>,
    pub let_go: u64,
}

impl Traces {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Those that are open, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u128, &Arc<Trace>)> {
        self.open.iter().map(|(id, trace)| (*id, trace))
    }

    /// Opens one as it was.
    pub(crate) fn put(&mut self, id: u128, trace: Arc<Trace>) {
        self.by_age.insert((trace.latest, id));
        self.open.insert(id, trace);
    }

    /// Adds a step and returns every call that can be joined now.
    pub(crate) fn add(
        &mut self,
        trace: u128,
        step: Waiting,
        limit: usize,
        is_a: impl Fn(ClassId, ClassId) -> bool,
    ) -> Vec<Joined> {
        let found = Arc::make_mut(self.open.entry(trace).or_default());
        let latest = found.latest.max(step.from);
        if !found.steps.is_empty() {
            self.by_age.remove(&(found.latest, trace));
        }
        found.latest = latest;
        self.by_age.insert((latest, trace));
        // Zipkin's two sides of a call may share an id: what comes after it hangs below the answering one.
        let twin = (step.side == Side::Answering)
            .then(|| found.steps.iter().position(|s| s.span == step.span))
            .flatten();
        found.steps.insert(twin.unwrap_or(found.steps.len()), step);
        let mut joined = Vec::new();
        for i in 0..found.steps.len() {
            let Some(step) = found.steps.get(i).filter(|s| !s.done && !s.upward.is_empty()) else { continue };
            let (calls, done) = join(step, &found.steps, &is_a);
            joined.extend(calls);
            if let Some(step) = found.steps.get_mut(i) {
                step.done = done;
            }
        }
        while self.open.len() > limit {
            let Some(oldest) = self.by_age.pop_first() else { break };
            self.open.remove(&oldest.1);
            self.let_go += 1;
        }
        joined
    }
}

/// The calls of one step, and whether nothing more can come of it.
fn join(step: &Waiting, steps: &[Waiting], is_a: &impl Fn(ClassId, ClassId) -> bool) -> (Vec<Joined>, bool) {
    let mut at = step.parent;
    let mut direct: Option<&Waiting> = None;
    // A parent chain longer than the trace has steps is a loop.
    for depth in 0..=steps.len() {
        let Some(span) = at else { return (Vec::new(), true) };
        let Some(ancestor) = steps.iter().find(|s| s.span == span) else { return (Vec::new(), false) };
        if depth == 0 {
            direct = Some(ancestor);
        }
        let starts: Vec<_> = step
            .upward
            .iter()
            .filter_map(|(class, relation, to)| {
                let from = ancestor.here.iter().find(|(c, _)| is_a(*c, *class))?.1;
                Some((*relation, from, *to))
            })
            .collect();
        if !starts.is_empty() {
            let asked = direct.filter(|d| d.side == Side::Asking).map(|d| (d.lasted_ns, d.failed));
            let calls = starts.into_iter().map(|(relation, from, to)| Joined {
                relation,
                from,
                to,
                at: step.from,
                cohort: step.cohort,
                lasted_ns: step.lasted_ns,
                failed: step.failed,
                asked,
                sources: step.sources.with(ancestor.sources),
            });
            return (calls.collect(), true);
        }
        at = ancestor.parent;
    }
    (Vec::new(), true)
}
