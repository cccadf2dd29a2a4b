//! The keyed hashes that stand for personal data.

use ontology::expr::Hasher;
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// What is written before a hash that took the place of a personal text in a kept request.
pub(crate) const MARK: &str = "hashed:";
/// Digits of a hash.
const DIGITS: usize = 32;

/// Keyed BLAKE3, 128 bits of it in hexadecimal: without the key nobody can tell who it was, nor try all names there are.
#[derive(Debug)]
pub(crate) struct Keyed {
    key: [u8; 32],
    most: usize,
    known: RefCell<FxHashMap<Box<str>, Box<str>>>,
}

impl Keyed {
    /// At most `most` hashes are remembered; then all are forgotten and computed again.
    pub(crate) fn new(key: [u8; 32], most: usize) -> Keyed {
        Keyed { key, most, known: RefCell::default() }
    }
}

impl Hasher for Keyed {
    fn hash(&self, text: &str) -> String {
        if let Some(hash) = marked(text) {
            return hash.to_owned();
        }
        let mut known = self.known.borrow_mut();
        if let Some(hash) = known.get(text) {
            return hash.to_string();
        }
        let hex = blake3::keyed_hash(&self.key, text.as_bytes()).to_hex();
        let hash = hex.get(..DIGITS).unwrap_or_default();
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(text.into(), hash.into());
        hash.to_owned()
    }
}

/// The hash in a text that stands for a personal one.
fn marked(text: &str) -> Option<&str> {
    let hash = text.strip_prefix(MARK)?;
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (hash.len() == DIGITS && hash.bytes().all(digit)).then_some(hash)
}
