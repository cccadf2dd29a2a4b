//! What is wrong in the files, where, and what to write instead: every problem of a run, not only the first.

use serde::Serialize;
use std::fmt;

/// One file to load: its name decides its kind (`classes.yaml`, `payments.relations.yaml`).
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path or name, as shown in problems.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Which file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The offending text.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: `{}`: {}", self.file, self.line, self.column, self.text, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// All problems of a run, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, p) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{p}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A place in one of the files being loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    /// Index of the file.
    pub(crate) file: u16,
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column, from 1.
    pub(crate) column: u32,
}

impl At {
    /// A place some characters further on the same line.
    pub(crate) fn plus(self, columns: usize) -> At {
        At { column: self.column.saturating_add(u32::try_from(columns).unwrap_or(0)), ..self }
    }
}

/// Collects problems while loading.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Names of the files, by [`At::file`].
    pub(crate) files: Vec<String>,
    /// How many of them, the first ones, come with the program.
    pub(crate) core: u16,
    /// What was found so far.
    pub(crate) found: Vec<Problem>,
    /// What is not wrong but should be known: old names in use.
    pub(crate) notes: Vec<Problem>,
    /// Parts of files that could not be read: what they define cannot be missed elsewhere.
    unread: Vec<String>,
}

/// Texts in messages are cut to this many characters: enough to recognise the place.
const SHOWN: usize = 80;

impl Report {
    /// Nothing found yet; the first `core` files come with the program.
    pub(crate) fn new(core: u16) -> Report {
        Report { core, ..Report::default() }
    }

    /// Notes a problem.
    pub(crate) fn add(&mut self, at: At, text: &str, message: impl Into<String>, hint: impl Into<String>) {
        let problem = self.problem(at, text, message.into(), hint.into());
        self.found.push(problem);
    }

    /// Notes that a name is not known, unless it may stand in a part that could not be read.
    pub(crate) fn unknown(
        &mut self,
        at: At,
        name: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if !self.may_be_unread(name) {
            self.add(at, name, message, hint);
        }
    }

    /// Notes, once for each name, that a site's file goes by an old name.
    pub(crate) fn old_name(&mut self, at: At, what: &str, old: &str, new: &str) {
        let message = format!("this {what} is now called `{new}`");
        if at.file >= self.core && !self.notes.iter().any(|n| n.text == old && n.message == message) {
            let note = self.problem(at, old, message, format!("write `{new}`; the old name still works"));
            self.notes.push(note);
        }
    }

    /// Keeps in mind a part of a file that could not be read.
    pub(crate) fn leave_unread(&mut self, text: &str) {
        self.unread.push(text.to_owned());
    }

    fn may_be_unread(&self, name: &str) -> bool {
        let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        self.unread.iter().any(|text| text.split(|c| !in_name(c)).any(|word| word == name))
    }

    /// Whether a place is in a file that comes with the program.
    pub(crate) fn in_core(&self, at: At) -> bool {
        at.file < self.core
    }

    /// A place in words: `core/classes.yaml:12`.
    pub(crate) fn place(&self, at: At) -> String {
        format!("{}:{}", self.files.get(usize::from(at.file)).map_or("", String::as_str), at.line)
    }

    fn problem(&self, at: At, text: &str, message: String, hint: String) -> Problem {
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let file = self.files.get(usize::from(at.file)).cloned().unwrap_or_default();
        Problem { file, line: at.line, column: at.column, text: shown, message, hint }
    }

    /// The problems in file order, each once.
    pub(crate) fn finish(self) -> Problems {
        let mut found = self.found;
        let order = |f: &str| self.files.iter().position(|x| x == f);
        found.sort_by(|a, b| {
            (order(&a.file), a.line, a.column, a).cmp(&(order(&b.file), b.line, b.column, b))
        });
        found.dedup();
        Problems(found)
    }
}

/// Edits (insert, remove, replace, swap neighbours) that turn one word into the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// The known word closest to `word`, when it is close enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|k| (distance(&wanted, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= allowed || (wanted.len() >= 4 && k.to_lowercase().contains(&wanted)))
        .min_by(|a, b| a.cmp(b))
        .map(|(_, k)| k)
}

/// A hint that names the nearest known word, or all of them when they are few, or the few nearest.
pub(crate) fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(k) => format!("did you mean `{k}`?"),
        None if !known.is_empty() && known.len() <= 12 => format!("write one of: {}", known.join(", ")),
        None if !known.is_empty() => {
            let wanted = word.to_lowercase();
            known.sort_by_cached_key(|k| (distance(&wanted, &k.to_lowercase()), k.to_owned()));
            known.dedup();
            known.truncate(5);
            format!("the nearest there are: {}", known.join(", "))
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        assert_eq!(distance("sevrice", "service"), 1);
        assert_eq!(nearest("Sevrice", ["Session", "Service"]), Some("Service"));
        assert_eq!(nearest("zzz", ["Session", "Service"]), None);
        assert_eq!(meant("x", ["table", "record"]), "write one of: table, record");
    }
}
