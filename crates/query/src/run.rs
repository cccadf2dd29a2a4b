//! Answering a question in text form: a number, a table or lines.

mod follows;
mod merges;
mod paths;
mod reasons;

use crate::cohort::{Dim, Filter};
use crate::compared::Compared;
use crate::epochs::{Epochs, NoEpochs};
use crate::question::{NoAnswer, Walk};
use crate::text::{Between, By, NodeName, Place, Predicate, Query, Show};
use crate::touched::Touched;
use crate::view::View;
use crate::walk::{Along, Bounds};
use graph::{Agg, Direction, Graph, NodeId, Side};
use ontology::{ClassId, MeasureId, RelationId, Stretch, Time};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Most rows an answer holds; more are counted, not dropped silently.
pub const MAX_ROWS: usize = 10_000;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// The question in its canonical form.
    pub query: String,
    /// `number`, `table` or `series`.
    pub kind: &'static str,
    /// The number, when there is one.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Column titles.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<Json>>,
    /// Lines: name and points of milliseconds since the epoch and value.
    pub series: Vec<Line>,
    /// Rows that there are but that the limit left out.
    pub hidden: usize,
    /// What else to know about the answer, such as why it may not be all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Milliseconds since the epoch, and the value there.
    pub points: Vec<(i64, Option<f64>)>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is not a question.
    #[error(transparent)]
    Text(#[from] crate::text::ParseError),
    /// A question of the ontology has no answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// A question of the ontology has fewer lines.
    #[error("question {name} has {lines} lines; there is no line {line}")]
    NoLine {
        /// Name of the question.
        name: String,
        /// What was written.
        line: usize,
        /// How many there are.
        lines: usize,
    },
    /// A name that the ontology does not know.
    #[error("there is no {kind} `{name}`{}", near(.nearest))]
    Unknown {
        /// class, relation, measure or question.
        kind: &'static str,
        /// What was written.
        name: String,
        /// What it may have meant.
        nearest: Vec<String>,
    },
    /// A node that the graph does not hold.
    #[error("the graph holds no {class} called `{name}`{}", near(.nearest))]
    NoNode {
        /// Class name.
        class: String,
        /// What was written.
        name: String,
        /// Names that are there.
        nearest: Vec<String>,
    },
    /// A word of the question.
    #[error("column {column}: {why}")]
    Word {
        /// 1-based column of the word.
        column: usize,
        /// What is wrong with it.
        why: Box<QueryError>,
    },
    /// A dimension whose names have no order.
    #[error("names of {dimension} have no order: `<`, `<=`, `>` and `>=` compare versions and numbers")]
    NoOrder {
        /// What was written.
        dimension: String,
    },
    /// A snapshot that was never taken, or was let go.
    #[error("there is no snapshot `{name}`; it was never taken, or was deleted since{}", near(.nearest))]
    NoSnapshot {
        /// What was written.
        name: String,
        /// Names that are there.
        nearest: Vec<String>,
    },
    /// A moment of which nothing can be said.
    #[error("what was known at {at} cannot be said, only from {since} on")]
    NotKnown {
        /// The moment.
        at: Time,
        /// The first that something can be said of.
        since: Time,
    },
    /// What was known is compared with what was known.
    #[error("`known` is compared with `known`, and for everyone: leave `where` and `versus` out")]
    Sides,
}

impl QueryError {
    /// The same, about a word in a certain column.
    pub(crate) fn at(self, place: Place) -> QueryError {
        match place.0 {
            Some(column) => QueryError::Word { column, why: Box::new(self) },
            None => self,
        }
    }

    /// Whether it is well asked, about what is not there.
    pub fn is_about_what_is_missing(&self) -> bool {
        match self {
            QueryError::Text(_)
            | QueryError::NoAnswer(_)
            | QueryError::NotKnown { .. }
            | QueryError::NoOrder { .. }
            | QueryError::Sides => false,
            QueryError::Word { why, .. } => why.is_about_what_is_missing(),
            QueryError::NoLine { .. }
            | QueryError::Unknown { .. }
            | QueryError::NoNode { .. }
            | QueryError::NoSnapshot { .. } => true,
        }
    }
}

fn near(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; nearest: {}", nearest.join(", ")) }
}

/// The few of some names that are most like a word.
pub fn nearest(word: &str, names: impl IntoIterator<Item = String>, most: usize) -> Vec<String> {
    let lower = word.to_lowercase();
    let mut ranked: Vec<(usize, String)> = names
        .into_iter()
        .map(|n| {
            let other = n.to_lowercase();
            let distance = if other.contains(&lower) { 0 } else { distance(&lower, &other) };
            (distance, n)
        })
        .filter(|(d, n)| *d <= 2 + n.chars().count() / 3)
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(most).map(|r| r.1).collect()
}

/// Edit distance, with neighbouring letters swapped counting once (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |r: &[usize], k: usize| r.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut d = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                d = d.min(at(&before, j - 1) + 1);
            }
            row.push(d);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// Reads and answers a question.
///
/// # Errors
/// When the text is not a question or names something unknown.
pub fn ask(view: &View<'_>, text: &str) -> Result<Output, QueryError> {
    run(view, &text.parse()?)
}

/// The same where there are other epochs to ask of, by whoever does not wait for ever: `stop` is asked now and then where much may be
/// looked at, and yes ends the search, which the answer says.
///
/// # Errors
/// When the text is not a question or names something unknown.
pub fn ask_of(
    view: &View<'_>,
    epochs: &dyn Epochs,
    stop: &dyn Fn() -> bool,
    text: &str,
) -> Result<Output, QueryError> {
    run_of(view, epochs, stop, &text.parse()?)
}

/// Answers a question.
///
/// # Errors
/// When it names something unknown.
pub fn run(view: &View<'_>, query: &Query) -> Result<Output, QueryError> {
    run_of(view, &NoEpochs, &|| false, query)
}

/// The same where there are other epochs to ask of, by whoever does not wait for ever.
///
/// # Errors
/// When it names something unknown.
pub fn run_of(
    view: &View<'_>,
    epochs: &dyn Epochs,
    stop: &dyn Fn() -> bool,
    query: &Query,
) -> Result<Output, QueryError> {
    let r = Runner { view, renamed: RefCell::default() };
    let mut out = match query {
        Query::Find { class, text, at, limit } => r.find(class, text.as_deref(), *at, *limit)?,
        Query::Show { node, at } => r.show(node, *at)?,
        Query::Neighbours { node, hops, at, limit } => r.neighbours(node, *hops, *at, *limit)?,
        Query::Path { from, to, at } => r.path(from, to, *at)?,
        Query::Merges { class, limit } => r.merges(class.as_deref(), *limit)?,
        Query::Follows { what, from, to, at, limit } => {
            r.follows(what, from.as_ref(), to.as_ref(), *at, *limit)?
        }
        Query::Why { from, to, at } => r.why(from, to, *at)?,
        Query::Trouble { way, nodes, aspect, at, limit } => {
            r.trouble(*way, nodes, aspect.as_deref(), *at, *limit)?
        }
        Query::Paths { from, to, aspect, hops, at, best } => {
            r.paths([from, to], aspect.as_deref(), (*hops, *best), *at, stop)?
        }
        Query::Series { measure, of, terms, by, between, every, show } => {
            let measure = r.measure(measure)?;
            let subject = of.as_ref().map(|n| r.node(n)).transpose()?;
            let (filter, dims) = (r.filter(terms)?, r.dims(by)?);
            r.series(measure, subject, &filter, &dims, between, *every, *show)
        }
        Query::Flow { relation, from, to, terms, between, every, show, asked } => {
            let (relation, from, to) = (r.relation(relation)?, r.node(from)?, r.node(to)?);
            let filter = r.filter(terms)?;
            r.flow(relation, from, to, &filter, between, *every, *show, *asked)
        }
        Query::Diff { .. } => Compared::of(view, epochs, query)?.table(),
        Query::Cohort { .. } => Touched::of(view, epochs, query)?.table(),
        Query::Changes { between, touching } => {
            let touching = touching.as_ref().map(|n| r.node(n)).transpose()?;
            r.changes(between, touching)?
        }
        Query::Question { name, line, at, limit } => r.question(name, *line, *at, *limit)?,
    };
    out.query = query.to_string();
    if out.rows.len() > MAX_ROWS {
        out.hidden += out.rows.len() - MAX_ROWS;
        out.rows.truncate(MAX_ROWS);
    }
    for hint in r.renamed.into_inner() {
        let gap = if out.note.is_empty() { "" } else { " " };
        out.note = format!("{}{gap}{hint}", out.note);
    }
    Ok(out)
}

struct Runner<'a> {
    view: &'a View<'a>,
    /// Hints at old names in the question, each once.
    renamed: RefCell<BTreeSet<String>>,
}

pub(crate) fn table(columns: &[&str], rows: Vec<Vec<Json>>) -> Output {
    Output {
        query: String::new(),
        kind: "table",
        value: None,
        unit: String::new(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        rows,
        series: Vec::new(),
        hidden: 0,
        note: String::new(),
    }
}

pub(crate) fn stretch(b: &Between) -> Stretch {
    Stretch { from: b.from, to: b.to }
}

impl Runner<'_> {
    fn graph(&self) -> &Graph {
        self.view.graph
    }

    fn unknown<'n>(kind: &'static str, name: &str, names: impl Iterator<Item = &'n String>) -> QueryError {
        QueryError::Unknown { kind, name: name.to_owned(), nearest: nearest(name, names.cloned(), 3) }
    }

    /// Old names go on working; the answer says what the thing is called now.
    fn hint(&self, what: &str, name: &str, now: Option<&String>) {
        if let Some(now) = now.filter(|n| *n != name) {
            self.renamed.borrow_mut().insert(format!("The {what} {name} is now called {now}."));
        }
    }

    fn class(&self, name: &str) -> Result<ClassId, QueryError> {
        let o = self.view.ontology();
        self.hint("class", name, o.class(name).and_then(|c| o.classes.get(c.index())).map(|c| &c.name));
        o.class(name).ok_or_else(|| Self::unknown("class", name, o.classes.iter().map(|c| &c.name)))
    }

    fn measure(&self, name: &str) -> Result<MeasureId, QueryError> {
        let o = self.view.ontology();
        self.hint("measure", name, o.measure(name).and_then(|m| o.measures.get(m.index())).map(|m| &m.name));
        o.measure(name).ok_or_else(|| Self::unknown("measure", name, o.measures.iter().map(|m| &m.name)))
    }

    fn relation(&self, name: &str) -> Result<RelationId, QueryError> {
        let o = self.view.ontology();
        self.hint(
            "relation",
            name,
            o.relation(name).and_then(|r| o.relations.get(r.index())).map(|r| &r.name),
        );
        o.relation(name).ok_or_else(|| Self::unknown("relation", name, o.relations.iter().map(|r| &r.name)))
    }

    fn node(&self, node: &NodeName) -> Result<NodeId, QueryError> {
        let class = self.class(&node.class)?;
        let by_id = || {
            self.graph().node_with_id(&node.name).filter(|n| {
                self.graph().node(*n).is_some_and(|x| self.graph().ontology().is_a(x.class, class))
            })
        };
        self.graph().named(class, &node.name).or_else(by_id).ok_or_else(|| QueryError::NoNode {
            class: node.class.clone(),
            name: node.name.clone(),
            nearest: nearest(
                &node.name,
                self.graph().of_class(class).into_iter().take(5_000).map(|n| self.graph().name(n)),
                3,
            ),
        })
    }

    fn filter(&self, terms: &Predicate) -> Result<Filter, QueryError> {
        let (filter, renamed) = crate::people::ground(self.graph(), terms)?;
        self.renamed.borrow_mut().extend(renamed);
        Ok(filter)
    }

    fn dims(&self, by: &[By]) -> Result<Vec<Dim>, QueryError> {
        by.iter()
            .map(|b| {
                let class = self.class(&b.class)?;
                let Some(within) = &b.within else { return Ok(Dim { class, within: None }) };
                let parent = self
                    .graph()
                    .of_class(class)
                    .into_iter()
                    .filter_map(|n| crate::cohort::parent(self.graph(), n));
                let found = parent.into_iter().find(|p| self.graph().name(*p) == *within);
                found.map(|p| Dim { class, within: Some(p) }).ok_or_else(|| QueryError::NoNode {
                    class: format!("parent of {}", b.class),
                    name: within.clone(),
                    nearest: Vec::new(),
                })
            })
            .collect()
    }

    fn row(&self, node: NodeId) -> Vec<Json> {
        vec![json!(self.view.class_name(node)), json!(self.graph().name(node)), json!(self.graph().id(node))]
    }

    fn find(
        &self,
        class: &str,
        text: Option<&str>,
        at: Option<Time>,
        limit: Option<usize>,
    ) -> Result<Output, QueryError> {
        let class = self.class(class)?;
        let wanted = text.map(str::to_lowercase);
        let there = |n: &NodeId| {
            at.is_none_or(|t| {
                self.graph().node(*n).is_some_and(|x| x.seen.first().is_some_and(|f| f <= t.minute()))
            })
        };
        let all: Vec<NodeId> = self
            .graph()
            .of_class(class)
            .into_iter()
            .filter(|n| wanted.as_ref().is_none_or(|w| self.graph().name(*n).to_lowercase().contains(w)))
            .filter(there)
            .collect();
        let limit = limit.unwrap_or(MAX_ROWS);
        let mut out = table(&["class", "name", "id"], all.iter().take(limit).map(|n| self.row(*n)).collect());
        out.hidden = all.len().saturating_sub(limit);
        Ok(out)
    }

    /// The rows of a question: of one line under the names of its nodes, of all lines with the line's number before.
    fn question(
        &self,
        name: &str,
        line: Option<usize>,
        at: Option<Time>,
        limit: Option<usize>,
    ) -> Result<Output, QueryError> {
        let o = self.view.ontology();
        let question = o.questions.iter().find(|q| q.name == name);
        let question =
            question.ok_or_else(|| Self::unknown("question", name, o.questions.iter().map(|q| &q.name)))?;
        let lines = question.paths.len();
        if let Some(line) = line.filter(|l| !(1..=lines).contains(l)) {
            return Err(QueryError::NoLine { name: name.to_owned(), line, lines });
        }
        let as_of = at.map_or(self.view.as_of, |t| t.min(self.view.as_of));
        let mut walk = Walk::of(View { graph: self.view.graph, as_of });
        let mut columns: Vec<String> = Vec::new();
        let mut rows: Vec<Vec<Json>> = Vec::new();
        for (number, path) in (1..).zip(&question.paths).filter(|(n, _)| line.is_none_or(|l| l == *n)) {
            let titles = walk.columns(path);
            for row in walk.line(path)? {
                let names = walk.names(&row).into_iter().map(Json::from);
                rows.push(line.is_none().then(|| json!(number)).into_iter().chain(names).collect());
            }
            if line.is_some() {
                columns = titles;
            } else if columns.len() <= titles.len() {
                columns = std::iter::once("line".to_owned())
                    .chain((1..=titles.len()).map(|n| n.to_string()))
                    .collect();
            }
        }
        for row in &mut rows {
            row.resize(columns.len(), Json::Null);
        }
        let limit = limit.unwrap_or(MAX_ROWS);
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut out = table(&columns, Vec::new());
        out.hidden = rows.len().saturating_sub(limit);
        rows.truncate(limit);
        out.rows = rows;
        Ok(out)
    }

    fn show(&self, node: &NodeName, at: Option<Time>) -> Result<Output, QueryError> {
        let node = self.node(node)?;
        let g = self.graph();
        let mut rows = vec![
            vec![json!("id"), json!(g.id(node))],
            vec![json!("class"), json!(self.view.class_name(node))],
        ];
        for (attr, value) in g.attrs(node) {
            let name = g.ontology().attrs.get(attr.index()).map_or("?", |a| a.name.as_str());
            rows.push(vec![json!(name), json!(value)]);
        }
        if let Some(n) = g.node(node) {
            let time = |m: Option<ontology::Minute>| m.map_or(Json::Null, |m| json!(m.start().to_string()));
            rows.push(vec![json!("first seen"), time(n.seen.first())]);
            rows.push(vec![json!("last seen"), time(n.seen.last())]);
            rows.push(vec![json!("told by"), json!(g.node_sources(node).join(", "))]);
        }
        let at = at.unwrap_or(self.view.as_of);
        for hop in g.all_hops_at(node, at).into_iter().take(MAX_ROWS) {
            let relation = g.ontology().relations.get(hop.relation.index()).map_or("?", |r| r.name.as_str());
            let arrow = if hop.direction == Direction::Out {
                format!("-{relation}->")
            } else {
                format!("<-{relation}-")
            };
            let mut value = self.view.label(hop.node);
            let rules = self.view.concluded_by(hop.edge, at).join(", ");
            if !rules.is_empty() {
                value.push_str(&format!(" (concluded by {rules})"));
            }
            rows.push(vec![json!(arrow), json!(value)]);
        }
        Ok(table(&["what", "value"], rows))
    }

    fn neighbours(
        &self,
        node: &NodeName,
        hops: Option<usize>,
        at: Option<Time>,
        limit: Option<usize>,
    ) -> Result<Output, QueryError> {
        let node = self.node(node)?;
        let bounds = Bounds {
            hops: hops.unwrap_or(1).min(8),
            nodes: limit.unwrap_or(1_000).min(MAX_ROWS),
            weight: 0.0,
        };
        let at = at.unwrap_or(self.view.as_of);
        let found = self.view.neighbourhood(node, at, bounds, Along::Concluded, &[]);
        let rows = found
            .hops
            .iter()
            .map(|(from, hop)| {
                let relation = self
                    .graph()
                    .ontology()
                    .relations
                    .get(hop.relation.index())
                    .map_or("?", |r| r.name.as_str());
                let (a, b) =
                    if hop.direction == Direction::Out { (*from, hop.node) } else { (hop.node, *from) };
                vec![
                    json!(self.view.label(a)),
                    json!(relation),
                    json!(self.view.label(b)),
                    json!(self.graph().id(hop.node)),
                    json!(self.view.concluded_by(hop.edge, at).join(", ")),
                ]
            })
            .collect();
        let mut out = table(&["from", "relation", "to", "id", "concluded by"], rows);
        out.hidden = found.hidden;
        Ok(out)
    }

    fn path(&self, from: &NodeName, to: &NodeName, at: Option<Time>) -> Result<Output, QueryError> {
        let (from, to) = (self.node(from)?, self.node(to)?);
        let at = at.unwrap_or(self.view.as_of);
        let steps = self.view.path(from, to, at, Bounds::default()).unwrap_or_default();
        let rows = steps
            .iter()
            .map(|s| {
                let relation = self
                    .graph()
                    .ontology()
                    .relations
                    .get(s.hop.relation.index())
                    .map_or("?", |r| r.name.as_str());
                let arrow = if s.hop.direction == Direction::Out {
                    format!("-{relation}->")
                } else {
                    format!("<-{relation}-")
                };
                vec![
                    json!(self.view.label(s.from)),
                    json!(arrow),
                    json!(self.view.label(s.hop.node)),
                    json!(self.view.concluded_by(s.hop.edge, at).join(", ")),
                ]
            })
            .collect();
        Ok(table(&["from", "relation", "to", "concluded by"], rows))
    }

    #[expect(clippy::too_many_arguments, reason = "one argument per clause of the question")]
    fn series(
        &self,
        measure: MeasureId,
        subject: Option<NodeId>,
        filter: &Filter,
        dims: &[Dim],
        between: &Between,
        every: Option<i64>,
        show: Option<Show>,
    ) -> Output {
        let during = stretch(between);
        let unit = self.view.measure(measure).map_or("", |m| m.unit.as_str());
        let minutes = ((during.to.minute().0 - during.from.minute().0) as f64).max(1.0);
        let value = |agg: &Agg| match show {
            Some(s) => statistic(s, agg, minutes),
            None => self.view.shown(measure, agg),
        };
        let unit = match show {
            Some(s) => unit_of(s, unit),
            None => unit.to_owned(),
        };
        if show == Some(Show::Growth) {
            let every = every.unwrap_or(i64::MAX / 4);
            let points = self.view.growth(measure, subject, filter, during, every);
            let total = points.iter().map(|p| p.1).sum();
            let line = Line {
                name: "growth".to_owned(),
                points: points.iter().map(|(m, v)| (m.start().nanos() / 1_000_000, Some(*v))).collect(),
            };
            return Output {
                kind: "series",
                value: Some(total),
                unit,
                series: vec![line],
                ..table(&[], Vec::new())
            };
        }
        if let Some(every) = every {
            return self.lines(measure, subject, filter, dims, during, every, show, unit);
        }
        if dims.is_empty() {
            let agg = self.view.sum(measure, subject, filter, during);
            return Output { kind: "number", value: value(&agg), unit, ..table(&[], Vec::new()) };
        }
        let mut columns: Vec<String> = dims.iter().map(|d| d.name(self.graph())).collect();
        columns.extend(["count".to_owned(), show.map_or_else(|| "value".to_owned(), |s| s.to_string())]);
        let rows = self
            .view
            .group(measure, subject, filter, during, dims)
            .iter()
            .map(|(key, agg)| {
                let mut row: Vec<Json> =
                    key.iter().map(|n| n.map_or(Json::Null, |n| json!(self.graph().name(n)))).collect();
                row.extend([json!(agg.count), json!(value(agg))]);
                row
            })
            .collect::<Vec<_>>();
        let mut rows = rows;
        rows.sort_by_key(|r| r.iter().map(ToString::to_string).collect::<Vec<_>>());
        Output { unit, columns, ..table(&[], rows) }
    }

    #[expect(clippy::too_many_arguments, reason = "one argument per clause of the question")]
    fn lines(
        &self,
        measure: MeasureId,
        subject: Option<NodeId>,
        filter: &Filter,
        dims: &[Dim],
        during: Stretch,
        every: i64,
        show: Option<Show>,
        unit: String,
    ) -> Output {
        let mut named: std::collections::BTreeMap<String, Vec<&graph::Series>> =
            std::collections::BTreeMap::new();
        for s in self.view.series(measure, subject, filter) {
            let parts: Vec<String> = dims
                .iter()
                .map(|d| {
                    d.of(self.graph(), s.cohort).map_or_else(|| "none".to_owned(), |n| self.graph().name(n))
                })
                .collect();
            named.entry(parts.join(" · ")).or_default().push(s);
        }
        let lines = named
            .into_iter()
            .map(|(name, series)| {
                let points = self.view.timeline_of(&series, during, every);
                let value = |agg: &Agg| match show {
                    Some(s) => statistic(s, agg, every as f64),
                    None => self.view.shown(measure, agg),
                };
                let points =
                    points.iter().map(|(m, agg)| (m.start().nanos() / 1_000_000, value(agg))).collect();
                Line { name: if name.is_empty() { "all".to_owned() } else { name }, points }
            })
            .collect();
        Output { kind: "series", unit, series: lines, ..table(&[], Vec::new()) }
    }

    #[expect(clippy::too_many_arguments, reason = "one argument per clause of the question")]
    fn flow(
        &self,
        relation: RelationId,
        from: NodeId,
        to: NodeId,
        filter: &Filter,
        between: &Between,
        every: Option<i64>,
        show: Show,
        asked: bool,
    ) -> Output {
        let during = stretch(between);
        let edges: Vec<graph::EdgeId> = self
            .graph()
            .hops(from)
            .into_iter()
            .filter(|h| h.relation == relation && h.direction == Direction::Out && h.node == to)
            .map(|h| h.edge)
            .collect();
        let side = if asked { Side::Asked } else { Side::Answered };
        let unit = unit_of(show, "ms");
        if let Some(every) = every {
            let points = self.view.flow_timeline(&edges, side, filter, during, every);
            let points = points
                .iter()
                .map(|(m, agg)| (m.start().nanos() / 1_000_000, statistic(show, agg, every as f64)))
                .collect();
            let line =
                Line { name: format!("{} → {}", self.graph().name(from), self.graph().name(to)), points };
            return Output { kind: "series", unit, series: vec![line], ..table(&[], Vec::new()) };
        }
        let minutes = ((during.to.minute().0 - during.from.minute().0) as f64).max(1.0);
        let value = statistic(show, &self.view.flow(&edges, side, filter, during), minutes);
        Output { kind: "number", value, unit, ..table(&[], Vec::new()) }
    }

    fn changes(&self, between: &Between, touching: Option<NodeId>) -> Result<Output, QueryError> {
        let (class, relation) = (self.class("Change")?, self.relation("changed")?);
        // These names are not the asker's.
        self.renamed.borrow_mut().clear();
        let mut rows = Vec::new();
        for (at, node) in self.view.events(class, stretch(between)) {
            let targets = self.view.targets(node, relation);
            let near = |t: &NodeId| {
                touching.is_none_or(|x| *t == x || self.graph().hops(*t).iter().any(|h| h.node == x))
            };
            if touching.is_none() || targets.iter().any(near) {
                let names: Vec<String> = targets.iter().map(|t| self.view.label(*t)).collect();
                rows.push(vec![
                    json!(at.to_string()),
                    json!(self.view.label(node)),
                    json!(names.join(", ")),
                    json!(self.graph().id(node)),
                ]);
            }
        }
        Ok(table(&["at", "change", "of", "id"], rows))
    }
}

/// A statistic of a summary.
pub fn statistic(show: Show, agg: &Agg, minutes: f64) -> Option<f64> {
    match show {
        Show::Count => Some(agg.tries()),
        Show::Rate => Some(agg.count as f64 / minutes.max(1.0)),
        Show::Bad => Some(agg.bad_tries()),
        Show::Ratio => agg.ratio(),
        Show::Mean => agg.mean(),
        Show::Geomean => agg.log_mean().map(f64::exp),
        Show::Quantile(q) => agg.quantile(q),
        Show::Growth => None,
    }
}

fn unit_of(show: Show, unit: &str) -> String {
    match show {
        Show::Count | Show::Bad => "items".to_owned(),
        Show::Rate => "items/min".to_owned(),
        Show::Ratio => "1".to_owned(),
        Show::Mean | Show::Geomean | Show::Quantile(_) | Show::Growth => unit.to_owned(),
    }
}
