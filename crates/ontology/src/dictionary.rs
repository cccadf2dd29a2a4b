//! Dictionaries of RFC 9651 (structured fields), the form of CMCD: `bl=21300,br=(3200;v 96;a),bs,sid="6e2f"`.
//!
//! Read with leniency: a key is found whatever its neighbours are, because CMCD of version 1 is older than the RFC and nearly so.

use crate::scalar::Scalar;
use std::borrow::Cow;

/// The value of a key; of an inner list the first item. Parameters are left out.
pub(crate) fn member(text: &str, key: &str) -> Option<Scalar<'static>> {
    let mut rest = text;
    loop {
        let (part, tail) = cut(rest);
        let (name, value) = part.split_once('=').map_or((part, None), |(n, v)| (n, Some(v)));
        if name.split(';').next().unwrap_or_default().trim() == key {
            return match value {
                Some(value) => item(value.trim()),
                None => Some(Scalar::Bool(true)),
            };
        }
        rest = tail?;
    }
}

/// What stands before the first comma that is in no string and no list, and what follows it.
fn cut(text: &str) -> (&str, Option<&str>) {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0u32);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => return (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
            _ => {}
        }
    }
    (text, None)
}

fn item(value: &str) -> Option<Scalar<'static>> {
    let value = value.strip_prefix('(').unwrap_or(value).trim_start();
    if let Some(string) = value.strip_prefix('"') {
        let (mut out, mut escaped) = (String::new(), false);
        for c in string.chars() {
            match c {
                _ if escaped => {
                    out.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => return (!out.is_empty()).then_some(Scalar::Text(out.into())),
                _ => out.push(c),
            }
        }
        // It never ends: cut off on its way.
        return None;
    }
    let bare = value.split([';', ' ', ')']).next().filter(|b| !b.is_empty())?;
    Some(match bare {
        "?1" | "true" => Scalar::Bool(true),
        "?0" | "false" => Scalar::Bool(false),
        _ => match (bare.parse(), bare.parse::<f64>()) {
            (Ok(i), _) => Scalar::Int(i),
            (_, Ok(x)) if x.is_finite() => Scalar::Float(x),
            _ => Scalar::Text(bare.to_owned().into()),
        },
    })
}

/// The CMCD in a URL, in a request line or in a line of a log, its percent-encoding undone; a text that has no `CMCD=` as its
/// query argument is the CMCD itself.
pub(crate) fn cmcd(text: &str) -> Cow<'_, str> {
    let starts = text.match_indices("CMCD=").map(|(at, found)| (at, at + found.len()));
    let argument = starts
        .filter(|(at, _)| {
            at.checked_sub(1).is_none_or(|b| matches!(text.as_bytes().get(b), Some(b'?' | b'&')))
        })
        .find_map(|(_, from)| text.get(from..));
    let Some(argument) = argument else { return Cow::Borrowed(text) };
    let value = argument.split(['&', '#', ' ', '\t', '"', '\'']).next().unwrap_or_default();
    percent_decoded(value)
}

/// A text with its percent-encoding undone; what is no valid sequence stays as it is.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match digits.filter(|_| *first == b'%').and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, key: &str, wanted: Option<Scalar<'_>>) {
        assert_eq!(member(&cmcd(text), key), wanted, "{key} in {text}");
    }

    #[test]
    fn a_key_is_found_whatever_stands_around_it() {
        let v1 = r#"bl=21300,br=3200,bs,cid="a,br=7",pr=1.08,sid="6e\"2f",st=v"#;
        check(v1, "br", Some(Scalar::Int(3200)));
        check(v1, "bs", Some(Scalar::Bool(true)));
        check(v1, "cid", Some(Scalar::text("a,br=7")));
        check(v1, "pr", Some(Scalar::Float(1.08)));
        check(v1, "sid", Some(Scalar::text("6e\"2f")));
        check(v1, "st", Some(Scalar::text("v")));
        check(v1, "su", None);
        check(
            "bl=(21300;v 300;a), br=(3200),bs=?0,nor=(\"a\" \"b\"),e=ps;x=1",
            "bl",
            Some(Scalar::Int(21300)),
        );
        check(
            "bl=(21300;v 300;a), br=(3200),bs=?0,nor=(\"a\" \"b\"),e=ps;x=1",
            "br",
            Some(Scalar::Int(3200)),
        );
        check("bl=(1 2),bs=?0", "bs", Some(Scalar::Bool(false)));
        check("nor=(\"a,b\" \"c\"),e=ps;x=1", "nor", Some(Scalar::text("a,b")));
        check("nor=(\"a,b\" \"c\"),e=ps;x=1", "e", Some(Scalar::text("ps")));
    }

    #[test]
    fn what_is_broken_gives_nothing() {
        for text in ["", ",,,", "sid=\"abc", "sid=", "sid=\"\"", "((((", "sid=()"] {
            check(text, "sid", None);
        }
        check("%zz,sid=x", "sid", Some(Scalar::text("x")));
    }

    #[test]
    fn it_is_taken_out_of_urls_and_of_lines_of_logs() {
        for text in [
            "https://cdn.example/a.m4s?CMCD=br%3D3200%2Csid%3D%22x%22&y=1",
            "/a.m4s?y=1&CMCD=br%3D3200%2Csid%3D%22x%22#t",
            "1.2.3.4 - - [x] \"GET /a.m4s?CMCD=br%3D3200%2Csid%3D%22x%22 HTTP/1.1\" 206 9",
            "CMCD=br%3D3200%2Csid%3D%22x%22",
            "br=3200,sid=\"x\"",
        ] {
            check(text, "br", Some(Scalar::Int(3200)));
            check(text, "sid", Some(Scalar::text("x")));
        }
        check("/a.m4s?XCMCD=br%3D3200", "br", None);
    }
}
