//! One record of the log: its bytes on disk and back.

use bytes::Bytes;

/// One record as it comes back from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log: 1, 2, 3, …
    pub seq: u64,
    /// What the writer called it.
    pub kind: u8,
    /// When it was accepted, in nanoseconds since the Unix epoch.
    pub recorded_ns: i64,
    /// What the writer gave.
    pub body: Bytes,
}

/// Bytes before a body: mark u32, crc u32, length u32, kind u8, three zero bytes, seq u64, recorded i64, group u64.
pub(crate) const HEADER: usize = 40;

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) seq: u64,
    pub(crate) kind: u8,
    pub(crate) recorded_ns: i64,
    /// Where in the file this record's group begins. Everything before it was flushed when this record was written,
    /// which tells damage to acknowledged records from a torn, never acknowledged tail.
    pub(crate) group: u64,
}

/// What marks the records of one segment: the low half begins each record, the high half seeds its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u64);

impl Mark {
    pub(crate) fn bytes(self) -> [u8; 4] {
        (self.0 as u32).to_le_bytes()
    }

    fn checksum(self, rest_of_header: &[u8], body: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new_with_initial((self.0 >> 32) as u32);
        crc.update(rest_of_header);
        crc.update(body);
        crc.finalize()
    }
}

/// Appends one record to `out`. The caller has checked that the body's length fits 32 bits.
pub(crate) fn encode(out: &mut Vec<u8>, mark: Mark, header: Header, body: &[u8]) {
    let mut rest = [0; HEADER - 8];
    rest[0..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    rest[4] = header.kind;
    rest[8..16].copy_from_slice(&header.seq.to_le_bytes());
    rest[16..24].copy_from_slice(&header.recorded_ns.to_le_bytes());
    rest[24..32].copy_from_slice(&header.group.to_le_bytes());
    out.extend_from_slice(&mark.bytes());
    out.extend_from_slice(&mark.checksum(&rest, body).to_le_bytes());
    out.extend_from_slice(&rest);
    out.extend_from_slice(body);
}

/// The length of the whole record that seems to begin here, from its header alone; `None` when none begins here.
pub(crate) fn whole_len(mark: Mark, header: &[u8]) -> Option<u64> {
    let header = header.get(..HEADER)?;
    (header[..4] == mark.bytes()).then(|| HEADER as u64 + u64::from(u32::from_le_bytes(four(&header[8..12]))))
}

/// Reads one whole record; `None` when its checksum does not agree.
pub(crate) fn decode(mark: Mark, whole: &[u8]) -> Option<(Header, &[u8])> {
    if whole_len(mark, whole)? != whole.len() as u64 {
        return None;
    }
    let (head, body) = whole.split_at(HEADER);
    if mark.checksum(&head[8..], body) != u32::from_le_bytes(four(&head[4..8])) {
        return None;
    }
    Some((
        Header {
            kind: head[12],
            seq: u64::from_le_bytes(eight(&head[16..24])),
            recorded_ns: i64::from_le_bytes(eight(&head[24..32])),
            group: u64::from_le_bytes(eight(&head[32..40])),
        },
        body,
    ))
}

pub(crate) fn four(bytes: &[u8]) -> [u8; 4] {
    bytes.first_chunk().copied().unwrap_or_default()
}

pub(crate) fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_any_flipped_bit_is_seen() {
        let mark = Mark(0x1234_5678_9abc_def0);
        let header = Header { seq: 7, kind: 3, recorded_ns: -5, group: 64 };
        let mut bytes = Vec::new();
        encode(&mut bytes, mark, header, b"body");
        assert_eq!(decode(mark, &bytes), Some((header, &b"body"[..])));
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(mark, &broken), None, "bit {bit}");
        }
        assert_eq!(decode(Mark(mark.0 ^ (1 << 40)), &bytes), None, "another segment's record is not ours");
    }
}
