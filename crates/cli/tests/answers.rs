//! Whole answers, from wire bytes to the document an SRE reads: that they are the same for the same facts, that every number
//! in them can be had again, and that a question about nothing is answered so.

use autosre::{Answer, Options, Status, ask};
use graph::{Fold, Graph, Limits};
use ingest::{Normaliser, Wire};
use ontology::{Batch, Ontology, Time};
use query::View;
use sim::{Plan, Scale, Scenario, World};
use std::sync::Arc;

const START_NS: i64 = 1_795_500_000_000_000_000;

/// A world as batches of facts with their times of arrival, and the question asked at its end.
fn batches(scenario: Scenario, ontology: &Arc<Ontology>) -> (Vec<(Batch, Time)>, String) {
    let plan = Plan { scenario, seed: 3, start_ns: START_NS, scale: Scale::SCORE };
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(ontology), options);
    let mut world = World::new(plan);
    let batches = world
        .by_ref()
        .map(|payload| {
            let wire = match payload.wire {
                sim::Wire::Traces => Wire::TracesProto,
                sim::Wire::Metrics => Wire::MetricsProto,
                sim::Wire::Logs => Wire::LogsProto,
                sim::Wire::Feed(name) => Wire::feed(name),
            };
            let at = Time::EPOCH.plus_nanos(payload.at_ns);
            (normaliser.normalise(&wire, &payload.body, at).unwrap(), at)
        })
        .collect();
    (batches, world.question())
}

fn fold<'a>(batches: impl IntoIterator<Item = &'a (Batch, Time)>, ontology: &Arc<Ontology>) -> Graph {
    let trust = ontology.mapping.trust.clone();
    let mut fold = Fold::new(Arc::clone(ontology), trust, Limits::default());
    for (batch, at) in batches {
        fold.fold(batch, *at);
    }
    fold.graph()
}

fn answer(graph: &Graph, question: &str) -> Answer {
    ask(&View::latest(graph), question, &Options::default()).unwrap()
}

/// The figure that a query gives: its number, or how many rows it has.
fn figure(view: &View<'_>, text: &str) -> Option<f64> {
    let output = query::run::ask(view, text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let output = serde_json::to_value(output).unwrap();
    match output["kind"].as_str() {
        Some("number") => output["value"].as_f64(),
        _ => output["rows"].as_array().map(|rows| rows.len() as f64),
    }
}

fn every_number_comes_again(graph: &Graph, answer: &Answer) {
    let view = View::latest(graph);
    let mut looked = 0;
    for e in answer
        .causes
        .iter()
        .flat_map(|c| &c.evidence)
        .chain(answer.ruled_out.iter().flat_map(|r| &r.evidence))
    {
        let again = figure(&view, &e.query);
        let (Some(said), Some(again)) = (e.value, again) else {
            assert_eq!(e.value, again, "{}: {}", e.claim, e.query);
            continue;
        };
        assert!((said - again).abs() <= 1e-9 * said.abs(), "{said} is {again}: {} {}", e.claim, e.query);
        for chart in &e.chart_queries {
            query::run::ask(&view, &chart.query).unwrap_or_else(|e| panic!("{}: {e}", chart.query));
        }
        looked += 1;
    }
    assert!(looked > 5, "{looked} pieces of evidence");
}

#[test]
fn the_same_facts_late_repeated_and_in_another_order_give_the_same_bytes() {
    let ontology = Arc::new(Ontology::builtin());
    let (batches, question) = batches(Scenario::VersionCell, &ontology);
    let graph = fold(&batches, &ontology);
    let straight = answer(&graph, &question);
    assert_eq!(straight.status, Status::Explained, "{}", straight.headline);
    every_number_comes_again(&graph, &straight);
    // Every 97th batch comes at the very end, every 89th twice, and all others backwards in groups of 50.
    let late = batches.iter().step_by(97);
    let again = batches.iter().step_by(89);
    let mut others: Vec<&(Batch, Time)> =
        batches.iter().enumerate().filter(|(i, _)| i % 97 != 0).map(|(_, b)| b).collect();
    others.chunks_mut(50).for_each(<[_]>::reverse);
    let other = fold(others.into_iter().chain(again).chain(late), &ontology);
    assert_eq!(
        serde_json::to_string_pretty(&answer(&other, &question)).unwrap(),
        serde_json::to_string_pretty(&straight).unwrap(),
    );
}

#[test]
fn a_fault_in_the_backend_is_explained_with_numbers_that_come_again() {
    let ontology = Arc::new(Ontology::builtin());
    let (batches, question) = batches(Scenario::BackendDependency, &ontology);
    let graph = fold(&batches, &ontology);
    let answer = answer(&graph, &question);
    assert_eq!((answer.status, answer.tier.verdict.as_str()), (Status::Explained, "backend"), "{answer:#?}");
    every_number_comes_again(&graph, &answer);
}

#[test]
fn where_nothing_regressed_the_answer_says_so_and_an_unknown_thing_is_called_unknown() {
    let ontology = Arc::new(Ontology::builtin());
    let (batches, question) = batches(Scenario::Healthy, &ontology);
    let graph = fold(&batches, &ontology);
    let well = answer(&graph, &question);
    assert_eq!((well.status, well.causes.len()), (Status::NothingWrong, 0), "{}", well.headline);
    let unknown = answer(&graph, "Why is the flurb slow?");
    assert_eq!(unknown.status, Status::NotUnderstood);
    assert!(unknown.headline.contains("flurb"), "{}", unknown.headline);
    let slip = answer(&graph, "Why is lolomoo TTR regresing?");
    assert_eq!(slip.status, Status::NothingWrong, "{}", slip.headline);
}
