//! Lines of code of any language as names, numbers, texts and signs, without comments.

use super::words::listed;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or keyword, also one within a quoted word or a quoted query.
    Name(String),
    /// A number in its base unit: seconds, bytes, pieces.
    Number(f64),
    /// A quoted text.
    Text(String),
    /// Anything else.
    Sign(String),
}

/// Types that stand between a setting's name and its value.
const TYPES: &str = "int|integer|long|float|double|number|duration|time|timedelta|timeunit|u32|u64";
/// What makes a quoted text a query.
const QUERY: &str = "SELECT |INSERT |UPDATE |DELETE |FROM |WHERE |CREATE |DROP |ALTER ";

/// The line up to its comment.
pub(super) fn code(line: &str) -> &str {
    let text = line.trim_start();
    if ["*", "/*", "<!--", "-- ", "\"\"\""].iter().any(|mark| text.starts_with(mark)) {
        return "";
    }
    let slashes = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':')).map(|(at, _)| at);
    let hash = line.match_indices("# ").find(|(at, _)| line[..*at].trim_end().len() < *at || *at == 0);
    let end = slashes.into_iter().chain(hash.map(|(at, _)| at)).min().unwrap_or(line.len());
    &line[..end]
}

/// Cuts a line.
pub(super) fn tokens(line: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = line;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let end = |within: fn(char) -> bool| rest.find(|c| !within(c)).unwrap_or(rest.len());
        let mut length = c.len_utf8();
        let closing = rest.get(1..).and_then(|inner| inner.find(c));
        if let (true, Some(closing)) = (c == '"' || c == '\'', closing) {
            let inner = &rest[1..=closing];
            length = closing + 2;
            found.push(Token::Text(inner.to_owned()));
            if QUERY.split('|').any(|word| inner.contains(word)) {
                found.extend(tokens(inner));
            } else if !inner.contains(' ') {
                found.extend(tokens(inner).into_iter().filter(|t| matches!(t, Token::Name(_))));
            }
        } else if c.is_ascii_digit() {
            let digits = end(|c| c.is_ascii_digit() || c == '.' || c == '_');
            length = end(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
            let apart = !(before.is_alphanumeric() || ['.', '$', '%', '_'].contains(&before));
            let number = rest[..digits].replace('_', "").trim_end_matches('.').parse::<f64>();
            if let (true, Ok(number), Some(scale)) = (apart, number, scale(&rest[digits..length])) {
                found.push(Token::Number(number * scale));
            }
        } else if c.is_ascii_alphabetic() || c == '_' {
            length = end(|c| c.is_ascii_alphanumeric() || c == '_');
            // settings are often written with hyphens; a difference of two names mostly has spaces
            while rest[length..].starts_with('-')
                && rest[length + 1..].starts_with(|c: char| c.is_ascii_alphabetic())
            {
                let more = rest[length + 1..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                length = more.map_or(rest.len(), |more| length + 1 + more);
            }
            found.push(Token::Name(rest[..length].to_owned()));
        } else if !c.is_whitespace() {
            let two =
                ["<=", ">=", "==", "!=", "&&", "||", "?.", "??"].into_iter().find(|s| rest.starts_with(s));
            length = two.map_or(length, str::len);
            found.push(Token::Sign(rest[..length].to_owned()));
        }
        before = rest[..length].chars().last().unwrap_or(' ');
        rest = &rest[length..];
    }
    found
}

fn scale(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "" | "s" | "f" | "L" | "B" => 1.0,
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "k" | "K" | "kb" | "KB" => 1e3,
        "M" | "mb" | "MB" => 1e6,
        "G" | "gb" | "GB" => 1e9,
        "Ki" | "KiB" => 1024.0,
        "Mi" | "MiB" => 1_048_576.0,
        "Gi" | "GiB" => 1_073_741_824.0,
        _ => return None,
    })
}

/// Seconds of a unit of time that is written as a name.
fn unit(name: &str) -> Option<f64> {
    let low = name.to_ascii_lowercase();
    let plain = low.trim_start_matches("from_").trim_start_matches("of").trim_end_matches('s');
    Some(match plain {
        "nanosecond" | "nano" => 1e-9,
        "microsecond" | "micro" => 1e-6,
        "millisecond" | "milli" => 1e-3,
        "second" | "sec" => 1.0,
        "minute" => 60.0,
        "hour" => 3600.0,
        "day" => 86_400.0,
        _ => return None,
    })
}

/// Numbers with the name that stands before them.
pub(super) fn settings(tokens: &[Token]) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    let mut key = String::new();
    let mut factor = 1.0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Name(name) => match unit(name) {
                Some(seconds) => factor = seconds,
                None if listed(TYPES, &name.to_ascii_lowercase()) => {}
                None => (key, factor) = (name.clone(), 1.0),
            },
            Token::Number(number) => {
                let times = matches!(tokens.get(at + 1), Some(Token::Sign(sign)) if sign == "*");
                let after = tokens.iter().skip(at + 2).take(3).find_map(|t| match t {
                    Token::Name(name) => unit(name),
                    _ => None,
                });
                let scale = if times { after.unwrap_or(factor) } else { factor };
                found.push((key.clone(), number * scale));
                factor = 1.0;
            }
            Token::Text(_) | Token::Sign(_) => {}
        }
    }
    found
}
