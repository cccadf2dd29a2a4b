//! Log lines reduced to the statement that wrote them.
//!
//! Where a line names its place in the code (`OrderService#118`, `handler.go:42`), that place is the template. Other lines
//! go through a fixed-depth tree after Drain (He et al., ICWS 2017): by number of words and first word, then to the most
//! similar group, whose differing words become wildcards.

use std::collections::BTreeMap;

/// Share of words two lines must have in common, in place, to be of one group (Drain's default).
const SIMILARITY: f64 = 0.5;
/// Words of a line that are looked at: beyond that a line tells data, not its statement.
const WORDS: usize = 24;
/// Groups under one (length, first word); past it a line joins the most similar group, so memory stays bounded.
const GROUPS: usize = 64;

/// Lines that share a template: its number and its words, `None` where they differ.
type Group = (u32, Vec<Option<String>>);

/// Numbers templates as they are met.
#[derive(Clone, Debug, Default)]
pub struct TemplateMiner {
    places: BTreeMap<String, u32>,
    groups: BTreeMap<(usize, String), Vec<Group>>,
    texts: Vec<String>,
    severe: Vec<bool>,
}

impl TemplateMiner {
    /// The number of the template of a line.
    pub fn template(&mut self, line: &str) -> u32 {
        let words: Vec<&str> = line.split_whitespace().take(WORDS).collect();
        if let Some(place) = words.iter().find(|w| is_code_place(w)) {
            if let Some(&known) = self.places.get(*place) {
                return known;
            }
            let number = self.number((*place).to_owned(), is_severe(&words));
            self.places.insert((*place).to_owned(), number);
            return number;
        }
        let masked: Vec<Option<String>> =
            words.iter().map(|w| (!is_variable(w)).then(|| (*w).to_owned())).collect();
        let first = masked.iter().flatten().next().cloned().unwrap_or_default();
        let key = (masked.len(), first);
        let full = self.groups.get(&key).is_some_and(|g| g.len() >= GROUPS);
        let groups = self.groups.entry(key.clone()).or_default();
        let best = groups
            .iter_mut()
            .map(|group| (similarity(&group.1, &masked), group))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.0.cmp(&a.1.0)))
            .filter(|(likeness, _)| full || *likeness >= SIMILARITY);
        if let Some((_, (number, words))) = best {
            for (word, seen) in words.iter_mut().zip(&masked) {
                if word != seen {
                    *word = None;
                }
            }
            return *number;
        }
        let text = masked.iter().map(|w| w.as_deref().unwrap_or("*")).collect::<Vec<_>>().join(" ");
        let number = self.number(text, is_severe(&words));
        self.groups.entry(key).or_default().push((number, masked));
        number
    }

    /// How the template read when it was first met.
    pub fn text(&self, template: u32) -> &str {
        self.texts.get(template as usize).map_or("", String::as_str)
    }

    /// Whether its first line called itself an error.
    pub fn is_severe(&self, template: u32) -> bool {
        self.severe.get(template as usize).copied().unwrap_or(false)
    }

    fn number(&mut self, text: String, severe: bool) -> u32 {
        self.texts.push(text);
        self.severe.push(severe);
        u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
    }
}

/// Whether a line bears one of the usual names of a high severity, in capitals as loggers write them.
fn is_severe(words: &[&str]) -> bool {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_ascii_alphabetic()).to_owned();
    words.iter().any(|w| {
        ["ERROR", "FATAL", "CRITICAL", "SEVERE", "PANIC", "ALERT", "EMERG"].contains(&bare(w).as_str())
    })
}

fn similarity(group: &[Option<String>], line: &[Option<String>]) -> f64 {
    let same = group.iter().zip(line).filter(|(a, b)| a == b).count();
    same as f64 / group.len().max(1) as f64
}

/// `name#line`, `file.ext:line`: letters, then `#` or `:` after a dotted name, then a line number.
fn is_code_place(word: &str) -> bool {
    let word = word.trim_matches(|c: char| "[]()<>,;".contains(c));
    let Some(at) = word.rfind(['#', ':']) else { return false };
    let (name, line) = (&word[..at], &word[at + 1..]);
    let numbered = !line.is_empty() && line.len() <= 5 && line.bytes().all(|b| b.is_ascii_digit());
    let named = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.contains('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._$/-".contains(&b));
    numbered && named && !is_address(name)
}

/// `db.internal.example.com:5432` is not a place in the code: addresses have several dots and only small letters.
fn is_address(name: &str) -> bool {
    name.matches('.').count() >= 2 && !name.bytes().any(|b| b.is_ascii_uppercase())
}

/// Words that carry data: anything with a digit, and long ones without a vowel-like shape such as base64.
fn is_variable(word: &str) -> bool {
    word.bytes().any(|b| b.is_ascii_digit()) || word.len() > 40
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_code_is_the_template() {
        let mut miner = TemplateMiner::default();
        let a = miner.template("16:42:22.382 INFO t.s.TravelServiceImpl#532 TraceID: ffc8 [route is: 1, 2]");
        let b = miner.template("16:42:23.001 INFO t.s.TravelServiceImpl#532 TraceID: 12aa [route is: 3]");
        let c = miner.template("16:42:23.001 INFO t.s.TravelServiceImpl#533 TraceID: 12aa [route is: 3]");
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_eq!(miner.text(a), "t.s.TravelServiceImpl#532");
    }

    #[test]
    fn an_error_is_known_by_its_level() {
        let mut miner = TemplateMiner::default();
        let error = miner.template("17:26:32.869 [ERROR] s.Basic#111 price lookup failed");
        let info = miner.template("17:26:32.869 INFO s.Basic#112 no errors today");
        assert!(miner.is_severe(error) && !miner.is_severe(info));
    }

    #[test]
    fn lines_that_differ_in_data_share_a_template() {
        let mut miner = TemplateMiner::default();
        let a = miner.template("connection to 10.0.0.7:5432 timed out after 30s");
        let b = miner.template("connection to 10.0.0.9:5432 timed out after 31s");
        let c = miner.template("connection pool exhausted, 64 waiting for a slot");
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
