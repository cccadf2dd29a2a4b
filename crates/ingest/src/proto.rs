//! Reading protobuf's wire format from borrowed bytes: tags, varints, fixed words, lengths; everything checked.

use crate::Malformed;

/// The largest field number protobuf knows.
const LARGEST_FIELD: u32 = (1 << 29) - 1;

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

#[cold]
fn malformed(what: &str) -> Malformed {
    Malformed { message: format!("this is not the protobuf that was announced: {what}") }
}

/// What is wrong with a tag that begins no field.
#[cold]
fn no_field(tag: u64) -> Malformed {
    let number = tag >> 3;
    malformed(&match tag & 7 {
        _ if number == 0 || number > u64::from(LARGEST_FIELD) => format!("{number} is not a field number"),
        3 | 4 => format!("field {number} is a group, which OTLP never had"),
        other => format!("field {number} has the unknown wire type {other}"),
    })
}

#[cold]
fn too_long(length: u64, left: usize) -> Malformed {
    malformed(&format!("a length of {length} runs past the end of its message, where {left} bytes are left"))
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// A varint of at most 64 bits.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        if let [byte, rest @ ..] = self.bytes
            && *byte < 0x80
        {
            self.bytes = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for (i, byte) in self.bytes.iter().take(10).enumerate() {
            if i == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.bytes = self.bytes.get(i + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(malformed(if self.bytes.len() < 10 {
            "a varint has no end"
        } else {
            "a varint is longer than 64 bits"
        }))
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let Some((word, rest)) = self.bytes.split_first_chunk::<8>() else {
            return Err(too_long(8, self.bytes.len()));
        };
        self.bytes = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// Four bytes, little-endian.
    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, Malformed> {
        let Some((word, rest)) = self.bytes.split_first_chunk::<4>() else {
            return Err(too_long(4, self.bytes.len()));
        };
        self.bytes = rest;
        Ok(u32::from_le_bytes(*word))
    }

    /// Bytes with their length before them.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.varint()?;
        match usize::try_from(length).ok().and_then(|n| self.bytes.split_at_checked(n)) {
            Some((bytes, rest)) => {
                self.bytes = rest;
                Ok(bytes)
            }
            None => Err(too_long(length, self.bytes.len())),
        }
    }

    /// The next field of a message, as its number and value.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Wired<'a>)>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = match u32::try_from(tag >> 3) {
            Ok(number @ 1..=LARGEST_FIELD) => number,
            _ => return Err(no_field(tag)),
        };
        let value = match tag & 7 {
            0 => Wired::Varint(self.varint()?),
            1 => Wired::Fixed64(self.fixed64()?),
            2 => Wired::Bytes(self.bytes()?),
            5 => {
                self.fixed32()?;
                Wired::Fixed32
            }
            _ => return Err(no_field(tag)),
        };
        Ok(Some((number, value)))
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A field's value as it is wired.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wired<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

#[cold]
fn other_form(field: &str, expected: &str) -> Malformed {
    malformed(&format!("{field} is not a {expected}"))
}

impl<'a> Wired<'a> {
    /// A varint, or an error that names the field.
    #[inline]
    pub(crate) fn varint(self, field: &str) -> Result<u64, Malformed> {
        if let Wired::Varint(v) = self { Ok(v) } else { Err(other_form(field, "varint")) }
    }

    /// Eight bytes.
    #[inline]
    pub(crate) fn fixed64(self, field: &str) -> Result<u64, Malformed> {
        if let Wired::Fixed64(v) = self { Ok(v) } else { Err(other_form(field, "64-bit word")) }
    }

    /// A double.
    #[inline]
    pub(crate) fn double(self, field: &str) -> Result<f64, Malformed> {
        self.fixed64(field).map(f64::from_bits)
    }

    /// Bytes with a length.
    #[inline]
    pub(crate) fn bytes(self, field: &str) -> Result<&'a [u8], Malformed> {
        if let Wired::Bytes(v) = self { Ok(v) } else { Err(other_form(field, "string or message")) }
    }

    /// A zigzag-coded 32-bit number.
    pub(crate) fn sint32(self, field: &str) -> Result<i32, Malformed> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "protobuf keeps the low 32 bits of an overlong sint32"
        )]
        let v = self.varint(field)? as u32;
        Ok((v >> 1).cast_signed() ^ -(v & 1).cast_signed())
    }

    /// Appends the 64-bit words of a repeated field, packed or not.
    pub(crate) fn words(self, field: &str, into: &mut Vec<u64>) -> Result<(), Malformed> {
        match self {
            Wired::Fixed64(v) => into.push(v),
            Wired::Bytes(bytes) => {
                let mut r = Reader::new(bytes);
                while !r.is_empty() {
                    into.push(r.fixed64()?);
                }
            }
            Wired::Varint(_) | Wired::Fixed32 => return Err(other_form(field, "list of 64-bit words")),
        }
        Ok(())
    }

    /// Appends the varints of a repeated field, packed or not.
    pub(crate) fn varints(self, field: &str, into: &mut Vec<u64>) -> Result<(), Malformed> {
        match self {
            Wired::Varint(v) => into.push(v),
            Wired::Bytes(bytes) => {
                let mut r = Reader::new(bytes);
                while !r.is_empty() {
                    into.push(r.varint()?);
                }
            }
            Wired::Fixed64(_) | Wired::Fixed32 => return Err(other_form(field, "list of varints")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_past_the_end_says_how_far() {
        let message = Reader::new(&[0x0a, 0x7f, 1, 2]).next().unwrap_err().message;
        assert!(message.contains("length of 127") && message.contains("2 bytes are left"), "{message}");
    }

    #[test]
    fn groups_unknown_wire_types_and_endless_varints_are_refused() {
        for (bytes, why) in [
            (&[0x0b_u8][..], "group"),
            (&[0x0c], "group"),
            (&[0x0e], "unknown wire type"),
            (&[0x00], "field number"),
            (&[0x80, 0x80], "no end"),
            (&[0xff; 11], "longer than 64"),
        ] {
            let message = Reader::new(bytes).next().unwrap_err().message;
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn varints_of_every_length_are_read() {
        for shift in 0..64 {
            let value = 1_u64 << shift;
            let mut bytes = Vec::new();
            let mut v = value;
            while v >= 0x80 {
                bytes.push((v & 0x7f) as u8 | 0x80);
                v >>= 7;
            }
            bytes.push(v as u8);
            assert_eq!(Reader::new(&bytes).varint().unwrap(), value);
        }
        assert_eq!(Wired::Varint(3).sint32("x").unwrap(), -2);
    }
}
