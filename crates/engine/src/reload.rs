//! Reading the log into a graph: at the start, and again when the ontology changes while the server runs.
//!
//! The log holds requests, not facts. So after a class, a mapping or a rule was mended everything is read again, and what was set
//! aside for want of it goes in. The new graph is built beside the old one, which answers meanwhile.

use crate::apart;
use crate::intake::{Engine, lock};
use crate::sources::{Reason, Sources};
use graph::Fold;
use ingest::{Limits, Normaliser, Options, Wire};
use ontology::{Ontology, Time};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::Damage;

/// Rounds in which what came meanwhile is read before requests have to wait for the last of it.
const ROUNDS: usize = 4;

/// What reading the log gave.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) requests: u64,
    /// Bytes of these.
    pub(crate) bytes: u64,
    /// Place and arrival of the first record.
    pub(crate) first: Option<(u64, Time)>,
    /// Arrival of the last.
    pub(crate) last: Option<Time>,
    /// Where to read on.
    pub(crate) next: u64,
    pub(crate) damage: Vec<Damage>,
    /// Requests that cannot be read, with the reason of the first.
    pub(crate) unreadable: Option<(u64, String)>,
}

/// What a change of the ontology did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reloaded {
    /// The ontology's name, version and fingerprint before.
    pub before: String,
    /// … and now.
    pub now: String,
    /// Requests read again.
    pub requests: u64,
    /// Items that were set aside before and no longer are, or the reverse when negative.
    pub went_in: i64,
    /// What was set aside before or is now, by source and reason.
    pub set_aside: Vec<StillAside>,
}

/// Items set aside for one reason, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StillAside {
    /// The source.
    pub source: String,
    /// The reason.
    pub reason: String,
    /// Items before.
    pub before: u64,
    /// Items now.
    pub now: u64,
}

impl Engine {
    /// Reads the log from a place on into a graph.
    pub(crate) fn replay(
        &self,
        from: u64,
        normaliser: &mut Normaliser,
        (fold, sources): (&mut Fold, &mut Sources),
        progress: &mut impl FnMut(u64),
    ) -> Replayed {
        let mut replayed = Replayed { next: from, ..Replayed::default() };
        for record in self.store().replay(from) {
            let record = match record {
                Ok(record) => record,
                Err(damage) => {
                    replayed.damage.push(damage);
                    continue;
                }
            };
            replayed.next = record.seq + 1;
            replayed.bytes += record.body.len() as u64;
            let recorded = Time::EPOCH.plus_nanos(record.recorded_ns);
            replayed.first = replayed.first.or(Some((record.seq, recorded)));
            replayed.last = replayed.last.max(Some(recorded));
            let read = match Wire::from_log(record.kind, &record.body) {
                Some((wire, body)) => normaliser.normalise(&wire, body, recorded).map_err(|m| m.to_string()),
                None => Err(format!("record kind {} is of another version", record.kind)),
            };
            match read {
                Ok(batch) => {
                    let folded = fold.fold(&batch, recorded);
                    sources.took(&batch, folded, recorded);
                    replayed.requests += 1;
                }
                Err(why) => {
                    let before = replayed.unreadable.take();
                    replayed.unreadable = Some(before.map_or((1, why), |(n, first)| (n + 1, first)));
                }
            }
            progress(replayed.requests);
        }
        replayed
    }

    /// Goes over to another ontology: reads the whole log under it into a new graph, then answers from that one. Takes as long as
    /// a start; requests are taken and questions answered meanwhile. Regressions, investigations and snapshots stay.
    pub fn reload(&self, ontology: Arc<Ontology>) -> Reloaded {
        let _one = lock(&self.reloading);
        let options = Options { hash_key: *lock(&self.hash_key), limits: Limits::default() };
        let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
        let mut new = Fold::new(Arc::clone(&ontology), ontology.mapping.trust.clone(), self.limits);
        new.keep_apart(apart::pairs(&lock(&self.apart)));
        new.hold_like(&lock(&self.fold));
        let mut sources = Sources::default();
        let mut requests = 0;
        let mut next = 0;
        let (mut first, mut damaged) = (None, false);
        let mut read_on = |new: &mut Fold, sources: &mut Sources, next: &mut u64| {
            let replayed = self.replay(*next, &mut normaliser, (new, sources), &mut |_| {});
            *next = replayed.next;
            first = first.or(replayed.first);
            damaged |= !replayed.damage.is_empty() || replayed.unreadable.is_some();
            new.not_whole_before(crate::epoch::whole_log(first, replayed.last, damaged));
            requests += replayed.requests;
            replayed.requests
        };
        for _ in 0..ROUNDS {
            if read_on(&mut new, &mut sources, &mut next) == 0 {
                break;
            }
        }
        let (before, set_aside) = {
            // No look at regressions while the graph under it changes, and no request folded into the wrong one.
            let _no_look = lock(&self.watch.ticking);
            let mut fold = lock(&self.fold);
            read_on(&mut new, &mut sources, &mut next);
            let mut old_sources = lock(&self.sources);
            sources.keep_unreadable(&old_sources);
            let set_aside = compare(&old_sources, &sources);
            *old_sources = sources;
            *fold = new;
            self.made_anew.store(true, Ordering::Relaxed);
            self.watch.let_go_of_epochs();
            let before = std::mem::replace(&mut *lock(&self.ontology), Arc::clone(&ontology));
            lock(&self.readers).clear();
            (before, set_aside)
        };
        let items = |count: fn(&StillAside) -> u64| {
            i64::try_from(set_aside.iter().map(count).sum::<u64>()).unwrap_or(i64::MAX)
        };
        let went_in = items(|s| s.before).saturating_sub(items(|s| s.now));
        Reloaded { before: before.stamp(), now: ontology.stamp(), requests, went_in, set_aside }
    }
}

fn compare(before: &Sources, now: &Sources) -> Vec<StillAside> {
    let mut all: Vec<StillAside> = Vec::new();
    for (which, sources) in [before, now].into_iter().enumerate() {
        for source in sources.report() {
            for Reason { reason, items, .. } in source.reasons {
                let known = all.iter().position(|s| s.source == source.name && s.reason == reason);
                let at = known.unwrap_or_else(|| {
                    let (source, reason) = (source.name.clone(), reason.clone());
                    all.push(StillAside { source, reason, before: 0, now: 0 });
                    all.len() - 1
                });
                if let Some(entry) = all.get_mut(at) {
                    if which == 0 { entry.before = items } else { entry.now = items }
                }
            }
        }
    }
    all.sort_by(|a, b| a.source.cmp(&b.source).then_with(|| a.reason.cmp(&b.reason)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{keep, open};
    use ontology::SourceFile;

    const SITE: &str = r#"
sources:
  site.balancers:
    reads: balancers
    LoadBalancer: {name: name}
    Service: {name: service}
"#;
    const CLASSES: &str = r#"
classes:
  site:
    LoadBalancer: {is: Component, key: [name], attrs: {name: string}, doc: "Spreads traffic."}
"#;

    fn site(mapping: &str) -> Arc<Ontology> {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        Arc::new(ontology::load(&[file("classes.yaml", CLASSES), file("mapping.yaml", mapping)]).unwrap())
    }

    fn post(engine: &Engine, body: &str) -> crate::Receipt {
        let recorded = Time::EPOCH.plus_secs(1_795_500_000);
        let understood = engine.read(Wire::feed("balancers"), body.to_owned().into(), recorded).unwrap();
        keep(engine, &understood);
        engine.fold(&understood)
    }

    fn found(engine: &Engine, class: &str) -> usize {
        let graph = engine.graph();
        let class = graph.ontology().class(class);
        class.map_or(0, |c| graph.of_class(c).len())
    }

    #[test]
    fn what_was_set_aside_goes_in_after_the_mapping_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        let refused = post(&engine, r#"{"lb": "lb-1", "service": "ratings"}"#);
        assert_eq!(refused.reasons.len(), 1, "nothing reads this feed yet: {refused:?}");
        assert_eq!(found(&engine, "LoadBalancer"), 0);
        // The first mapping reads another field than what is sent.
        let half = engine.reload(site(SITE));
        assert_eq!((half.requests, found(&engine, "Service"), found(&engine, "LoadBalancer")), (1, 1, 0));
        assert_ne!(half.before, half.now);
        let mended = engine.reload(site(&SITE.replace("name: name", "name: lb")));
        assert_eq!(found(&engine, "LoadBalancer"), 1);
        assert!(mended.now.starts_with("e2e/core 0.1.0+"), "{}", mended.now);
        // What comes now is read under the new one, and the same is there after a restart with it.
        post(&engine, r#"{"lb": "lb-2", "service": "ratings"}"#);
        assert_eq!(found(&engine, "LoadBalancer"), 2);
        drop(engine);
        let again = Engine::open(
            &crate::testing::options(folder.path()),
            site(&SITE.replace("name: name", "name: lb")),
            |_| {},
        );
        assert_eq!(found(&again.unwrap().0, "LoadBalancer"), 2);
    }

    #[test]
    fn a_request_that_was_read_before_the_change_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        let recorded = Time::EPOCH.plus_secs(1_795_500_000);
        let body = r#"{"name": "lb-1", "service": "ratings"}"#;
        let understood = engine.read(Wire::feed("balancers"), body.into(), recorded).unwrap();
        engine.reload(site(SITE));
        keep(&engine, &understood);
        engine.fold(&understood);
        assert_eq!(found(&engine, "LoadBalancer"), 1);
    }

    #[test]
    fn nothing_personal_reaches_the_disk_and_a_new_key_gives_new_ids() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        let session = |engine: &Engine| {
            let body = serde_json::json!({"resourceLogs": [{
                "resource": {"attributes": [{"key": "e2e.app.name", "value": {"stringValue": "tvui"}}]},
                "scopeLogs": [{"logRecords": [{"timeUnixNano": "1795500000000000000", "eventName": "session.start",
                    "attributes": [{"key": "session.id", "value": {"stringValue": "very-personal"}},
                        {"key": "client.address", "value": {"stringValue": "192.0.2.77"}}]}]}]}]});
            let recorded = Time::EPOCH.plus_secs(1_795_500_000);
            let understood = engine.read(Wire::LogsJson, body.to_string().into(), recorded).unwrap();
            keep(engine, &understood);
            engine.fold(&understood);
        };
        session(&engine);
        session(&engine);
        assert_eq!(found(&engine, "Session"), 1);
        engine.rotate_hash_key([8; 32]).unwrap();
        session(&engine);
        assert_eq!(found(&engine, "Session"), 2);
        drop(engine);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("very-personal") && !text.contains("192.0.2.77"));
        }
        // Reading the log needs no key: both ids are there again.
        let (engine, _) = open(folder.path()).unwrap();
        assert_eq!(found(&engine, "Session"), 2);
        session(&engine);
        assert_eq!(found(&engine, "Session"), 2, "and the new key was kept");
    }
}
