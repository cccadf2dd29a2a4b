//! The text form of every question: what evidence carries, what people type, parsed and printed so that one gives the other.
//!
//! ```text
//! find Service "rat" at 2026-11-24T12:00:00Z limit 20
//! show Service "ratings" at 2026-11-24T12:00:00Z
//! neighbours Service "ratings" hops 2 limit 100
//! path View "tvui/lolomo" to Service "ratings"
//! paths Host "h1" to Operation "gateway/home" of latency hops 6 at 2026-11-24T12:00:00Z best 3
//! follows rests_on from View "tvui/lolomo" to Service "ratings" at 2026-11-24T12:00:00Z limit 20
//! series view.ttr of View "tvui/lolomo" where AppVersion = "tvui/8.42.0" and Cell in ("x/B", "x/C")
//!        by AppVersion, Cell of "x" between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z every 5m show p75
//! flow calls from Operation "gateway/home" to Operation "ratings/get" between … and … show mean asked
//! diff between … and … against … and … [where …] [versus where …] least 3 offset 100 limit 50
//! diff snapshot "healthy-1" against snapshot "degraded-1"
//! cohort where version = 8.42 and (cell = B or not country in (BR, AR)) between … and …
//! changes between … and … touching Service "ratings"
//! question q04 line 1 at 2026-11-24T12:00:00Z limit 20
//! ```

mod parse;
mod terms;
mod write;

pub use terms::{MAX_DEPTH, Op, Place, Predicate, Term};

use ontology::{Stretch, Time};
use parse::Parser;
use write::quoted;

/// A node by class and name, as printed everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    /// Class name.
    pub class: String,
    /// Name.
    pub name: String,
}

/// A dimension: a class, and the parent it is told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// Class of the component.
    pub class: String,
    /// Only those that belong to this parent.
    pub within: Option<String>,
}

/// Which statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Show {
    /// How many.
    Count,
    /// How many per minute.
    Rate,
    /// How many bad ones.
    Bad,
    /// Share of bad ones.
    Ratio,
    /// Arithmetic mean.
    Mean,
    /// Geometric mean: what log-scale comparisons use.
    Geomean,
    /// A quantile, 0..1.
    Quantile(f64),
    /// Growth of a counter.
    Growth,
}

/// A stretch in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// First moment.
    pub from: Time,
    /// First moment after.
    pub to: Time,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// A stretch.
    Between(Between),
    /// A moment; figures are of the minutes before it.
    At(Time),
    /// A snapshot by name.
    Snapshot(String),
    /// Everything that was known at a moment, whatever time it tells of.
    Known(Time),
}

/// Which rows of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Rows passed over.
    pub offset: Option<usize>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Which way trouble is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Against the way it travels, from one sufferer.
    Origins,
    /// The same from several: only places that it can have come from to all of them.
    Common,
    /// The way it travels.
    Impact,
}

/// A question to the graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Nodes of a class whose name contains a text.
    Find {
        /// Class name.
        class: String,
        /// Part of the name.
        text: Option<String>,
        /// When.
        at: Option<Time>,
        /// At most.
        limit: Option<usize>,
    },
    /// Everything known of a node.
    Show {
        /// Which.
        node: NodeName,
        /// When.
        at: Option<Time>,
    },
    /// What is around a node.
    Neighbours {
        /// Which.
        node: NodeName,
        /// How far, in edges.
        hops: Option<usize>,
        /// When.
        at: Option<Time>,
        /// At most this many nodes.
        limit: Option<usize>,
    },
    /// A shortest connection.
    Path {
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// When.
        at: Option<Time>,
    },
    /// Things that sources know by different keys and that count as one.
    Merges {
        /// Of this class only.
        class: Option<String>,
        /// At most this many.
        limit: Option<usize>,
    },
    /// What follows by the ontology's rules.
    Follows {
        /// A derived relation or a predicate.
        what: String,
        /// From (of a predicate: its first argument).
        from: Option<NodeName>,
        /// To (of a predicate: its second argument).
        to: Option<NodeName>,
        /// When.
        at: Option<Time>,
        /// At most this many.
        limit: Option<usize>,
    },
    /// Why the edges from one node to another are there.
    Why {
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// As of when.
        at: Option<Time>,
    },
    /// Where trouble at some nodes can have come from, or where it can go.
    Trouble {
        /// Which of these.
        way: Way,
        /// At which nodes: one, of several what they have in common.
        nodes: Vec<NodeName>,
        /// Which kind of trouble; any when not said.
        aspect: Option<String>,
        /// When.
        at: Option<Time>,
        /// At most this many places.
        limit: Option<usize>,
    },
    /// The likeliest ways of trouble from one node to another.
    Paths {
        /// Where it begins.
        from: NodeName,
        /// Where it is felt.
        to: NodeName,
        /// As which kind of trouble; any when not said.
        aspect: Option<String>,
        /// At most so many edges in a row.
        hops: Option<usize>,
        /// When.
        at: Option<Time>,
        /// At most this many ways.
        best: Option<usize>,
    },
    /// A measure.
    Series {
        /// Its name.
        measure: String,
        /// On what; on everything that carries it when not said.
        of: Option<NodeName>,
        /// By which cohorts.
        terms: Predicate,
        /// Told apart along.
        by: Vec<By>,
        /// When.
        between: Between,
        /// As a line, one point for so many minutes.
        every: Option<i64>,
        /// Which statistic; the measure's own when not said.
        show: Option<Show>,
    },
    /// Traffic along a relation.
    Flow {
        /// Relation name.
        relation: String,
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// Cohorts of the answering side.
        terms: Predicate,
        /// When.
        between: Between,
        /// As a line.
        every: Option<i64>,
        /// Which statistic.
        show: Show,
        /// As the asking side saw it.
        asked: bool,
    },
    /// What differs.
    Diff {
        /// Healthy side.
        before: Side,
        /// Degraded side.
        after: Side,
        /// Cohorts of the first side (of both when the second is not said).
        terms: Predicate,
        /// Cohorts of the second side.
        versus: Option<Predicate>,
        /// Least surprise reported.
        least: Option<f64>,
        /// Which rows.
        page: Page,
    },
    /// What some people touched.
    Cohort {
        /// Who.
        terms: Predicate,
        /// When; lately when not said.
        when: Option<Side>,
        /// Which rows.
        page: Page,
    },
    /// Changes that began.
    Changes {
        /// When.
        between: Between,
        /// Only those of this node or what it is part of.
        touching: Option<NodeName>,
    },
    /// A competency question of the ontology.
    Question {
        /// Its name.
        name: String,
        /// Only this line of it, from 1.
        line: Option<usize>,
        /// When.
        at: Option<Time>,
        /// At most.
        limit: Option<usize>,
    },
}

impl Query {
    /// The moments and stretches that it asks about; none when that is now, a snapshot, or what was known.
    pub fn times(&self) -> Vec<Stretch> {
        let moment = |at: &Option<Time>| at.map(|t| Stretch { from: t, to: t }).into_iter().collect();
        let stretch = |b: &Between| Stretch { from: b.from, to: b.to };
        match self {
            Query::Find { at, .. }
            | Query::Show { at, .. }
            | Query::Neighbours { at, .. }
            | Query::Path { at, .. }
            | Query::Follows { at, .. }
            | Query::Why { at, .. }
            | Query::Trouble { at, .. }
            | Query::Paths { at, .. }
            | Query::Question { at, .. } => moment(at),
            Query::Series { between, .. } | Query::Flow { between, .. } | Query::Changes { between, .. } => {
                vec![stretch(between)]
            }
            Query::Diff { before, after, .. } => [before, after].into_iter().filter_map(Side::time).collect(),
            Query::Cohort { when, .. } => when.iter().filter_map(Side::time).collect(),
            Query::Merges { .. } => Vec::new(),
        }
    }
}

/// Where and why a text is not a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ParseError {
    /// 1-based column of the offending word.
    pub column: usize,
    /// What is wrong and what to write.
    pub message: String,
}

/// Longest query text read.
pub const MAX_TEXT: usize = 64 * 1024;

impl Side {
    /// How a side is written in one word: on the command line and in addresses.
    pub const FORM: &'static str = "write 2026-11-24T10:00:00Z, 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z, snapshot:NAME or known:2026-11-24T10:00:00Z";

    /// The moment or stretch that it is; none of a snapshot and of what was known.
    pub fn time(&self) -> Option<Stretch> {
        match self {
            Side::Between(b) => Some(Stretch { from: b.from, to: b.to }),
            Side::At(t) => Some(Stretch { from: *t, to: *t }),
            Side::Snapshot(_) | Side::Known(_) => None,
        }
    }

    /// From one word.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_word(text: &str) -> Result<Side, String> {
        let time = |t: &str| Time::parse(t).map_err(|e| e.to_string());
        if let Some(name) = text.strip_prefix("snapshot:") {
            let empty = || format!("a snapshot without a name; {}", Side::FORM);
            return (!name.is_empty()).then(|| Side::Snapshot(name.to_owned())).ok_or_else(empty);
        }
        if let Some(at) = text.strip_prefix("known:") {
            return time(at).map(Side::Known);
        }
        let Some((from, to)) = text.split_once("..") else {
            return Time::parse(text)
                .map(Side::At)
                .map_err(|_| format!("`{text}` is no side; {}", Side::FORM));
        };
        let between = Between { from: time(from)?, to: time(to)? };
        if between.from >= between.to {
            return Err("it must begin before it ends".to_owned());
        }
        Ok(Side::Between(between))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_tells_which_times_it_is_about() {
        let times = |text: &str| {
            let query: Query = text.parse().unwrap();
            query.times().into_iter().map(|s| format!("{}..{}", s.from, s.to)).collect::<Vec<_>>()
        };
        let (a, b) = ("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z");
        assert_eq!(times(&format!("show Service \"x\" at {a}")), [format!("{a}..{a}")]);
        assert_eq!(times(&format!("changes between {a} and {b}")), [format!("{a}..{b}")]);
        let both = [format!("{a}..{b}"), format!("{b}..{b}")];
        assert_eq!(times(&format!("diff between {a} and {b} against at {b}")), both);
        assert!(times("show Service \"x\"").is_empty());
        assert!(times(&format!("diff snapshot \"x\" against known {a}")).is_empty());
    }

    #[test]
    fn every_question_prints_as_it_was_written() {
        for text in [
            r#"find Service "rat" at 2026-11-24T12:00:00Z limit 20"#,
            r#"show Service "ratings""#,
            r#"neighbours Service "ratings" hops 2 limit 100"#,
            r#"path View "tvui/lolomo" to Service "ratings" at 2026-11-24T12:00:00Z"#,
            r#"follows rests_on from View "tvui/lolomo" to Service "ratings" at 2026-11-24T12:00:00Z limit 20"#,
            r#"follows unwatched"#,
            r#"why Service "a" to Service "b" at 2026-11-24T12:00:00Z"#,
            r#"origins View "tvui/lolomo" of latency limit 5"#,
            r#"impact Host "h1""#,
            r#"paths Service "a" to View "b" of latency hops 6 at 2026-11-24T12:00:00Z best 3"#,
            r#"paths Service "a" to View "b""#,
            r#"common Service "a" and Service "b" and View "v" of latency"#,
            r#"series view.ttr of View "tvui/lolomo" where AppVersion = "tvui/8.42.0" and Cell not in ("x/B", "x\"C") and Place != "BR" by AppVersion, Cell of "x" between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z every 5m show p99.9"#,
            r#"flow calls from Operation "a/b" to Operation "c/d" between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z show mean asked"#,
            r#"diff between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z against 2026-11-24T12:00:00Z and 2026-11-24T13:00:00Z where Cell = "x/A" versus where Cell = "x/B" least 3"#,
            r#"diff at 2026-11-24T10:00:00Z against snapshot "b" where version < "8.42" versus where not (Cell = "x/A" or Cell of "x" = "B") limit 5"#,
            r#"diff known 2026-11-24T10:00:00Z against known 2026-11-24T11:00:00Z offset 10 limit 5"#,
            r#"cohort where app version = "8.42" and (cell = "B" or country not in ("BR", "AR")) between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z offset 3"#,
            r#"cohort at 2026-11-24T10:00:00Z"#,
            r#"changes between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z touching Service "ratings""#,
            "question q04",
            "question q04 line 2 at 2026-11-24T10:00:00Z limit 7",
        ] {
            assert_eq!(text.parse::<Query>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_error_says_where_and_what_to_write() {
        let error = |text: &str| text.parse::<Query>().unwrap_err().to_string();
        assert_eq!(
            error("fnd x"),
            "column 1: `fnd` does not begin a question; write find, show, neighbours, path, paths, why, origins, impact, common, merges, follows, series, flow, diff, cohort, changes or question"
        );
        assert_eq!(
            error("show Service ratings"),
            "column 14: expected a name in \"quotes\" here, not `ratings`"
        );
        assert_eq!(error("path View \"a\" at noon"), "column 15: expected `to` here, not `at`");
        assert_eq!(
            error("find Service at noon"),
            "column 17: `noon` is not a time; write it like 2026-11-24T12:05:00Z"
        );
        assert!(
            error("series x between 2026-11-24T10:00:00Z and 2026-11-24T11:00:00Z show px")
                .contains("`px` is no statistic")
        );
        assert_eq!(error("find Service \"x"), "column 14: this text has no closing \"");
        assert!(error(&"(".repeat(100_000)).contains("at most"));
    }
}
