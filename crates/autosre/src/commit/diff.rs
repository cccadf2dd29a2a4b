//! What a diff does to the behaviour of a program, whatever its language.
//!
//! Counted is over the whole commit: what is taken away in one place and stands in another was moved. So renamed variables, helpers
//! that were pulled out, new order, comments, tests, texts of messages, logs and metrics leave nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Hunk, Mark, Row, hunks, is_settings};
use super::subjects::*;
use super::token::{Token, settings};
use super::words::{self, listed};

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    Sampling,
    Tolerance,
    Backoff,
    Retry,
    Timeout,
    Lifetime,
    Batch,
    Pool,
    Rate,
    Memory,
    Processor,
    Bound,
    Cleanup,
    Lock,
    Cache,
    Start,
    Access,
    Null,
    Range,
    Filter,
    Loop,
    Spawn,
    Wait,
    Growth,
    Regex,
    Name,
    Plain,
}

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Less,
    More,
    Gone,
    New,
}

/// Whether an edit surely changes behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It may be a replacement that does the same, or an addition.
    Unclear,
    /// It does.
    Clear,
}

/// One change of behaviour.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub about: About,
    pub turn: Turn,
    pub weight: Weight,
    /// In words.
    pub note: String,
}

/// A diff, understood.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub edits: Vec<Edit>,
    /// Words of names that were taken away or came.
    pub changed: BTreeSet<String>,
    /// Words of names that stand around them, and of the path.
    pub around: BTreeSet<String>,
    /// Quoted names and settings' values that others were put in place of, and those others.
    pub names: BTreeSet<String>,
    /// Only files of settings are touched.
    pub settings_only: bool,
}

/// Factor below which another number is a small step: what breaks by less was at its edge before.
const NOTABLE: f64 = 1.5;

/// How much more often something was taken away (above zero) or added (below).
fn balance<T: Ord>(rows: &[&Row], of: impl Fn(&Row) -> Vec<T>) -> BTreeMap<T, i32> {
    let mut balance = BTreeMap::new();
    for row in rows {
        let change = match row.mark {
            Mark::Kept => continue,
            Mark::Taken => 1,
            Mark::Added => -1,
        };
        for one in of(row) {
            *balance.entry(one).or_insert(0) += change;
        }
    }
    balance.retain(|_, n| *n != 0);
    balance
}

/// Takes away what both have.
fn cancel<T>(taken: &mut Vec<T>, added: &mut Vec<T>, same: impl Fn(&T, &T) -> bool) {
    taken.retain(|t| match added.iter().position(|a| same(a, t)) {
        Some(at) => {
            added.remove(at);
            false
        }
        None => true,
    });
}

/// What words are about.
fn about(names: &[&str], tables: &[&[(About, &str)]]) -> Option<About> {
    let pieces: Vec<String> = names.iter().flat_map(|n| words::pieces(n)).collect();
    let is = |word: &str| pieces.iter().any(|p| p == word || p.strip_suffix('s') == Some(word));
    tables.iter().flat_map(|t| t.iter()).find(|(_, list)| list.split('|').any(is)).map(|(about, _)| *about)
}

impl Reading {
    fn add(&mut self, about: About, turn: Turn, weight: Weight, note: &str) {
        self.edits.push(Edit { about, turn, weight, note: note.to_owned() });
    }

    /// Reads a diff; `files` tell the paths where the diff has none.
    pub(super) fn of(files: &[String], diff: &str) -> Self {
        let hunks = hunks(files, diff);
        let rows: Vec<&Row> = hunks.iter().flat_map(|h| &h.rows).collect();
        let mut reading = Self {
            settings_only: !hunks.is_empty() && hunks.iter().all(|h| is_settings(&h.path)),
            ..Self::default()
        };
        let names = balance(&rows, |row| row.names().map(str::to_owned).collect());
        reading.changed = names.keys().flat_map(|name| words::of(name)).collect();
        let calls = balance(&rows, |row| row.calls().into_iter().map(str::to_owned).collect());
        reading.numbers(&rows);
        for hunk in &hunks {
            let context = hunk.rows.iter().filter(|r| r.mark == Mark::Kept).flat_map(Row::names);
            let taken = hunk.rows.iter().filter(|r| r.mark != Mark::Kept).flat_map(Row::names);
            reading.around.extend(
                context.chain(taken).chain([hunk.title.as_str(), hunk.path.as_str()]).flat_map(words::of),
            );
            reading.calls(hunk, &calls);
            reading.checks(hunk, &calls);
            reading.values(hunk);
            reading.stores(hunk);
        }
        reading.queries(&names);
        reading
    }

    /// Numbers that have another value now, by the name that stands before them.
    fn numbers(&mut self, rows: &[&Row]) {
        let of = |mark: Mark| {
            let changed = rows.iter().filter(move |r| r.mark == mark);
            changed
                .flat_map(|row| settings(&row.tokens).into_iter().map(|(key, value)| (key, value, *row)))
                .filter(|s| s.1 != 0.0)
                .collect::<Vec<_>>()
        };
        let (mut taken, mut added) = (of(Mark::Taken), of(Mark::Added));
        let same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs();
        cancel(&mut taken, &mut added, |a, b| a.0 == b.0 && same(a.1, b.1));
        let subject = |key: &str, row: &Row| {
            about(&[key], &[SUBJECTS]).or_else(|| about(&row.names().collect::<Vec<_>>(), &[SUBJECTS]))
        };
        for (key, value, row) in taken {
            let again = added.iter().position(|a| a.0.eq_ignore_ascii_case(&key));
            let moved = added.iter().position(|a| same(a.1, value));
            if let Some(now) = again.map(|at| added.remove(at)) {
                let turn = if now.1 < value { Turn::Less } else { Turn::More };
                let small = (now.1 / value).max(value / now.1) < NOTABLE;
                let weight = if small { Weight::Unclear } else { Weight::Clear };
                let note = format!("{key} goes from {value} to {}", now.1);
                self.add(subject(&key, row).unwrap_or(About::Plain), turn, weight, &note);
                self.changed.extend(words::of(&key));
            } else if let Some(at) = moved {
                added.remove(at);
            } else if let Some(about) = subject(&key, row) {
                self.add(about, Turn::Gone, Weight::Clear, &format!("{key} {value} is gone"));
            }
        }
        for (key, value, _) in added {
            if let Some(about) = about(&[&key], &[SUBJECTS]) {
                self.add(about, Turn::New, Weight::Unclear, &format!("{key} {value} is new"));
            }
        }
    }

    /// Calls that are made no more, that are new in a loop, that start work or wait.
    fn calls(&mut self, hunk: &Hunk, balance: &BTreeMap<String, i32>) {
        let of = |mark: Mark, sign: i32| -> BTreeSet<&str> {
            let rows = hunk.rows.iter().filter(move |r| r.mark == mark);
            rows.flat_map(Row::calls)
                .filter(|c| balance.get(*c).is_some_and(|n| n.signum() == sign))
                .collect()
        };
        let (gone, new) = (of(Mark::Taken, 1), of(Mark::Added, -1));
        let weight = if new.is_empty() { Weight::Clear } else { Weight::Unclear };
        for call in gone {
            let row = hunk.rows.iter().find(|r| r.mark == Mark::Taken && r.calls().contains(&call));
            let line = || about(&row?.names().collect::<Vec<_>>(), &[SUBJECTS]);
            let about = about(&[call], &[CALLS, SUBJECTS]).or_else(line).unwrap_or(About::Plain);
            self.add(about, Turn::Gone, weight, &format!("{call}() is called no more"));
        }
        let mut around: Option<usize> = None;
        for row in hunk.rows.iter().filter(|r| r.mark != Mark::Taken) {
            if around.is_some_and(|indent| row.indent <= indent) {
                around = None;
            }
            for call in row.calls().into_iter().filter(|c| row.mark == Mark::Added && new.contains(c)) {
                let pieces = words::pieces(call);
                let is = |list: &str| pieces.iter().any(|p| listed(list, p));
                let found = [
                    (around.is_some() && is(FAR), About::Loop, "is called in a loop"),
                    (is(SPAWNING), About::Spawn, "starts work of its own"),
                    (is(WAITING), About::Wait, "makes the caller wait"),
                    (is("lock|mutex"), About::Lock, "takes a lock"),
                ];
                for (_, about, note) in found.iter().filter(|f| f.0) {
                    self.add(*about, Turn::New, Weight::Clear, &format!("{call}() {note}"));
                }
            }
            if row.mark == Mark::Added && row.names().next() == Some("go") {
                self.add(About::Spawn, Turn::New, Weight::Clear, "a goroutine is started");
            }
            if row.loops() && around.is_none() {
                around = Some(row.indent);
            }
        }
    }

    /// Checks that are gone or decide otherwise. Whoever passes an error on checks nothing of his own, and a check may live on in a helper.
    fn checks(&mut self, hunk: &Hunk, balance_of_calls: &BTreeMap<String, i32>) {
        let own: Vec<&Row> = hunk.rows.iter().filter(|r| !r.has("err|error|ok")).collect();
        let changed = hunk.rows.iter().filter(|r| r.mark == Mark::Added);
        if changed
            .into_iter()
            .any(|r| r.calls().iter().any(|c| balance_of_calls.get(*c).is_some_and(|n| *n < 0)))
        {
            return;
        }
        let count =
            |mark: Mark| own.iter().filter(|r| r.mark == mark && (r.has("if") || r.sign("?."))).count();
        let decides = |row: &Row| row.has("if|while|for|return|WHERE") || row.sign("&&") || row.sign("||");
        let signs = balance(&own, |row| {
            let kinds = ["<", "<=", ">", ">=", "==", "!=", "&&", "||", "!"];
            let signs = row.tokens.iter().filter_map(|t| match t {
                Token::Sign(sign) if kinds.contains(&sign.as_str()) => Some(sign.clone()),
                _ => None,
            });
            if decides(row) { signs.collect() } else { Vec::new() }
        });
        let asks = |row: &Row| decides(row) || row.sign("?.");
        let taken: Vec<&Row> = own.iter().copied().filter(|r| r.mark == Mark::Taken && asks(r)).collect();
        let is = |list: &str| taken.iter().any(|r| r.has(list));
        if count(Mark::Taken) > count(Mark::Added) {
            let about = match () {
                () if is(NULLS) || taken.iter().any(|r| r.sign("?.")) => About::Null,
                () if is(LENGTHS) => About::Range,
                () => about(&taken.iter().flat_map(|r| r.names()).collect::<Vec<_>>(), &[CALLS, SUBJECTS])
                    .unwrap_or(About::Plain),
            };
            self.add(about, Turn::Gone, Weight::Clear, "a check is gone");
        } else if signs.values().any(|n| *n > 0) && signs.values().any(|n| *n < 0) {
            self.add(About::Range, Turn::Less, Weight::Clear, "a condition decides otherwise");
        }
    }

    /// What is kept without end, patterns that match otherwise, locks that are taken in another order.
    fn stores(&mut self, hunk: &Hunk) {
        let added = || hunk.rows.iter().filter(|r| r.mark == Mark::Added);
        let puts = |row: &Row| row.sign("[") && row.sign("=") || row.speaks(PUTTING);
        let ends = hunk.rows.iter().filter(|r| r.mark != Mark::Taken).any(|row| {
            let subject = about(&row.names().collect::<Vec<_>>(), &[CALLS, SUBJECTS]);
            matches!(subject, Some(About::Lifetime | About::Bound | About::Cleanup))
        });
        if !ends && added().any(|row| row.speaks(STORES) && puts(row)) {
            self.add(About::Growth, Turn::New, Weight::Clear, "what is kept has no end");
        }
        let texts = |mark: Mark| -> Vec<&Token> {
            let rows = hunk.rows.iter().filter(|r| r.mark == mark && r.has(PATTERNS));
            rows.flat_map(|r| r.tokens.iter().filter(|t| matches!(t, Token::Text(_)))).collect()
        };
        if !texts(Mark::Added).is_empty() && texts(Mark::Added) != texts(Mark::Taken) {
            self.add(About::Regex, Turn::New, Weight::Clear, "a pattern is another one");
        }
        let locks = |mark: Mark| -> Vec<&Row> {
            hunk.rows.iter().filter(|r| r.mark == mark && r.speaks("lock|update|acquire")).collect()
        };
        let (before, now) = (locks(Mark::Taken), locks(Mark::Added));
        let same = |a: &Row| now.iter().any(|b| a.tokens == b.tokens);
        let moved = before.iter().zip(&now).any(|(a, b)| a.tokens != b.tokens);
        if before.len() == now.len() && moved && before.iter().all(|row| same(row)) {
            self.add(About::Lock, Turn::Less, Weight::Clear, "locks are taken in another order");
        }
        let drops = || added().filter(|r| r.has("DROP|RENAME|NOT|drop|rename"));
        if drops().next().is_some() {
            self.add(About::Name, Turn::Gone, Weight::Clear, "a table or column is dropped or renamed");
            self.names
                .extend(drops().flat_map(Row::names).map(str::to_lowercase).filter(|name| name.len() > 3));
        }
    }

    /// Words in settings: switches, levels of logs, names.
    fn values(&mut self, hunk: &Hunk) {
        let of = |mark: Mark| -> Vec<(String, String)> {
            let rows = hunk.rows.iter().filter(|r| r.mark == mark);
            rows.flat_map(|row| pairs(row, is_settings(&hunk.path))).collect()
        };
        let (mut taken, mut added) = (of(Mark::Taken), of(Mark::Added));
        cancel(&mut taken, &mut added, |a, b| a == b);
        for (key, before) in &taken {
            let Some((_, now)) = added.iter().find(|a| a.0 == *key) else { continue };
            let rank = |value: &str| LEVELS.split('|').position(|level| value.eq_ignore_ascii_case(level));
            let note = format!("{key} goes from {before} to {now}");
            let (about, turn) = match (rank(before), rank(now)) {
                (Some(before), Some(now)) if now < before => (About::Sampling, Turn::More),
                (Some(_), Some(_)) => (About::Sampling, Turn::Less),
                _ if now == "false" => {
                    (about(&[key], &[CALLS, SUBJECTS]).unwrap_or(About::Plain), Turn::Gone)
                }
                _ if now == "true" => (about(&[key], &[CALLS, SUBJECTS]).unwrap_or(About::Plain), Turn::New),
                _ => (About::Name, Turn::More),
            };
            self.add(about, turn, Weight::Clear, &note);
        }
        let literals = balance(&hunk.rows.iter().collect::<Vec<_>>(), |row| {
            let texts = row.tokens.iter().filter_map(|t| match t {
                Token::Text(text) if text.len() > 3 && !text.contains(' ') => Some(text.to_lowercase()),
                _ => None,
            });
            texts
                .chain(pairs(row, is_settings(&hunk.path)).into_iter().map(|(_, value)| value.to_lowercase()))
                .collect()
        });
        if literals.values().any(|n| *n > 0) && literals.values().any(|n| *n < 0) {
            self.add(About::Name, Turn::Gone, Weight::Clear, "a name is another one");
            self.names.extend(
                literals
                    .into_keys()
                    .filter(|name| name.len() > 3 && !listed(SWITCHES, name) && !listed(LEVELS, name)),
            );
        }
    }

    /// Clauses of queries that bounded them.
    fn queries(&mut self, names: &BTreeMap<String, i32>) {
        let count = |word: &str| names.get(word).copied().unwrap_or(0);
        let n = |word: &str| count(word) + count(&word.to_ascii_lowercase());
        if n("WHERE") > 0 || (n("DROP") < 0 && n("INDEX") < 0) {
            self.add(About::Filter, Turn::Gone, Weight::Clear, "a query's filter or index is gone");
        }
        if n("LIMIT") > 0 {
            self.add(About::Bound, Turn::Gone, Weight::Clear, "a query's LIMIT is gone");
        }
    }
}

/// `key: word` and `key = word`; in code only where the word is quoted or a switch.
fn pairs(row: &Row, settings: bool) -> Vec<(String, String)> {
    let pair = row.tokens.windows(3).filter_map(|three| match three {
        [Token::Name(key), Token::Sign(sign), value] if sign == ":" || sign == "=" => match value {
            Token::Text(value) => Some((key.clone(), value.clone())),
            Token::Name(value) if settings || listed(SWITCHES, value) => Some((key.clone(), value.clone())),
            _ => None,
        },
        _ => None,
    });
    pair.collect()
}
