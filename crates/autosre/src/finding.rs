//! What experts hand in: hypotheses, weights, and figures that anyone can ask for again.

use crate::vocabulary::{Tier, Vocabulary};
use graph::NodeId;
use ontology::{ClassId, MeasureId, Stretch};
use query::text::{Between, NodeName, Show};
use query::{Filter, Query, Term, View};
use serde::{Deserialize, Serialize};

/// What sort of cause a hypothesis names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A version and a treatment that only together do harm.
    Interaction,
    /// Something altered on purpose: a deployment, a rollout, a configuration.
    Change,
    /// A network provider or CDN site, perhaps in one place.
    Network,
    /// A machine.
    Infrastructure,
    /// A treatment: a flag's variant or an experiment's cell.
    Flag,
    /// A component by itself, with no change that explains it.
    Component,
}

/// One possible cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hypothesis {
    /// What sort.
    pub kind: Kind,
    /// What it names, most telling first.
    pub entities: Vec<NodeId>,
}

/// What sort of sight a weight rests on. Weights of one channel for one hypothesis do not add up: the strongest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Who suffers and who does not.
    Cohort,
    /// In which part the lost time went.
    Parts,
    /// What a component adds by itself.
    Component,
    /// It with against without, at the same time.
    Contrast,
    /// Whether it began when the loss began.
    Timing,
    /// Resources running out.
    Resource,
    /// What others already claim.
    Alerts,
}

impl Channel {
    /// How much a channel's nats count beside the others'. Parts and timing are shared by many hypotheses and easily met by
    /// chance; alerts repeat what measures say.
    pub fn weight(self) -> f64 {
        match self {
            Channel::Cohort | Channel::Component | Channel::Contrast | Channel::Parts => 1.0,
            Channel::Resource | Channel::Timing => 0.8,
            Channel::Alerts => 0.5,
        }
    }
}

/// A name for a chart and the query that draws it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChartQuery {
    /// What it shows.
    pub name: String,
    /// Its text.
    pub query: String,
}

/// One figure with what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// `e1`, `e2`, … in the order of the answer.
    pub id: String,
    /// Who found it.
    pub expert: String,
    /// What it says, in words.
    pub claim: String,
    /// The figure: exactly what `query` gives.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// The figure to compare it with.
    pub baseline: Option<f64>,
    /// Whether it speaks for the cause it stands under.
    pub supports: bool,
    /// Nats.
    pub strength: f64,
    /// The query that recomputes the figure.
    pub query: String,
    /// Queries for charts.
    pub chart_queries: Vec<ChartQuery>,
}

/// What an expert says of one hypothesis.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Of what.
    pub hypothesis: Hypothesis,
    /// From what sort of sight.
    pub channel: Channel,
    /// Nats for (against, when negative) this hypothesis compared with the others.
    pub llr: f64,
    /// The figures.
    pub evidence: Vec<Evidence>,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why it matters or is not there.
    pub why: String,
}

/// A task for an expert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// For whom.
    pub expert: &'static str,
    /// What to do, in words.
    pub text: String,
    /// Components to look at in particular.
    pub about: Vec<NodeId>,
}

/// What an expert hands in.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Findings.
    pub findings: Vec<Finding>,
    /// What was missing.
    pub missing: Vec<Missing>,
    /// Tasks that follow.
    pub tasks: Vec<Task>,
    /// How many things were compared.
    pub looked_at: usize,
    /// What speaks for or against whole sides.
    pub sides: Vec<Side>,
}

/// What speaks for or against every hypothesis of a side.
#[derive(Clone, Debug)]
pub struct Side {
    /// From what sort of sight.
    pub channel: Channel,
    /// Nats for client, network, backend.
    pub llr: [f64; 3],
    /// Shares of the lost time, where this is about time.
    pub shares: Option<[f64; 3]>,
    /// The figures, each with the side it is about.
    pub evidence: Vec<(Tier, Evidence)>,
}

impl Findings {
    /// Nothing, for want of something.
    pub fn lacking(what: &str, why: &str) -> Findings {
        Findings {
            missing: vec![Missing { what: what.to_owned(), why: why.to_owned() }],
            ..Findings::default()
        }
    }

    /// Adds a finding.
    pub fn say(
        &mut self,
        kind: Kind,
        entities: Vec<NodeId>,
        channel: Channel,
        llr: f64,
        evidence: Vec<Evidence>,
    ) {
        self.findings.push(Finding { hypothesis: Hypothesis { kind, entities }, channel, llr, evidence });
    }
}

/// One condition on people: they have one of some components of a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// What people call it: `DeviceModel maker Kanto`.
    pub label: String,
    /// The class.
    pub class: ClassId,
    /// Any of these.
    pub nodes: Vec<NodeId>,
}

/// The people who meet some conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct People(pub Vec<Condition>);

impl People {
    /// The cohorts of these people.
    pub fn filter(&self) -> Filter {
        self.0.iter().fold(Filter::all(), |f, c| f.with_any(c.nodes.clone()))
    }

    /// The same conditions less those of a class (or a kind of it).
    #[must_use]
    pub fn without(&self, view: &View<'_>, class: ClassId) -> People {
        People(self.0.iter().filter(|c| !view.ontology().is_a(c.class, class)).cloned().collect())
    }

    /// In words.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "everyone".to_owned();
        }
        self.0.iter().map(|c| c.label.clone()).collect::<Vec<_>>().join(" × ")
    }

    /// Every component named.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.0.iter().flat_map(|c| c.nodes.iter().copied()).collect()
    }

    fn terms(&self, view: &View<'_>) -> Vec<Term> {
        self.0.iter().map(|c| term(view, c.class, &c.nodes, true)).collect()
    }
}

fn term(view: &View<'_>, class: ClassId, nodes: &[NodeId], wanted: bool) -> Term {
    let class = view.ontology().classes.get(class.index()).map_or_else(String::new, |c| c.name.clone());
    let mut names: Vec<String> = nodes.iter().map(|n| view.graph.name(*n)).collect();
    names.sort();
    Term::of(class, wanted, names)
}

/// A node as queries name it.
pub fn node_name(view: &View<'_>, node: NodeId) -> NodeName {
    NodeName { class: view.class_name(node).to_owned(), name: view.graph.name(node) }
}

/// A stretch as queries name it.
pub fn between(during: Stretch) -> Between {
    Between { from: during.from, to: during.to }
}

/// What to ask of a measure.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The measure.
    pub measure: MeasureId,
    /// On what; on everything that carries it, or what `people` says, when `None`.
    pub subject: Option<NodeId>,
    /// By whom.
    pub people: &'a People,
    /// By whom not.
    pub except: Option<&'a Condition>,
    /// When.
    pub during: Stretch,
    /// Which statistic.
    pub show: Option<Show>,
}

impl Ask<'_> {
    /// The query. A condition of the measure's own class becomes its subject.
    pub fn query(&self, view: &View<'_>) -> Query {
        let measure = view.measure(self.measure);
        let of = measure.map(|m| m.of);
        let own = |c: &Condition| of.is_some_and(|of| view.ontology().is_a(c.class, of));
        let subject = self.subject.or_else(|| {
            self.people.0.iter().find(|c| own(c) && c.nodes.len() == 1).and_then(|c| c.nodes.first().copied())
        });
        let people = People(self.people.0.iter().filter(|c| !own(c)).cloned().collect());
        let mut terms = people.terms(view);
        if let Some(c) = self.except.filter(|c| !own(c)) {
            terms.push(term(view, c.class, &c.nodes, false));
        }
        Query::Series {
            measure: measure.map_or_else(String::new, |m| m.name.clone()),
            of: subject.map(|s| node_name(view, s)),
            terms: terms.into(),
            by: Vec::new(),
            between: between(self.during),
            every: None,
            show: self.show,
        }
    }

    /// The figure.
    pub fn value(&self, view: &View<'_>) -> Option<f64> {
        query::run::run(view, &self.query(view)).ok()?.value
    }

    /// The line over a longer stretch, a point per so many minutes.
    pub fn chart(&self, view: &View<'_>, name: &str, during: Stretch, every: i64) -> ChartQuery {
        let query = match self.query(view) {
            Query::Series { measure, of, terms, by, show, .. } => {
                Query::Series { measure, of, terms, by, between: between(during), every: Some(every), show }
            }
            other => other,
        };
        ChartQuery { name: name.to_owned(), query: query.to_string() }
    }
}

/// An evidence whose figure is what its query gives.
pub fn evidence(
    view: &View<'_>,
    expert: &str,
    claim: String,
    query: &Query,
    baseline: Option<f64>,
    llr: f64,
    chart_queries: Vec<ChartQuery>,
) -> Evidence {
    let output = query::run::run(view, query).ok();
    let value =
        output.as_ref().and_then(|o| o.value.or_else(|| (o.kind == "table").then_some(o.rows.len() as f64)));
    Evidence {
        id: String::new(),
        expert: expert.to_owned(),
        claim,
        value,
        unit: output.map_or_else(String::new, |o| if o.kind == "table" { "rows".to_owned() } else { o.unit }),
        baseline,
        supports: llr >= 0.0,
        strength: (llr.abs() * 100.0).round() / 100.0,
        query: query.to_string(),
        chart_queries,
    }
}

/// The side a hypothesis stands on: that of the most telling thing it names.
pub fn tier_of(view: &View<'_>, vocabulary: &Vocabulary, hypothesis: &Hypothesis) -> Option<Tier> {
    let tier = |n: &NodeId| {
        let class = view.graph.node(*n)?.class;
        vocabulary.tier(view.ontology(), class)
    };
    match hypothesis.kind {
        Kind::Network => Some(Tier::Network),
        Kind::Infrastructure => Some(Tier::Backend),
        _ => hypothesis.entities.iter().find_map(tier),
    }
}
