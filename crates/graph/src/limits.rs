//! Every bound of the graph, and what has been folded and left out.

use serde::{Deserialize, Serialize};

/// How much is held, each with what happens beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Sessions, interactions and other sampled nodes held as nodes. Beyond: the oldest are let go; their counts stay in the
    /// series of their cohorts.
    pub sampled_nodes: usize,
    /// Traces that may still be joined. Beyond: the longest untouched are let go; late steps of theirs stay unjoined.
    pub open_traces: usize,
    /// Items remembered so that a repetition is not counted twice. Beyond: the oldest minute is forgotten; repetitions that
    /// late would count again.
    pub remembered_items: usize,
    /// Distinct series. Beyond: samples of further cohorts count for the empty cohort of the same subject.
    pub series: usize,
    /// Nodes of classes that are kept each. Beyond: further ones are not made, their facts are counted as left out.
    pub nodes: usize,
    /// Nodes of each class whose nodes are made of what programs write. Beyond: the same.
    pub open_nodes: usize,
    /// Ways in which kept conclusions follow, and what sampled nodes were seen to join. Beyond: no further ones are drawn, and
    /// what set them off is counted.
    pub conclusions: usize,
    /// Minutes of arrival of which it can be said what was known. Beyond: of earlier ones nothing can be said.
    pub known_minutes: usize,
    /// Nodes, edges and series in all graphs that are held for it. Beyond: the same.
    pub known_rows: usize,
    /// Bytes of what went along edges. Beyond: the oldest quarters of an hour are forgotten.
    pub flow_bytes: usize,
    /// Hours that series and what went along edges reach back. Older minutes are forgotten.
    pub hours: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            sampled_nodes: 400_000,
            open_traces: 100_000,
            remembered_items: 20_000_000,
            series: 2_000_000,
            nodes: 1_000_000,
            // A few hundred services of some hundred statements each that log errors.
            open_nodes: 50_000,
            conclusions: 4_000_000,
            known_minutes: 120,
            known_rows: 20_000_000,
            flow_bytes: 4 << 30,
            hours: 24 * 14,
        }
    }
}

/// What has been folded so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Facts folded.
    pub facts: u64,
    /// Counted facts that had been counted before.
    pub repeated: u64,
    /// Calls joined from trace steps.
    pub joined: u64,
    /// Steps seen.
    pub steps: u64,
    /// Sampled nodes let go.
    pub sampled_let_go: u64,
    /// Traces let go.
    pub traces_let_go: u64,
    /// Facts left out because the node limit was reached.
    pub left_out: u64,
    /// The same because the limit of a class that is open was reached.
    pub open_left_out: u64,
    /// Times that something was not concluded because the limit of conclusions was reached.
    pub conclusions_left_out: u64,
    /// Summaries of what went along edges that were forgotten because there were too many.
    pub flows_let_go: u64,
    /// Samples that went to the empty cohort because the series limit was reached.
    pub cohorts_folded: u64,
}

/// What one batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Facts that were new.
    pub facts: u64,
    /// Facts that repeated something counted before.
    pub repeated: u64,
}
