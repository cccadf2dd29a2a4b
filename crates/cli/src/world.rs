//! Simulated worlds through the inner rooms without a network: wire bytes in, answer out.

use autosre::{Options, ask};
use graph::{Fold, Graph, Limits};
use ingest::{Normaliser, Wire};
use ontology::{Ontology, Time};
use query::View;
use sim::{Plan, World};
use std::sync::Arc;

/// The form in which a payload of a world travels.
pub fn wire(wire: sim::Wire) -> Wire {
    match wire {
        sim::Wire::Traces => Wire::TracesProto,
        sim::Wire::Metrics => Wire::MetricsProto,
        sim::Wire::Logs => Wire::LogsProto,
        sim::Wire::Feed(name) => Wire::feed(name),
    }
}

/// Key that worlds are hashed with: nothing in them is personal, and scores must not depend on chance.
const WORLD_KEY: [u8; 32] = [7; 32];

/// Plays a whole world into a graph; returns it with the question an SRE would ask at the end.
pub fn play(plan: Plan, ontology: &Arc<Ontology>) -> anyhow::Result<(Graph, String)> {
    let options = ingest::Options { hash_key: WORLD_KEY, limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(ontology), options);
    let mut fold = Fold::new(Arc::clone(ontology), ontology.mapping.trust.clone(), Limits::default());
    let mut world = World::new(plan);
    for payload in world.by_ref() {
        let wire = wire(payload.wire);
        let recorded = Time::EPOCH.plus_nanos(payload.at_ns);
        let batch =
            normaliser.normalise(&wire, &payload.body, recorded).map_err(|m| anyhow::anyhow!("{m}"))?;
        fold.fold(&batch, recorded);
    }
    Ok((fold.graph(), world.question()))
}

/// Plays a world and answers its question.
pub fn answer(plan: Plan, ontology: &Arc<Ontology>) -> anyhow::Result<serde_json::Value> {
    let (graph, question) = play(plan, ontology)?;
    let view = View::latest(&graph);
    Ok(serde_json::to_value(ask(&view, &question, &Options::default())?)?)
}
