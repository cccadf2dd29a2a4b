//! Fuzzing on a stable toolchain: inputs of a committed corpus are changed at random, the same way every time, and what reads
//! them must hold to its laws. Included by tests of several crates.
//!
//! `E2EGRAPH_FUZZ_CASES` says how many inputs are tried instead of the few that a test run has time for, `E2EGRAPH_FUZZ_SEED`
//! where drawing begins. A failure prints the seed and the number of its case.

#![allow(dead_code, reason = "shared by tests that use different parts")]
#![allow(unreachable_pub, reason = "included where it is private")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support")]

use std::path::Path;

/// Draws numbers: SplitMix64 (Steele, Lea, Flood, 2014).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `n`; 0 of nothing.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n.max(1)).unwrap()).unwrap()
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name}={n} is no number")))
}

/// Tries so many cases, or as many as the environment says; each has numbers of its own to draw.
pub fn cases(few: u64, mut try_one: impl FnMut(&mut Draw)) {
    let (cases, seed) =
        (number("E2EGRAPH_FUZZ_CASES").unwrap_or(few), number("E2EGRAPH_FUZZ_SEED").unwrap_or(0));
    for case in 0..cases {
        let told = Told { seed, case };
        try_one(&mut Draw::new(seed.wrapping_add(case.wrapping_mul(0x2545_f491_4f6c_dd1d))));
        std::mem::forget(told);
    }
}

/// Says which case it was when it is dropped on the way out of a panic.
struct Told {
    seed: u64,
    case: u64,
}

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("case {} of E2EGRAPH_FUZZ_SEED={}", self.case, self.seed);
    }
}

/// The files of a corpus, by name.
pub fn corpus(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap()))
        .collect()
}

/// Numbers at which things end.
const EDGES: &[u64] =
    &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX >> 1, u64::MAX];

fn range(draw: &mut Draw, len: usize) -> std::ops::Range<usize> {
    let start = draw.below(len + 1);
    let longest = (len - start).min(1 + draw.below(32));
    start..start + longest
}

/// Changes some bytes: flips, writes over, takes out, doubles, puts in what stands in `other`.
pub fn mutate(draw: &mut Draw, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=draw.below(4) {
        let len = bytes.len();
        match draw.below(8) {
            0 if len > 0 => bytes[draw.below(len)] ^= 1 << draw.below(8),
            1 if len > 0 => {
                let at = draw.below(len);
                bytes[at] = u8::try_from(draw.below(256)).unwrap();
            }
            2 => {
                let edge = draw.one_of(EDGES).to_le_bytes();
                let at = draw.below(len + 1);
                let width = *draw.one_of(&[1, 2, 4, 8]);
                bytes.iter_mut().skip(at).zip(&edge[..width]).for_each(|(b, e)| *b = *e);
            }
            3 => {
                bytes.drain(range(draw, len));
            }
            4 => {
                let doubled = bytes[range(draw, len)].to_vec();
                let at = draw.below(len + 1);
                bytes.splice(at..at, doubled);
            }
            5 => bytes.truncate(draw.below(len + 1)),
            6 => {
                let from = range(draw, other.len());
                let at = range(draw, len);
                bytes.splice(at, other[from].iter().copied());
            }
            _ => {
                let at = draw.below(len + 1);
                bytes.insert(at, u8::try_from(draw.below(256)).unwrap());
            }
        }
    }
}

/// The words of a text and what stands between them.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.chars() {
        let of_word = c.is_alphanumeric() || c == '_';
        match words.last_mut() {
            Some(last) if of_word && in_word => last.push(c),
            _ => words.push(c.to_string()),
        }
        in_word = of_word;
    }
    words
}

/// Changes some words of a text: what is left is mostly a text of the same language, so that more than its reader is tried.
pub fn mutate_words(draw: &mut Draw, text: &str, other: &str, dictionary: &[&str]) -> String {
    let (mut words, others) = (words(text), words(other));
    for _ in 0..=draw.below(3) {
        let len = words.len();
        let at = draw.below(len);
        match draw.below(6) {
            0 if len > 0 => words[at] = (*draw.one_of(dictionary)).to_owned(),
            1 if len > 0 => {
                words.remove(at);
            }
            2 if len > 0 => {
                let with = draw.below(len);
                words.swap(at, with);
            }
            3 if !others.is_empty() => {
                let from = range(draw, others.len());
                let to = range(draw, len);
                words.splice(to, others[from].iter().cloned());
            }
            4 => {
                let doubled = words[range(draw, len)].to_vec();
                words.splice(at..at, doubled);
            }
            _ => words.insert(at, (*draw.one_of(dictionary)).to_owned()),
        }
    }
    words.concat()
}
