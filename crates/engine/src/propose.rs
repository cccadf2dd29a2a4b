//! What a site could add to its ontology, from the requests kept last.

use crate::intake::{Engine, lock};
use ingest::{Limits, Normaliser, Options, Wire};
use ontology::Time;
use ontology::propose::{Proposals, propose};
use ontology::survey::Survey;

/// Requests that are looked at unless more are asked for: the newest of the log.
pub const LOOK_AT: u64 = 1000;
/// Requests that are looked at at most.
pub const LOOK_AT_MOST: u64 = 20_000;
/// Bytes of requests that are looked at. Beyond: the rest is left for the next time.
const LOOK_AT_BYTES: u64 = 256 << 20;

impl Engine {
    /// What the newest requests of the log suggest to add to the ontology, with the evidence; names that fewer than a share of
    /// records carry are left out. Changes nothing. Takes as long as reading these requests does.
    pub fn propose(&self, requests: u64, least: f64) -> Proposals {
        let ontology = self.ontology();
        let options = Options { hash_key: *lock(&self.hash_key), limits: Limits::default() };
        let mut normaliser = Normaliser::new(std::sync::Arc::clone(&ontology), options);
        let mut survey = Survey::default();
        let next = self.store().stats().next_seq;
        let from = next.saturating_sub(requests.min(LOOK_AT_MOST));
        // What is damaged was told at the start; what comes meanwhile is looked at next time.
        for record in self.store().replay(from).flatten().take_while(|r| r.seq < next) {
            if survey.bytes > LOOK_AT_BYTES {
                break;
            }
            let recorded = Time::EPOCH.plus_nanos(record.recorded_ns);
            match Wire::from_log(record.kind, &record.body) {
                Some((wire, body)) => normaliser.survey(&wire, body, recorded, &mut survey),
                None => survey.unreadable += 1,
            }
        }
        propose(&ontology, &survey, least, normaliser.hasher())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{keep, open};
    use ingest::Wire;
    use ontology::{Ontology, SourceFile, Time};
    use std::sync::Arc;

    #[test]
    fn what_is_proposed_lets_in_what_was_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        let recorded = Time::EPOCH.plus_secs(1_795_500_000);
        for i in 0..5 {
            let body = format!(
                r#"{{"kind": "capacity", "id": "c-{i}", "namespace": "shop", "workload_kind": "Deployment", "workloadName": "ratings-{i}",
                    "old": 2, "new": 3, "by": "ci", "ring": {i}, "approver": "jane{i}@example.org"}}"#
            );
            let understood = engine.read(Wire::feed("changes"), body.into(), recorded).unwrap();
            keep(&engine, &understood);
            engine.fold(&understood);
        }
        let workloads = || {
            let graph = engine.graph();
            graph.ontology().class("Workload").map_or(0, |c| graph.of_class(c).len())
        };
        assert_eq!(workloads(), 0);
        let told = engine.propose(1000, 0.0);
        let key = told.proposals.iter().find(|p| p.attribute == "workloadName");
        let key = key.unwrap_or_else(|| panic!("{told:?}"));
        assert_eq!(key.mapping, "renamed: {workloadName: workload}", "{key:?}");
        assert!(
            told.set_aside.iter().any(|s| s.reason.contains("no key of Workload is complete")),
            "{told:?}"
        );
        let text: String = told.files.iter().map(|f| f.text.as_str()).collect();
        assert!(text.contains("ring: int") && text.contains("hash:") && !text.contains("jane"), "{text}");
        assert_eq!(engine.propose(1000, 0.0), told, "the same again");
        let file = |f: &ontology::propose::File| SourceFile { name: f.name.clone(), text: f.text.clone() };
        let files: Vec<SourceFile> = told.files.iter().map(file).collect();
        let extended = ontology::load(&files).unwrap_or_else(|p| panic!("{p}\n{text}"));
        let reloaded = engine.reload(Arc::new(extended));
        assert_eq!(workloads(), 5, "{text}");
        assert!(reloaded.went_in >= 5, "{reloaded:?}");
        assert!(engine.propose(1000, 0.0).proposals.is_empty(), "nothing is proposed twice");
        engine.reload(Arc::new(Ontology::builtin()));
        assert_eq!(workloads(), 0);
    }
}
