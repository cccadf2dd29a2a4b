//! Thousands of seeded steps against a naive twin: commits, failures, crashes, flipped bits, retention.

use crate::disk::Disk;
use crate::log::{Catalogue, Entry, Keep, Log, Recovery};
use crate::memory_disk::{Faults, MemoryDisk};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

const SEGMENT: u64 = 4_000;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The log beside what it must hold.
struct World {
    disk: MemoryDisk,
    log: Log,
    catalogue: Catalogue,
    random: Random,
    made: u64,
    /// What was acknowledged, by seq.
    twin: BTreeMap<u64, Bytes>,
    /// Bodies whose writer heard "failed" since the last acknowledgement.
    failed: Vec<Bytes>,
    /// Failed bodies that came back all the same, because cutting them off failed too and then the power went.
    came_back: u64,
    acknowledged: u64,
    refused: u64,
    crashes: u64,
    recovery: Recovery,
}

impl World {
    fn new(seed: u64) -> World {
        let disk = MemoryDisk::new(seed);
        let (log, catalogue, recovery) = Log::recover(Arc::new(disk.clone()), SEGMENT).unwrap();
        let random = Random(seed);
        World {
            disk,
            log,
            catalogue,
            random,
            made: 0,
            twin: BTreeMap::new(),
            failed: Vec::new(),
            came_back: 0,
            acknowledged: 0,
            refused: 0,
            crashes: 0,
            recovery,
        }
    }

    fn group(&mut self) -> Vec<Entry> {
        let count = 1 + self.random.below(4);
        (0..count)
            .map(|_| {
                self.made += 1;
                let mut body = vec![self.made as u8; self.random.below(700) as usize];
                body.extend_from_slice(&self.made.to_le_bytes());
                Entry { kind: self.made as u8, recorded_ns: self.made as i64, body: body.into() }
            })
            .collect()
    }

    fn commit(&mut self) {
        let group = self.group();
        match self.log.commit(&group) {
            Ok(first) => {
                self.failed.clear();
                self.acknowledged += group.len() as u64;
                self.twin.extend((first..).zip(group.into_iter().map(|e| e.body)));
            }
            Err(_) => {
                self.refused += group.len() as u64;
                self.failed.extend(group.into_iter().map(|e| e.body));
            }
        }
    }

    /// A group meets the end of the power somewhere between begin and answer.
    fn crash_in_commit(&mut self) {
        let group = self.group();
        self.disk.power_off_after(self.random.below(8));
        let bodies: Vec<Bytes> = group.iter().map(|e| e.body.clone()).collect();
        match self.log.commit(&group) {
            Ok(first) => {
                self.failed.clear();
                self.twin.extend((first..).zip(bodies));
                self.restart(&[]);
            }
            Err(_) => self.restart(&bodies),
        }
    }

    /// Restarts after a crash. `unanswered` may have survived, in order and from its begin.
    fn restart(&mut self, unanswered: &[Bytes]) {
        self.disk.set_faults(Faults::NONE);
        self.disk.crash();
        self.crashes += 1;
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (log, catalogue, recovery) = Log::recover(disk, SEGMENT).unwrap();
        (self.log, self.catalogue, self.recovery) = (log, catalogue, recovery);
        let last = self.twin.last_key_value().map_or(0, |(seq, _)| *seq);
        for record in self.replay_from(last + 1) {
            let (seq, body) = record.unwrap();
            if unanswered.contains(&body) {
                self.twin.insert(seq, body);
            } else if self.failed.contains(&body) {
                self.came_back += 1;
                self.twin.insert(seq, body);
            } else {
                panic!("record {seq} comes from nowhere");
            }
        }
        self.failed.clear();
    }

    fn replay_from(&self, seq: u64) -> Vec<Result<(u64, Bytes), crate::Damage>> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        self.catalogue.replay(disk, seq).map(|r| r.map(|r| (r.seq, r.body))).collect()
    }

    fn check(&mut self) {
        assert_eq!(self.recovery.damage, []);
        let from = 1 + self.random.below(self.made + 1);
        for from in [from, 1] {
            let read: Vec<_> = self.replay_from(from).into_iter().map(Result::unwrap).collect();
            let due: Vec<_> = self.twin.range(from..).map(|(seq, body)| (*seq, body.clone())).collect();
            assert!(read == due, "from {from}: {:?} instead of {:?}", seqs(&read), seqs(&due));
        }
    }
}

fn seqs(records: &[(u64, Bytes)]) -> Vec<u64> {
    records.iter().map(|(seq, _)| *seq).collect()
}

fn run(seed: u64, steps: u64, faults: impl Fn(&mut Random) -> Faults) -> World {
    let mut world = World::new(seed);
    for _ in 0..steps {
        match world.random.below(12) {
            0 => {
                let faults = faults(&mut world.random);
                world.disk.set_faults(faults);
            }
            1 => world.disk.set_faults(Faults::NONE),
            2 => world.restart(&[]),
            3 => world.crash_in_commit(),
            4 => world.check(),
            5 if world.random.below(4) == 0 => {
                let seq = 1 + world.random.below(world.made + 1);
                world.disk.set_faults(Faults::NONE);
                world.catalogue.retain(&world.disk, Keep::from_seq(seq)).unwrap();
                let first = world.catalogue.lock().segments.front().map_or(1, |s| s.first_seq);
                assert!(
                    world.twin.range(seq..).next().is_none_or(|(kept, _)| *kept >= first),
                    "kept too little"
                );
                world.twin = world.twin.split_off(&first);
            }
            _ => world.commit(),
        }
    }
    world.disk.set_faults(Faults::NONE);
    world.commit();
    world.check();
    world
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_crashes_alone() {
    for seed in 0..40 {
        let world = run(seed, 300, |_| Faults::NONE);
        assert_eq!((world.came_back, world.refused), (0, 0), "seed {seed}");
        assert!(world.acknowledged > 100 && world.crashes > 10, "seed {seed} did nothing");
    }
}

#[test]
fn what_a_full_or_failing_write_refused_never_comes_back() {
    let mut refused = 0;
    for seed in 100..140 {
        let world = run(seed, 300, |random| match random.below(2) {
            0 => Faults { space: random.below(30_000), ..Faults::NONE },
            _ => Faults { fail_write: 0.5, ..Faults::NONE },
        });
        assert_eq!(world.came_back, 0, "seed {seed}");
        refused += world.refused;
    }
    assert!(refused > 1_000, "only {refused} records were refused");
}

#[test]
fn a_disk_on_which_everything_fails_loses_and_doubles_nothing_acknowledged() {
    let (mut came_back, mut refused) = (0, 0);
    for seed in 200..260 {
        let world = run(seed, 300, |random| Faults {
            fail_write: 0.2,
            fail_sync: 0.3,
            drop_cache: 0.5,
            fail_change: 0.2,
            space: if random.below(3) == 0 { random.below(30_000) } else { u64::MAX },
        });
        came_back += world.came_back;
        refused += world.refused;
    }
    assert!(refused > 1_000, "only {refused} records were refused");
    // Only when writing, cutting and beginning the next segment all fail and then the power goes.
    assert!(came_back * 20 < refused, "{came_back} of {refused} refused records came back");
}

/// Flips bits below what is acknowledged and says which seqs a reader may miss.
fn damaged(world: &mut World) -> Vec<Range<u64>> {
    let segments = world.catalogue.lock().segments.clone();
    for _ in 0..1 + world.random.below(3) {
        let segment = &segments[world.random.below(segments.len() as u64) as usize];
        let bit = world.random.below(segment.len * 8);
        assert!(world.disk.flip_bit(&segment.name, bit));
    }
    world.replay_from(1).into_iter().filter_map(Result::err).map(|d| d.lost).collect()
}

#[test]
fn flipped_bits_are_reported_and_cost_only_the_records_they_hit() {
    let mut losses = 0;
    for seed in 300..500 {
        let mut world = World::new(seed);
        for _ in 0..30 {
            world.commit();
        }
        let lost = damaged(&mut world);
        let read: Vec<_> = world.replay_from(1).into_iter().filter_map(Result::ok).collect();
        let due: Vec<_> =
            world.twin.clone().into_iter().filter(|(s, _)| !lost.iter().any(|l| l.contains(s))).collect();
        assert!(read == due, "seed {seed}: {:?} instead of {:?}, lost {lost:?}", seqs(&read), seqs(&due));
        let count: u64 = lost.iter().map(|l| l.end - l.start).sum();
        assert!(count <= 3, "seed {seed}: three bits cost {count} records");
        losses += count;

        // A restart reports it too: as damage, or, where nothing behind proves it, as a cut tail; and goes on.
        let before = world.catalogue.lock().segments.back().unwrap().clone();
        let (log, catalogue, recovery) = Log::recover(Arc::new(world.disk.clone()), SEGMENT).unwrap();
        let last_seq = world.twin.last_key_value().map_or(0, |(seq, _)| *seq);
        match &recovery.torn {
            Some(torn) => assert!(torn.offset + torn.bytes == before.len && recovery.next_seq <= last_seq),
            None => assert_eq!(recovery.next_seq, last_seq + 1),
        }
        (world.log, world.catalogue) = (log, catalogue);
        let first = world
            .log
            .commit(&[Entry { kind: 1, recorded_ns: 1, body: Bytes::from_static(b"after") }])
            .unwrap();
        assert_eq!(first, recovery.next_seq);
        assert_eq!(world.replay_from(first), [Ok((first, Bytes::from_static(b"after")))]);
    }
    assert!(losses > 100, "only {losses} records were hit");
}

#[test]
fn a_segment_that_lost_its_header_does_not_hide_its_neighbours() {
    let mut world = World::new(7);
    for _ in 0..30 {
        world.commit();
    }
    let segments = world.catalogue.lock().segments.clone();
    for byte in [0, 32] {
        world.disk.flip_bit(&segments[1].name, byte * 8);
    }
    let (_, catalogue, _) = Log::recover(Arc::new(world.disk.clone()), SEGMENT).unwrap();
    world.catalogue = catalogue;
    let read = world.replay_from(1);
    let damage: Vec<_> = read.iter().filter_map(|r| r.as_ref().err()).collect();
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].lost, segments[1].first_seq..segments[2].first_seq);
    assert_eq!(read.len() as u64 - 1, world.twin.len() as u64 - (damage[0].lost.end - damage[0].lost.start));
}

#[test]
fn a_body_that_looks_like_a_record_is_not_taken_for_one() {
    let mut world = World::new(9);
    let mut copy = Vec::new();
    let header = crate::record::Header { seq: 3, kind: 9, recorded_ns: 0, group: 1 << 30 };
    crate::record::encode(&mut copy, crate::record::Mark(1), header, b"forged");
    let entry = |body: Vec<u8>| Entry { kind: 0, recorded_ns: 0, body: body.into() };
    world.log.commit(&[entry(copy.repeat(50)), entry(b"b".to_vec())]).unwrap();
    let name = world.catalogue.lock().segments[0].name.clone();
    world.disk.flip_bit(&name, 70 * 8);
    let read = world.replay_from(1);
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].as_ref().unwrap_err().lost, 1..2);
    assert_eq!(read[1], Ok((2, Bytes::from_static(b"b"))));
}

#[test]
fn a_crash_amid_retention_brings_back_no_segment_alone() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.commit();
        }
        world.disk.power_off_after(2 + seed % 8);
        assert!(world.catalogue.retain(&world.disk, Keep::from_seq(u64::MAX)).is_err());
        world.disk.crash();
        (world.log, world.catalogue, world.recovery) =
            Log::recover(Arc::new(world.disk.clone()), SEGMENT).unwrap();
        let first = world.catalogue.lock().segments.front().map_or(1, |s| s.first_seq);
        world.twin = world.twin.split_off(&first);
        world.check();
    }
}
