//! The store on a failing disk beside its twin, and the steps that are taken.

use super::Tally;
use crate::disk::Disk;
use crate::documents::Documents;
use crate::log::{Catalogue, Entry, Keep, Log};
use crate::memory_disk::{Faults, MemoryDisk};
use crate::record::{HEADER, Mark};
use crate::segment::{COPY, Met, SEGMENT_HEADER, Segment, SegmentReader};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Small, so that a world has dozens of segments.
const SEGMENT: u64 = 3_000;
const MAX_DOCUMENT: u64 = 1_000;

struct Random(u64);

impl Random {
    /// Knuth's MMIX generator: seeded and good enough to choose steps.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// A record that was acknowledged, or that is read although it was not.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) body: Bytes,
    pub(super) acknowledged: bool,
}

/// The real thing, open.
struct Open {
    log: Log,
    catalogue: Catalogue,
    documents: Documents,
}

pub(super) struct World {
    seed: u64,
    random: Random,
    pub(super) disk: MemoryDisk,
    open: Option<Open>,
    made: u64,
    /// What must be read, by seq.
    pub(super) twin: BTreeMap<u64, Kept>,
    /// Removed records that a crash may bring back.
    retired: BTreeMap<u64, Kept>,
    /// Records that nobody acknowledged since the last that somebody did: a crash may bring them back.
    pending: Vec<Bytes>,
    /// Records that flipped bits hit.
    pub(super) hit: BTreeSet<u64>,
    /// Seqs that are damaged or may be without loss to anybody: their records were never acknowledged.
    pub(super) doubtful: BTreeSet<u64>,
    /// Bits that are flipped, by the mark of their segment: a name may be given again.
    flipped: BTreeSet<(u64, u64)>,
    /// Copies of headers that flipped bits hit, by the same.
    pub(super) headers: BTreeMap<u64, u64>,
    /// What each document may hold: after a failure the old or the new.
    pub(super) papers: BTreeMap<String, Vec<Option<Vec<u8>>>>,
    pub(super) tally: Tally,
}

impl World {
    pub(super) fn play(seed: u64, steps: u64) -> Tally {
        let mut world = World {
            seed,
            random: Random(seed),
            disk: MemoryDisk::new(seed),
            open: None,
            made: 0,
            twin: BTreeMap::new(),
            retired: BTreeMap::new(),
            pending: Vec::new(),
            hit: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            flipped: BTreeSet::new(),
            headers: BTreeMap::new(),
            papers: BTreeMap::new(),
            tally: Tally::default(),
        };
        world.start();
        while world.tally.steps < steps && world.tally.found() == 0 {
            world.tally.steps += 1;
            world.step();
        }
        world.tally.steps = steps;
        world.disk.set_faults(Faults::NONE);
        world.check();
        world.tally
    }

    /// Something that must not be.
    pub(super) fn wrong(&mut self, count: impl Fn(&mut Tally) -> &mut u64, why: String) {
        *count(&mut self.tally) += 1;
        let (seed, step) = (self.seed, self.tally.steps);
        self.tally.first.get_or_insert_with(|| format!("seed {seed}, step {step}: {why}"));
    }

    fn step(&mut self) {
        match self.random.below(32) {
            0 | 1 => self.break_disk(),
            2 | 3 => self.disk.set_faults(Faults::NONE),
            4 => self.power_cut(),
            5 => self.end_process(),
            6 | 7 => self.with_power_cut(World::commit),
            8 => self.with_power_cut(World::change_document),
            9 => self.with_power_cut(World::retain),
            10 => self.check(),
            11 | 12 => self.retain(),
            13 | 14 => self.flip(),
            15..=17 => self.change_document(),
            _ => self.commit(),
        }
    }

    fn break_disk(&mut self) {
        let often = [0.05, 0.3, 0.8][self.random.below(3) as usize];
        let mut share = || if self.random.below(2) == 0 { often } else { 0.0 };
        let (fail_write, fail_sync, fail_change, drop_cache) = (share(), share(), share(), share());
        let space = if self.random.below(4) == 0 { self.random.below(30_000) } else { u64::MAX };
        self.disk.set_faults(Faults { fail_write, fail_sync, drop_cache, fail_change, space });
    }

    fn commit(&mut self) {
        let group: Vec<Entry> = (0..1 + self.random.below(4))
            .map(|_| {
                self.made += 1;
                let mut body = self.made.to_le_bytes().to_vec();
                body.resize(8 + self.random.below(400) as usize, self.made as u8);
                Entry { kind: self.made as u8, recorded_ns: self.made as i64, body: body.into() }
            })
            .collect();
        let Some(open) = &mut self.open else { return };
        let outcome = open.log.commit(&group);
        let bodies = group.into_iter().map(|e| e.body);
        match outcome {
            Ok(first) => {
                self.pending.clear();
                self.tally.acknowledged += bodies.len() as u64;
                if self.twin.range(first..).next().is_some() {
                    self.wrong(|t| &mut t.doubled, format!("seq {first} was given twice"));
                }
                self.twin.extend((first..).zip(bodies.map(|body| Kept { body, acknowledged: true })));
            }
            Err(_) => {
                self.tally.refused += bodies.len() as u64;
                self.pending.extend(bodies);
            }
        }
    }

    fn change_document(&mut self) {
        let Some(open) = &self.open else { return };
        let name = format!("paper {}", self.random.below(4));
        let content = (self.random.below(4) > 0)
            .then(|| vec![self.random.below(256) as u8; self.random.below(MAX_DOCUMENT) as usize]);
        let done = match &content {
            Some(content) => open.documents.put(&name, content),
            None => open.documents.remove(&name).map(|_| ()),
        };
        self.tally.documents += 1;
        let may = self.papers.entry(name).or_insert_with(|| vec![None]);
        if done.is_ok() {
            may.clear();
        }
        may.push(content);
    }

    /// Lets go of old segments, down to about ten.
    fn retain(&mut self) {
        let Some(open) = &self.open else { return };
        let from = {
            let listing = open.catalogue.lock();
            let old = listing.segments.len().saturating_sub(10 + self.random.below(10) as usize);
            listing.segments.get(old).map_or(1, |s| s.first_seq)
        };
        let done = open.catalogue.retain(&self.disk, Keep::from_seq(from));
        let first = open.catalogue.lock().segments.front().map_or(1, |s| s.first_seq);
        let kept = self.twin.split_off(&first);
        self.retired.append(&mut std::mem::replace(&mut self.twin, kept));
        if first > from {
            self.wrong(|t| &mut t.lost, format!("retention kept from {first} instead of {from}"));
        }
        if done.is_ok_and(|removed| removed > 0) {
            self.retired.clear();
        }
    }

    /// Flips a bit somewhere in a closed segment.
    fn flip(&mut self) {
        let Some((segment, stop)) = self.closed_segment() else { return };
        let Some(Mark(mark)) = segment.mark else { return };
        let bit = self.random.below(segment.len * 8);
        let (at, place) = (bit / 8, (mark, bit));
        if self.flipped.contains(&place) {
            return;
        }
        if at < SEGMENT_HEADER {
            let copy = at / COPY as u64;
            // Both copies gone is the loss of a segment; `simulation` has a test of that.
            if *self.headers.entry(mark).or_insert(copy) != copy {
                return;
            }
        } else {
            self.hit.extend(seq_at(&self.disk, &segment, stop, at));
        }
        if self.disk.flip_bit(&segment.name, bit) {
            self.flipped.insert(place);
            self.tally.flipped_bits += 1;
        }
    }

    fn closed_segment(&mut self) -> Option<(Segment, u64)> {
        let listing = self.open.as_ref()?.catalogue.lock();
        let closed = listing.segments.len().checked_sub(1).filter(|n| *n > 0)?;
        let place = self.random.below(closed as u64) as usize;
        let stop = listing.segments.get(place + 1)?.first_seq;
        Some((listing.segments.get(place)?.clone(), stop))
    }

    fn with_power_cut(&mut self, step: fn(&mut World)) {
        self.disk.power_off_after(self.random.below(9));
        step(self);
        self.power_cut();
    }

    fn power_cut(&mut self) {
        self.open = None;
        self.tally.power_cuts += 1;
        self.disk.crash();
        self.start();
    }

    fn end_process(&mut self) {
        self.open = None;
        self.tally.ends += 1;
        self.disk.end_process();
        self.start();
    }

    /// Opens the store again, often not at the first attempt.
    fn start(&mut self) {
        self.disk.set_faults(Faults::NONE);
        match self.random.below(4) {
            0 => {
                self.disk.power_off_after(self.random.below(6));
                let _ = Log::recover(self.shared_disk(), SEGMENT);
                self.disk.crash();
            }
            1 => {
                self.break_disk();
                let failed = Log::recover(self.shared_disk(), SEGMENT).is_err();
                self.disk.set_faults(Faults::NONE);
                // Who meets a failing disk at the start looks after the machine first.
                if failed {
                    self.disk.crash();
                }
            }
            _ => {}
        }
        let opened = Log::recover(self.shared_disk(), SEGMENT).and_then(|(log, catalogue, _)| {
            Ok((log, catalogue, Documents::open(self.shared_disk(), MAX_DOCUMENT)?))
        });
        match opened {
            Ok((log, catalogue, documents)) => {
                self.open = Some(Open { log, catalogue, documents });
                self.learn();
                self.check();
                self.check_inspection();
            }
            Err(e) => self.wrong(|t| &mut t.wrong, format!("the store does not open again: {e}")),
        }
    }

    /// What nobody acknowledged may be there or not: looks which of it is.
    fn learn(&mut self) {
        let Some(open) = &self.open else { return };
        let first = open.catalogue.lock().segments.front().map_or(1, |s| s.first_seq);
        let back = self.retired.split_off(&first);
        self.twin.extend(back);
        self.retired.clear();
        let last = self.twin.iter().rev().find(|(_, k)| k.acknowledged).map_or(0, |(seq, _)| *seq);
        let unsure = self.twin.split_off(&(last + 1));
        self.pending.extend(unsure.into_values().map(|k| k.body));
        self.hit.split_off(&(last + 1));
        self.doubtful.split_off(&(last + 1));
        for item in open.catalogue.replay(self.shared_disk(), last + 1) {
            match item {
                // What is not among them is found by `check`.
                Ok(record) if self.pending.contains(&record.body) => {
                    self.tally.came_back += 1;
                    self.doubtful.insert(record.seq);
                    self.twin.insert(record.seq, Kept { body: record.body, acknowledged: false });
                }
                Ok(_) => {}
                Err(damage) => self.doubtful.extend(damage.lost.start.max(last + 1)..damage.lost.end),
            }
        }
    }

    pub(super) fn shared_disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    pub(super) fn catalogue(&self) -> Option<Catalogue> {
        self.open.as_ref().map(|open| open.catalogue.clone())
    }

    pub(super) fn documents(&self) -> Option<&Documents> {
        self.open.as_ref().map(|open| &open.documents)
    }
}

/// The record that a byte of a segment belongs to.
fn seq_at(disk: &MemoryDisk, segment: &Segment, stop: u64, at: u64) -> Option<u64> {
    let mut reader = SegmentReader::new(Arc::new(disk.clone()), segment.clone(), Some(stop));
    while let Ok(Some(met)) = reader.next() {
        let end = reader.offset();
        if let Met::Record(record) = met
            && (end - (HEADER + record.body.len()) as u64..end).contains(&at)
        {
            return Some(record.seq);
        }
    }
    None
}
