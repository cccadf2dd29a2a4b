//! What was seen of names in requests: which names no mapping reads, what they hold, and what they come with. A receiver tells it
//! record by record; [`crate::propose`] reads it. It is bounded, and the same records in the same order give the same.

use crate::expr::{FieldId, Fields, Hasher};
use crate::mapping::Reads;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use xxhash_rust::xxh3::xxh3_64;

/// Distinct names of a survey. Beyond: further names are counted together.
pub const NAMES: usize = 2000;
/// Distinct values counted of a name. Beyond: they are "more than so many".
pub const VALUES: usize = 256;
/// Values of a name that are shown.
pub const SAMPLES: usize = 3;
/// Members of one record that are looked at. Beyond: the rest of the record is left out.
pub const MEMBERS: usize = 256;
/// Characters of a value that are kept as a sample.
pub const SAMPLE_CHARS: usize = 48;
/// Characters of a name. A longer one is data, not a name.
pub const NAME_CHARS: usize = 128;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A moment, RFC 3339.
    Time,
    /// `1.2.3`.
    Version,
    /// `https://…`.
    Url,
    /// Any text.
    Text,
}

impl Shape {
    /// Of a value as text.
    pub fn of(text: &str) -> Shape {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let whole = text.strip_prefix('-').unwrap_or(text);
        if text == "true" || text == "false" {
            Shape::Bool
        } else if digits(whole) && (whole == "0" || !whole.starts_with('0')) && text.parse::<i64>().is_ok() {
            Shape::Int
        } else if whole.split_once('.').is_some_and(|(a, b)| digits(a) && digits(b)) {
            Shape::Float
        } else if text.len() >= 10 && Time::parse(text).is_ok() {
            Shape::Time
        } else if text.split_once("://").is_some_and(|(s, rest)| !rest.is_empty() && s.len() <= 8) {
            Shape::Url
        } else {
            let bare = text.strip_prefix('v').unwrap_or(text);
            let main = bare.split(['-', '+']).next().unwrap_or(bare);
            let parts = main.split('.').count();
            if (3..=4).contains(&parts) && main.split('.').all(digits) { Shape::Version } else { Shape::Text }
        }
    }
}

/// Whether a value looks like somebody's: an address of mail or network, or a long random id or token.
pub fn looks_personal(text: &str) -> bool {
    let text = text.trim();
    if text.starts_with("hashed:") {
        return true;
    }
    let mail = text.split_once('@').is_some_and(|(who, host)| {
        !who.is_empty() && host.contains('.') && !text.contains(char::is_whitespace)
    });
    let bare = text.trim_start_matches('[').split(']').next().unwrap_or(text);
    let host = bare.rsplit_once(':').filter(|(h, _)| !h.contains(':')).map_or(bare, |(h, _)| h);
    // Words of 16 characters and more that mix letters and digits as no name does.
    let random = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let turns = word.as_bytes().windows(2).filter(|w| match w {
            [a, b] => a.is_ascii_digit() != b.is_ascii_digit(),
            _ => false,
        });
        word.len() >= 16 && turns.count() >= 4
    });
    let hex = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let uuid = text.len() >= 32 && hex + 6 >= text.len() && text.bytes().any(|b| b.is_ascii_digit());
    let number = text.len() >= 9 && text.bytes().all(|b| b.is_ascii_digit() || b"+- ()".contains(&b));
    mail || bare.parse::<IpAddr>().is_ok() || host.parse::<IpAddr>().is_ok() || random || uuid || number
}

/// The words of a name, in lower case: `k8s.podName` is `k8s pod name`.
pub fn words(name: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
        if !c.is_alphanumeric() || begins {
            all.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(last) = all.last_mut()
        {
            last.extend(c.to_lowercase());
        }
        before = c;
    }
    all.retain(|w| !w.is_empty());
    all
}

/// Words that stand in the names of what is somebody's.
const PERSONAL: &[&str] = &[
    "mail",
    "email",
    "phone",
    "token",
    "secret",
    "password",
    "passwd",
    "cookie",
    "auth",
    "authorization",
    "session",
    "user",
    "username",
    "userid",
    "member",
    "customer",
    "account",
    "ip",
    "address",
    "addr",
    "key",
    "credential",
    "credentials",
    "jwt",
    "device",
    "msisdn",
    "latitude",
    "longitude",
];

/// One thing that a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Under which name.
    pub name: String,
    /// Its value, as text.
    pub text: String,
}

/// A table of the mapping: places of its source and of itself.
pub type At = (usize, usize);

/// What one record said.
#[derive(Clone, Copy, Debug)]
pub struct Told<'r> {
    /// Everything under a name of its own.
    pub members: &'r [Member],
    /// Tables that recognised a thing in it.
    pub found: &'r [At],
    /// Tables that found a part of a key in it and not the whole.
    pub incomplete: &'r [At],
    /// Whether a record in which nothing is found says nothing at all, as with documents.
    pub whole: bool,
}

/// What was seen of one name in one kind of record.
#[derive(Clone, Debug, Default)]
pub struct Name {
    /// Records that carry it.
    pub records: u64,
    values: BTreeSet<u64>,
    /// Whether there are more distinct values than are counted.
    pub more_values: bool,
    /// Whether it looks like something of somebody's.
    pub personal: bool,
    samples: Vec<String>,
    /// What its values look like.
    pub shapes: BTreeSet<Shape>,
    /// In how many of the records each table recognised a thing.
    pub tables: BTreeMap<At, u64>,
    /// In how many of the records each known field stands beside it.
    pub beside: BTreeMap<FieldId, u64>,
    /// … and has the same value.
    pub same: BTreeMap<FieldId, u64>,
}

impl Name {
    /// Distinct values.
    pub fn distinct(&self) -> usize {
        self.values.len()
    }

    /// A few values: as they came, or their hashes when they look personal.
    pub fn samples(&self, hasher: &dyn Hasher) -> Vec<String> {
        if self.personal { self.hashed_samples(hasher) } else { self.samples.clone() }
    }

    /// Keyed hashes of a few values.
    pub fn hashed_samples(&self, hasher: &dyn Hasher) -> Vec<String> {
        let hash = |t: &String| format!("hash:{}", hasher.hash(t).get(..12).unwrap_or_default());
        self.samples.iter().map(hash).collect()
    }

    /// The values seen, when they were few and each was kept whole.
    pub fn all_values(&self) -> Option<&[String]> {
        let whole = self.samples.iter().all(|s| s.chars().count() < SAMPLE_CHARS);
        (!self.personal && !self.more_values && self.values.len() == self.samples.len() && whole)
            .then_some(self.samples.as_slice())
    }

    fn value(&mut self, name: &str, text: &str) {
        self.personal = self.personal
            || looks_personal(text)
            || words(name).iter().any(|w| PERSONAL.contains(&w.as_str()));
        self.shapes.insert(Shape::of(text));
        let hash = xxh3_64(text.as_bytes());
        if self.values.contains(&hash) {
            return;
        }
        if self.values.len() >= VALUES {
            self.more_values = true;
            return;
        }
        self.values.insert(hash);
        if self.samples.len() < SAMPLES {
            self.samples.push(text.chars().take(SAMPLE_CHARS).collect());
        }
    }
}

/// Records in which a table found a part of a key only.
#[derive(Clone, Debug, Default)]
pub struct Incomplete {
    /// How many.
    pub records: u64,
    /// In how many of them each name stands that no mapping reads.
    pub unknown: BTreeMap<String, u64>,
    /// In how many of them each known field stands.
    pub known: BTreeMap<FieldId, u64>,
}

/// What was seen in one kind of record of one source.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Records.
    pub records: u64,
    /// Those in which nothing was recognised, where that means that they say nothing.
    pub unread: u64,
    /// Names that no mapping reads.
    pub names: BTreeMap<String, Name>,
    /// All names of records that say nothing.
    pub lost: BTreeMap<String, Name>,
    /// Tables that found a part of a key only.
    pub incomplete: BTreeMap<At, Incomplete>,
}

/// What was seen in a number of requests.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Requests looked at.
    pub requests: u64,
    /// … that cannot be read.
    pub unreadable: u64,
    /// Their bytes.
    pub bytes: u64,
    /// By source and kind of record.
    pub groups: BTreeMap<(String, Reads), Group>,
    /// Items set aside, by source and reason.
    pub refused: BTreeMap<(String, String), u64>,
    /// Members under names beyond the bound.
    pub left_out: u64,
    names: usize,
}

impl Survey {
    /// Takes in one record.
    pub fn record(&mut self, fields: &Fields, source: &str, reads: &Reads, told: &Told<'_>) {
        let place = (source.to_owned(), reads.clone());
        let group = self.groups.entry(place).or_default();
        group.records += 1;
        let lost = told.whole && told.found.is_empty();
        group.unread += u64::from(lost);
        let members = told.members.get(..MEMBERS).unwrap_or(told.members);
        self.left_out += u64::try_from(told.members.len() - members.len()).unwrap_or(u64::MAX);
        let mut known: BTreeMap<FieldId, &str> = BTreeMap::new();
        let mut unknown: BTreeMap<&str, &str> = BTreeMap::new();
        for m in members.iter().filter(|m| !m.text.is_empty()) {
            match fields.id(&m.name) {
                Some(id) => {
                    known.entry(id).or_insert(&m.text);
                }
                None => {
                    unknown.entry(&m.name).or_insert(&m.text);
                }
            }
        }
        for at in told.incomplete.iter().collect::<BTreeSet<_>>() {
            let of = group.incomplete.entry(*at).or_default();
            of.records += 1;
            known.keys().for_each(|f| *of.known.entry(*f).or_default() += 1);
        }
        for (name, text) in unknown {
            let new = !group.names.contains_key(name);
            if new && (self.names >= NAMES || name.chars().count() > NAME_CHARS) {
                self.left_out += 1;
                continue;
            }
            self.names += usize::from(new);
            for at in told.incomplete.iter().collect::<BTreeSet<_>>() {
                if let Some(of) = group.incomplete.get_mut(at) {
                    *of.unknown.entry(name.to_owned()).or_default() += 1;
                }
            }
            let seen = group.names.entry(name.to_owned()).or_default();
            seen.records += 1;
            seen.value(name, text);
            for at in told.found.iter().collect::<BTreeSet<_>>() {
                *seen.tables.entry(*at).or_default() += 1;
            }
            for (field, value) in &known {
                *seen.beside.entry(*field).or_default() += 1;
                if *value == text {
                    *seen.same.entry(*field).or_default() += 1;
                }
            }
        }
        if lost {
            for m in members.iter().filter(|m| !m.text.is_empty()) {
                let new = !group.lost.contains_key(&m.name);
                if new && (group.lost.len() >= MEMBERS || m.name.chars().count() > NAME_CHARS) {
                    continue;
                }
                let seen = group.lost.entry(m.name.clone()).or_default();
                seen.records += 1;
                seen.value(&m.name, &m.text);
            }
        }
    }

    /// Takes in that items were set aside.
    pub fn set_aside(&mut self, source: &str, reason: &str, items: u64) {
        let key = (source.to_owned(), reason.to_owned());
        if self.refused.len() < NAMES || self.refused.contains_key(&key) {
            *self.refused.entry(key).or_default() += items;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_say_what_they_are() {
        for (text, shape) in [
            ("true", Shape::Bool),
            ("-12", Shape::Int),
            ("007", Shape::Text),
            ("1.5", Shape::Float),
            ("1.5.2-rc1", Shape::Version),
            ("v2.0.1", Shape::Version),
            ("2026-01-02T03:04:05Z", Shape::Time),
            ("https://a.example/b", Shape::Url),
            ("gold", Shape::Text),
        ] {
            assert_eq!(Shape::of(text), shape, "{text}");
        }
    }

    #[test]
    fn what_is_somebodys_is_told_from_what_is_not() {
        for text in [
            "jane@example.org",
            "192.0.2.7",
            "192.0.2.7:443",
            "2001:db8::1",
            "[2001:db8::1]:443",
            "6f1c9a0e-2b7d-4c55-9a31-0e5d1c2b3a4f",
            "a8f3k29dk3l20fk39d",
            "+31 20 555 0100",
            "hashed:00112233445566778899aabbccddeeff",
        ] {
            assert!(looks_personal(text), "{text}");
        }
        for text in
            ["gold", "eu-west-1a", "ratings-7d9f", "1.2.3", "https://a.example", "42", "checkout service"]
        {
            assert!(!looks_personal(text), "{text}");
        }
    }

    #[test]
    fn names_fall_into_words() {
        assert_eq!(words("k8s.podName-UID"), ["k8s", "pod", "name", "uid"]);
        assert_eq!(words("service_namespace"), ["service", "namespace"]);
        assert!(words("..").is_empty());
    }

    #[test]
    fn a_survey_of_endless_names_ends() {
        let mut survey = Survey::default();
        for i in 0..NAMES + 10 {
            let members = [Member { name: format!("n{i}"), text: format!("{i}") }];
            let told = Told { members: &members, found: &[], incomplete: &[], whole: false };
            survey.record(&Fields::default(), "otlp", &Reads::Span, &told);
        }
        let group = survey.groups.values().next().unwrap();
        assert_eq!((group.names.len(), survey.left_out), (NAMES, 10));
    }
}
