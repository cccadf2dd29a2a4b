//! Epochs other than the one that is asked of: snapshots by name, and what was known at a moment.

use graph::Graph;
use ontology::Time;

/// Where other epochs are.
///
/// **Contract:** an epoch does not change while it is held; a name that is not there is `None` and no error.
pub trait Epochs {
    /// The graph of a snapshot and its moment.
    fn snapshot(&self, name: &str) -> Option<(Graph, Time)>;

    /// The names of all snapshots.
    fn snapshots(&self) -> Vec<String>;

    /// What had arrived by the end of a moment's minute.
    ///
    /// # Errors
    /// The first moment that something can be said of, when this one is earlier.
    fn known(&self, at: Time) -> Result<Graph, Time>;
}

/// No other epochs: a graph by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEpochs;

impl Epochs for NoEpochs {
    fn snapshot(&self, _: &str) -> Option<(Graph, Time)> {
        None
    }

    fn snapshots(&self) -> Vec<String> {
        Vec::new()
    }

    fn known(&self, at: Time) -> Result<Graph, Time> {
        Err(at)
    }
}
