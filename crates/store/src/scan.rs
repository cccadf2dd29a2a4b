//! What files of the log a folder holds, without changing any of them.

use crate::disk::Disk;
use crate::segment::{COPY, Damage, SEGMENT_HEADER, Segment, broken_copies, decode_header, parse_name};
use std::io;

/// The prefix of files that are being written; left over ones are removed when the store opens.
pub(crate) const UNFINISHED: &str = "tmp-";

/// The files of a log.
pub(crate) struct Found {
    /// In order, without those that are left over.
    pub(crate) segments: Vec<Segment>,
    /// Names and lengths of files that a crash left behind and that never held anything acknowledged.
    pub(crate) left_over: Vec<(String, u64)>,
    /// Headers of which one copy is broken: nothing is lost, and nothing may break further.
    pub(crate) headers: Vec<Damage>,
    /// The generation that the next segment gets.
    pub(crate) next_generation: u64,
}

/// Looks at every file's name, length and header.
pub(crate) fn scan(disk: &dyn Disk) -> io::Result<Found> {
    let mut found =
        Found { segments: Vec::new(), left_over: Vec::new(), headers: Vec::new(), next_generation: 1 };
    for (name, len) in disk.list()? {
        if name.starts_with(UNFINISHED) {
            found.left_over.push((name, len));
            continue;
        }
        let Some((generation, first_seq)) = parse_name(&name) else { continue };
        found.next_generation = found.next_generation.max(generation + 1);
        let mut header = [0; SEGMENT_HEADER as usize];
        disk.read_at(&name, 0, &mut header)?;
        let decoded = decode_header(&header);
        // A header is whole before the first record is written: without one, or in a file that ends within it,
        // nothing was ever acknowledged.
        if len < SEGMENT_HEADER || (len == SEGMENT_HEADER && decoded.is_none()) {
            found.left_over.push((name, len));
            continue;
        }
        // A crash while a segment is begun may leave half its header, and nothing else in it.
        if decoded.is_some() && len > SEGMENT_HEADER {
            found.headers.extend(broken_copies(&header).map(|place| broken_header(&name, place, first_seq)));
        }
        let (mark, first_seq, begun_ns) = match decoded {
            Some((mark, first_seq, begun_ns)) => (Some(mark), first_seq, begun_ns),
            None => (None, first_seq, i64::MIN),
        };
        found.segments.push(Segment { name, generation, first_seq, mark, begun_ns, len });
    }
    found.segments.sort_by_key(|s| s.generation);
    // An empty segment with another behind it is one that could neither be begun nor removed. Retention does not know
    // it, so left there it would one day look like a gap.
    let newest = found.segments.last().map(|s| s.generation);
    let empty = found.segments.extract_if(.., |s| s.len == SEGMENT_HEADER && Some(s.generation) != newest);
    found.left_over.extend(empty.map(|s| (s.name, s.len)));
    Ok(found)
}

fn broken_header(file: &str, place: u64, first_seq: u64) -> Damage {
    Damage {
        file: file.to_owned(),
        offset: place * COPY as u64,
        bytes: COPY as u64,
        lost: first_seq..first_seq,
        reason: "one of the two copies of its header is broken".to_owned(),
    }
}
