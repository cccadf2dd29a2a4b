//! openCypher over the temporal graph at ten million calls: what people on call ask, each question several times about other
//! services, and beside it the same walk by hand.

use super::graph::{CALLS, ENTITIES, Made, START_NS, folded, mixed};
use super::{Figure, peak_rss};
use anyhow::Context as _;
use graph::{Direction, Fold, Graph, NodeId};
use ontology::fact::{Fact, Ref};
use ontology::{Batch, ClassId, RelationId, Stretch, Time, Value};
use query::cypher::temporal::DateTime;
use query::cypher::{self, Call, Scope, Scoped, ask};
use rustc_hash::FxHashSet;
use rustix::time::{ClockId, clock_gettime};
use std::ops::ControlFlow;
use std::path::Path;

/// How often each question is asked, each time of another service.
const RUNS: usize = 40;
/// Services of one batch of the catalogue.
const PAGE: u64 = 4_000;
const AIM_MS: f64 = 20.0;

/// What is asked, and of which time: now, or over the last quarter of an hour.
struct Question {
    name: &'static str,
    text: &'static str,
    window: bool,
}

const fn now(name: &'static str, text: &'static str) -> Question {
    Question { name, text, window: false }
}

const fn lately(name: &'static str, text: &'static str) -> Question {
    Question { name, text, window: true }
}

/// `$name`, `$other`: services drawn evenly; `$names`: twenty of them; `$busy`: one of the hundred with most traffic.
const QUESTIONS: &[Question] = &[
    now("a service by name", "MATCH (s:Service {name: $name}) RETURN s"),
    now(
        "services of a list of names",
        "UNWIND $names AS n MATCH (s:Service {name: n}) RETURN n, s.tier ORDER BY n",
    ),
    now("whom it calls", "MATCH (:Service {name: $name})-[:depends_on]->(t) RETURN t.name, t.tier"),
    now(
        "who calls it, most first",
        "MATCH (:Service {name: $name})<-[d:depends_on]-(c) RETURN c.name, d.count AS calls ORDER BY calls DESC LIMIT 10",
    ),
    now(
        "critical callers of a busy one",
        "MATCH (:Service {name: $busy})<-[:depends_on]-(c) WHERE c.tier = 'critical' RETURN count(c)",
    ),
    now(
        "two steps down",
        "MATCH (:Service {name: $name})-[:depends_on]->(m)-[:depends_on]->(t) RETURN m.name, t.name LIMIT 100",
    ),
    now(
        "three steps down",
        "MATCH (:Service {name: $name})-[:depends_on]->(a)-[:depends_on]->(b)-[:depends_on]->(t) RETURN DISTINCT t.name LIMIT 100",
    ),
    now(
        "walks of up to four steps",
        "MATCH p = (:Service {name: $name})-[:depends_on*1..4]->(t) RETURN length(p), t.name LIMIT 100",
    ),
    now(
        "tiers of what it calls",
        "MATCH (:Service {name: $name})-[:depends_on]->(t) RETURN t.tier, count(*) AS n ORDER BY n DESC",
    ),
    lately(
        "slowest calls of a service",
        "MATCH (:Service {name: $name})-[d:depends_on]->(t) WHERE d.count > 0 RETURN t.name, d.p95_ms ORDER BY d.p95_ms DESC LIMIT 5",
    ),
    lately(
        "calls of a service that fail",
        "MATCH (:Service {name: $name})-[d:depends_on]->(t) WITH t, d.errors AS e WHERE e > 0 RETURN t.name, e ORDER BY e DESC LIMIT 5",
    ),
    lately(
        "error rate of a service as its callers see it",
        "MATCH (s:Service {name: $name})<-[d:depends_on]-() RETURN s.name, sum(d.errors) * 1.0 / sum(d.count)",
    ),
    now(
        "shortest way between two",
        "MATCH (a:Service {name: $name}), (b:Service {name: $other}) MATCH p = shortestPath((a)-[:depends_on*..6]->(b)) RETURN [n IN nodes(p) | n.name]",
    ),
    now(
        "callers of some, if any",
        "UNWIND $names AS n MATCH (s:Service {name: n}) OPTIONAL MATCH (s)<-[:depends_on]-(c {tier: 'critical'}) RETURN n, count(c)",
    ),
    now(
        "which of some depend on a busy one",
        "UNWIND $names AS n MATCH (s:Service {name: n}) WHERE EXISTS { (s)-[:depends_on]->(:Service {name: $busy}) } RETURN n",
    ),
    now(
        "callers as a list",
        "MATCH (s:Service {name: $name})<-[:depends_on]-(c) RETURN s.name, collect(c.name)[..20]",
    ),
    now(
        "callers of its worst dependency",
        "MATCH (:Service {name: $name})-[d:depends_on]->(t) WITH t, d.errors AS e ORDER BY e DESC LIMIT 1 MATCH (t)<-[:depends_on]-(c) WITH t, count(c) AS callers RETURN t.name, callers",
    ),
    now(
        "what two have in common",
        "MATCH (:Service {name: $name})-[:depends_on]->(t)<-[:depends_on]-(:Service {name: $other}) RETURN t.name",
    ),
    now("services of a tier", "MATCH (s:Service) WHERE s.tier = 'critical' RETURN s.name LIMIT 50"),
    now("services by tier", "MATCH (s:Service) RETURN s.tier, count(*) AS n ORDER BY n DESC"),
];

/// Processor time of this thread, in milliseconds.
fn thread_ms() -> f64 {
    let at = clock_gettime(ClockId::ThreadCPUTime);
    at.tv_sec as f64 * 1e3 + at.tv_nsec as f64 / 1e6
}

/// Tells of every service what a catalogue knows.
fn catalogued(fold: &mut Fold) -> anyhow::Result<()> {
    let graph = fold.graph();
    let o = graph.ontology();
    let made = Made::new(o, CALLS)?;
    let tier = o.attr(o.class("Service").context("no class Service")?, "tier").context("no tier")?;
    let at = Time::from_nanos(START_NS).context("the beginning")?;
    let latest = graph.latest().context("an empty graph")?;
    for first in (0..ENTITIES).step_by(usize::try_from(PAGE)?) {
        let mut batch = Batch { source: "catalog".to_owned(), ..Batch::default() };
        for thing in first..(first + PAGE).min(ENTITIES) {
            let mut draft = made.draft(thing);
            let tiers = ["low", "medium", "high", "critical"];
            let of = tiers.get(mixed(thing).trailing_zeros().min(3) as usize).copied().unwrap_or("low");
            draft.attrs.push((tier, Value::Text(of.into())));
            batch.facts.push(Fact::Seen { entity: Ref(u32::try_from(batch.drafts.len())?), at });
            batch.drafts.push(draft);
        }
        fold.fold(&batch, latest);
    }
    Ok(())
}

/// Draws services.
struct Draw(u64);

impl Draw {
    fn number(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0) % below
    }

    fn service(&mut self, below: u64) -> cypher::Value {
        cypher::Value::text(format!("service-{}", self.number(below)))
    }

    fn parameters(&mut self) -> cypher::Map {
        let names = (0..20).map(|_| self.service(ENTITIES)).collect();
        [
            ("name", self.service(ENTITIES)),
            ("other", self.service(ENTITIES)),
            ("busy", self.service(100)),
            ("names", cypher::Value::list(names)),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
    }
}

fn p95(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() * 95 / 100).copied().unwrap_or(0.0)
}

/// Processor time of each question, and of three steps walked by hand and in the language.
pub(super) fn cypher(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let (mut fold, _) = folded(CALLS)?;
    catalogued(&mut fold)?;
    let graph = fold.graph();
    drop(fold);
    let latest = graph.latest().context("an empty graph")?;
    let figure = |name: String, times: &mut [f64], peer, peer_value: f64, n: u64| {
        let total = times.iter().sum::<f64>() / 1e3;
        let value = p95(times);
        Figure {
            name,
            value,
            unit: "ms p95",
            cpu_seconds: total,
            peer,
            peer_value,
            ratio: value / peer_value,
            peak_rss_bytes: peak_rss(),
            n,
        }
    };
    let (mut all, mut figures, mut slowest) = (Vec::new(), Vec::new(), (0.0, ""));
    for question in QUESTIONS {
        let scope = if question.window {
            Scope::Between(Stretch { from: latest.plus_secs(-900), to: latest })
        } else {
            Scope::At(latest.plus_nanos(-1))
        };
        let (mut draw, mut times, mut found) = (Draw(11), Vec::new(), 0);
        // The first asking fills what readers share and is not counted.
        for run in 0..=RUNS {
            let call =
                Call { parameters: draw.parameters(), now: DateTime::utc(latest.nanos()), ..Call::default() };
            let begin = thread_ms();
            let answer = ask(&Scoped::new(&graph, scope), question.text, &call)
                .map_err(|e| anyhow::anyhow!("{}: {e}", question.name))?;
            if run > 0 {
                times.push(thread_ms() - begin);
                found += answer.rows.len() as u64;
            }
        }
        all.extend_from_slice(&times);
        let of_one = figure(format!("cypher: {}", question.name), &mut times, "aim", AIM_MS, found);
        if of_one.value > slowest.0 {
            slowest = (of_one.value, question.name);
        }
        figures.push(of_one);
    }
    let asked = all.len() as u64;
    figures.push(by_hand(&graph, latest)?);
    figures.push(figure(format!("cypher: all, slowest `{}`", slowest.1), &mut all, "aim", AIM_MS, asked));
    Ok(figures)
}

/// Everything two steps below a service: in the language, and by the same walk against the graph.
fn by_hand(graph: &Graph, latest: Time) -> anyhow::Result<Figure> {
    let o = graph.ontology();
    let class = o.class("Service").context("no class Service")?;
    let relation = o.relation("depends_on").context("no relation depends_on")?;
    let at = latest.plus_nanos(-1);
    let text = "MATCH (:Service {name: $name})-[:depends_on]->()-[:depends_on]->(t) RETURN count(DISTINCT t)";
    let (mut draw, mut asked, mut walked, mut reached) = (Draw(13), Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let parameters = draw.parameters();
        let name = match parameters.get("name") {
            Some(cypher::Value::Text(name)) => name.to_string(),
            _ => String::new(),
        };
        let call = Call { parameters, ..Call::default() };
        let begin = thread_ms();
        let answer = ask(&Scoped::new(graph, Scope::At(at)), text, &call)
            .map_err(|e| anyhow::anyhow!("two steps: {e}"))?;
        asked.push(thread_ms() - begin);
        let begin = thread_ms();
        let count = below(graph, class, relation, &name, at);
        walked.push(thread_ms() - begin);
        let said = answer.rows.first().and_then(|r| r.first()).cloned();
        anyhow::ensure!(
            matches!(said, Some(cypher::Value::Int(n)) if usize::try_from(n).ok() == Some(count)),
            "below {name} the language finds {said:?}, a walk by hand {count}"
        );
        reached += count as u64;
    }
    let total = asked.iter().sum::<f64>();
    let (value, floor) = (p95(&mut asked), p95(&mut walked));
    Ok(Figure {
        name: "cypher: all two steps down".to_owned(),
        value,
        unit: "ms p95",
        cpu_seconds: total / 1e3,
        peer: "the walk by hand",
        peer_value: floor,
        ratio: value / floor,
        peak_rss_bytes: peak_rss(),
        n: reached,
    })
}

fn below(graph: &Graph, class: ClassId, relation: RelationId, name: &str, at: Time) -> usize {
    let mut found: FxHashSet<NodeId> = FxHashSet::default();
    for start in graph.all_named(class, name) {
        let _ = graph.each_hop(start, Direction::Out, &[relation], |first, _| {
            if graph.holds(first.edge, at) {
                let _ = graph.each_hop(first.node, Direction::Out, &[relation], |second, _| {
                    // An edge is taken once on a walk.
                    if second.edge != first.edge && graph.holds(second.edge, at) {
                        found.insert(second.node);
                    }
                    ControlFlow::Continue(())
                });
            }
            ControlFlow::Continue(())
        });
    }
    found.len()
}
