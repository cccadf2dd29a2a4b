//! Checkpoints: the graph and the tallies written beside the log, so that a start reads what came since and not all that ever came,
//! and so that the log may let its oldest segments go.
//!
//! A checkpoint names the first record that may not be in it. Records from there on are read again; the few of them that are in it
//! already are known, because folding is idempotent. It means nothing under another ontology: then the log is read.

use crate::apart;
use crate::intake::{Engine, EngineError, lock};
use crate::sources::Sources;
use graph::{Fold, Part, Restore};
use ontology::{Ontology, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use store::{CheckpointDamage, Keep, Store};

/// How much of the log is kept besides what no checkpoint has yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepLog {
    /// Hours of it. Older segments are let go.
    pub hours: i64,
    /// Bytes of it. Beyond: the oldest segments are let go.
    pub bytes: u64,
}

impl Default for KeepLog {
    fn default() -> Self {
        // As far back as the graph reaches, so that it can be made again under another ontology.
        KeepLog { hours: graph::Limits::default().hours, bytes: 64 << 30 }
    }
}

/// Parts that are read ahead of those that are put into the graph: some megabytes.
const AHEAD: usize = 8;

/// A checkpoint that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// The first record that may not be in it.
    pub from_seq: u64,
    /// Its size.
    pub bytes: u64,
    /// Segments of the log that were let go.
    pub segments_let_go: usize,
}

/// What a start began with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// The first record that was read from the log, when the rest came from a checkpoint.
    pub checkpoint: Option<u64>,
    /// Checkpoints that were there and could not be used, with why.
    pub passed_over: Vec<String>,
    /// Records that the log has let go and no checkpoint told of: what they said is not in the graph.
    pub missing: u64,
}

/// What stands before the parts of the graph.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// The form of the parts of the graph.
    form: u32,
    /// The program that wrote it.
    program: String,
    /// The ontology's name, version and fingerprint.
    ontology: String,
    /// What was said to be apart.
    apart: BTreeSet<(u64, u64)>,
}

impl Head {
    fn new(ontology: &Ontology, apart: impl IntoIterator<Item = (u64, u64)>) -> Head {
        Head {
            form: graph::Checkpoint::FORM,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            ontology: ontology.stamp(),
            apart: apart.into_iter().collect(),
        }
    }

    /// Why what was written under one is of no use under another.
    fn differs(&self, now: &Head) -> Option<String> {
        let Head { form, program, ontology, apart } = self;
        if (form, program) != (&now.form, &now.program) {
            return Some(format!("it was written by another version of the program ({program})"));
        }
        if *ontology != now.ontology {
            return Some(format!("it was written under another ontology ({ontology})"));
        }
        (*apart != now.apart).then(|| "other things were kept apart when it was written".to_owned())
    }
}

/// Requests that may be in the log and are not in the graph yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<Flights>>);

#[derive(Debug, Default)]
struct Flights {
    next: u64,
    /// By number: the first record that the request may be.
    from: BTreeMap<u64, u64>,
    /// The same of the first that was left between the log and the graph, as when its sender went away.
    left: Option<u64>,
}

/// One of them; whoever drops it without saying how it ended has left it.
#[derive(Debug)]
pub(crate) struct Flight {
    of: InFlight,
    number: u64,
}

impl InFlight {
    /// To be called before a request is logged.
    pub(crate) fn begin(&self, store: &Store) -> Flight {
        let mut flights = lock(&self.0);
        let number = flights.next;
        flights.next += 1;
        flights.from.insert(number, store.next_seq());
        drop(flights);
        Flight { of: self.clone(), number }
    }

    /// The first record that may not be in the graph.
    fn first(&self, store: &Store) -> u64 {
        let flights = lock(&self.0);
        let first = flights.from.values().min().copied();
        first.into_iter().chain(flights.left).chain([store.next_seq()]).min().unwrap_or(1)
    }
}

impl Flight {
    /// It is in the graph, or nowhere.
    pub(crate) fn end(self) {
        lock(&self.of.0).from.remove(&self.number);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flights = lock(&self.of.0);
        if let Some(from) = flights.from.remove(&self.number) {
            flights.left = Some(flights.left.map_or(from, |left| left.min(from)));
        }
    }
}

/// A writer and tallies as a checkpoint has them, and where to read on.
type Restored = (Fold, Sources, u64);

impl Engine {
    /// Writes the graph beside the log and lets go of what the log need not hold any longer. Requests are taken and questions answered
    /// meanwhile. Nothing when the latest checkpoint has all that came.
    ///
    /// # Errors
    /// When it cannot be written. The ones before are still there then.
    pub fn checkpoint(&self, now: Time) -> Result<Option<Checkpointed>, EngineError> {
        let _one = lock(&self.checkpointing);
        self.fold_what_was_left();
        let tail = self.tail_bytes();
        // What begins after this is behind it in the log.
        let from_seq = self.in_flight.first(self.store());
        let latest = self.store().checkpoints().first().map(|latest| latest.from_seq);
        if latest == Some(from_seq) && !self.made_anew.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let (graph, sources, head, anew) = {
            // Whoever makes the graph anew holds it.
            let mut fold = lock(&self.fold);
            let anew = self.made_anew.swap(false, Ordering::Relaxed);
            let head = Head::new(fold.ontology(), fold.kept_apart());
            (fold.checkpoint(), lock(&self.sources).clone(), head, anew)
        };
        let failed = |why: String| EngineError::Document { what: "a checkpoint".to_owned(), why };
        let json = |text: serde_json::Result<Vec<u8>>| text.map_err(|e| e.to_string());
        let first = [json(serde_json::to_vec(&head)), json(serde_json::to_vec(&sources))].into_iter();
        let parts = first.chain(graph.parts().map(|part| part.map_err(|e| e.to_string())));
        let written = self.store().put_checkpoint(from_seq, parts).map_err(|e| {
            self.made_anew.fetch_or(anew, Ordering::Relaxed);
            failed(e.to_string())
        })?;
        self.mark_tail(tail);
        let segments_let_go = self.trim_log(now).map_err(|e| failed(e.to_string()))?;
        Ok(Some(Checkpointed { from_seq, bytes: written.bytes, segments_let_go }))
    }

    /// Writes a checkpoint, keeps it alone, and lets go of what the log need not hold any longer; says how many segments that were.
    /// While a server runs, [`Engine::checkpoint`] is better: it has another checkpoint to fall back to.
    ///
    /// # Errors
    /// When the checkpoint cannot be written. The ones before are still there then.
    pub fn compact(&self, now: Time) -> Result<usize, EngineError> {
        let written = self.checkpoint(now)?;
        let failed = |e: std::io::Error| EngineError::Document {
            what: "the log within its bounds".to_owned(),
            why: e.to_string(),
        };
        // What was just written is read before it is relied on.
        let checkpoints = self.store().checkpoints();
        let Some((latest, older)) = checkpoints.split_first() else { return Ok(0) };
        if let Some(damage) = self.store().read_checkpoint(latest).find_map(Result::err) {
            return Err(EngineError::Document { what: "a checkpoint".to_owned(), why: damage.to_string() });
        }
        for checkpoint in older {
            self.store().remove_checkpoint(checkpoint).map_err(failed)?;
        }
        let let_go = self.trim_log(now).map_err(failed)?;
        Ok(let_go + written.map_or(0, |w| w.segments_let_go))
    }

    /// Lets go of segments of the log that every checkpoint has and that are beyond what is kept; says how many.
    fn trim_log(&self, now: Time) -> std::io::Result<usize> {
        // Should the latest turn out damaged, the one before it and the log from there on must do.
        let Some(oldest) = self.store().checkpoints().into_iter().min() else { return Ok(0) };
        let since = now.plus_secs(self.keep_log.hours.saturating_mul(-3_600));
        let keep = Keep { from_seq: oldest.from_seq, since_ns: since.nanos(), bytes: self.keep_log.bytes };
        self.store().retain(keep)
    }

    /// Reads from the log what was left between it and the graph.
    fn fold_what_was_left(&self) {
        let Some(from) = lock(&self.in_flight.0).left.take() else { return };
        let mut reader = self.reader();
        // Those that were not left are tallied already.
        let mut untold = Sources::default();
        self.replay(from, &mut reader.normaliser, (&mut lock(&self.fold), &mut untold), &mut |_| {});
        self.put_back(reader);
    }

    /// The latest checkpoint that can be used.
    pub(crate) fn restore(&self, progress: &mut impl FnMut((u64, u64))) -> (Option<Restored>, Begun) {
        let mut begun = Begun::default();
        for checkpoint in self.store().checkpoints() {
            // What comes next would get numbers that it seems to have already.
            if checkpoint.from_seq > self.store().next_seq() {
                begun.passed_over.push(format!("{}: it has more than the log", checkpoint.file));
                // If it cannot be removed it is passed over again next time.
                let _ = self.store().remove_checkpoint(&checkpoint);
                continue;
            }
            match self.read_checkpoint(&checkpoint, progress) {
                Ok((fold, sources)) => {
                    begun.checkpoint = Some(checkpoint.from_seq);
                    return (Some((fold, sources, checkpoint.from_seq)), begun);
                }
                // Damage names its file itself.
                Err(why) if why.starts_with(&checkpoint.file) => begun.passed_over.push(why),
                Err(why) => begun.passed_over.push(format!("{}: {why}", checkpoint.file)),
            }
        }
        self.made_anew.store(true, Ordering::Relaxed);
        begun.missing = self.store().first_seq().map_or(0, |first| first.saturating_sub(1));
        (None, begun)
    }

    fn read_checkpoint(
        &self,
        checkpoint: &store::Checkpoint,
        progress: &mut impl FnMut((u64, u64)),
    ) -> Result<(Fold, Sources), String> {
        let mut parts = self.store().read_checkpoint(checkpoint);
        let next = |parts: &mut store::Parts| {
            let missing = || "its beginning is missing".to_owned();
            parts.next().ok_or_else(missing)?.map_err(|damage: CheckpointDamage| damage.to_string())
        };
        let not_ours = |e: serde_json::Error| format!("its beginning cannot be read: {e}");
        let head: Head = serde_json::from_slice(&next(&mut parts)?).map_err(not_ours)?;
        let ontology = self.ontology();
        if let Some(why) = head.differs(&Head::new(&ontology, apart::pairs(&lock(&self.apart)))) {
            return Err(why);
        }
        let sources: Sources = serde_json::from_slice(&next(&mut parts)?).map_err(not_ours)?;
        let trust = ontology.mapping.trust.clone();
        let mut restore = Restore::new(ontology, trust, self.limits);
        std::thread::scope(|scope| {
            let (send, ahead) = sync_channel(AHEAD);
            scope.spawn(move || {
                while let Some(part) = parts.next() {
                    let part = part.map_err(|damage| damage.to_string());
                    let part = part.and_then(|bytes| Part::read(&bytes).map_err(|e| e.to_string()));
                    // Whoever takes them has had enough.
                    if send.send((part, parts.progress())).is_err() {
                        return;
                    }
                }
            });
            for (part, read) in ahead {
                restore.take(part?).map_err(|e| e.to_string())?;
                progress(read);
            }
            Ok::<_, String>(())
        })?;
        let mut fold = restore.finish().map_err(|e| e.to_string())?;
        fold.keep_apart(head.apart);
        Ok((fold, sources))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{keep, open, options};
    use crate::{Started, Understood};
    use ingest::Wire;
    use std::path::Path;

    const NOW: i64 = 1_795_500_000;

    fn now() -> Time {
        Time::EPOCH.plus_secs(NOW)
    }

    fn understood(engine: &Engine, n: usize) -> Understood {
        let body = format!(
            r#"{{"kind": "Component", "metadata": {{"namespace": "shop", "name": "service-{n}"}}, "spec": {{"dependsOn": ["component:shop/service-{}"]}}}}"#,
            n / 2
        );
        engine.read(Wire::feed("catalog"), body.into(), now()).unwrap()
    }

    fn post(engine: &Engine, n: usize) {
        let understood = understood(engine, n);
        keep(engine, &understood);
        engine.fold(&understood);
    }

    fn told(engine: &Engine) -> String {
        engine.graph().canonical()
    }

    fn reopened(folder: &Path) -> (Engine, Started) {
        open(folder).unwrap()
    }

    fn file(folder: &Path, begin: &str) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let mut found: Vec<_> =
            entries.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with(begin)).collect();
        found.sort();
        found
    }

    #[test]
    fn a_start_takes_the_graph_from_the_checkpoint_and_the_rest_from_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        (0..20).for_each(|n| post(&engine, n));
        assert!(engine.tail_bytes() > 0);
        let written = engine.checkpoint(now()).unwrap().unwrap();
        assert_eq!((written.from_seq, engine.tail_bytes()), (21, 0));
        assert_eq!(engine.checkpoint(now()).unwrap(), None, "nothing came since");
        (15..30).for_each(|n| post(&engine, n));
        let (before, sources) = (told(&engine), engine.sources());
        drop(engine);
        let (engine, started) = reopened(folder.path());
        assert_eq!((started.begun.checkpoint, started.replayed), (Some(21), 15));
        assert_eq!((told(&engine), engine.sources()), (before.clone(), sources));
        // And again, of a checkpoint of what was read from one.
        engine.checkpoint(now()).unwrap().unwrap();
        drop(engine);
        let (engine, started) = reopened(folder.path());
        assert_eq!((started.begun.checkpoint, started.replayed, told(&engine)), (Some(36), 0, before));
    }

    #[test]
    fn what_is_logged_and_not_yet_folded_or_was_left_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        post(&engine, 1);
        let slow = understood(&engine, 2);
        keep(&engine, &slow);
        let left = understood(&engine, 3);
        keep(&engine, &left);
        post(&engine, 4);
        let first = engine.checkpoint(now()).unwrap().unwrap();
        assert_eq!(first.from_seq, 2, "the second is between the log and the graph");
        // Its sender went away: it is in the log, so it belongs into the graph.
        drop(left);
        engine.fold(&slow);
        let second = engine.checkpoint(now()).unwrap().unwrap();
        assert_eq!(second.from_seq, 5);
        let class = engine.ontology().class("Service").unwrap();
        assert_eq!(engine.graph().of_class(class).len(), 5, "service-0 to service-4");
        let before = told(&engine);
        drop(engine);
        assert_eq!(told(&reopened(folder.path()).0), before);
    }

    #[test]
    fn a_damaged_checkpoint_is_passed_over_for_the_one_before_and_then_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        for n in 0..3 {
            post(&engine, n);
            engine.checkpoint(now()).unwrap().unwrap();
        }
        let before = told(&engine);
        drop(engine);
        let files = file(folder.path(), "checkpoint-");
        assert_eq!(files.len(), 2);
        let (mut used, mut passed) = (Vec::new(), Vec::new());
        for damaged in files.iter().rev() {
            let mut bytes = std::fs::read(damaged).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::write(damaged, bytes).unwrap();
            let (engine, started) = reopened(folder.path());
            assert_eq!(told(&engine), before);
            used.push(started.begun.checkpoint);
            passed.push(started.begun.passed_over.len());
        }
        assert_eq!((used, passed), (vec![Some(3), None], vec![1, 2]));
        // The next one takes the place of the damaged one although nothing came.
        let (engine, _) = reopened(folder.path());
        assert!(engine.checkpoint(now()).unwrap().is_some());
        drop(engine);
        assert_eq!(reopened(folder.path()).1.begun.checkpoint, Some(4));
    }

    #[test]
    fn a_checkpoint_of_another_ontology_or_of_more_than_the_log_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        (0..3).for_each(|n| post(&engine, n));
        engine.checkpoint(now()).unwrap().unwrap();
        let before = told(&engine);
        drop(engine);
        let site = ontology::SourceFile {
            name: "classes.yaml".to_owned(),
            text: "classes:\n  site:\n    Pump: {is: Component, key: [name], attrs: {name: string}, doc: \"Pumps.\"}\n".to_owned(),
        };
        let other = Arc::new(ontology::load(&[site]).unwrap());
        let (engine, started) = Engine::open(&options(folder.path()), other, |_| {}).unwrap();
        assert_eq!((started.begun.checkpoint, started.replayed), (None, 3));
        assert!(started.begun.passed_over[0].contains("another ontology"), "{started:?}");
        assert_eq!(told(&engine), before);
        drop(engine);
        for segment in file(folder.path(), "log-") {
            std::fs::remove_file(segment).unwrap();
        }
        let (engine, started) = reopened(folder.path());
        assert!(started.begun.passed_over[0].contains("more than the log"), "{started:?}");
        assert!(file(folder.path(), "checkpoint-").is_empty() && engine.graph().nodes().next().is_none());
    }

    #[test]
    fn compacting_leaves_one_checkpoint_that_has_everything() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        for n in 0..3 {
            post(&engine, n);
            engine.checkpoint(now()).unwrap().unwrap();
        }
        post(&engine, 3);
        let before = told(&engine);
        assert_eq!(engine.compact(now()).unwrap(), 0, "the newest segment stays");
        assert_eq!(file(folder.path(), "checkpoint-").len(), 1);
        drop(engine);
        let (engine, started) = reopened(folder.path());
        assert_eq!((started.begun.checkpoint, started.replayed, told(&engine)), (Some(5), 0, before));
    }
}
