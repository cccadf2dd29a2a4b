//! How much of the picture is there: the ways in, and what came of them.

use crate::{Coverage, Engine};
use ingest::Wire;
use query::picture::{Inlet, Picture, picture, sentence};
use std::collections::BTreeMap;

/// Classes whose nodes are written here, when a regression is noticed.
const OWN: &[&str] = &["Regression", "Cohort", "Snapshot"];
/// Where the docs tell how to connect OpenTelemetry, and everything else.
const TELEMETRY: &str = "docs/connect.md#opentelemetry";
const OTHERS: &str = "docs/sources.md";

impl Engine {
    /// Every way in that the mapping reads, whether or not it has sent anything.
    pub fn inlets(&self) -> Vec<Inlet> {
        let ontology = self.ontology();
        let mut inlets: BTreeMap<String, Inlet> = BTreeMap::new();
        let feeds = ontology.mapping.feed_names().into_iter().map(Wire::feed);
        for wire in Wire::plain().chain(feeds) {
            let page = if wire.source() == "otlp" { TELEMETRY } else { OTHERS };
            let inlet = inlets.entry(wire.source().to_owned()).or_insert_with(|| Inlet {
                name: wire.source().to_owned(),
                reads: Vec::new(),
                page: page.to_owned(),
            });
            for read in wire.reads() {
                if !inlet.reads.contains(&read) {
                    inlet.reads.push(read);
                }
            }
        }
        inlets.into_values().collect()
    }

    /// What was seen of the ontology, how complete it is, and which questions lack what. Walks the whole graph: not for every
    /// request.
    pub fn picture(&self) -> Picture {
        picture(&self.graph(), &self.inlets(), OWN)
    }

    /// How much of what came found its place; a share of nothing is not told.
    pub fn placed(&self) -> Vec<Coverage> {
        let totals = self.totals();
        let (items, refused) = self.sources().iter().fold((0, 0), |(i, r), s| (i + s.items, r + s.refused));
        let rows = [
            ("of items were understood", items.saturating_sub(refused), items),
            ("of steps of traces were joined to the step that asked", totals.joined, totals.steps),
            ("of facts were kept within the limits", totals.facts, totals.facts + totals.left_out),
        ];
        rows.into_iter()
            .filter(|(_, _, all)| *all > 0)
            .map(|(what, part, all)| Coverage {
                text: sentence(part, all, what),
                share: (part as f64 / all as f64).min(1.0),
            })
            .collect()
    }
}
