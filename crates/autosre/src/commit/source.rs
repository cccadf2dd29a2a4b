//! A diff as rows of files that run, without rows that only tell.

use super::subjects::{DEFINES, IMPORTS, NO_CALLS, TELLING};
use super::token::{Token, code, tokens};
use super::words::{self, listed};

/// Files that nothing runs in production, or whose change cannot be read: documents, looks, tests, pipelines, lists of versions.
const IDLE_ENDS: &str = ".md|.rst|.css|.scss|.less|.html|.svg|.png|.lock|.sum|go.mod|package.json|package-lock.json|requirements.txt";
const IDLE_PARTS: &str =
    "test|spec|docs|documentation|testdata|staging|github|circleci|golangci|codeowners|readme";

fn idle(path: &str) -> bool {
    let low = path.to_ascii_lowercase();
    IDLE_ENDS.split('|').any(|end| low.ends_with(end))
        || IDLE_PARTS.split('|').any(|part| words::has(&low, part))
}

pub(super) fn is_settings(path: &str) -> bool {
    let ends = ".yaml|.yml|.toml|.json|.properties|.ini|.conf|.env|.hcl|.tf";
    ends.split('|').any(|end| path.ends_with(end))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Kept,
    Taken,
    Added,
}

pub(super) struct Row {
    pub(super) mark: Mark,
    pub(super) indent: usize,
    pub(super) tokens: Vec<Token>,
}

impl Row {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(|t| if let Token::Name(name) = t { Some(name.as_str()) } else { None })
    }

    /// Whether it has a name of a list.
    pub(super) fn has(&self, list: &str) -> bool {
        self.names().any(|name| listed(list, name))
    }

    /// Whether a name of it has a word of a list, in any number.
    pub(super) fn speaks(&self, list: &str) -> bool {
        self.names().flat_map(words::pieces).any(|p| listed(list, p.trim_end_matches('s')))
    }

    pub(super) fn sign(&self, wanted: &str) -> bool {
        self.tokens.iter().any(|t| matches!(t, Token::Sign(sign) if sign == wanted))
    }

    /// Logs, counts, imports and texts of errors.
    pub(super) fn idle(&self) -> bool {
        let low = |name: &str| listed(TELLING, &name.to_ascii_lowercase()) || name.starts_with("LOG_");
        let error = self.tokens.windows(2).any(|pair| {
            matches!(pair, [Token::Name(name), Token::Sign(sign)]
                if name.eq_ignore_ascii_case("error") && (sign == "(" || sign == ":"))
        });
        let imports = self.names().next().is_some_and(|name| listed(IMPORTS, name)) && !self.sign("=");
        imports || (self.sign("(") && (error || self.names().any(low)))
    }

    pub(super) fn calls(&self) -> Vec<&str> {
        if self.has(DEFINES) {
            return Vec::new();
        }
        let called = self.tokens.windows(2).filter_map(|pair| match pair {
            [Token::Name(name), Token::Sign(sign)] if sign == "(" => Some(name.as_str()),
            _ => None,
        });
        called.filter(|name| !listed(NO_CALLS, name)).collect()
    }

    pub(super) fn loops(&self) -> bool {
        self.names().next().is_some_and(|name| listed("for|while|foreach", name))
            || self.calls().iter().any(|call| listed("forEach|map", call))
    }
}

pub(super) struct Hunk {
    pub(super) path: String,
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

pub(super) fn hunks(files: &[String], diff: &str) -> Vec<Hunk> {
    let mut path = files.first().cloned().unwrap_or_default();
    let mut all: Vec<Hunk> = Vec::new();
    for line in diff.lines() {
        if let Some(named) = line.strip_prefix("+++ ") {
            path = named.trim_start_matches("b/").to_owned();
            continue;
        }
        if line.starts_with("--- a/") || line.starts_with("--- /dev/null") {
            continue;
        }
        if let Some(title) = line.strip_prefix("@@") {
            let named = title.split_whitespace().map(|w| w.trim_end_matches(':'));
            path = named.filter(|w| files.iter().any(|f| f == w)).map(str::to_owned).next().unwrap_or(path);
            all.push(Hunk { path: path.clone(), title: title.to_owned(), rows: Vec::new() });
            continue;
        }
        if all.is_empty() {
            all.push(Hunk { path: path.clone(), title: String::new(), rows: Vec::new() });
        }
        let (mark, text) = match line.chars().next() {
            Some('-') => (Mark::Taken, &line[1..]),
            Some('+') => (Mark::Added, &line[1..]),
            Some(' ') => (Mark::Kept, &line[1..]),
            _ => (Mark::Kept, line),
        };
        let row = Row { mark, indent: text.len() - text.trim_start().len(), tokens: tokens(code(text)) };
        if let (false, false, Some(hunk)) = (row.tokens.is_empty(), row.idle(), all.last_mut()) {
            hunk.rows.push(row);
        }
    }
    all.retain(|hunk| !idle(&hunk.path));
    all
}
