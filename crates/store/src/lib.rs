//! Keeps what was accepted: a durable log of opaque records, checkpoints of what was made of it, and a few small named documents,
//! in one folder.
//!
//! A record is acknowledged only after its group was written and flushed; a failed group is taken back whole, so what a
//! sender must repeat is not there twice. After a crash the torn tail is cut and reported; any other damage is reported
//! by file and offset, and the records around it are still read.
//!
//! **Not here:** what a record means. Kinds and bodies are opaque, and no graph, wire format or ontology is known.
//!
//! **Next door:** nobody below; `engine` writes accepted requests and replays them after a restart.

mod campaign;
mod checkpoints;
mod committer;
mod disk;
mod documents;
mod inspect;
mod log;
mod memory_disk;
mod options;
mod record;
mod restore;
mod scan;
mod segment;
mod store;

#[cfg(test)]
mod simulation;

pub use campaign::{Tally, campaign};
pub use checkpoints::{Checkpoint, CheckpointDamage, CheckpointError, Parts};
pub use committer::{AppendError, CommitError, Ticket};
pub use disk::{Disk, DiskFile, FolderDisk, FolderError, Holder};
pub use documents::DocumentError;
pub use inspect::{Finding, FoundCheckpoint, FoundDocument, InspectError, Inspection, Reading};
pub use log::{Keep, Recovery, Replay, Torn};
pub use memory_disk::{Faults, MemoryDisk};
pub use options::{Limit, Options};
pub use record::Record;
pub use restore::{RestoreError, Restored, restore};
pub use segment::Damage;
pub use store::{OpenError, Stats, Store};
