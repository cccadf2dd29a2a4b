//! The experts: one file each, one visible list.

use crate::case::Case;
use crate::finding::Findings;

mod alerts;
mod changes;
mod clients;
mod dependencies;
mod experiments;
mod infrastructure;
mod metrics;
mod network;

/// Someone who knows one sort of thing.
///
/// **Contract**: a pure function of the case. One that cannot tell gives back no findings; one that lacks data names it in
/// [`Findings::missing`]. Every figure comes with the query that recomputes it. An expert may ask for further tasks, of
/// itself or of others; it never calls them.
pub trait Expert: Send + Sync {
    /// The name tasks and evidence use.
    fn name(&self) -> &'static str;

    /// What it does first in every investigation, in words.
    fn duty(&self) -> &'static str;

    /// Whether it looks closer when a task names components; the others see everything the first time.
    fn looks_closer(&self) -> bool {
        false
    }

    /// Looks.
    fn look(&self, case: &Case<'_>) -> Findings;
}

/// Every expert, in the order in which their findings are read.
pub static ALL: [&dyn Expert; 8] = [
    &metrics::Metrics,
    &alerts::Alerts,
    &experiments::Experiments,
    &clients::Clients,
    &changes::Changes,
    &dependencies::Dependencies,
    &network::Network,
    &infrastructure::Infrastructure,
];
