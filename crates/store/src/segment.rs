//! One file of the log: its name, its header, and reading it record by record, around damage.

use crate::disk::Disk;
use crate::record::{self, Header, Mark, Record, eight, four};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes before the first record: the same 32 bytes twice, because without the mark no record could be found.
pub(crate) const SEGMENT_HEADER: u64 = 64;
pub(crate) const COPY: usize = 32;
/// In every version a file of the log begins with these four bytes; the last is the version.
const FORMAT: [u8; 4] = *b"E2L1";

/// What is known of one file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) generation: u64,
    /// The seq of its first record. Records of an earlier segment from this seq on are void: their group failed and
    /// could not be cut off, and this segment begins where they should have been cut.
    pub(crate) first_seq: u64,
    /// `None` when both copies of the header are damaged: nothing in the file can be read.
    pub(crate) mark: Option<Mark>,
    /// When its first record was accepted.
    pub(crate) begun_ns: i64,
    /// Bytes that hold acknowledged records, header included.
    pub(crate) len: u64,
}

pub(crate) fn name_of(generation: u64, first_seq: u64) -> String {
    format!("log-{generation:010}-{first_seq:020}.seg")
}

/// Generation and first seq from a file's name; `None` for files that are no segment.
pub(crate) fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (generation, first) = name.strip_prefix("log-")?.strip_suffix(".seg")?.split_once('-')?;
    Some((generation.parse().ok()?, first.parse().ok()?))
}

pub(crate) fn encode_header(mark: Mark, first_seq: u64, begun_ns: i64) -> [u8; SEGMENT_HEADER as usize] {
    let mut out = [0; SEGMENT_HEADER as usize];
    let copy = &mut out[..COPY];
    copy[..4].copy_from_slice(&FORMAT);
    copy[8..16].copy_from_slice(&mark.0.to_le_bytes());
    copy[16..24].copy_from_slice(&first_seq.to_le_bytes());
    copy[24..32].copy_from_slice(&begun_ns.to_le_bytes());
    let crc = crc32fast::hash(&copy[8..]);
    copy[4..8].copy_from_slice(&crc.to_le_bytes());
    out.copy_within(..COPY, COPY);
    out
}

/// Mark, first seq and begin, from whichever copy is whole.
pub(crate) fn decode_header(bytes: &[u8]) -> Option<(Mark, u64, i64)> {
    copies(bytes).find(|copy| whole(copy)).map(|copy| {
        (
            Mark(u64::from_le_bytes(eight(&copy[8..16]))),
            u64::from_le_bytes(eight(&copy[16..24])),
            i64::from_le_bytes(eight(&copy[24..32])),
        )
    })
}

/// Which copies of a header, 0 or 1, are broken.
pub(crate) fn broken_copies(bytes: &[u8]) -> impl Iterator<Item = u64> {
    (0..).zip(copies(bytes)).filter(|(_, copy)| !whole(copy)).map(|(place, _)| place)
}

fn copies(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks_exact(COPY).take(2)
}

fn whole(copy: &[u8]) -> bool {
    copy[..4] == FORMAT && crc32fast::hash(&copy[8..]) == u32::from_le_bytes(four(&copy[4..8]))
}

/// The version after `own` that a file says it has, by its first four bytes. Something else there is damage.
pub(crate) fn newer(begin: &[u8], own: [u8; 4]) -> Option<char> {
    let (said, known) = (begin.get(..4)?, own[3]);
    (said[..3] == own[..3] && said[3].is_ascii_alphanumeric() && said[3] > known).then(|| char::from(said[3]))
}

/// The first file of the log that a later version wrote: to read on without it would lose what it holds.
pub(crate) fn first_newer(disk: &dyn Disk) -> io::Result<Option<(String, char)>> {
    for (name, _) in disk.list()?.into_iter().filter(|(name, _)| parse_name(name).is_some()) {
        let mut header = [0; SEGMENT_HEADER as usize];
        disk.read_at(&name, 0, &mut header)?;
        // A whole copy is of this version, whatever a flipped bit says in the other.
        if let (None, Some(version)) = (decode_header(&header), newer(&header, FORMAT)) {
            return Ok(Some((name, version)));
        }
    }
    Ok(None)
}

/// Acknowledged records that cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset} ({bytes} bytes, {}): {reason}", Lost(lost))]
pub struct Damage {
    /// The file in the data folder.
    pub file: String,
    /// Where the damage begins.
    pub offset: u64,
    /// How many bytes were skipped; 0 when records are missing between two whole ones.
    pub bytes: u64,
    /// The seqs that are lost.
    pub lost: Range<u64>,
    /// What is wrong there.
    pub reason: String,
}

struct Lost<'a>(&'a Range<u64>);

impl std::fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.end.saturating_sub(self.0.start) {
            0 => write!(f, "no record lost"),
            1 => write!(f, "record {} lost", self.0.start),
            _ => write!(f, "records {} to {} lost", self.0.start, self.0.end - 1),
        }
    }
}

/// Reads a file through a window, so that a replay holds about one mebibyte, or one record if that is larger.
struct Window {
    disk: Arc<dyn Disk>,
    name: String,
    /// The length of the file: a window is not made larger than what can be in it.
    end: u64,
    start: u64,
    bytes: Vec<u8>,
}

const WINDOW: u64 = 1 << 20;

impl Window {
    /// The bytes `[at, at + len)` of the file; fewer at its end.
    fn get(&mut self, at: u64, len: u64) -> io::Result<&[u8]> {
        let have = self.start..self.start + self.bytes.len() as u64;
        if at < have.start || at + len > have.end {
            let want = len.max(WINDOW.min(self.end.saturating_sub(at)));
            self.bytes.resize(usize::try_from(want).map_err(io::Error::other)?, 0);
            let filled = self.disk.read_at(&self.name, at, &mut self.bytes);
            self.bytes.truncate(*filled.as_ref().unwrap_or(&0));
            self.start = at;
            filled?;
        }
        let from = usize::try_from(at - self.start).map_err(io::Error::other)?;
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(&rest[..rest.len().min(usize::try_from(len).map_err(io::Error::other)?)])
    }
}

/// What a reader met.
#[derive(Debug)]
pub(crate) enum Met {
    /// A whole record.
    Record(Record),
    /// Something that is no record, with whole records or the known end behind it.
    Damage(Damage),
    /// Something that is no record, and nothing behind it proves that it ever was acknowledged.
    Torn,
}

/// Reads one segment from its first record on.
pub(crate) struct SegmentReader {
    window: Window,
    segment: Segment,
    /// The seq that must follow the last record; unknown for the last segment during recovery.
    stop_seq: Option<u64>,
    at: u64,
    expected: u64,
    over: bool,
}

impl SegmentReader {
    pub(crate) fn new(disk: Arc<dyn Disk>, segment: Segment, stop_seq: Option<u64>) -> SegmentReader {
        let (name, end) = (segment.name.clone(), segment.len);
        let window = Window { disk, name, end, start: 0, bytes: Vec::new() };
        let expected = segment.first_seq;
        SegmentReader { window, segment, stop_seq, at: SEGMENT_HEADER, expected, over: false }
    }

    /// Where the next record begins.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    /// The seq of the next record.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// The next thing in the file; `None` at its end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Met>> {
        if self.over || self.stop_seq.is_some_and(|stop| self.expected >= stop) {
            return Ok(None);
        }
        self.step()
    }

    /// The rest of the file as damage, because reading it failed.
    pub(crate) fn unreadable(&mut self, error: &io::Error) -> Damage {
        self.over = true;
        self.damage_until(self.segment.len, self.stop_seq, format!("it cannot be read: {error}"))
    }

    fn step(&mut self) -> io::Result<Option<Met>> {
        let end = self.segment.len;
        let Some(mark) = self.segment.mark else {
            self.over = true;
            // Without a next segment the count is an upper bound: as many records as could have fitted.
            let fits = end.saturating_sub(SEGMENT_HEADER) / record::HEADER as u64;
            let stop = self.stop_seq.unwrap_or(self.expected + fits);
            let reason = "both copies of its header are broken".to_owned();
            return Ok(Some(Met::Damage(self.damage_until(end, Some(stop), reason))));
        };
        if self.at >= end {
            self.over = true;
            return Ok(self.stop_seq.map(|stop| {
                Met::Damage(self.damage_until(end, Some(stop), "records are missing at its end".to_owned()))
            }));
        }
        if let Some((header, record)) = self.record_at(mark, self.at)?.filter(|(h, _)| h.seq == self.expected)
        {
            self.at += (record::HEADER + record.body.len()) as u64;
            self.expected = header.seq + 1;
            return Ok(Some(Met::Record(record)));
        }
        let found = self.search(mark, self.at)?;
        let Some((offset, seq)) = found else {
            if self.stop_seq.is_none() {
                self.over = true;
                return Ok(Some(Met::Torn));
            }
            let damage = self.damage_until(end, self.stop_seq, "checksum or length do not agree".to_owned());
            self.over = true;
            return Ok(Some(Met::Damage(damage)));
        };
        // A void record behind the damage still bounds it.
        let seq = self.stop_seq.map_or(seq, |stop| seq.min(stop));
        let damage = self.damage_until(offset, Some(seq), "checksum or length do not agree".to_owned());
        self.at = offset;
        self.expected = seq;
        Ok(Some(Met::Damage(damage)))
    }

    fn damage_until(&self, offset: u64, seq: Option<u64>, reason: String) -> Damage {
        Damage {
            file: self.segment.name.clone(),
            offset: self.at,
            bytes: offset.saturating_sub(self.at),
            lost: self.expected..seq.unwrap_or(self.expected),
            reason,
        }
    }

    fn record_at(&mut self, mark: Mark, at: u64) -> io::Result<Option<(Header, Record)>> {
        let left = self.segment.len.saturating_sub(at);
        let Some(len) = record::whole_len(mark, self.window.get(at, record::HEADER as u64)?) else {
            return Ok(None);
        };
        if len > left {
            return Ok(None);
        }
        Ok(record::decode(mark, self.window.get(at, len)?).map(|(header, body)| {
            let Header { seq, kind, recorded_ns, .. } = header;
            (header, Record { seq, kind, recorded_ns, body: Bytes::copy_from_slice(body) })
        }))
    }

    /// The first whole record behind the damage at `bad`: its offset and seq. In a segment whose end is not known to be
    /// acknowledged, only if some record behind was written after the damaged place had been flushed.
    fn search(&mut self, mark: Mark, bad: u64) -> io::Result<Option<(u64, u64)>> {
        let mut first = None;
        let mut at = bad + 1;
        while let Some(candidate) = self.find_mark(mark, at)? {
            at = candidate + 1;
            let Some((header, record)) = self.record_at(mark, candidate)? else { continue };
            if header.seq < self.expected {
                continue;
            }
            let found = *first.get_or_insert((candidate, header.seq));
            if self.stop_seq.is_some() || header.group > bad {
                return Ok(Some(found));
            }
            at = candidate + (record::HEADER + record.body.len()) as u64;
        }
        Ok(None)
    }

    /// The next place at or after `from` that carries the segment's mark.
    fn find_mark(&mut self, mark: Mark, from: u64) -> io::Result<Option<u64>> {
        let (mark, mut at) = (mark.bytes(), from);
        while at < self.segment.len {
            let bytes = self.window.get(at, WINDOW.min(self.segment.len - at))?;
            if let Some(place) = bytes.windows(mark.len()).position(|w| w == mark) {
                return Ok(Some(at + place as u64));
            }
            // A mark may lie across the edge of two windows.
            let step = (bytes.len() as u64).saturating_sub(mark.len() as u64 - 1);
            if step == 0 {
                break;
            }
            at += step;
        }
        Ok(None)
    }
}
