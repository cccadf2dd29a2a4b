//! From a request to the graph: read, log, fold, answer; and the same from the log after a restart.

use crate::apart::{self, Apart};
use crate::checkpoint::{Begun, Flight, InFlight, KeepLog};
use crate::sources::{Sources, Used};
use crate::watch::Watch;
use graph::{Fold, Graph, Limits, Totals};
use ingest::{Normaliser, Scrub, Wire};
use ontology::{Batch, Ontology, Time};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use store::{AppendError, CommitError, Damage, OpenError, Recovery, Store};

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept.
    pub data: PathBuf,
    /// Bounds of the graph.
    pub limits: Limits,
    /// How much of the log is kept.
    pub keep_log: KeepLog,
    /// The key that personal data is hashed with, if the folder has none yet. Kept in the folder from then on.
    pub new_hash_key: [u8; 32],
    /// What to do when the folder holds telemetry and its key is gone.
    pub lost_hash_key: LostHashKey,
}

/// What to do when the folder holds telemetry and the key that its personal data is hashed with is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LostHashKey {
    /// Do not open it: with another key the same sessions and devices would get other ids than those already told.
    #[default]
    Refuse,
    /// Go on with a new key.
    Replace,
}

/// What opening found.
#[derive(Clone, Debug)]
pub struct Started {
    /// What the store had to mend.
    pub recovery: Recovery,
    /// What it began with, before the log.
    pub begun: Begun,
    /// Requests replayed from the log.
    pub replayed: u64,
    /// Damage met while replaying; everything around it was read.
    pub damage: Vec<Damage>,
    /// Requests in the log that this version cannot read, with the reason of the first.
    pub unreadable: Option<(u64, String)>,
    /// Investigations that cannot be read. They stay on disk as they are; the rest was read.
    pub unread: Vec<Unread>,
}

/// How far opening is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// So many bytes of a checkpoint are read, of so many.
    Checkpoint(u64, u64),
    /// So many requests have been replayed from the log.
    Replayed(u64),
}

/// A document that was left aside at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its name.
    pub document: String,
    /// Why it cannot be read.
    pub why: String,
}

/// Why an engine cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder is not to be had.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// It holds telemetry, and the key that its personal data is hashed with is gone.
    #[error(
        "the data folder {} holds telemetry, but the key that its personal data is hashed with (doc-{HASH_KEY}) is gone: with a new \
         key, sessions, profiles and devices get other ids than before, so that nothing told or linked earlier matches them. Put \
         doc-{HASH_KEY} back from a copy of the folder, or go on with new ids by starting `e2egraph serve` with --new-hash-key once",
        .0.display()
    )]
    HashKeyGone(PathBuf),
    /// A document in it cannot be read or written.
    #[error("keeping {what} in the data folder: {why}")]
    Document {
        /// Which document.
        what: String,
        /// Why not.
        why: String,
    },
}

/// An accepted request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Items in the request.
    pub items: u64,
    /// Items of them that were sent wrongly and set aside whole. What was understood in part, or has no place in the
    /// mapping, is not counted here: the sender did nothing that sending otherwise would mend.
    pub rejected: u64,
    /// Everything that was set aside, whole items first, most frequent reason first.
    pub reasons: Vec<SetAside>,
}

/// One reason for which something of a request was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Short and stable.
    pub reason: String,
    /// How many items.
    pub items: u64,
    /// An example: which field, which value.
    pub detail: String,
    /// Whether whole items were sent wrongly, which their sender should know.
    pub rejected: bool,
}

/// A refused request: nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read; sending it again will not help.
    #[error("{0}")]
    Malformed(String),
    /// It is too large; sending it again will not help.
    #[error("the request has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The largest that is taken.
        limit: u64,
    },
    /// Too much is waiting to be written; try again soon.
    #[error("too much is waiting to be written: {0}")]
    Busy(String),
    /// It could not be written; try again later.
    #[error("it could not be written: {0}")]
    Unwritten(String),
}

/// A request that was read, before it is logged and folded.
pub struct Understood {
    batch: Batch,
    /// Without personal data.
    wire: Wire,
    /// The same.
    body: bytes::Bytes,
    recorded: Time,
    /// What it was read under.
    ontology: Arc<Ontology>,
    /// From when it is logged until it is folded.
    flight: Mutex<Option<Flight>>,
}

/// What reads requests: both have caches of their own, none influences what is said.
pub(crate) struct Reader {
    ontology: Arc<Ontology>,
    hash_key: [u8; 32],
    scrub: Scrub,
    pub(crate) normaliser: Normaliser,
}

impl Understood {
    /// Whether nothing was in it, so that there is nothing to keep.
    fn is_empty(&self) -> bool {
        self.batch.items == 0 && self.batch.facts.is_empty()
    }
}

/// The whole: log, graph, regressions. Shared by reference between threads.
pub struct Engine {
    /// What is read under now. Replaced while `fold` is held.
    pub(crate) ontology: Mutex<Arc<Ontology>>,
    store: Store,
    pub(crate) hash_key: Mutex<[u8; 32]>,
    /// Readers not in use right now.
    pub(crate) readers: Mutex<Vec<Reader>>,
    pub(crate) fold: Mutex<Fold>,
    pub(crate) limits: graph::Limits,
    pub(crate) sources: Mutex<Sources>,
    pub(crate) watch: Watch,
    pub(crate) apart: Mutex<Vec<Apart>>,
    /// One change of the ontology at a time.
    pub(crate) reloading: Mutex<()>,
    pub(crate) keep_log: KeepLog,
    pub(crate) in_flight: InFlight,
    /// One checkpoint at a time.
    pub(crate) checkpointing: Mutex<()>,
    /// The graph was made of the log alone, or under another ontology: no checkpoint is of use to it.
    pub(crate) made_anew: AtomicBool,
    /// Bytes of requests that were replayed, and those logged since, of which the latest checkpoint knows nothing.
    replayed_bytes: AtomicU64,
    checkpointed_bytes: AtomicU64,
}

const HASH_KEY: &str = "hash-key";
/// Readers kept for reuse. Beyond: made and dropped per request.
const IDLE_READERS: usize = 16;

/// What a poisoned lock guards is still whole: every change under these locks is complete or not begun.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Opens a data folder: takes the graph from its latest checkpoint and folds what came into the log since.
    ///
    /// # Errors
    /// When the folder cannot be had: held by another server, read-only, of a later version, without the key of its hashes, or
    /// damaged beyond reading.
    pub fn open(
        options: &Options,
        ontology: Arc<Ontology>,
        mut progress: impl FnMut(Opening),
    ) -> Result<(Engine, Started), EngineError> {
        let (store, recovery) = Store::open(store::Options::in_dir(&options.data))?;
        let hash_key = hash_key(&store, options)?;
        let trust = ontology.mapping.trust.clone();
        let (watch, unread) = Watch::open(&store)?;
        let apart = apart::read(&store)?;
        let mut fold = Fold::new(Arc::clone(&ontology), trust, options.limits);
        fold.keep_apart(apart::pairs(&apart));
        let engine = Engine {
            watch,
            readers: Mutex::default(),
            fold: Mutex::new(fold),
            apart: Mutex::new(apart),
            limits: options.limits,
            sources: Mutex::default(),
            ontology: Mutex::new(ontology),
            store,
            hash_key: Mutex::new(hash_key),
            reloading: Mutex::default(),
            keep_log: options.keep_log,
            in_flight: InFlight::default(),
            checkpointing: Mutex::default(),
            made_anew: AtomicBool::new(false),
            replayed_bytes: AtomicU64::new(0),
            checkpointed_bytes: AtomicU64::new(0),
        };
        let (restored, begun) = engine.restore(&mut |(read, of)| progress(Opening::Checkpoint(read, of)));
        let mut from = 0;
        if let Some((fold, sources, seq)) = restored {
            *lock(&engine.fold) = fold;
            *lock(&engine.sources) = sources;
            from = seq;
        }
        let mut started =
            Started { recovery, begun, replayed: 0, damage: Vec::new(), unreadable: None, unread };
        let mut first = engine.reader();
        let mut fold = lock(&engine.fold);
        let mut sources = lock(&engine.sources);
        let into = (&mut *fold, &mut *sources);
        let replayed =
            engine.replay(from, &mut first.normaliser, into, &mut |n| progress(Opening::Replayed(n)));
        drop((fold, sources));
        engine.replayed_bytes.store(replayed.bytes, Ordering::Relaxed);
        engine.put_back(first);
        let damaged = !replayed.damage.is_empty() || replayed.unreadable.is_some();
        let first = replayed.first.filter(|_| started.begun.checkpoint.is_none());
        lock(&engine.fold).not_whole_before(crate::epoch::whole_log(first, replayed.last, damaged));
        started.replayed = replayed.requests;
        started.damage = replayed.damage;
        started.unreadable = replayed.unreadable;
        Ok((engine, started))
    }

    // A request is taken in three steps, so that the caller may take each where it does not hold others up.

    /// First step: takes personal data out of a request and reads it into facts. Takes as long as the request is large.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, wire: Wire, body: bytes::Bytes, recorded: Time) -> Result<Understood, Refusal> {
        let mut reader = self.reader();
        let (wire, body) = match reader.scrub.scrub(&wire, &body) {
            Some((wire, clean)) => (wire, clean.into()),
            None => (wire, body),
        };
        let read = reader.normaliser.normalise(&wire, &body, recorded).map_err(|m| m.to_string());
        let ontology = Arc::clone(&reader.ontology);
        self.put_back(reader);
        match read {
            Ok(batch) => Ok(Understood { batch, wire, body, recorded, ontology, flight: Mutex::default() }),
            Err(why) => {
                lock(&self.sources).malformed(&wire, &why, recorded);
                Err(Refusal::Malformed(why))
            }
        }
    }

    /// Second step: logs a request and waits until it is safe. To be folded in any case afterwards.
    ///
    /// # Errors
    /// When it is too large or cannot be written now. Nothing of it is kept then.
    pub async fn keep(&self, understood: &Understood) -> Result<(), Refusal> {
        let Understood { wire, body, recorded, .. } = understood;
        if understood.is_empty() {
            return Ok(());
        }
        let logged = match wire.logged(body) {
            Cow::Borrowed(_) => body.clone(),
            Cow::Owned(whole) => whole.into(),
        };
        // From here on it may be in the log, also when nobody waits for it any more.
        let flight = self.in_flight.begin(&self.store);
        let kept = match self.store.append(wire.code(), recorded.nanos(), logged) {
            Ok(ticket) => ticket.await.map_err(|e: CommitError| Refusal::Unwritten(e.to_string())),
            Err(AppendError::TooLarge { bytes, limit }) => Err(Refusal::TooLarge { bytes, limit }),
            Err(e @ (AppendError::Busy { .. } | AppendError::Closing)) => Err(Refusal::Busy(e.to_string())),
        };
        match kept {
            Ok(_) => *lock(&understood.flight) = Some(flight),
            Err(refusal) => {
                flight.end();
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Third step: folds a request that is safe. Takes as long as the request is large, and waits for others that fold.
    pub fn fold(&self, understood: &Understood) -> Receipt {
        if understood.is_empty() {
            return Receipt::default();
        }
        self.fold_into(lock(&self.fold), understood)
    }

    /// The same unless that would wait for others that fold.
    pub fn try_fold(&self, understood: &Understood) -> Option<Receipt> {
        if understood.is_empty() {
            return Some(Receipt::default());
        }
        let fold = match self.fold.try_lock() {
            Ok(fold) => fold,
            Err(TryLockError::Poisoned(whole)) => whole.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(self.fold_into(fold, understood))
    }

    /// Folds a request, read again if the ontology has changed since it was read.
    fn fold_into(&self, mut fold: MutexGuard<'_, Fold>, understood: &Understood) -> Receipt {
        let Understood { batch, wire, body, recorded, ontology, flight } = understood;
        let mut batch = Cow::Borrowed(batch);
        // Whoever replaces the ontology holds `fold`.
        if !Arc::ptr_eq(ontology, &lock(&self.ontology)) {
            let mut reader = self.reader();
            let read = reader.normaliser.normalise(wire, body, *recorded);
            self.put_back(reader);
            // A body is read the same way under any ontology; only a feed that is gone says nothing then.
            batch = Cow::Owned(read.unwrap_or_default());
        }
        let folded = fold.fold(&batch, *recorded);
        drop(fold);
        lock(&self.sources).took(&batch, folded, *recorded);
        if let Some(flight) = lock(flight).take() {
            flight.end();
        }
        receipt(&batch)
    }

    /// Bytes of requests in the log that the latest checkpoint knows nothing of: what a start now would have to read.
    pub fn tail_bytes(&self) -> u64 {
        let logged = self.store.stats().body_bytes + self.replayed_bytes.load(Ordering::Relaxed);
        logged.saturating_sub(self.checkpointed_bytes.load(Ordering::Relaxed))
    }

    /// Notes that a checkpoint has so much of that.
    pub(crate) fn mark_tail(&self, tail: u64) {
        self.checkpointed_bytes.fetch_add(tail, Ordering::Relaxed);
    }

    /// A reader for the ontology of now.
    pub(crate) fn reader(&self) -> Reader {
        let ontology = self.ontology();
        let (hash_key, limits) = (*lock(&self.hash_key), ingest::Limits::default());
        let idle = lock(&self.readers).pop();
        // One that was in use while the ontology or the key was replaced is let go.
        let fits = |r: &Reader| Arc::ptr_eq(&r.ontology, &ontology) && r.hash_key == hash_key;
        idle.filter(fits).unwrap_or_else(|| Reader {
            scrub: Scrub::new(&ontology, hash_key, limits.hashes),
            normaliser: Normaliser::new(Arc::clone(&ontology), ingest::Options { hash_key, limits }),
            ontology,
            hash_key,
        })
    }

    pub(crate) fn put_back(&self, reader: Reader) {
        let mut idle = lock(&self.readers);
        if idle.len() < IDLE_READERS {
            idle.push(reader);
        }
    }

    /// Replaces the key that personal data is hashed with from now on: who comes again gets another id. What is kept has only
    /// hashes in it and stays as it is.
    ///
    /// # Errors
    /// When the new key cannot be written; the old one is in use then.
    pub fn rotate_hash_key(&self, new: [u8; 32]) -> Result<(), EngineError> {
        let mut key = lock(&self.hash_key);
        let failed =
            |e: store::DocumentError| EngineError::Document { what: HASH_KEY.to_owned(), why: e.to_string() };
        self.store.put_document(HASH_KEY, &new).map_err(failed)?;
        *key = new;
        Ok(())
    }

    pub(crate) fn with_fold(&self, change: impl FnOnce(&mut Fold)) {
        change(&mut lock(&self.fold));
    }

    /// The graph as it is now: an epoch of the reader's own.
    pub fn graph(&self) -> Graph {
        lock(&self.fold).graph()
    }

    /// The graph as it was known at a moment: of all that had arrived by the end of that minute.
    ///
    /// # Errors
    /// The first moment that something can be said of, when this one is earlier.
    pub fn graph_known(&self, at: Time) -> Result<Graph, Time> {
        lock(&self.fold).known_at(at)
    }

    /// The ontology everything is read under.
    pub fn ontology(&self) -> Arc<Ontology> {
        Arc::clone(&lock(&self.ontology))
    }

    /// The store, for its figures.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What has been folded.
    pub fn totals(&self) -> Totals {
        lock(&self.fold).totals()
    }

    /// What each source sent.
    pub fn sources(&self) -> Vec<crate::SourceReport> {
        lock(&self.sources).report()
    }

    /// Examples of what was set aside, the latest first: of a source, and where the reason contains a text.
    pub fn refused(&self, source: Option<&str>, reason: Option<&str>) -> Vec<crate::Example> {
        lock(&self.sources).examples(source, reason)
    }

    /// Every limit of the graph and the store with what is used of it.
    pub fn limits(&self) -> Vec<Used> {
        let graph = lock(&self.fold).usage();
        let effect = |name: &str| match name {
            "sampled_nodes" => {
                "beyond: the oldest sessions and interactions are let go as nodes, their counts stay in the series"
            }
            "open_traces" => {
                "beyond: the longest untouched traces are let go, late steps of theirs stay unjoined"
            }
            "remembered_items" => {
                "beyond: the oldest minute is forgotten, repetitions that late would count again"
            }
            "conclusions" => {
                "beyond: nothing further is concluded by kept rules, what was set aside is counted"
            }
            "known_minutes" | "known_rows" => {
                "beyond: what was known at earlier minutes cannot be asked any more"
            }
            "touched_hours" => {
                "beyond: what comes late for the earliest is not noticed by history until the next start"
            }
            "columns" => {
                "attributes of which values are kept side by side; beyond: the one kept longest makes room and is read from its nodes"
            }
            "flow_bytes" => "beyond: the oldest quarters of an hour of what went along edges are forgotten",
            "series" => "beyond: samples of further cohorts count for the whole subject",
            _ => "beyond: further nodes are not made, their facts are counted as left out",
        };
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let mut all: Vec<Used> = graph
            .iter()
            .map(|(name, used, limit)| Used {
                name: format!("graph_{name}"),
                value: number(*limit),
                used: number(*used),
                measured: true,
                doc: effect(name).to_owned(),
            })
            .collect();
        let pending = self.store.stats().pending_bytes;
        all.extend(self.store.limits().iter().map(|l| Used {
            name: l.name.to_owned(),
            value: l.value,
            used: if l.name == "store_max_pending_bytes" { pending } else { 0 },
            measured: l.name == "store_max_pending_bytes",
            doc: l.effect.to_owned(),
        }));
        all.push(Used {
            name: "log_hours".to_owned(),
            value: u64::try_from(self.keep_log.hours).unwrap_or(0),
            used: 0,
            measured: false,
            doc: "older segments of the log are let go, once two checkpoints have what is in them".to_owned(),
        });
        all.push(Used {
            name: "log_bytes".to_owned(),
            value: self.keep_log.bytes,
            used: self.store.stats().log_bytes,
            measured: true,
            doc:
                "beyond: the oldest segments of the log are let go, once two checkpoints have what is in them"
                    .to_owned(),
        });
        all.extend(lock(&self.sources).usage());
        all.extend(self.watch.usage());
        let idle = lock(&self.readers).len();
        let each = ingest::Limits::default();
        let reading = [
            (
                "ingest_idle_readers",
                IDLE_READERS,
                Some(idle),
                "beyond: readers of requests are made anew and dropped after use",
            ),
            (
                "ingest_resources",
                each.resources,
                None,
                "of one reader; beyond: all are let go and read again when they come",
            ),
            ("ingest_resource_bytes", each.resource_bytes, None, "of one reader; beyond: the same"),
            (
                "ingest_looks",
                each.looks,
                None,
                "of one reader; beyond: what records are recognised as is worked out again",
            ),
            ("ingest_look_bytes", each.look_bytes, None, "of one reader; beyond: the same"),
            (
                "ingest_hashes",
                each.hashes,
                None,
                "of one reader; beyond: all are forgotten and computed again",
            ),
            ("ingest_text_bytes", each.text_bytes, None, "a longer text attribute is set aside"),
        ];
        all.extend(reading.map(|(name, value, used, doc)| Used {
            name: name.to_owned(),
            value: number(value),
            used: number(used.unwrap_or(0)),
            measured: used.is_some(),
            doc: doc.to_owned(),
        }));
        all
    }
}

fn receipt(batch: &Batch) -> Receipt {
    let mut reasons: Vec<SetAside> = Vec::new();
    for r in &batch.refused {
        match reasons.iter_mut().find(|known| known.reason == r.reason) {
            Some(known) => known.items += r.items,
            None => reasons.push(SetAside {
                reason: r.reason.clone(),
                items: r.items,
                detail: r.detail.clone(),
                rejected: ingest::is_senders_fault(r),
            }),
        }
    }
    let order = |r: &SetAside| (!r.rejected, std::cmp::Reverse(r.items));
    reasons.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.reason.cmp(&b.reason)));
    let rejected = reasons.iter().filter(|r| r.rejected).map(|r| r.items).sum();
    Receipt { items: batch.items, rejected, reasons }
}

fn hash_key(store: &Store, options: &Options) -> Result<[u8; 32], EngineError> {
    let failed =
        |e: store::DocumentError| EngineError::Document { what: HASH_KEY.to_owned(), why: e.to_string() };
    if let Some(kept) = store.document(HASH_KEY).map_err(failed)? {
        return kept.try_into().map_err(|_| EngineError::Document {
            what: HASH_KEY.to_owned(),
            why: "it does not have 32 bytes; restore it from a backup, or start a new data folder".to_owned(),
        });
    }
    // The key is written before the first record, so a log without one has lost it.
    if store.stats().segments > 0 && options.lost_hash_key == LostHashKey::Refuse {
        return Err(EngineError::HashKeyGone(options.data.clone()));
    }
    store.put_document(HASH_KEY, &options.new_hash_key).map_err(failed)?;
    Ok(options.new_hash_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{open, options};

    #[test]
    fn a_log_whose_hash_key_is_gone_is_opened_only_on_purpose() {
        let folder = tempfile::tempdir().unwrap();
        // A folder without telemetry gets a key.
        let (engine, _) = open(folder.path()).unwrap();
        drop(engine);
        std::fs::remove_file(folder.path().join("doc-hash-key")).unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        engine.store().append(1, 0, "a request").unwrap().wait().unwrap();
        drop(engine);
        assert!(open(folder.path()).is_ok());
        std::fs::remove_file(folder.path().join("doc-hash-key")).unwrap();
        let refused = open(folder.path()).err().unwrap();
        assert!(matches!(refused, EngineError::HashKeyGone(_)), "{refused}");
        for part in ["doc-hash-key", "other ids", "--new-hash-key", &folder.path().display().to_string()] {
            assert!(refused.to_string().contains(part), "{refused}");
        }
        assert!(open(folder.path()).is_err(), "refusing makes no key");
        let on_purpose = Options { lost_hash_key: LostHashKey::Replace, ..options(folder.path()) };
        assert!(Engine::open(&on_purpose, Arc::new(Ontology::builtin()), |_| {}).is_ok());
        assert!(open(folder.path()).is_ok(), "and from then on it is there");
    }

    #[test]
    fn a_small_request_does_not_wait_for_another_that_folds() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        let batch = Batch { items: 1, ..Batch::default() };
        let wire = Wire::LogsJson;
        let ontology = engine.ontology();
        let body = bytes::Bytes::new();
        let understood =
            Understood { batch, wire, body, recorded: Time::EPOCH, ontology, flight: Mutex::default() };
        let held = lock(&engine.fold);
        assert_eq!(engine.try_fold(&understood), None);
        drop(held);
        assert_eq!(engine.try_fold(&understood).unwrap().items, 1);
    }
}
