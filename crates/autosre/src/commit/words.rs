//! How code and log lines are cut into words that both sides may use.

use std::collections::BTreeSet;

/// Words that every program and every log uses.
const COMMON: &str = "about|above|after|again|and|are|args|async|await|before|bool|break|call|case|class|client|code|component|\
    config|const|context|could|ctx|data|def|default|else|err|error|exceed|exceeded|fail|failed|failing|\
    failure|false|float|fmt|for|from|func|function|get|got|handle|handler|has|high|http|https|import|info|\
    int|into|internal|interface|key|len|level|list|log|low|map|message|msg|name|new|nil|none|not|null|object|\
    obj|observed|off|one|out|over|package|percent|private|public|range|ratio|rate|read|req|request|res|resp|\
    response|result|return|returned|returning|run|self|server|service|set|size|static|status|str|string|\
    struct|svc|take|that|the|this|time|too|total|true|type|under|unit|upstream|use|val|value|var|void|was|\
    while|with|write";

/// Whether a list, with bars between its words, has a word.
pub(super) fn listed(list: &str, word: &str) -> bool {
    list.split('|').any(|known| known == word)
}

/// Lower-case words of at least three letters, cut at `_`, `-`, punctuation and camelCase; a plural `s` is dropped.
pub(super) fn of(text: &str) -> BTreeSet<String> {
    pieces(text)
        .into_iter()
        .map(|w| {
            if w.len() > 3 && w.ends_with('s') && !w.ends_with("ss") {
                w[..w.len() - 1].to_owned()
            } else {
                w
            }
        })
        .filter(|w| w.len() >= 3 && !listed(COMMON, w))
        .collect()
}

/// Lower-case runs of letters as they stand, cut at camelCase, too.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        let next_is_lower = letters.peek().is_some_and(|n| n.is_ascii_lowercase());
        let hump = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_is_lower));
        if hump || !c.is_ascii_alphabetic() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_ascii_alphabetic(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.retain(|w| !w.is_empty());
    words
}

/// Whether `text` (in lower case) has `stem` at the beginning of a word.
pub(super) fn has(text: &str, stem: &str) -> bool {
    text.match_indices(stem).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
}

/// Whether `text` has `word` as a word of its own.
pub(super) fn has_whole(text: &str, word: &str) -> bool {
    let within = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(within) && !text[at + word.len()..].starts_with(within))
}

/// Whether a path has a folder of the component's name, with or without what makes it a service.
pub(super) fn belongs(path: &str, component: &str) -> bool {
    let plain = |name: &str| -> String {
        let low: String = name.to_ascii_lowercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        ["service", "svc"].iter().find_map(|end| low.strip_suffix(end).map(str::to_owned)).unwrap_or(low)
    };
    let wanted = plain(component);
    path.rsplit_once('/').is_some_and(|(folders, _)| folders.split('/').any(|f| plain(f) == wanted))
}
