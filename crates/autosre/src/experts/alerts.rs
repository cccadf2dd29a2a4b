//! Alerts: who already claims that something is wrong, and how much such a claim has been worth.

use super::Expert;
use crate::case::Case;
use crate::finding::{Channel, Findings, Kind, evidence, node_name};
use graph::NodeId;
use ontology::{Stretch, Time};
use query::Query;
use std::collections::BTreeMap;

/// Looks at alerts.
pub(super) struct Alerts;

/// Nats of an alert that was quiet until the onset.
const FRESH: f64 = 2.0;
/// Minutes after the onset within which an alert is taken to be about it.
const SOON_MINUTES: i64 = 20;

impl Expert for Alerts {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn duty(&self) -> &'static str {
        "read the alerts around the onset and weigh down those that flap"
    }

    fn look(&self, case: &Case<'_>) -> Findings {
        let mut out = Findings::default();
        let (view, v) = (case.view, case.vocabulary);
        let onset = case.loss.onset.start();
        let all = Stretch { from: Time::EPOCH, to: case.windows.degraded.to };
        let mut times: BTreeMap<NodeId, Vec<(Time, NodeId)>> = BTreeMap::new();
        for (at, alert) in view.events(v.signal, all) {
            for about in view.targets(alert, v.about) {
                times.entry(about).or_default().push((at, alert));
            }
        }
        if times.is_empty() {
            return Findings::lacking("alerts", "no alert was reported");
        }
        for (about, fired) in times {
            out.looked_at += fired.len();
            let soon = Stretch { from: onset.plus_secs(-120), to: onset.plus_secs(SOON_MINUTES * 60) };
            let Some((_, alert)) = fired.iter().find(|f| soon.contains(f.0)) else { continue };
            // An alert that also fired on so many occasions without a loss is worth that much less.
            let before = fired.iter().filter(|f| f.0 < soon.from).count();
            let llr = FRESH / (1.0 + before as f64);
            let claim = if before == 0 {
                format!(
                    "{} fired within {SOON_MINUTES} min of the onset and was quiet before",
                    view.label(*alert)
                )
            } else {
                format!("{} flaps: it fired {before} times before the onset", view.label(*alert))
            };
            let query = Query::Show { node: node_name(view, about), at: None };
            let told = evidence(view, self.name(), claim, &query, None, llr, Vec::new());
            out.say(Kind::Component, vec![about], Channel::Alerts, llr, vec![told]);
        }
        out
    }
}
