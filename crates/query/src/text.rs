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

mod terms;

pub use terms::{MAX_DEPTH, Op, Place, Predicate, Term};

use ontology::{Stretch, Time};
use std::fmt;
use std::str::FromStr;

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

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.class, quoted(&self.name))
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.within {
            Some(w) => write!(f, "{} of {}", self.class, quoted(w)),
            None => f.write_str(&self.class),
        }
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "between {} and {}", self.from, self.to)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Side::Between(b) => b.fmt(f),
            Side::At(t) => write!(f, "at {t}"),
            Side::Snapshot(name) => write!(f, "snapshot {}", quoted(name)),
            Side::Known(t) => write!(f, "known {t}"),
        }
    }
}

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

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.offset.map_or(Ok(()), |n| write!(f, " offset {n}"))?;
        self.limit.map_or(Ok(()), |n| write!(f, " limit {n}"))
    }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Show::Count => f.write_str("count"),
            Show::Rate => f.write_str("rate"),
            Show::Bad => f.write_str("bad"),
            Show::Ratio => f.write_str("ratio"),
            Show::Mean => f.write_str("mean"),
            Show::Geomean => f.write_str("geomean"),
            Show::Growth => f.write_str("growth"),
            Show::Quantile(q) => write!(f, "p{}", (q * 1000.0).round() / 10.0),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, at: &Option<Time>| at.map_or(Ok(()), |t| write!(f, " at {t}"));
        let limit =
            |f: &mut fmt::Formatter<'_>, l: &Option<usize>| l.map_or(Ok(()), |n| write!(f, " limit {n}"));
        match self {
            Query::Find { class, text, at: t, limit: l } => {
                write!(f, "find {class}")?;
                text.as_ref().map_or(Ok(()), |t| write!(f, " {}", quoted(t)))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Show { node, at: t } => {
                write!(f, "show {node}")?;
                at(f, t)
            }
            Query::Neighbours { node, hops, at: t, limit: l } => {
                write!(f, "neighbours {node}")?;
                hops.map_or(Ok(()), |h| write!(f, " hops {h}"))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Path { from, to, at: t } => {
                write!(f, "path {from} to {to}")?;
                at(f, t)
            }
            Query::Merges { class, limit: l } => {
                f.write_str("merges")?;
                class.as_ref().map_or(Ok(()), |c| write!(f, " of {c}"))?;
                limit(f, l)
            }
            Query::Follows { what, from, to, at: t, limit: l } => {
                write!(f, "follows {what}")?;
                from.as_ref().map_or(Ok(()), |n| write!(f, " from {n}"))?;
                to.as_ref().map_or(Ok(()), |n| write!(f, " to {n}"))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Why { from, to, at: t } => {
                write!(f, "why {from} to {to}")?;
                at(f, t)
            }
            Query::Trouble { way, nodes, aspect, at: t, limit: l } => {
                let word = match way {
                    Way::Origins => "origins",
                    Way::Common => "common",
                    Way::Impact => "impact",
                };
                let nodes: Vec<String> = nodes.iter().map(NodeName::to_string).collect();
                write!(f, "{word} {}", nodes.join(" and "))?;
                aspect.as_ref().map_or(Ok(()), |a| write!(f, " of {a}"))?;
                at(f, t)?;
                limit(f, l)
            }
            Query::Paths { from, to, aspect, hops, at: t, best } => {
                write!(f, "paths {from} to {to}")?;
                aspect.as_ref().map_or(Ok(()), |a| write!(f, " of {a}"))?;
                hops.map_or(Ok(()), |h| write!(f, " hops {h}"))?;
                at(f, t)?;
                best.map_or(Ok(()), |n| write!(f, " best {n}"))
            }
            Query::Series { measure, of, terms, by, between, every, show } => {
                write!(f, "series {measure}")?;
                of.as_ref().map_or(Ok(()), |n| write!(f, " of {n}"))?;
                f.write_str(&terms.clause())?;
                if !by.is_empty() {
                    let by: Vec<String> = by.iter().map(By::to_string).collect();
                    write!(f, " by {}", by.join(", "))?;
                }
                write!(f, " {between}")?;
                every.map_or(Ok(()), |e| write!(f, " every {e}m"))?;
                show.map_or(Ok(()), |s| write!(f, " show {s}"))
            }
            Query::Flow { relation, from, to, terms, between, every, show, asked } => {
                write!(f, "flow {relation} from {from} to {to}{} {between}", terms.clause())?;
                every.map_or(Ok(()), |e| write!(f, " every {e}m"))?;
                write!(f, " show {show}")?;
                if *asked { f.write_str(" asked") } else { Ok(()) }
            }
            Query::Diff { before, after, terms, versus, least, page } => {
                write!(f, "diff {before} against ")?;
                match after {
                    Side::Between(b) => write!(f, "{} and {}", b.from, b.to)?,
                    other => other.fmt(f)?,
                }
                f.write_str(&terms.clause())?;
                // Everyone else, where nobody in particular is said.
                versus.as_ref().map_or(Ok(()), |v| write!(f, " versus{}", v.clause()))?;
                least.map_or(Ok(()), |l| write!(f, " least {l}"))?;
                page.fmt(f)
            }
            Query::Cohort { terms, when, page } => {
                write!(f, "cohort{}", terms.clause())?;
                when.as_ref().map_or(Ok(()), |w| write!(f, " {w}"))?;
                page.fmt(f)
            }
            Query::Changes { between, touching } => {
                write!(f, "changes {between}")?;
                touching.as_ref().map_or(Ok(()), |n| write!(f, " touching {n}"))
            }
            Query::Question { name, line, at: t, limit: l } => {
                write!(f, "question {name}")?;
                line.map_or(Ok(()), |n| write!(f, " line {n}"))?;
                at(f, t)?;
                limit(f, l)
            }
        }
    }
}

struct Word {
    text: String,
    quoted: bool,
    column: usize,
}

struct Parser {
    words: Vec<Word>,
    at: usize,
    end: usize,
}

const STARTS: &str = "find, show, neighbours, path, paths, why, origins, impact, common, merges, follows, series, flow, diff, cohort, changes or question";

impl FromStr for Query {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Query, ParseError> {
        let mut p = Parser::new(text)?;
        let start = p.word("a question", STARTS)?;
        let query = match start.as_str() {
            "find" => Query::Find {
                class: p.class()?,
                text: p.string_if(),
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            "show" => Query::Show { node: p.node()?, at: p.at()? },
            "neighbours" | "neighbors" => Query::Neighbours {
                node: p.node()?,
                hops: p.number_after("hops")?,
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            "path" => {
                let from = p.node()?;
                p.expect("to")?;
                Query::Path { from, to: p.node()?, at: p.at()? }
            }
            "paths" => {
                let from = p.node()?;
                p.expect("to")?;
                let to = p.node()?;
                let (aspect, hops) = (p.aspect()?, p.number_after("hops")?);
                Query::Paths { from, to, aspect, hops, at: p.at()?, best: p.number_after("best")? }
            }
            "merges" => Query::Merges {
                class: if p.eat("of") { Some(p.class()?) } else { None },
                limit: p.number_after("limit")?,
            },
            "follows" => Query::Follows {
                what: p.word("a derived relation or a predicate", "a name such as rests_on")?,
                from: if p.eat("from") { Some(p.node()?) } else { None },
                to: if p.eat("to") { Some(p.node()?) } else { None },
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            "why" => {
                let from = p.node()?;
                p.expect("to")?;
                Query::Why { from, to: p.node()?, at: p.at()? }
            }
            "origins" => p.trouble(Way::Origins)?,
            "impact" => p.trouble(Way::Impact)?,
            "common" => p.trouble(Way::Common)?,
            "series" => {
                let measure = p.word("a measure", "a name such as view.ttr")?;
                let of = if p.eat("of") { Some(p.node()?) } else { None };
                let terms = p.terms()?;
                let mut by = Vec::new();
                if p.eat("by") {
                    loop {
                        let class = p.class()?;
                        let within = if p.eat("of") { Some(p.string()?) } else { None };
                        by.push(By { class, within });
                        if !p.eat(",") {
                            break;
                        }
                    }
                }
                let between = p.between("between")?;
                let every = p.every()?;
                let show = if p.eat("show") { Some(p.show()?) } else { None };
                Query::Series { measure, of, terms, by, between, every, show }
            }
            "flow" => {
                let relation = p.word("a relation", "a name such as calls")?;
                p.expect("from")?;
                let from = p.node()?;
                p.expect("to")?;
                let to = p.node()?;
                let terms = p.terms()?;
                let between = p.between("between")?;
                let every = p.every()?;
                p.expect("show")?;
                let show = p.show()?;
                Query::Flow { relation, from, to, terms, between, every, show, asked: p.eat("asked") }
            }
            "diff" => {
                let before = p.side("`between`, `at`, `snapshot` or `known`")?;
                p.expect("against")?;
                let after = match p.side_if()? {
                    Some(side) => side,
                    None => Side::Between(p.stretch()?),
                };
                let terms = p.terms()?;
                let versus = if p.eat("versus") { Some(p.terms()?) } else { None };
                let least = if p.eat("least") { Some(p.float()?) } else { None };
                Query::Diff { before, after, terms, versus, least, page: p.page()? }
            }
            "cohort" => {
                let terms = p.terms()?;
                Query::Cohort { terms, when: p.side_if()?, page: p.page()? }
            }
            "changes" => {
                let between = p.between("between")?;
                let touching = if p.eat("touching") { Some(p.node()?) } else { None };
                Query::Changes { between, touching }
            }
            "question" => Query::Question {
                name: p.word("a question of the ontology", "a name such as q04")?,
                line: p.number_after("line")?,
                at: p.at()?,
                limit: p.number_after("limit")?,
            },
            other => return Err(p.error_back(format!("`{other}` does not begin a question; write {STARTS}"))),
        };
        p.finish()?;
        Ok(query)
    }
}

impl Parser {
    fn trouble(&mut self, way: Way) -> Result<Query, ParseError> {
        let mut nodes = vec![self.node()?];
        while way == Way::Common && self.eat("and") {
            nodes.push(self.node()?);
        }
        let aspect = self.aspect()?;
        Ok(Query::Trouble { way, nodes, aspect, at: self.at()?, limit: self.number_after("limit")? })
    }

    fn aspect(&mut self) -> Result<Option<String>, ParseError> {
        let said = self.eat("of");
        said.then(|| self.word("a kind of trouble", "a name such as latency")).transpose()
    }

    fn new(text: &str) -> Result<Parser, ParseError> {
        if text.len() > MAX_TEXT {
            return Err(ParseError {
                column: MAX_TEXT,
                message: format!("a query may have at most {MAX_TEXT} bytes"),
            });
        }
        let chars: Vec<char> = text.chars().collect();
        let mut words = Vec::new();
        let mut i = 0;
        while let Some(&c) = chars.get(i) {
            let column = i + 1;
            if c.is_whitespace() {
                i += 1;
            } else if c == '"' {
                let mut s = String::new();
                i += 1;
                loop {
                    match chars.get(i) {
                        None => {
                            return Err(ParseError {
                                column,
                                message: "this text has no closing \"".to_owned(),
                            });
                        }
                        Some('"') => break,
                        Some('\\') => {
                            i += 1;
                            s.extend(chars.get(i));
                        }
                        Some(c) => s.push(*c),
                    }
                    i += 1;
                }
                i += 1;
                words.push(Word { text: s, quoted: true, column });
            } else if "!<>".contains(c) && chars.get(i + 1) == Some(&'=') {
                words.push(Word { text: format!("{c}="), quoted: false, column });
                i += 2;
            } else if ",()=<>".contains(c) {
                words.push(Word { text: c.to_string(), quoted: false, column });
                i += 1;
            } else {
                let mut s = String::new();
                while let Some(c) = chars.get(i).filter(|c| !c.is_whitespace() && !",()=!<>\"".contains(**c))
                {
                    s.push(*c);
                    i += 1;
                }
                if s.is_empty() {
                    return Err(ParseError { column, message: format!("`{c}` does not belong here") });
                }
                words.push(Word { text: s, quoted: false, column });
            }
        }
        Ok(Parser { words, at: 0, end: chars.len() + 1 })
    }

    fn error(&self, message: String) -> ParseError {
        ParseError { column: self.words.get(self.at).map_or(self.end, |w| w.column), message }
    }

    fn error_back(&self, message: String) -> ParseError {
        ParseError {
            column: self.words.get(self.at.saturating_sub(1)).map_or(self.end, |w| w.column),
            message,
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        let there = self.words.get(self.at).is_some_and(|w| !w.quoted && w.text == text);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, text: &str) -> Result<(), ParseError> {
        if self.eat(text) {
            Ok(())
        } else {
            Err(self.error(format!("expected `{text}` here{}", self.found())))
        }
    }

    fn found(&self) -> String {
        self.words
            .get(self.at)
            .map_or_else(|| ", the text ends".to_owned(), |w| format!(", not `{}`", w.text))
    }

    fn word(&mut self, what: &str, such: &str) -> Result<String, ParseError> {
        match self.words.get(self.at).filter(|w| !w.quoted) {
            Some(w) => {
                self.at += 1;
                Ok(w.text.clone())
            }
            None => Err(self.error(format!("expected {what} here ({such}){}", self.found()))),
        }
    }

    fn class(&mut self) -> Result<String, ParseError> {
        self.word("a class", "a name such as Service")
    }

    fn string_if(&mut self) -> Option<String> {
        let text = self.words.get(self.at).filter(|w| w.quoted)?.text.clone();
        self.at += 1;
        Some(text)
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.string_if()
            .ok_or_else(|| self.error(format!("expected a name in \"quotes\" here{}", self.found())))
    }

    fn node(&mut self) -> Result<NodeName, ParseError> {
        Ok(NodeName { class: self.class()?, name: self.string()? })
    }

    fn time(&mut self) -> Result<Time, ParseError> {
        let text = self.word("a time", "written like 2026-11-24T12:05:00Z")?;
        Time::parse(&text).map_err(|e| self.error_back(e.to_string()))
    }

    fn at(&mut self) -> Result<Option<Time>, ParseError> {
        if self.eat("at") { self.time().map(Some) } else { Ok(None) }
    }

    fn number_after(&mut self, word: &str) -> Result<Option<usize>, ParseError> {
        if !self.eat(word) {
            return Ok(None);
        }
        let text = self.word("a number", "such as 3")?;
        text.parse().map(Some).map_err(|_| self.error_back(format!("`{text}` is not a whole number")))
    }

    fn float(&mut self) -> Result<f64, ParseError> {
        let text = self.word("a number", "such as 3")?;
        text.parse().map_err(|_| self.error_back(format!("`{text}` is not a number")))
    }

    fn every(&mut self) -> Result<Option<i64>, ParseError> {
        if !self.eat("every") {
            return Ok(None);
        }
        let text = self.word("a number of minutes", "such as 5m")?;
        let number =
            text.strip_suffix('m').and_then(|n| n.parse::<i64>().ok()).filter(|n| (1..=10_080).contains(n));
        number
            .map(Some)
            .ok_or_else(|| self.error_back(format!("`{text}` is not a number of minutes; write it like 5m")))
    }

    fn between(&mut self, word: &str) -> Result<Between, ParseError> {
        self.expect(word)?;
        self.stretch()
    }

    fn side_if(&mut self) -> Result<Option<Side>, ParseError> {
        Ok(Some(if self.eat("between") {
            Side::Between(self.stretch()?)
        } else if self.eat("at") {
            Side::At(self.time()?)
        } else if self.eat("snapshot") {
            Side::Snapshot(self.string()?)
        } else if self.eat("known") {
            Side::Known(self.time()?)
        } else {
            return Ok(None);
        }))
    }

    fn side(&mut self, what: &str) -> Result<Side, ParseError> {
        self.side_if()?.ok_or_else(|| self.error(format!("expected {what} here{}", self.found())))
    }

    fn page(&mut self) -> Result<Page, ParseError> {
        Ok(Page { offset: self.number_after("offset")?, limit: self.number_after("limit")? })
    }

    fn stretch(&mut self) -> Result<Between, ParseError> {
        let from = self.time()?;
        self.expect("and")?;
        let to = self.time()?;
        if from > to {
            return Err(self.error_back("this stretch ends before it starts".to_owned()));
        }
        Ok(Between { from, to })
    }

    fn show(&mut self) -> Result<Show, ParseError> {
        let text = self.word(
            "a statistic",
            "count, rate, bad, ratio, mean, geomean, growth, max or a quantile such as p95",
        )?;
        let quantile = |t: &str| {
            t.strip_prefix('p')?.parse::<f64>().ok().filter(|q| (0.0..=100.0).contains(q)).map(|q| q / 100.0)
        };
        Ok(match text.as_str() {
            "count" => Show::Count,
            "rate" => Show::Rate,
            "bad" => Show::Bad,
            "ratio" => Show::Ratio,
            "mean" => Show::Mean,
            "geomean" => Show::Geomean,
            "growth" => Show::Growth,
            "max" => Show::Quantile(1.0),
            other => Show::Quantile(quantile(other).ok_or_else(|| {
                self.error_back(format!(
                    "`{other}` is no statistic; write count, rate, bad, ratio, mean, geomean, growth, max or a quantile such as p95"
                ))
            })?),
        })
    }

    fn finish(&self) -> Result<(), ParseError> {
        if self.at < self.words.len() {
            return Err(self.error(format!("did not expect anything here{}", self.found())));
        }
        Ok(())
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
