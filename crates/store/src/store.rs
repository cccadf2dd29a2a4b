//! The store as others use it: one folder, its log, its documents, its figures.

use crate::checkpoints::{self, Checkpoint, CheckpointError, Checkpoints, Parts};
use crate::committer::{AppendError, CommitError, Committer, Ticket};
use crate::disk::{Disk, FolderDisk, FolderError};
use crate::documents::{DocumentError, Documents, PREFIX};
use crate::log::{Catalogue, Entry, Keep, Log, Recovery, Replay};
use crate::options::{Limit, Options};
use crate::segment::{first_newer, parse_name};
use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is held by another server, read-only, or otherwise unusable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The options contradict themselves.
    #[error("{0}")]
    Options(String),
    /// A later version wrote a part of the log. Nothing was changed.
    #[error(
        "{file} in {} is of the newer format version {version}, which this version of the program cannot read; start the version \
         that wrote it, or restore the data folder from a copy made before",
        dir.display()
    )]
    Newer {
        /// The folder.
        dir: std::path::PathBuf,
        /// The file in it.
        file: String,
        /// The version it says it has.
        version: char,
    },
    /// The disk failed while the log was read.
    #[error("cannot recover the log in {}: {source}", dir.display())]
    Recover {
        /// The folder.
        dir: std::path::PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// An open store. Closing it (by drop) writes what waits.
pub struct Store {
    disk: Arc<dyn Disk>,
    catalogue: Catalogue,
    committer: Committer,
    documents: Documents,
    checkpoints: Checkpoints,
    counters: Arc<Mutex<Counters>>,
    options: Options,
}

impl Store {
    /// Opens the store in a folder, alone.
    ///
    /// # Errors
    /// When another server holds the folder, it cannot be written, a later version wrote it, the options contradict themselves,
    /// or the disk fails.
    pub fn open(options: Options) -> Result<(Store, Recovery), OpenError> {
        let disk = FolderDisk::open(&options.dir)?;
        let open_to_others = disk.open_to_others();
        // Files of earlier starts have the rights that a umask gave. What cannot be changed is told by the folder's rights.
        let ours = |name: &str| {
            parse_name(name).is_some() || name.starts_with(PREFIX) || checkpoints::parse_name(name).is_some()
        };
        let _ = disk.close_to_others(ours);
        let (store, recovery) = Store::open_on(Arc::new(disk), options)?;
        Ok((store, Recovery { open_to_others, ..recovery }))
    }

    /// Opens the store on any disk; the folder of the options only names it in errors.
    ///
    /// # Errors
    /// When the options contradict themselves, a later version wrote the log, or the disk fails.
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<(Store, Recovery), OpenError> {
        if let Some(contradiction) = options.contradiction() {
            return Err(OpenError::Options(contradiction));
        }
        let failed = |source| OpenError::Recover { dir: options.dir.clone(), source };
        // Before anything is changed: recovery removes what it takes for left over.
        if let Some((file, version)) = first_newer(&*disk).map_err(failed)? {
            return Err(OpenError::Newer { dir: options.dir.clone(), file, version });
        }
        let (log, catalogue, recovery) = Log::recover(disk.clone(), options.segment_bytes).map_err(failed)?;
        let documents = Documents::open(disk.clone(), options.max_document_bytes).map_err(failed)?;
        let checkpoints = Checkpoints::open(disk.clone()).map_err(failed)?;
        let counters = Arc::new(Mutex::new(Counters::default()));
        let committer = Committer::start(log, &options, counters.clone()).map_err(failed)?;
        Ok((Store { disk, catalogue, committer, documents, checkpoints, counters, options }, recovery))
    }

    /// Takes a record. Never waits for the disk: the ticket tells when it is flushed, and its seq.
    ///
    /// # Errors
    /// When too much waits already (`Busy`: try again), the record is too large, or the store is closing.
    pub fn append(&self, kind: u8, recorded_ns: i64, body: impl Into<Bytes>) -> Result<Ticket, AppendError> {
        self.committer.append(Entry { kind, recorded_ns, body: body.into() })
    }

    /// Reads what is committed now, from a seq on, in order. Damage is an item of its own; reading goes on behind it.
    pub fn replay(&self, from_seq: u64) -> Replay {
        self.catalogue.replay(self.disk.clone(), from_seq)
    }

    /// Removes whole segments that hold nothing to keep; returns how many. The newest segment always stays.
    ///
    /// # Errors
    /// When the disk fails; what could not be removed comes back when the store is next opened.
    pub fn retain(&self, keep: Keep) -> io::Result<usize> {
        self.catalogue.retain(&*self.disk, keep)
    }

    /// Keeps a document, replacing the one of that name. Waits for the disk; whole or not at all.
    ///
    /// # Errors
    /// When the name cannot be one, the document is too large, or the disk is full or fails.
    pub fn put_document(&self, name: &str, content: &[u8]) -> Result<(), DocumentError> {
        self.documents.put(name, content)
    }

    /// The document of that name, if there is one.
    ///
    /// # Errors
    /// When it is damaged or the disk fails.
    pub fn document(&self, name: &str) -> Result<Option<Vec<u8>>, DocumentError> {
        self.documents.get(name)
    }

    /// The names of all documents, sorted.
    pub fn documents(&self) -> Vec<String> {
        self.documents.names()
    }

    /// Removes a document; says whether there was one.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_document(&self, name: &str) -> Result<bool, DocumentError> {
        self.documents.remove(name)
    }

    /// Keeps what was made of all records before `from_seq`, in parts that are made as they are written. Waits for the disk; whole or
    /// not at all. The two latest are kept.
    ///
    /// # Errors
    /// When a part cannot be made, or the disk is full or fails. Earlier checkpoints are still there then.
    pub fn put_checkpoint<E: std::fmt::Display>(
        &self,
        from_seq: u64,
        parts: impl Iterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<Checkpoint, CheckpointError> {
        self.checkpoints.put(from_seq, parts)
    }

    /// The checkpoints that are there, the latest first.
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        self.checkpoints.all()
    }

    /// Reads the parts of a checkpoint in the order in which they were written.
    pub fn read_checkpoint(&self, checkpoint: &Checkpoint) -> Parts {
        self.checkpoints.read(checkpoint)
    }

    /// Removes a checkpoint that is of no use any more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_checkpoint(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.checkpoints.remove(checkpoint)
    }

    /// The seq that the next record to be committed will get.
    pub fn next_seq(&self) -> u64 {
        self.catalogue.lock().next_seq
    }

    /// The first record that the log still holds, if it holds any.
    pub fn first_seq(&self) -> Option<u64> {
        self.catalogue.lock().segments.front().map(|s| s.first_seq)
    }

    /// The figures for `/metrics`.
    pub fn stats(&self) -> Stats {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (documents, document_bytes) = self.documents.count_and_bytes();
        let checkpoints = self.checkpoints.all();
        let listing = self.catalogue.lock();
        Stats {
            checkpoints: checkpoints.len() as u64,
            checkpoint_bytes: checkpoints.iter().map(|c| c.bytes).sum(),
            checkpoint_seq: checkpoints.first().map_or(0, |c| c.from_seq),
            segments: listing.segments.len() as u64,
            log_bytes: listing.segments.iter().map(|s| s.len).sum(),
            next_seq: listing.next_seq,
            pending_bytes: self.committer.pending_bytes(),
            documents,
            document_bytes,
            commits: counters.commits,
            records: counters.records,
            body_bytes: counters.body_bytes,
            failed_commits: counters.failed_commits,
            syncs: counters.syncs,
            last_error: counters.last_error,
        }
    }

    /// Every limit with its name, value and effect.
    pub fn limits(&self) -> [Limit; 6] {
        self.options.limits()
    }

    /// Takes no more records, writes what waits, and closes.
    pub fn close(mut self) {
        self.committer.close();
    }
}

/// What a store did since it was opened, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Files of the log.
    pub segments: u64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// The seq that the next record will get.
    pub next_seq: u64,
    /// Bytes taken and not yet flushed.
    pub pending_bytes: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of all documents.
    pub document_bytes: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Bytes of all checkpoints.
    pub checkpoint_bytes: u64,
    /// The first record that is not in the latest checkpoint; 0 when there is none.
    pub checkpoint_seq: u64,
    /// Groups flushed.
    pub commits: u64,
    /// Records flushed.
    pub records: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// Groups that could not be written.
    pub failed_commits: u64,
    /// Flushes asked of the disk.
    pub syncs: u64,
    /// Why the last group failed; `None` again after the next good one.
    pub last_error: Option<String>,
}

/// The figures that the committer keeps.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    commits: u64,
    records: u64,
    body_bytes: u64,
    failed_commits: u64,
    syncs: u64,
    last_error: Option<String>,
}

impl Counters {
    pub(crate) fn group(
        &mut self,
        outcome: &Result<u64, CommitError>,
        records: usize,
        bytes: u64,
        syncs: u64,
    ) {
        self.syncs = syncs;
        match outcome {
            Ok(_) => {
                self.commits += 1;
                self.records += records as u64;
                self.body_bytes += bytes;
                self.last_error = None;
            }
            Err(e) => {
                self.failed_commits += 1;
                self.last_error = Some(e.to_string());
            }
        }
    }
}
