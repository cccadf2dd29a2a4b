//! The log itself, without threads: recover, commit one group, replay, drop old segments.

use crate::committer::CommitError;
use crate::disk::{Disk, DiskFile};
use crate::record::{self, Header, Mark, Record};
use crate::scan::{Found, scan};
use crate::segment::{Damage, Met, SEGMENT_HEADER, Segment, SegmentReader, encode_header, name_of};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What opening a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments found.
    pub segments: usize,
    /// The seq that the next record will get.
    pub next_seq: u64,
    /// The tail that was cut from the last segment, if there was one.
    pub torn: Option<Torn>,
    /// Damage in the last segment. Older segments are checked when they are replayed.
    pub damage: Vec<Damage>,
    /// The rights of the folder, where it was there before and others than its owner have some.
    pub open_to_others: Option<u32>,
}

/// A tail that a crash left behind in the middle of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file in the data folder.
    pub file: String,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "cut {} bytes of an unfinished write from {} at byte {}",
            self.bytes, self.file, self.offset
        )
    }
}

/// Which records retention must keep: a segment goes when all that it holds comes before `from_seq` and is either older than
/// `since_ns` or beyond the latest `bytes` of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// This seq and all after it.
    pub from_seq: u64,
    /// What was recorded at this moment (nanoseconds since the epoch) or later, as long as there is room for it.
    pub since_ns: i64,
    /// Bytes of the log that there is room for.
    pub bytes: u64,
}

impl Keep {
    /// A seq and all after it.
    pub fn from_seq(seq: u64) -> Keep {
        Keep { from_seq: seq, since_ns: i64::MAX, bytes: u64::MAX }
    }

    /// What was recorded at a moment (nanoseconds since the epoch) or later.
    pub fn since_ns(ns: i64) -> Keep {
        Keep { from_seq: u64::MAX, since_ns: ns, bytes: u64::MAX }
    }
}

/// The segments in order, shared between the committer, replays and retention.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalogue(Arc<Mutex<Listing>>);

#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) next_seq: u64,
}

impl Listing {
    /// Whether the first segment holds nothing to keep. The newest always stays.
    fn is_first_old(&self, keep: Keep) -> bool {
        self.segments.get(1).is_some_and(|next| {
            next.first_seq <= keep.from_seq && (next.begun_ns <= keep.since_ns || self.bytes() > keep.bytes)
        })
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.len).sum()
    }

    fn remove_first(&mut self, disk: &dyn Disk, keep: Keep) -> io::Result<bool> {
        match self.segments.front() {
            Some(first) if self.is_first_old(keep) => disk.remove(&first.name)?,
            _ => return Ok(false),
        }
        self.segments.pop_front();
        Ok(true)
    }
}

impl Catalogue {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Listing> {
        // A panic elsewhere leaves the listing whole: every change to it is a single assignment or push.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes whole segments that hold nothing to keep; returns how many. Each is gone for good before the next goes: if a
    /// crash brought back an older one alone, what was between would look lost.
    pub(crate) fn retain(&self, disk: &dyn Disk, keep: Keep) -> io::Result<usize> {
        let mut removed = 0;
        while self.lock().is_first_old(keep) {
            // Also for what an earlier call removed and could not sync.
            disk.sync_folder()?;
            removed += usize::from(self.lock().remove_first(disk, keep)?);
        }
        if removed > 0 {
            disk.sync_folder()?;
        }
        Ok(removed)
    }

    /// Reads what is committed now, from a seq on.
    pub(crate) fn replay(&self, disk: Arc<dyn Disk>, from_seq: u64) -> Replay {
        let listing = self.lock();
        let stops = listing.segments.iter().skip(1).map(|s| s.first_seq).chain([listing.next_seq]);
        let parts =
            listing.segments.iter().cloned().zip(stops).filter(|(_, stop)| *stop > from_seq).collect();
        Replay { disk, parts, reader: None, from_seq }
    }
}

/// Reads the log record by record, across segments and around damage. Holds one mebibyte, or one record if larger.
pub struct Replay {
    disk: Arc<dyn Disk>,
    parts: VecDeque<(Segment, u64)>,
    reader: Option<SegmentReader>,
    from_seq: u64,
}

impl Iterator for Replay {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(reader) = &mut self.reader else {
                let (segment, stop) = self.parts.pop_front()?;
                self.reader = Some(SegmentReader::new(self.disk.clone(), segment, Some(stop)));
                continue;
            };
            match reader.next() {
                Ok(Some(Met::Record(record))) if record.seq < self.from_seq => {}
                Ok(Some(Met::Record(record))) => return Some(Ok(record)),
                Ok(Some(Met::Damage(damage))) if damage.lost.end <= self.from_seq => {}
                Ok(Some(Met::Damage(damage))) => return Some(Err(damage)),
                Ok(Some(Met::Torn) | None) => self.reader = None,
                Err(e) => return Some(Err(reader.unreadable(&e))),
            }
        }
    }
}

/// One record to be written.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: u8,
    pub(crate) recorded_ns: i64,
    pub(crate) body: Bytes,
}

struct Active {
    file: Box<dyn DiskFile>,
    name: String,
    mark: Mark,
    len: u64,
}

/// The writing end.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    catalogue: Catalogue,
    segment_bytes: u64,
    /// `None` when the next group must begin a new segment: at the start, after a full one, after a failure that leaves
    /// the file in doubt.
    active: Option<Active>,
    next_seq: u64,
    next_generation: u64,
    group: Vec<u8>,
    syncs: u64,
}

impl Log {
    /// Reads what is there, cuts a torn tail, and gets ready to append.
    pub(crate) fn recover(disk: Arc<dyn Disk>, segment_bytes: u64) -> io::Result<(Log, Catalogue, Recovery)> {
        let Found { mut segments, left_over, next_generation, .. } = scan(&*disk)?;
        for (name, _) in &left_over {
            disk.remove(name)?;
        }
        // Also for names that an earlier process gave or took and could not sync: what is seen now is built upon.
        disk.sync_folder()?;

        let mut recovery = Recovery { segments: segments.len(), next_seq: 1, ..Recovery::default() };
        let mut active = None;
        if let Some(last) = segments.last_mut() {
            let mut reader = SegmentReader::new(disk.clone(), last.clone(), None);
            let mut torn = false;
            let mut guessed_seq = None;
            while let Some(met) = reader.next()? {
                match met {
                    Met::Record(_) => {}
                    Met::Damage(damage) => {
                        guessed_seq = Some(damage.lost.end);
                        recovery.damage.push(damage);
                    }
                    Met::Torn => torn = true,
                }
            }
            recovery.next_seq = reader.expected();
            match last.mark {
                None => recovery.next_seq = guessed_seq.unwrap_or(recovery.next_seq),
                // Beginning it may have failed, and then its header is not on the disk, whatever is read now. It stays until
                // the next one is there, because it may void the tail before it.
                Some(_) if last.len == SEGMENT_HEADER => {}
                Some(mark) => {
                    let mut file = disk.reopen(&last.name)?;
                    if torn {
                        let offset = reader.offset();
                        file.truncate(offset)?;
                        recovery.torn =
                            Some(Torn { file: last.name.clone(), offset, bytes: last.len - offset });
                        last.len = offset;
                    }
                    // Records that a crash left unflushed were read just now and will be built upon.
                    file.sync()?;
                    active = Some(Active { file, name: last.name.clone(), mark, len: last.len });
                }
            }
        }
        let next_seq = recovery.next_seq;
        let catalogue = Catalogue(Arc::new(Mutex::new(Listing { segments: segments.into(), next_seq })));
        let log = Log {
            disk,
            catalogue: catalogue.clone(),
            segment_bytes,
            active,
            next_seq,
            next_generation,
            group: Vec::new(),
            syncs: 0,
        };
        Ok((log, catalogue, recovery))
    }

    /// Flushes so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Writes and flushes one group; returns the seq of its first record. On failure none of the group is in the log:
    /// it is cut off, and when even that fails the next segment begins at its seqs, which voids it.
    pub(crate) fn commit(&mut self, entries: &[Entry]) -> Result<u64, CommitError> {
        let first_seq = self.next_seq;
        let begun_ns = entries.first().map_or(0, |e| e.recorded_ns);
        let mut active = match self.active.take() {
            Some(active) if active.len < self.segment_bytes => active,
            _ => self.begin_segment(begun_ns)?,
        };
        self.group.clear();
        for (entry, seq) in entries.iter().zip(first_seq..) {
            let header = Header { seq, kind: entry.kind, recorded_ns: entry.recorded_ns, group: active.len };
            record::encode(&mut self.group, active.mark, header, &entry.body);
        }
        if let Err(e) = active.file.append(&self.group) {
            let error = CommitError::from_io("write to", &active.name, &e);
            if cut(&mut active).is_ok() {
                self.syncs += 1;
                self.active = Some(active);
            }
            return Err(error);
        }
        self.syncs += 1;
        if let Err(e) = active.file.sync() {
            let error = CommitError::from_io("flush", &active.name, &e);
            // After a failed flush the kernel may believe lost pages to be written: never append to this file again.
            let _ = cut(&mut active);
            return Err(error);
        }
        active.len += self.group.len() as u64;
        self.next_seq += entries.len() as u64;
        {
            let mut listing = self.catalogue.lock();
            listing.next_seq = self.next_seq;
            if let Some(last) = listing.segments.back_mut() {
                last.len = active.len;
            }
        }
        self.active = Some(active);
        // A group buffer that one huge record blew up is given back.
        if self.group.capacity() > 16 << 20 {
            self.group = Vec::new();
        }
        Ok(first_seq)
    }

    fn begin_segment(&mut self, begun_ns: i64) -> Result<Active, CommitError> {
        let (generation, first_seq) = (self.next_generation, self.next_seq);
        let name = name_of(generation, first_seq);
        self.next_generation += 1;
        let mark = Mark(self.disk.nonce());
        let begun = self.disk.create(&name).and_then(|mut file| {
            file.append(&encode_header(mark, first_seq, begun_ns))?;
            self.syncs += 1;
            file.sync()?;
            self.disk.sync_folder()?;
            Ok(file)
        });
        match begun {
            Ok(file) => {
                let len = SEGMENT_HEADER;
                let segment =
                    Segment { name: name.clone(), generation, first_seq, mark: Some(mark), begun_ns, len };
                self.catalogue.lock().segments.push_back(segment);
                Ok(Active { file, name, mark, len })
            }
            Err(e) => {
                // If it cannot be removed either it stays empty, which recovery understands.
                let _ = self.disk.remove(&name);
                Err(CommitError::from_io("begin", &name, &e))
            }
        }
    }
}

/// Takes back what was appended since the last good flush.
fn cut(active: &mut Active) -> io::Result<()> {
    active.file.truncate(active.len)?;
    active.file.sync()
}
