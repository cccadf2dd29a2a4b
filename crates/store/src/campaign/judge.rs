//! Compares what is read with the twin.

use super::world::World;
use crate::inspect::{Finding, Inspection};
use crate::segment::{Damage, SEGMENT_HEADER};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What one reading gave.
#[derive(Default, PartialEq, Eq)]
struct Read {
    records: BTreeMap<u64, Bytes>,
    damage: Vec<Damage>,
}

impl World {
    /// Reads everything and compares it.
    pub(super) fn check(&mut self) {
        self.tally.checks += 1;
        let Some(read) = self.read() else { return };
        let strangers: Vec<u64> = read
            .records
            .iter()
            .filter(|(seq, body)| self.twin.get(seq).is_none_or(|kept| kept.body != *body))
            .map(|(seq, _)| *seq)
            .collect();
        if !strangers.is_empty() {
            self.wrong(|t| &mut t.wrong, format!("records {strangers:?} are not what was written"));
        }
        let missing: Vec<u64> = self
            .twin
            .iter()
            .filter(|(seq, kept)| {
                kept.acknowledged && !read.records.contains_key(seq) && !self.hit.contains(seq)
            })
            .map(|(seq, _)| *seq)
            .collect();
        for seq in missing {
            self.wrong(|t| &mut t.lost, format!("acknowledged record {seq} is gone: {:?}", read.damage));
        }
        if let Some(seq) = self.hit.iter().copied().find(|seq| read.records.contains_key(seq)) {
            self.wrong(|t| &mut t.silent, format!("nobody saw the flipped bit in record {seq}"));
        }
        self.check_damage(&read);
        self.check_documents();
        self.tally.hit = self.tally.hit.max(self.hit.len() as u64);
    }

    /// Reads the log; what is neither read nor named as lost is a gap.
    fn read(&mut self) -> Option<Read> {
        let catalogue = self.catalogue()?;
        let (first, next_seq) = {
            let listing = catalogue.lock();
            (listing.segments.front().map_or(listing.next_seq, |s| s.first_seq), listing.next_seq)
        };
        let (mut read, mut due) = (Read::default(), first);
        let mut last_made = 0;
        for item in catalogue.replay(self.shared_disk(), 1) {
            let (from, to) = match &item {
                Ok(record) => (record.seq, record.seq + 1),
                Err(damage) => (damage.lost.start, damage.lost.end),
            };
            if from < due {
                self.wrong(|t| &mut t.doubled, format!("seq {from} comes where {due} is due"));
            }
            if from > due {
                self.wrong(|t| &mut t.silent, format!("seqs {due} to {from} are missing without a word"));
            }
            due = to;
            match item {
                Ok(record) => {
                    let made = record.body.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
                    if made <= last_made {
                        self.wrong(|t| &mut t.doubled, format!("item {made} comes after {last_made}"));
                    }
                    last_made = made;
                    read.records.insert(record.seq, record.body);
                }
                Err(damage) => read.damage.push(damage),
            }
        }
        if due != next_seq {
            self.wrong(|t| &mut t.silent, format!("the log ends at {due} instead of {next_seq}"));
        }
        Some(read)
    }

    /// Damage has a cause: a flipped bit, or a record that nobody acknowledged and a failed sync let go.
    fn check_damage(&mut self, read: &Read) {
        let caused =
            |d: &Damage| d.lost.clone().any(|seq| self.hit.contains(&seq) || self.doubtful.contains(&seq));
        if let Some(damage) = read.damage.iter().find(|d| !caused(d)) {
            let why = format!("damage without a cause: {damage}");
            self.wrong(|t| &mut t.silent, why);
        }
    }

    fn check_documents(&mut self) {
        let Some(documents) = self.documents() else { return };
        let odd = self.papers.iter().find_map(|(name, may)| match documents.get(name) {
            Ok(content) if may.contains(&content) => None,
            Ok(_) => Some(format!("`{name}` is none of its {} contents", may.len())),
            Err(e) => Some(format!("of {} contents: {e}", may.len())),
        });
        if let Some(why) = odd {
            self.wrong(|t| &mut t.lost, why);
        }
    }

    /// An inspection of the recovered disk says the same as a replay, and names the headers of which one copy is broken.
    pub(super) fn check_inspection(&mut self) {
        let (Some(read), Ok(inspection)) = (self.read(), Inspection::open_on(self.shared_disk())) else {
            return self.wrong(|t| &mut t.wrong, "the disk cannot be inspected".to_owned());
        };
        let (mut inspected, mut headers) = (Read::default(), BTreeMap::new());
        for finding in inspection.read() {
            match finding {
                Finding::Record(record) => {
                    inspected.records.insert(record.seq, record.body);
                }
                Finding::Damage(d) if d.reason.starts_with("one of") => {
                    headers.insert(d.file, d.offset / 32);
                }
                Finding::Damage(damage) => inspected.damage.push(damage),
                Finding::Torn(torn) => {
                    self.wrong(|t| &mut t.wrong, format!("not cut at the start: {torn}"));
                }
            }
        }
        if inspected != read {
            let why = format!("an inspection sees {:?}, a replay {:?}", inspected.damage, read.damage);
            self.wrong(|t| &mut t.silent, why);
        }
        let filled = inspection.found().iter().filter(|s| s.len > SEGMENT_HEADER);
        let marked = filled.filter_map(|s| Some((s.name.clone(), s.mark?.0)));
        let due: BTreeMap<String, u64> =
            marked.filter_map(|(name, mark)| Some((name, *self.headers.get(&mark)?))).collect();
        if due != headers {
            self.wrong(|t| &mut t.silent, format!("broken headers are {due:?}, told {headers:?}"));
        }
    }
}
