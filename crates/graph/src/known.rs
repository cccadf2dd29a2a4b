//! What was known when: the graph as it was after each minute of arrival, for as long as there is room.
//!
//! An epoch shares with its neighbours all that did not change between them, so keeping one costs what that minute changed.

use crate::topology::Graph;
use ontology::{Minute, Time};
use std::collections::VecDeque;

/// Epochs by the first minute of which nothing is in them.
#[derive(Debug, Default)]
pub(crate) struct Known {
    epochs: VecDeque<(Minute, Graph)>,
    rows: usize,
    /// The first minute in which something arrived, later the first after the epochs that were let go: of earlier ones nothing can be
    /// said.
    since: Option<Minute>,
    /// The latest minute in which something arrived.
    arrived: Option<Minute>,
}

/// Nodes, edges and series of an epoch.
fn rows(graph: &Graph) -> usize {
    graph.nodes.len() + graph.edges.len() + graph.series.len()
}

impl Known {
    /// Nothing is told of what was known before some minute, after which everything is.
    pub(crate) fn since(minute: Option<Minute>) -> Known {
        Known { since: minute, arrived: minute, ..Known::default() }
    }

    /// The latest minute in which something arrived.
    pub(crate) fn arrived(&self) -> Option<Minute> {
        self.arrived
    }

    /// Whether something arriving now is the first of its minute, so that what was known before should be kept.
    pub(crate) fn is_due(&mut self, recorded: Time) -> bool {
        let minute = recorded.minute();
        self.since.get_or_insert(minute);
        // A clock that went back does not make what is known already less.
        self.arrived.replace(self.arrived.map_or(minute, |a| a.max(minute))).is_some_and(|last| last < minute)
    }

    /// Keeps what was known before a minute, and lets the oldest go: beyond so many epochs, or so many rows in all of them.
    pub(crate) fn keep(&mut self, before: Minute, graph: Graph, most: (usize, usize)) {
        self.rows += rows(&graph);
        self.epochs.push_back((before, graph));
        while self.epochs.len() > most.0 || self.rows > most.1 {
            let Some((until, gone)) = self.epochs.pop_front() else { break };
            self.rows -= rows(&gone);
            self.since = Some(until);
        }
    }

    /// What had arrived by the end of a moment's minute: an epoch, or nothing when that is all there is now.
    ///
    /// # Errors
    /// The first moment that something can be said of, when this one is earlier.
    pub(crate) fn at(&self, at: Time) -> Result<Option<&Graph>, Time> {
        let minute = at.minute();
        match self.since {
            Some(since) if minute < since => Err(since.start()),
            _ => {
                let i = self.epochs.partition_point(|(until, _)| *until <= minute);
                Ok(self.epochs.get(i).map(|e| &e.1))
            }
        }
    }

    pub(crate) fn held(&self) -> (usize, usize) {
        (self.epochs.len(), self.rows)
    }
}
