//! From a request to the graph: read, log, fold, answer; and the same from the log after a restart.

use crate::sources::{Sources, Used};
use crate::watch::Watch;
use graph::{Fold, Folded, Graph, Limits, Totals};
use ingest::{Normaliser, Wire};
use ontology::{Batch, Ontology, Time};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{AppendError, CommitError, Damage, OpenError, Recovery, Store};

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept.
    pub data: PathBuf,
    /// Bounds of the graph.
    pub limits: Limits,
    /// The key that personal data is hashed with, if the folder has none yet. Kept in the folder from then on.
    pub new_hash_key: [u8; 32],
}

/// What opening found.
#[derive(Clone, Debug)]
pub struct Started {
    /// What the store had to mend.
    pub recovery: Recovery,
    /// Requests replayed.
    pub replayed: u64,
    /// Damage met while replaying; everything around it was read.
    pub damage: Vec<Damage>,
    /// Requests in the log that this version cannot read, with the reason of the first.
    pub unreadable: Option<(u64, String)>,
}

/// Why an engine cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder is not to be had.
    #[error(transparent)]
    Store(#[from] OpenError),
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

/// The whole: log, graph, regressions. Shared by reference between threads.
pub struct Engine {
    ontology: Arc<Ontology>,
    store: Store,
    hash_key: [u8; 32],
    /// Normalisers not in use right now; each has caches of its own, none influences what is said.
    normalisers: Mutex<Vec<Normaliser>>,
    fold: Mutex<Fold>,
    sources: Mutex<Sources>,
    pub(crate) watch: Watch,
}

const HASH_KEY: &str = "hash-key";
/// Normalisers kept for reuse. Beyond: made and dropped per request.
const IDLE_NORMALISERS: usize = 16;

/// What a poisoned lock guards is still whole: every change under these locks is complete or not begun.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Opens a data folder and folds its log; `progress` is told how many records have been replayed.
    ///
    /// # Errors
    /// When the folder cannot be had: held by another server, read-only, or damaged beyond reading.
    pub fn open(
        options: &Options,
        ontology: Arc<Ontology>,
        mut progress: impl FnMut(u64),
    ) -> Result<(Engine, Started), EngineError> {
        let (store, recovery) = Store::open(store::Options::in_dir(&options.data))?;
        let hash_key = hash_key(&store, options.new_hash_key)?;
        let trust = ontology.mapping.trust.clone();
        let engine = Engine {
            watch: Watch::open(&store)?,
            normalisers: Mutex::new(Vec::new()),
            fold: Mutex::new(Fold::new(Arc::clone(&ontology), trust, options.limits)),
            sources: Mutex::default(),
            ontology,
            store,
            hash_key,
        };
        let mut started = Started { recovery, replayed: 0, damage: Vec::new(), unreadable: None };
        for record in engine.store.replay(0) {
            match record {
                Ok(record) => {
                    let recorded = Time::EPOCH.plus_nanos(record.recorded_ns);
                    let read = match Wire::from_code(record.kind) {
                        Some(wire) => engine.read(wire, &record.body, recorded),
                        None => Err(format!("record kind {} is of a later version", record.kind)),
                    };
                    match read {
                        Ok(batch) => {
                            engine.take(&batch, recorded);
                            started.replayed += 1;
                        }
                        Err(why) => {
                            let before = started.unreadable.take();
                            started.unreadable = Some(before.map_or((1, why), |(n, first)| (n + 1, first)));
                        }
                    }
                    progress(started.replayed);
                }
                Err(damage) => started.damage.push(damage),
            }
        }
        Ok((engine, started))
    }

    /// Takes a request: reads it, logs it, waits until it is safe, folds it.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or cannot be written now. Nothing of it is kept then.
    pub async fn accept(&self, wire: Wire, body: bytes::Bytes, recorded: Time) -> Result<Receipt, Refusal> {
        let batch = match self.read(wire, &body, recorded) {
            Ok(batch) => batch,
            Err(why) => {
                lock(&self.sources).malformed(wire, &why, recorded);
                return Err(Refusal::Malformed(why));
            }
        };
        if batch.items == 0 && batch.facts.is_empty() {
            return Ok(Receipt::default());
        }
        let ticket = self.store.append(wire.code(), recorded.nanos(), body).map_err(|e| match e {
            AppendError::TooLarge { bytes, limit } => Refusal::TooLarge { bytes, limit },
            AppendError::Busy { .. } | AppendError::Closing => Refusal::Busy(e.to_string()),
        })?;
        ticket.await.map_err(|e: CommitError| Refusal::Unwritten(e.to_string()))?;
        self.take(&batch, recorded);
        Ok(receipt(&batch))
    }

    fn read(&self, wire: Wire, body: &[u8], recorded: Time) -> Result<Batch, String> {
        let idle = lock(&self.normalisers).pop();
        let mut normaliser = idle.unwrap_or_else(|| {
            Normaliser::new(
                Arc::clone(&self.ontology),
                ingest::Options { hash_key: self.hash_key, limits: ingest::Limits::default() },
            )
        });
        let read = normaliser.normalise(wire, body, recorded).map_err(|m| m.to_string());
        let mut idle = lock(&self.normalisers);
        if idle.len() < IDLE_NORMALISERS {
            idle.push(normaliser);
        }
        read
    }

    fn take(&self, batch: &Batch, recorded: Time) -> Folded {
        let mut fold = lock(&self.fold);
        let folded = fold.fold(batch, recorded);
        drop(fold);
        lock(&self.sources).took(batch, folded, recorded);
        folded
    }

    pub(crate) fn with_fold(&self, change: impl FnOnce(&mut Fold)) {
        change(&mut lock(&self.fold));
    }

    /// The graph as it is now: an epoch of the reader's own.
    pub fn graph(&self) -> Graph {
        lock(&self.fold).graph()
    }

    /// The ontology everything is read under.
    pub fn ontology(&self) -> &Arc<Ontology> {
        &self.ontology
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
                "beyond: the oldest hour is forgotten, repetitions that late would count again"
            }
            "conclusions" => {
                "beyond: nothing further is concluded by kept rules, what was set aside is counted"
            }
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
        all.extend(lock(&self.sources).usage());
        let idle = lock(&self.normalisers).len();
        let each = ingest::Limits::default();
        let reading = [
            (
                "ingest_idle_readers",
                IDLE_NORMALISERS,
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

fn hash_key(store: &Store, new: [u8; 32]) -> Result<[u8; 32], EngineError> {
    let failed =
        |e: store::DocumentError| EngineError::Document { what: HASH_KEY.to_owned(), why: e.to_string() };
    if let Some(kept) = store.document(HASH_KEY).map_err(failed)? {
        return kept.try_into().map_err(|_| EngineError::Document {
            what: HASH_KEY.to_owned(),
            why: "it does not have 32 bytes; restore it from a backup, or start a new data folder".to_owned(),
        });
    }
    store.put_document(HASH_KEY, &new).map_err(failed)?;
    Ok(new)
}
