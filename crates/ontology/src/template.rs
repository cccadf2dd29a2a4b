//! A line of a log reduced to the statement that wrote it, from the line alone: what differs from one to the next becomes `<*>`.
//!
//! The same line gives the same template on any machine and at any time, so that it can be a key of the graph. A miner that
//! learns groups from many lines tells names without digits apart too, and gives other groups as it learns.

/// Stands for what differs.
const MASK: &str = "<*>";
/// Characters of a template: beyond that a line tells data, not its statement.
const CHARS: usize = 240;
/// Characters of a line that are looked at: enough that data of different length do not cut it at different words.
const LOOKED_AT: usize = 2048;
/// Bytes within which a bracket must be closed.
const GROUP: usize = 1024;
/// A word longer than this is data: a token, base64, a path.
const WORD: usize = 40;
/// Hexadecimal letters alone that are taken for an id and not for a word.
const HEX: usize = 16;
/// What words are taken apart at.
const SEPARATORS: &str = "=:,;()[]{}<>|#&?";

/// The template of the first line of a text; empty when it has none.
pub fn template(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let line = line.char_indices().nth(LOOKED_AT).and_then(|(end, _)| line.get(..end)).unwrap_or(line);
    let line = without_groups(line);
    let mut out = Template::default();
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next().filter(|_| out.text.len() < CHARS * 4) {
        let after = if first.is_whitespace() {
            out.between(" ");
            rest.trim_start()
        } else if let Some(after) = quoted(rest, first, &out.text) {
            out.mask();
            after
        } else {
            let end =
                rest.find(|c: char| c.is_whitespace() || c == '"').filter(|e| *e > 0).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            out.word(word);
            after
        };
        rest = after;
    }
    if let Some((end, _)) = out.text.char_indices().nth(CHARS) {
        out.text.truncate(end);
    }
    out.text
}

/// The line with an empty quote for every list and for what stands in brackets as the value of a key.
fn without_groups(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['[', '(', '{']) {
        let (before, group) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let found = closed(group);
        // `to=Seat(…)`: what stands before the bracket is the value's own name.
        let is_value = out.trim_end_matches(|c: char| c.is_alphanumeric() || c == '.').ends_with('=');
        match found {
            Some((end, _)) if is_value => {
                out.push_str("\"\"");
                rest = group.get(end..).unwrap_or_default();
            }
            None if is_value => {
                out.push_str("\"\"");
                rest = "";
            }
            Some((end, true)) if group.starts_with('[') => {
                out.push_str("[\"\"]");
                rest = group.get(end..).unwrap_or_default();
            }
            _ => {
                let (bracket, after) = group.split_at_checked(1).unwrap_or((group, ""));
                out.push_str(bracket);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the bracket that a text begins with is closed, and whether a comma stands in it.
fn closed(group: &str) -> Option<(usize, bool)> {
    let (mut depth, mut comma) = (0, false);
    for (at, b) in group.bytes().take(GROUP).enumerate() {
        match b {
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((at + 1, comma));
                }
            }
            b',' => comma |= depth == 1,
            _ => {}
        }
    }
    None
}

/// What follows a text in quotes. An apostrophe inside a word is none.
fn quoted<'t>(rest: &'t str, quote: char, before: &str) -> Option<&'t str> {
    let inner = rest.strip_prefix(quote)?;
    match quote {
        '"' | '`' => inner.split_once(quote).map(|(_, after)| after),
        '\'' if !before.ends_with(|c: char| c.is_alphanumeric()) => {
            let ends = |(at, _): &(usize, &str)| {
                inner.get(at + 1..).is_none_or(|a| !a.starts_with(|c: char| c.is_alphanumeric()))
            };
            inner.match_indices('\'').find(ends).and_then(|(at, _)| inner.get(at + 1..))
        }
        _ => None,
    }
}

#[derive(Default)]
struct Template {
    text: String,
    /// Where the last mask ended, when nothing but separators of lists follows it.
    masked: Option<usize>,
}

impl Template {
    /// Masks beside one another are one: how long a list is differs too.
    fn mask(&mut self) {
        match self.masked {
            Some(end) => self.text.truncate(end),
            None => self.text.push_str(MASK),
        }
        self.masked = Some(self.text.len());
    }

    fn between(&mut self, separator: &str) {
        self.text.push_str(separator);
        if !matches!(separator, " " | "," | ":" | ";" | "/" | "|" | "-") {
            self.masked = None;
        }
    }

    fn keep(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.masked = None;
    }

    fn word(&mut self, word: &str) {
        if word.contains("://") || is_email(word) {
            // A bracket or point that ends the word is not part of it.
            let end = word.trim_end_matches([',', ';', ')', ']', '.', '>']).len();
            self.mask();
            word.get(end..).unwrap_or_default().chars().for_each(|c| self.separator(c));
            return;
        }
        let mut value = false;
        for piece in word.split_inclusive(|c| SEPARATORS.contains(c)) {
            let last = piece.chars().next_back().filter(|c| SEPARATORS.contains(*c));
            let body = last.map_or(piece, |c| piece.strip_suffix(c).unwrap_or(piece));
            if !body.is_empty() {
                if value { self.mask() } else { self.piece(body) }
            }
            if let Some(c) = last {
                value = c == '=';
                self.separator(c);
            }
        }
    }

    fn separator(&mut self, c: char) {
        self.between(c.encode_utf8(&mut [0; 4]));
    }

    /// A piece of a word; of paths each part.
    fn piece(&mut self, piece: &str) {
        if piece.len() > WORD {
            return self.mask();
        }
        if piece.contains('/') {
            for (i, part) in piece.split('/').enumerate() {
                if i > 0 {
                    self.between("/");
                }
                if !part.is_empty() {
                    self.plain(part);
                }
            }
            return;
        }
        self.plain(piece);
    }

    fn plain(&mut self, piece: &str) {
        let core = piece.trim_end_matches(['.', '!', '\'']);
        if is_variable(core) {
            self.mask();
            let end = piece.get(core.len()..).unwrap_or_default();
            if !end.is_empty() {
                self.keep(end);
            }
        } else {
            self.keep(piece);
        }
    }
}

/// A piece that carries data: with a digit in it, too long to be a word, or an id of hexadecimal letters.
fn is_variable(piece: &str) -> bool {
    let hex = || piece.len() >= HEX && piece.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    piece.bytes().any(|b| b.is_ascii_digit()) || piece.len() > WORD || hex()
}

fn is_email(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &str) {
        for line in lines {
            assert_eq!(template(line), expected, "{line}");
        }
    }

    #[test]
    fn what_differs_is_masked() {
        check(
            &[
                "connection to 10.0.0.7:5432 timed out after 30s",
                "connection to [2001:db8::1]:5432 timed out after 1m30s",
            ][..1],
            "connection to <*> timed out after <*>",
        );
        check(
            &[
                "user 4711 not found in tenant 'acme corp'",
                "user 7f3c9a1e-0b42-4c1d-9a4e-1234567890ab not found in tenant 'o''x'",
            ],
            "user <*> not found in tenant <*>",
        );
        check(
            &[
                "GET /users/42/orders/17 failed: status=502 reason=bad",
                "GET /users/7/orders/1 failed: status=504 reason=gone",
            ],
            "GET /users/<*>/orders/<*> failed: status=<*> reason=<*>",
        );
        check(
            &["mail to ann@example.org bounced, see https://x.example/a?b=c."],
            "mail to <*> bounced, see <*>.",
        );
        check(&["[1, 2, 3] items left", "[17] items left", "[red, green] items left"], "[<*>] items left");
        check(
            &[
                "no seat in (stations=[a, b], to=Seat(x=1, y={z})) for {a}",
                "no seat in (stations=[], to=None) for {a}",
            ],
            "no seat in (stations=<*>, to=<*>) for {a}",
        );
        check(&["2026-11-25T06:40:01Z ERROR cannot open \"a b.txt\""], "<*> ERROR cannot open <*>");
        check(&["session deadbeefdeadbeefcafe ended"], "session <*> ended");
    }

    #[test]
    fn words_stay_and_so_do_apostrophes() {
        check(&["can't reach the users' store, don't retry!"], "can't reach the users' store, don't retry!");
        check(&["", "   \n \t "], "");
        check(&["first line\nsecond 2"], "first line");
    }

    #[test]
    fn a_template_is_bounded_and_never_splits_a_letter() {
        let long = "ä ".repeat(10_000);
        assert!(template(&long).chars().count() <= CHARS);
        assert_eq!(template(&"x".repeat(100_000)), MASK);
        // Nothing panics on text cut anywhere.
        let odd = "a='b\"c`d://é@x.y=1,,#é[\"]']";
        for (at, _) in odd.char_indices() {
            template(&odd[at..]);
            template(&odd[..at]);
        }
    }
}
