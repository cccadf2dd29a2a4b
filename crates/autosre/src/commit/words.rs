//! Words of identifiers, paths and sentences, so that code and telemetry can be compared.

use std::collections::BTreeMap;

/// How often each word occurs.
pub(super) type Bag = BTreeMap<String, usize>;

/// The lower-case words of a text: `maxIdleConns`, `max_idle_conns` and `MAX-IDLE-CONNS` are the same three. Digits stay with their
/// letters, so that `p99`, `5xx` and `utf8` are words.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric()) {
        let letters: Vec<char> = run.chars().collect();
        let mut start = 0;
        for at in 1..letters.len() {
            let (before, here, after) = (letters.get(at - 1), letters.get(at), letters.get(at + 1));
            let upper = |c: Option<&char>| c.is_some_and(|c| c.is_uppercase());
            let lower = |c: Option<&char>| c.is_some_and(|c| c.is_lowercase());
            // fooBar, and HTTPServer
            let hump = upper(here) && (!upper(before) || lower(after));
            if hump && at > start {
                found.extend(letters.get(start..at).map(low));
                start = at;
            }
        }
        if start < letters.len() {
            found.extend(letters.get(start..).map(low));
        }
    }
    found
}

fn low(letters: &[char]) -> String {
    letters.iter().flat_map(|c| c.to_lowercase()).collect()
}

/// How often each word of a text occurs.
pub(super) fn bag<'a>(texts: impl IntoIterator<Item = &'a str>) -> Bag {
    let mut bag = Bag::new();
    for word in texts.into_iter().flat_map(words) {
        *bag.entry(word).or_default() += 1;
    }
    bag
}

/// Whether a word is what a pattern names: `clos*` is close, closes and closing; a pattern without a star is the word itself or its plural.
pub(super) fn is(word: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == pattern || word.strip_suffix('s') == Some(pattern),
    }
}

/// Whether a word is what any of the patterns names.
pub(super) fn any(word: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|p| is(word, p))
}

/// A word without the endings by which English bends it, so that `expired` meets `expiry` and `lookups` meets `lookup`.
pub(super) fn stem(word: &str) -> &str {
    let mut rest = word;
    for ending in ["ing", "ies", "ied", "ed", "es", "er", "s", "y", "e"] {
        if let Some(short) = rest.strip_suffix(ending).filter(|short| short.chars().count() >= 4) {
            rest = short;
            break;
        }
    }
    rest
}

/// Words that say nothing about what a sentence or a line of code is about: articles and the like, keywords that every language has, and
/// the shop talk that any alarm and any refactoring uses.
const HOLLOW: &[&str] = &[
    "a",
    "an",
    "the",
    "and",
    "or",
    "of",
    "to",
    "in",
    "on",
    "at",
    "by",
    "for",
    "from",
    "with",
    "is",
    "are",
    "was",
    "be",
    "been",
    "it",
    "its",
    "as",
    "not",
    "no",
    "than",
    "that",
    "this",
    "after",
    "before",
    "above",
    "below",
    "over",
    "under",
    "per",
    "into",
    "out",
    "all",
    "any",
    "has",
    "have",
    "if",
    "else",
    "return",
    "func",
    "function",
    "fn",
    "def",
    "var",
    "let",
    "const",
    "new",
    "nil",
    "null",
    "none",
    "true",
    "false",
    "type",
    "struct",
    "class",
    "string",
    "int",
    "err",
    "error",
    "errors",
    "ctx",
    "context",
    "self",
    "public",
    "private",
    "static",
    "async",
    "await",
    "import",
    "export",
    "package",
    "pkg",
    "src",
    "internal",
    "cmd",
    "lib",
    "main",
    "app",
    "go",
    "js",
    "ts",
    "tsx",
    "py",
    "java",
    "rs",
    "yaml",
    "yml",
    "json",
    "service",
    "services",
    "svc",
    "server",
    "request",
    "req",
    "res",
    "resp",
    "response",
    "w",
    "r",
    "c",
    "s",
    "b",
    "i",
    "n",
    "x",
    "v",
    "e",
    "k",
    "t",
    "ratio",
    "total",
    "count",
    "rate",
    "p99",
    "p95",
    "p50",
    "ms",
    "sec",
    "seconds",
    "high",
    "observed",
    "exceeded",
    "sustained",
    "feat",
    "fix",
    "chore",
    "refactor",
    "style",
    "docs",
    "test",
    "perf",
    "ci",
    "failed",
    "fail",
    "failing",
    "failure",
    "call",
    "calls",
    "upstream",
    "downstream",
    "returned",
    "returning",
    "http",
    "https",
    "status",
    "code",
    "add",
    "update",
    "handle",
    "handler",
    "data",
    "value",
    "key",
    "id",
    "name",
    "api",
    "get",
    "set",
];

/// Whether a word says nothing about a subject.
pub(super) fn is_hollow(word: &str) -> bool {
    word.len() < 2 || HOLLOW.contains(&word) || word.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_in_several_styles_is_the_same_words() {
        for name in ["maxIdleConns", "max_idle_conns", "MAX-IDLE-CONNS", "MaxIdleConns"] {
            assert_eq!(words(name), ["max", "idle", "conns"], "{name}");
        }
        assert_eq!(words("parseHTTPHeader(p99, utf8)"), ["parse", "http", "header", "p99", "utf8"]);
    }

    #[test]
    fn endings_do_not_keep_words_apart() {
        assert_eq!(stem("expired"), stem("expiry"));
        assert_eq!(stem("lookups"), stem("lookup"));
        assert_eq!(stem("time"), "time");
    }

    #[test]
    fn a_star_stands_for_any_ending() {
        assert!(is("closing", "clos*") && is("connections", "connection") && !is("closet", "close"));
    }
}
