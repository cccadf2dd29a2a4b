//! Checkpoints: what was made of the log up to a record, in parts, so that a start need not read the log from its beginning.
//!
//! A checkpoint is one file, written whole or not at all: the parts one after the other, each with its length and checksum, and a
//! last one that says how many there were. The two latest are kept, so that one that turns out damaged has another behind it.

use crate::disk::Disk;
use crate::record::four;
use crate::scan::UNFINISHED;
use crate::segment::newer;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In every version a checkpoint begins with these four bytes; the last is the version.
pub(crate) const MAGIC: [u8; 4] = *b"E2P1";
pub(crate) const PREFIX: &str = "checkpoint-";
/// How many are kept.
const KEPT: usize = 2;
/// Length, checksum.
const FRAME: usize = 8;
/// What stands for the length of a part at the end; the number of parts follows in place of a checksum.
const END: u32 = u32::MAX;
/// Bytes that are handed to the disk at once.
const TOGETHER: usize = 1 << 20;

/// Why a checkpoint could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A part could not be made.
    #[error("a part of the checkpoint could not be made: {0}")]
    Part(String),
    /// No space is left.
    #[error("the disk is full: cannot keep a checkpoint of the log")]
    DiskFull,
    /// The disk failed.
    #[error("cannot write a checkpoint of the log: {0}")]
    Io(io::Error),
}

/// Why a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointDamage {
    /// Its bytes are not what was written.
    #[error("{file} is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file in the data folder.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A later version wrote it.
    #[error("{file} is of the newer format version {version}")]
    Newer {
        /// The file in the data folder.
        file: String,
        /// The version it says it has.
        version: char,
    },
    /// The disk failed.
    #[error("cannot read {file}: {source}")]
    Io {
        /// The file in the data folder.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A checkpoint that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint {
    /// The first record that is not in it.
    pub from_seq: u64,
    /// Its file in the data folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
}

/// The checkpoints of one folder.
pub(crate) struct Checkpoints {
    disk: Arc<dyn Disk>,
    /// Ascending.
    known: Mutex<Vec<Checkpoint>>,
    /// One is written at a time.
    writing: Mutex<()>,
}

/// The record that a file's name says, when it is the name of a checkpoint.
pub(crate) fn parse_name(file: &str) -> Option<u64> {
    file.strip_prefix(PREFIX)?.parse().ok()
}

impl Checkpoints {
    pub(crate) fn open(disk: Arc<dyn Disk>) -> io::Result<Checkpoints> {
        let files = disk.list()?.into_iter();
        let mut known: Vec<Checkpoint> = files
            .filter_map(|(file, bytes)| Some(Checkpoint { from_seq: parse_name(&file)?, file, bytes }))
            .collect();
        known.sort();
        Ok(Checkpoints { disk, known: Mutex::new(known), writing: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Checkpoint>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are there, the latest first.
    pub(crate) fn all(&self) -> Vec<Checkpoint> {
        self.lock().iter().rev().cloned().collect()
    }

    pub(crate) fn put<E: Display>(
        &self,
        from_seq: u64,
        parts: impl Iterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<Checkpoint, CheckpointError> {
        let file = format!("{PREFIX}{from_seq:020}");
        let unfinished = format!("{UNFINISHED}{file}");
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.write(&unfinished, parts).inspect_err(|_| {
            let _ = self.disk.remove(&unfinished);
        })?;
        self.disk.rename(&unfinished, &file).and_then(|()| self.disk.sync_folder()).map_err(failed)?;
        let new = Checkpoint { from_seq, file, bytes };
        let mut known = self.lock();
        known.retain(|c| c.from_seq != from_seq);
        known.push(new.clone());
        known.sort();
        // Only now that the new one is safe.
        while known.len() > KEPT {
            let oldest = known.remove(0);
            self.disk.remove(&oldest.file).map_err(failed)?;
        }
        Ok(new)
    }

    fn write<E: Display>(
        &self,
        name: &str,
        parts: impl Iterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<u64, CheckpointError> {
        // Left over from a failure whose clean-up failed too.
        let _ = self.disk.remove(name);
        let mut out = self.disk.create(name).map_err(failed)?;
        let mut waiting = MAGIC.to_vec();
        let (mut bytes, mut count) = (0, 0u32);
        for part in parts {
            let part = part.map_err(|e| CheckpointError::Part(e.to_string()))?;
            let length = u32::try_from(part.len()).ok().filter(|l| *l != END);
            let length = length.ok_or_else(|| CheckpointError::Part("it has 4 GiB or more".to_owned()))?;
            waiting.extend_from_slice(&length.to_le_bytes());
            waiting.extend_from_slice(&crc32fast::hash(&part).to_le_bytes());
            waiting.extend_from_slice(&part);
            count += 1;
            if waiting.len() >= TOGETHER {
                out.append(&waiting).map_err(failed)?;
                bytes += waiting.len() as u64;
                waiting.clear();
            }
        }
        waiting.extend_from_slice(&END.to_le_bytes());
        waiting.extend_from_slice(&count.to_le_bytes());
        out.append(&waiting).and_then(|()| out.sync()).map_err(failed)?;
        Ok(bytes + waiting.len() as u64)
    }

    pub(crate) fn remove(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.lock().retain(|c| c != checkpoint);
        self.disk.remove(&checkpoint.file)?;
        self.disk.sync_folder()
    }

    pub(crate) fn read(&self, checkpoint: &Checkpoint) -> Parts {
        Parts {
            disk: Arc::clone(&self.disk),
            file: checkpoint.file.clone(),
            offset: 0,
            bytes: checkpoint.bytes,
            count: 0,
            ended: false,
        }
    }
}

fn failed(e: io::Error) -> CheckpointError {
    match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => CheckpointError::DiskFull,
        _ => CheckpointError::Io(e),
    }
}

/// The parts of a checkpoint. Ends after the last, or after what is wrong.
pub struct Parts {
    disk: Arc<dyn Disk>,
    file: String,
    offset: u64,
    bytes: u64,
    count: u32,
    ended: bool,
}

impl Parts {
    /// Bytes read so far, and of the whole.
    pub fn progress(&self) -> (u64, u64) {
        (self.offset, self.bytes)
    }

    fn damaged(&self, reason: &'static str) -> CheckpointDamage {
        CheckpointDamage::Damaged { file: self.file.clone(), offset: self.offset, reason }
    }

    fn fill(&self, into: &mut [u8]) -> Result<(), CheckpointDamage> {
        let file = || self.file.clone();
        let filled = self.disk.read_at(&self.file, self.offset, into);
        match filled.map_err(|source| CheckpointDamage::Io { file: file(), source })? {
            all if all == into.len() => Ok(()),
            _ => Err(self.damaged("it ends here")),
        }
    }

    fn part(&mut self) -> Result<Option<Vec<u8>>, CheckpointDamage> {
        if self.offset == 0 {
            let mut magic = [0; MAGIC.len()];
            self.fill(&mut magic)?;
            if let Some(version) = newer(&magic, MAGIC) {
                return Err(CheckpointDamage::Newer { file: self.file.clone(), version });
            }
            if magic != MAGIC {
                return Err(self.damaged("it does not begin like one"));
            }
            self.offset = MAGIC.len() as u64;
        }
        let mut frame = [0; FRAME];
        self.fill(&mut frame)?;
        let (length, sum) = (u32::from_le_bytes(four(&frame)), u32::from_le_bytes(four(&frame[4..])));
        if length == END {
            let whole = sum == self.count && self.offset + FRAME as u64 == self.bytes;
            return if whole { Ok(None) } else { Err(self.damaged("parts are missing")) };
        }
        // A length that is wrong must not ask for memory that is not there.
        if self.offset + FRAME as u64 + u64::from(length) > self.bytes {
            return Err(self.damaged("it ends within a part"));
        }
        let mut part = vec![0; length as usize];
        self.offset += FRAME as u64;
        self.fill(&mut part)?;
        if crc32fast::hash(&part) != sum {
            return Err(self.damaged("a part fails its checksum"));
        }
        self.offset += u64::from(length);
        self.count += 1;
        Ok(Some(part))
    }
}

impl Iterator for Parts {
    type Item = Result<Vec<u8>, CheckpointDamage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let part = self.part().transpose();
        self.ended = !matches!(part, Some(Ok(_)));
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_disk::{Faults, MemoryDisk};
    use std::convert::Infallible;

    fn parts(seq: u64) -> impl Iterator<Item = Result<Vec<u8>, Infallible>> {
        (0..40).map(move |i| Ok(vec![(seq % 251) as u8; i * 997]))
    }

    fn open(disk: &MemoryDisk) -> Checkpoints {
        Checkpoints::open(Arc::new(disk.clone())).unwrap()
    }

    fn whole(checkpoints: &Checkpoints, one: &Checkpoint) -> bool {
        let read: Result<Vec<_>, _> = checkpoints.read(one).collect();
        read.is_ok_and(|read| read.into_iter().eq(parts(one.from_seq).map(Result::unwrap)))
    }

    #[test]
    fn the_two_latest_are_kept_and_read_as_they_were_written() {
        let disk = MemoryDisk::new(1);
        let checkpoints = open(&disk);
        for seq in [7, 9, 300] {
            assert_eq!(checkpoints.put(seq, parts(seq)).unwrap().from_seq, seq);
        }
        for checkpoints in [checkpoints, open(&disk)] {
            let all = checkpoints.all();
            assert_eq!(all.iter().map(|c| c.from_seq).collect::<Vec<_>>(), [300, 9]);
            assert!(all.iter().all(|c| whole(&checkpoints, c)));
        }
    }

    #[test]
    fn a_crash_at_any_moment_leaves_the_one_before_or_the_new_one() {
        for calls in 0..12 {
            for seed in 0..20 {
                let disk = MemoryDisk::new(seed);
                open(&disk).put(5, parts(5)).unwrap();
                open(&disk).put(6, parts(6)).unwrap();
                disk.power_off_after(calls);
                let done = open(&disk).put(8, parts(8)).is_ok();
                disk.crash();
                disk.set_faults(Faults::NONE);
                let found = open(&disk);
                let latest = found.all().into_iter().find(|c| whole(&found, c)).unwrap();
                assert!(latest.from_seq == 8 || !done && latest.from_seq == 6, "{calls} {seed}: {latest:?}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let few = |_: u64| [Ok::<_, Infallible>(vec![1, 2, 3]), Ok(vec![]), Ok(vec![9; 40])].into_iter();
        let disk = MemoryDisk::new(3);
        let one = open(&disk).put(5, few(5)).unwrap();
        for bit in 0..one.bytes * 8 {
            assert!(disk.flip_bit(&one.file, bit));
            let read: Result<Vec<_>, _> = open(&disk).read(&one).collect();
            assert!(read.is_err(), "bit {bit}");
            assert!(disk.flip_bit(&one.file, bit));
        }
        assert_eq!(open(&disk).read(&one).filter(Result::is_ok).count(), 3);
        for len in 0..one.bytes {
            let mut file = disk.reopen(&one.file).unwrap();
            file.truncate(one.bytes - 1 - len).unwrap();
            let found = open(&disk);
            let cut = found.all().remove(0);
            assert!(found.read(&cut).collect::<Result<Vec<_>, _>>().is_err(), "{len}");
        }
    }

    #[test]
    fn a_part_that_cannot_be_made_leaves_nothing_behind() {
        let disk = MemoryDisk::new(4);
        let checkpoints = open(&disk);
        let broken = parts(1).take(3).map(|p| p.map_err(|e| e.to_string())).chain([Err("broken".to_owned())]);
        assert!(checkpoints.put(1, broken).unwrap_err().to_string().contains("broken"));
        assert!(checkpoints.all().is_empty() && disk.list().unwrap().is_empty());
    }
}
