//! Dependencies: which operation behind the views adds what its callees do not explain, and the way from there to the user.

use super::Expert;
use crate::case::Case;
use crate::finding::{Ask, Channel, Findings, Kind, Missing, Task, evidence};
use crate::rank::{GraphRanker, Ranker};
use crate::vocabulary::Tier;
use graph::NodeId;
use query::text::Show;

/// Follows the calls.
pub(super) struct Dependencies;

/// Candidates that become findings.
const NAMED: usize = 6;
/// Most nats of a component's own part.
const MOST: f64 = 8.0;
/// Nats against every component of the backend when the operations users enter by are as they were.
const INNOCENT: f64 = -6.0;

impl Expert for Dependencies {
    fn name(&self) -> &'static str {
        "dependencies"
    }

    fn duty(&self) -> &'static str {
        "follow the calls behind the views and find who adds time or errors of its own"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let view = case.view;
        let Some(backend) = case.backend else {
            return Findings::lacking(
                "calls behind the views",
                "no trace joins these views to the operations that serve them",
            );
        };
        let mut out = Findings::default();
        let Some(entry) = backend.entries.first().copied() else { return out };
        let show = if case.loss.table.ratio { Show::Ratio } else { Show::Mean };
        let entry_ask = Ask {
            measure: backend.measure,
            subject: Some(entry),
            people: &backend.part,
            except: None,
            during: case.windows.degraded,
            show: Some(show),
        };
        let before = Ask { during: case.windows.healthy, ..entry_ask.clone() };
        if backend.effect <= 0.0 {
            let claim = format!("{} is as it was: the backend is not slower for anyone", view.label(entry));
            let told = evidence(
                view,
                self.name(),
                claim,
                &entry_ask.query(view),
                before.value(view),
                INNOCENT,
                vec![case.chart(&view.graph.name(entry), &entry_ask)],
            );
            let llr = [0.0, 0.0, INNOCENT];
            out.sides.push(crate::finding::Side {
                channel: Channel::Component,
                llr,
                shares: None,
                evidence: vec![(Tier::Backend, told)],
            });
            return out;
        }
        let Some((scene, node_of)) = backend.scene(case) else { return out };
        out.looked_at = scene.components.len();
        let ranking = GraphRanker.rank(&scene);
        out.missing.extend(
            ranking
                .missing
                .iter()
                .map(|m| Missing { what: m.clone(), why: "not measured behind these views".to_owned() }),
        );
        let total = scene.components.len().max(2) as f64;
        // Behind these views healthy times look as bad: what stands out by a sign alone is the infrastructure expert's to tell.
        let named = if ranking.gate.lets_through() { NAMED } else { 0 };
        for candidate in ranking.candidates.iter().take(named) {
            let Some(node) = node_of.get(&candidate.component).copied() else { continue };
            let service = super::changes::services_of(case, node);
            let entities: Vec<NodeId> = service.into_iter().chain([node]).collect();
            let llr = (candidate.probability.max(1e-6) * total).ln().clamp(-MOST, MOST);
            let part =
                candidate.part.map_or_else(String::new, |p| format!(" ({:.0} % of the loss)", p * 100.0));
            let mut told = Vec::new();
            let operation = view.graph.node(node).is_some_and(|n| n.class == case.vocabulary.operation);
            if operation {
                let ask = Ask { subject: Some(node), ..entry_ask.clone() };
                let healthy = Ask { during: case.windows.healthy, ..ask.clone() };
                let claim =
                    format!("{} adds time of its own that no callee explains{part}", view.label(node));
                let charts = vec![case.chart(&view.graph.name(node), &ask)];
                told.push(evidence(
                    view,
                    self.name(),
                    claim,
                    &ask.query(view),
                    healthy.value(view),
                    llr,
                    charts,
                ));
            }
            out.say(Kind::Component, entities.clone(), Channel::Component, llr, told);
            if candidate.probability > 0.05 {
                out.tasks.push(Task {
                    expert: "infrastructure",
                    text: format!("what {} runs on", view.label(node)),
                    about: entities,
                });
            }
        }
        out
    }
}
