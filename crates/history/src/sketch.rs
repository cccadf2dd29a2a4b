//! The bytes of a sketch, as tables hold them: readable without this program.
//!
//! A sketch counts values in buckets whose ends grow by γ = 1.01 / 0.99. Its bytes are: the number 1 (the version of this form), the
//! number of buckets, then for each bucket, ascending, its distance from the one before and its count. All are LEB128; distances,
//! of which the first is from zero, are zigzag-coded. Bucket 0 is zero; bucket b > 0 stands for γ^(b − 2000) × 0.99, bucket −b for
//! the negative of that.

use stats::sketch::Sketch;

const VERSION: u64 = 1;

fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
    to.push(number as u8);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Writes a sketch behind what is there.
pub(crate) fn write(to: &mut Vec<u8>, sketch: &Sketch) {
    put(to, VERSION);
    put(to, sketch.parts().len() as u64);
    let mut before = 0i64;
    for (bucket, count) in sketch.parts() {
        let step = i64::from(bucket) - before;
        before = i64::from(bucket);
        put(to, (step << 1 ^ step >> 63).cast_unsigned());
        put(to, count);
    }
}

/// The bytes of a sketch.
pub fn encode(sketch: &Sketch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + sketch.parts().len() * 3);
    write(&mut bytes, sketch);
    bytes
}

/// The sketch of some bytes; `None` when they are not one.
pub fn decode(mut bytes: &[u8]) -> Option<Sketch> {
    let from = &mut bytes;
    if take(from)? != VERSION {
        return None;
    }
    let count = take(from)?;
    // Two bytes a bucket at least: a number that promises more is no number of buckets.
    if count > from.len() as u64 / 2 {
        return None;
    }
    let mut before = 0i64;
    let mut parts = Vec::with_capacity(usize::try_from(count).ok()?);
    for _ in 0..count {
        let coded = take(from)?;
        let step = (coded >> 1).cast_signed() ^ -(coded & 1).cast_signed();
        before = before.checked_add(step)?;
        parts.push((i32::try_from(before).ok()?, take(from)?));
    }
    from.is_empty().then(|| Sketch::of_parts(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_sketch_is_none() {
        for bytes in [&[][..], &[2, 0], &[1, 200], &[1, 1, 2], &[1, 0, 0], &[0xff; 12]] {
            assert!(decode(bytes).is_none(), "{bytes:?}");
        }
        assert_eq!(decode(&encode(&Sketch::new())), Some(Sketch::new()));
    }

    proptest! {
        #[test]
        fn a_sketch_reads_as_it_was_written(values in proptest::collection::vec((-1e9f64..1e9, 1u64..1_000_000_000), 0..60)) {
            let mut sketch = Sketch::new();
            values.iter().for_each(|(v, n)| sketch.add(*v, *n));
            prop_assert_eq!(decode(&encode(&sketch)), Some(sketch));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }
}
