//! A disk in memory that fails on purpose, repeatably: torn, short and reordered writes, lost unsynced data, syncs that fail
//! and later claim success, no space, flipped bits.

use crate::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often what goes wrong, each as a share of calls from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// A write fails after some of its bytes.
    pub fail_write: f64,
    /// A sync fails. As on Linux, what it did not write is then thought to be clean and is lost in a crash.
    pub fail_sync: f64,
    /// Of failed syncs: the pages that were not written are let go at once, so that reading gives what the disk holds.
    pub drop_cache: f64,
    /// A file cannot be created, cut, renamed or removed.
    pub fail_change: f64,
    /// Writing beyond this many bytes on the whole disk fails as full.
    pub space: u64,
}

impl Faults {
    /// A disk that works.
    pub const NONE: Faults =
        Faults { fail_write: 0.0, fail_sync: 0.0, drop_cache: 0.0, fail_change: 0.0, space: u64::MAX };
}

const SECTOR: usize = 512;

/// The disk. Clones are handles to the same one.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<State>>);

struct State {
    random: u64,
    faults: Faults,
    /// How many more calls that change anything are obeyed before the power goes.
    calls_left: Option<u64>,
    files: BTreeMap<u64, Content>,
    next_file: u64,
    /// Names as a running process sees them, and as a crash leaves them.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Changes of names since the last sync of the folder.
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Link(String, u64),
    Unlink(String),
}

#[derive(Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl State {
    /// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to choose faults.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Counts one call; fails when the power is gone.
    fn call(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            Some(0) => Err(no_power()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn happens(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound as u64 + 1)) as usize
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.call()?;
        let share = self.faults.fail_change;
        if self.happens(share) {
            return Err(io::Error::other("a planned failure"));
        }
        self.unsynced.push(change.clone());
        apply(&mut self.names, change);
        Ok(())
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|c| c.seen.len() as u64).sum()
    }

    /// Writes some dirty sectors through, each with this share, and calls all of them clean.
    fn write_back(&mut self, id: u64, share: f64) {
        let Some(mut content) = self.files.remove(&id) else { return };
        let whole = share >= 1.0;
        let len = if whole {
            content.seen.len()
        } else {
            let (a, b) = (content.seen.len(), content.durable.len());
            a.min(b) + self.below(a.abs_diff(b))
        };
        content.durable.resize(len, 0);
        for sector in std::mem::take(&mut content.dirty) {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(len).min(content.seen.len());
            if from < to && (whole || self.happens(share)) {
                content.durable[from..to].copy_from_slice(&content.seen[from..to]);
            }
        }
        self.files.insert(id, content);
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is gone")
}

fn apply(names: &mut BTreeMap<String, u64>, change: Change) {
    match change {
        Change::Link(name, id) => {
            names.retain(|_, other| *other != id);
            names.insert(name, id);
        }
        Change::Unlink(name) => {
            names.remove(&name);
        }
    }
}

impl MemoryDisk {
    /// An empty disk that works.
    pub fn new(seed: u64) -> MemoryDisk {
        MemoryDisk(Arc::new(Mutex::new(State {
            random: seed,
            faults: Faults::NONE,
            calls_left: None,
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// After this many more calls that change anything all such calls fail, until [`MemoryDisk::crash`].
    pub fn power_off_after(&self, calls: u64) {
        self.lock().calls_left = Some(calls);
    }

    /// The process ends and the machine goes on: everything is there as it was seen.
    pub fn end_process(&self) {
        self.lock().calls_left = None;
    }

    /// The power goes and comes back: of what was not synced, any sectors and any changes of names survive, in no order.
    pub fn crash(&self) {
        let mut state = self.lock();
        state.calls_left = None;
        let ids: Vec<u64> = state.files.keys().copied().collect();
        for id in ids {
            state.write_back(id, 0.5);
            if let Some(content) = state.files.get_mut(&id) {
                content.seen = content.durable.clone();
            }
        }
        let changes = std::mem::take(&mut state.unsynced);
        let survive = [0.0, 0.5, 0.9, 1.0][state.below(3)];
        for change in changes {
            if state.happens(survive) {
                apply(&mut state.durable_names, change);
            }
        }
        state.names = state.durable_names.clone();
        let named: BTreeSet<u64> = state.names.values().copied().collect();
        state.files.retain(|id, _| named.contains(id));
    }

    /// Flips one bit of a file, as a bad disk would; says whether there was such a bit.
    pub fn flip_bit(&self, name: &str, bit: u64) -> bool {
        let mut state = self.lock();
        let Some(content) = state.names.get(name).copied().and_then(|id| state.files.get_mut(&id)) else {
            return false;
        };
        let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        for bytes in [&mut content.seen, &mut content.durable] {
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => return false,
            }
        }
        true
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let state = self.lock();
        let len = |id| state.files.get(id).map_or(0, |c| c.seen.len() as u64);
        Ok(state.names.iter().map(|(name, id)| (name.clone(), len(id))).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        if state.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let id = state.next_file;
        state.next_file += 1;
        state.change(Change::Link(name.to_owned(), id))?;
        state.files.insert(id, Content::default());
        Ok(Box::new(MemoryFile { disk: self.clone(), id }))
    }

    fn reopen(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let id = self.lock().names.get(name).copied().ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(MemoryFile { disk: self.clone(), id }))
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.lock();
        let content = state.names.get(name).and_then(|id| state.files.get(id)).ok_or(ErrorKind::NotFound)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.seen.len());
        let len = into.len().min(content.seen.len() - from);
        into[..len].copy_from_slice(&content.seen[from..from + len]);
        Ok(len)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        let id = state.names.get(from).copied().ok_or(ErrorKind::NotFound)?;
        state.change(Change::Link(to.to_owned(), id))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        if !state.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(Change::Unlink(name.to_owned()))
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        let share = state.faults.fail_sync;
        if state.happens(share) {
            return Err(io::Error::other("a planned failure"));
        }
        state.durable_names = state.names.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn nonce(&self) -> u64 {
        self.lock().next()
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    id: u64,
}

impl DiskFile for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let powered = state.calls_left;
        // The power goes in the middle of this write, or went before.
        if powered == Some(0) {
            return Err(no_power());
        }
        state.call()?;
        let left = usize::try_from(state.faults.space.saturating_sub(state.used())).unwrap_or(usize::MAX);
        let share = state.faults.fail_write;
        let (mut write, mut outcome) = (bytes.len(), Ok(()));
        if left < write {
            (write, outcome) = (left, Err(ErrorKind::StorageFull.into()));
        } else if powered == Some(1) {
            (write, outcome) = (state.below(bytes.len()), Err(no_power()));
        } else if state.happens(share) {
            (write, outcome) = (state.below(bytes.len()), Err(io::Error::other("a planned failure")));
        }
        let content = state.files.get_mut(&self.id).ok_or(ErrorKind::NotFound)?;
        let from = content.seen.len();
        content.seen.extend_from_slice(&bytes[..write]);
        if write > 0 {
            content.dirty.extend(from / SECTOR..=(from + write - 1) / SECTOR);
        }
        outcome
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call()?;
        let share = state.faults.fail_sync;
        if state.happens(share) {
            state.write_back(self.id, 0.5);
            let share = state.faults.drop_cache;
            if state.happens(share)
                && let Some(content) = state.files.get_mut(&self.id)
            {
                content.seen = content.durable.clone();
            }
            return Err(io::Error::other("a planned failure"));
        }
        state.write_back(self.id, 1.0);
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call()?;
        let share = state.faults.fail_change;
        if state.happens(share) {
            return Err(io::Error::other("a planned failure"));
        }
        let content = state.files.get_mut(&self.id).ok_or(ErrorKind::NotFound)?;
        content.seen.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}
