//! How much of the picture is there: what was seen of each class, relation and measure, which source of the mapping gives
//! what, how complete the joints are that questions rest on, and which questions cannot be answered for lack of what.

mod joints;
mod lack;
mod words;

pub use joints::{Cover, sentence};
pub use lack::{Giver, Missing, QuestionSeen, State};

use crate::View;
use graph::{Census, Count, Graph};
use ontology::mapping::Source;
use ontology::{ClassId, Gives, MeasureId, Ontology, Reads, RelationId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Joints of questions looked at. Beyond: further ones are left out.
pub const JOINTS: usize = 400;
/// Pairs of classes listed per relation: those with most edges.
const PAIRS: usize = 40;

/// A way in: who sends, what its requests hold, and where the docs speak of it.
#[derive(Clone, Debug)]
pub struct Inlet {
    /// Its name, as nodes and edges remember who told of them: `otlp`, `alertmanager`.
    pub name: String,
    /// Records that come through it.
    pub reads: Vec<Reads>,
    /// Where connecting it is described.
    pub page: String,
}

/// Something counted, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// What was seen of a class or a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// How many things, or edges.
    pub count: u64,
    /// When a source last saw one.
    pub last_seen: Option<String>,
    /// How many each way in told of, most first.
    pub told_by: Vec<Named>,
    /// Of a relation: between which classes its edges are, most first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<(String, String, u64)>,
}

/// One source of the mapping: what it gives, and what of that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceSeen {
    /// Its name in the mapping files: `otlp.span.server`.
    pub name: String,
    /// Kinds of records it reads.
    pub reads: Vec<String>,
    /// The ways in that such records come through.
    pub inlets: Vec<String>,
    /// Where connecting it is described.
    pub pages: Vec<String>,
    /// Classes it recognises, with how many things its ways in told of.
    pub classes: Vec<Named>,
    /// Relations it draws.
    pub relations: Vec<String>,
    /// Measures it reads, with how many things carry them.
    pub measures: Vec<Named>,
    /// Whether anything was seen that points to it: a measure it reads, or things of the classes that hardly another source of
    /// the same ways in gives.
    pub seen: bool,
}

/// The whole picture.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// The moment it is of.
    pub as_of: String,
    /// Classes that have nodes, in the ontology's order.
    pub classes: Vec<Seen>,
    /// Relations, in the ontology's order.
    pub relations: Vec<Seen>,
    /// Measures, with how many things carry them.
    pub measures: Vec<Named>,
    /// Sources of the mapping, in its order.
    pub sources: Vec<SourceSeen>,
    /// How complete the joints are, as sentences.
    pub coverage: Vec<Cover>,
    /// The questions, and what stands in the way of each.
    pub questions: Vec<QuestionSeen>,
}

/// The picture of a graph. `own` names the classes that are written here and not told by a source.
pub fn picture(graph: &Graph, inlets: &[Inlet], own: &[&str]) -> Picture {
    let o: &Ontology = graph.ontology();
    let joints = joints::joints(o);
    let ends: Vec<graph::End> = joints.iter().map(|j| j.end).collect();
    let census = graph.census(&ends);
    let gives = o.gives();
    let sources = sources(o, &gives, &census, inlets);
    let own: BTreeSet<ClassId> = own.iter().filter_map(|name| o.class(name)).collect();
    let mut coverage: Vec<Cover> = joints
        .iter()
        .zip(&census.joined)
        .filter(|(j, _)| j.told(o, &census, &own))
        .filter_map(|(j, n)| j.cover(o, &census, (*n)?))
        .collect();
    // Gaps first, the widest first of all; then what is not there at all; then what is whole.
    let order = |c: &Cover| match c.part {
        0 => 1,
        n if n >= c.whole => 2,
        _ => 0,
    };
    coverage.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.share.total_cmp(&b.share)));
    let lack = lack::Lack {
        o,
        gives: &gives,
        sources: &sources,
        census: &census,
        joined: joints.iter().map(|j| j.end).zip(census.joined.iter().copied()).collect(),
        own,
    };
    let ids = || (0..).map(ClassId).zip(&o.classes);
    Picture {
        as_of: View::latest(graph).as_of.to_string(),
        classes: ids()
            .filter(|(_, c)| !c.is_abstract)
            .filter_map(|(id, c)| Some(seen(&c.name, census.classes.get(id.index())?, Vec::new())))
            .collect(),
        relations: (0..)
            .map(RelationId)
            .zip(&o.relations)
            .filter_map(|(id, r)| {
                Some(seen(&r.name, census.relations.get(id.index())?, pairs(o, &census, id)))
            })
            .collect(),
        measures: o
            .measures
            .iter()
            .zip(&census.measured)
            .map(|(m, count)| Named { name: m.name.clone(), count: *count })
            .collect(),
        coverage,
        questions: o.questions.iter().map(|q| lack.of(q)).collect(),
        sources,
    }
}

fn seen(name: &str, count: &Count, pairs: Vec<(String, String, u64)>) -> Seen {
    let mut told_by: Vec<Named> =
        count.sources.iter().map(|(name, n)| Named { name: name.clone(), count: *n }).collect();
    told_by.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    Seen {
        name: name.to_owned(),
        count: count.all,
        last_seen: count.last.map(|m| m.start().to_string()),
        told_by,
        pairs,
    }
}

fn pairs(o: &Ontology, census: &Census, relation: RelationId) -> Vec<(String, String, u64)> {
    let (first, last) = (ClassId(0), ClassId(u16::MAX));
    let mut all: Vec<(String, String, u64)> = census
        .pairs
        .range((relation, first, first)..=(relation, last, last))
        .map(|((_, a, b), n)| (o.class_name(*a).to_owned(), o.class_name(*b).to_owned(), *n))
        .collect();
    all.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
    all.truncate(PAIRS);
    all
}

fn read_name(reads: &Reads) -> String {
    match reads {
        Reads::Resource => "resource",
        Reads::Span => "span",
        Reads::SpanEvent => "span_event",
        Reads::Log => "log",
        Reads::Metric => "metric",
        Reads::Feed(name) => name,
    }
    .to_owned()
}

/// A source named after a way in reads what comes by it, except OpenTelemetry's, whose conventions others follow.
fn meant(inlet: &Inlet, source: &Source, inlets: &[Inlet]) -> bool {
    let first = source.name.split('.').next().unwrap_or_default();
    let by_name = |r: &Reads| matches!(r, Reads::Feed(name) if *name == inlet.name);
    source.reads.iter().any(by_name)
        || first == "otlp"
        || first == inlet.name
        || inlets.iter().all(|i| i.name != first)
}

fn sources(o: &Ontology, gives: &[Gives], census: &Census, inlets: &[Inlet]) -> Vec<SourceSeen> {
    let told = |class: ClassId, through: &[&Inlet]| -> u64 {
        let by = census.classes.get(class.index()).map(|c| &c.sources);
        through.iter().filter_map(|i| by?.get(&i.name)).sum()
    };
    let measured = |m: MeasureId| census.measured.get(m.index()).copied().unwrap_or(0);
    let mut givers: BTreeMap<ClassId, usize> = BTreeMap::new();
    for class in gives.iter().flat_map(|g| &g.classes) {
        *givers.entry(*class).or_default() += 1;
    }
    let all = o.mapping.sources.iter().zip(gives);
    all.map(|(source, gives)| {
        let through: Vec<&Inlet> = inlets
            .iter()
            .filter(|i| i.reads.iter().any(|r| source.reads.contains(r)) && meant(i, source, inlets))
            .collect();
        let fewest = gives.classes.iter().filter_map(|c| givers.get(c)).min();
        let telling = gives.classes.iter().filter(|c| givers.get(c) == fewest);
        let seen = if gives.measures.is_empty() {
            telling.map(|c| told(*c, &through)).sum::<u64>() > 0
        } else {
            gives.measures.iter().any(|m| measured(*m) > 0)
        };
        let pages: BTreeSet<String> = through.iter().map(|i| i.page.clone()).collect();
        let relations: BTreeSet<&str> = gives.relations.iter().map(|r| o.relation_name(r.0)).collect();
        SourceSeen {
            name: source.name.clone(),
            reads: source.reads.iter().map(read_name).collect(),
            inlets: through.iter().map(|i| i.name.clone()).collect(),
            pages: pages.into_iter().collect(),
            classes: gives
                .classes
                .iter()
                .map(|c| Named { name: o.class_name(*c).to_owned(), count: told(*c, &through) })
                .collect(),
            relations: relations.into_iter().map(str::to_owned).collect(),
            measures: gives
                .measures
                .iter()
                .filter_map(|m| {
                    Some(Named { name: o.measures.get(m.index())?.name.clone(), count: measured(*m) })
                })
                .collect(),
            seen,
        }
    })
    .collect()
}
