//! Words, numbers and signs of a query, with where they stand.

use super::error::{Error, Span};

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name or keyword; the flag says that it stood in backticks.
    Word(String, bool),
    /// A whole number without its sign.
    Int(u64),
    /// Too large for any whole number.
    Huge,
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// `$name`.
    Param(String),
    /// A sign: `(`, `->` is two of them.
    Sign(&'static str),
    /// The end of the query.
    End,
}

/// Every token with its place. The last one is [`Token::End`].
pub(crate) type Tokens = Vec<(Token, Span)>;

/// Longer signs first.
const SIGNS: [&str; 29] = [
    "..", "<>", "<=", ">=", "=~", "+=", "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "|", "+", "-", "*",
    "/", "%", "^", "=", "<", ">", "!", "&", "$",
];

pub(crate) fn tokens(query: &str) -> Result<Tokens, Error> {
    let mut lexer = Lexer { query, at: 0, found: Vec::new() };
    while lexer.skip_blank()? {
        lexer.one()?;
    }
    let end = lexer.span(lexer.at);
    lexer.found.push((Token::End, end));
    Ok(lexer.found)
}

struct Lexer<'a> {
    query: &'a str,
    at: usize,
    found: Tokens,
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.query.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest().chars().nth(ahead)
    }

    fn span(&self, start: usize) -> Span {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { start: small(start), end: small(self.at) }
    }

    fn push(&mut self, token: Token, start: usize) {
        let span = self.span(start);
        self.found.push((token, span));
    }

    /// Whether anything is left after blanks and comments.
    fn skip_blank(&mut self) -> Result<bool, Error> {
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { return Ok(false) };
            if c.is_whitespace() {
                self.at += c.len_utf8();
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(end) = rest.find("*/") else {
                    let at = self.span(self.at);
                    return Err(Error::syntax("UnexpectedSyntax", at, "this comment has no end")
                        .with_hint("close it with `*/`"));
                };
                self.at += end + 2;
            } else {
                return Ok(true);
            }
        }
    }

    fn one(&mut self) -> Result<(), Error> {
        let start = self.at;
        let Some(c) = self.peek(0) else { return Ok(()) };
        let digit_next = self.peek(1).is_some_and(|d| d.is_ascii_digit());
        if starts_word(c) {
            let word = self.take_while(in_word);
            self.push(Token::Word(word, false), start);
        } else if c.is_ascii_digit() || (c == '.' && digit_next) {
            let number = self.number()?;
            self.push(number, start);
        } else if c == '`' {
            let name = self.backticked()?;
            self.push(Token::Word(name, true), start);
        } else if c == '\'' || c == '"' {
            let text = self.text(c)?;
            self.push(Token::Text(text), start);
        } else if c == '$' && self.peek(1).is_some_and(|d| in_word(d) || d == '`') {
            self.at += 1;
            let name = if self.peek(0) == Some('`') { self.backticked()? } else { self.take_while(in_word) };
            self.push(Token::Param(name), start);
        } else if let Some(sign) = SIGNS.iter().find(|s| self.rest().starts_with(**s)) {
            self.at += sign.len();
            self.push(Token::Sign(sign), start);
        } else {
            self.at += c.len_utf8();
            let at = self.span(start);
            let detail = if c.is_ascii() { "UnexpectedSyntax" } else { "InvalidUnicodeCharacter" };
            return Err(Error::syntax(detail, at, "this character means nothing here"));
        }
        Ok(())
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let taken = rest.get(..end).unwrap_or_default().to_owned();
        self.at += end;
        taken
    }

    fn number(&mut self) -> Result<Token, Error> {
        let start = self.at;
        let radix = match (self.peek(0), self.peek(1)) {
            (Some('0'), Some('x')) => 16,
            (Some('0'), Some('o')) => 8,
            _ => 10,
        };
        if radix != 10 {
            self.at += 2;
            let digits = self.take_while(char::is_alphanumeric);
            let bad = || Error::syntax("InvalidNumberLiteral", self.span(start), "this is not a number");
            if digits.is_empty() || !digits.chars().all(|d| d.is_digit(radix)) {
                return Err(bad());
            }
            return Ok(u64::from_str_radix(&digits, radix).map_or(Token::Huge, Token::Int));
        }
        let mut text = self.take_while(|c| c.is_ascii_digit());
        let mut whole = true;
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|d| d.is_ascii_digit()) {
            whole = false;
            self.at += 1;
            text.push('.');
            text += &self.take_while(|c| c.is_ascii_digit());
        }
        let signed = matches!(self.peek(1), Some('+' | '-'));
        let exponent = self.peek(if signed { 2 } else { 1 }).is_some_and(|d| d.is_ascii_digit());
        if matches!(self.peek(0), Some('e' | 'E')) && exponent {
            whole = false;
            text.push('e');
            self.at += 1;
            if signed {
                text.extend(self.peek(0));
                self.at += 1;
            }
            text += &self.take_while(|c| c.is_ascii_digit());
        }
        if self.peek(0).is_some_and(in_word) {
            self.take_while(in_word);
            return Err(Error::syntax("InvalidNumberLiteral", self.span(start), "this is not a number"));
        }
        if whole {
            return Ok(text.parse().map_or(Token::Huge, Token::Int));
        }
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Token::Float(x)),
            _ => {
                let at = self.span(start);
                Err(Error::syntax("FloatingPointOverflow", at, "this number is too large"))
            }
        }
    }

    fn backticked(&mut self) -> Result<String, Error> {
        let start = self.at;
        let mut name = String::new();
        self.at += 1;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('`'), Some('`')) => {
                    name.push('`');
                    self.at += 2;
                }
                (Some('`'), _) => {
                    self.at += 1;
                    return Ok(name);
                }
                (Some(c), _) => {
                    name.push(c);
                    self.at += c.len_utf8();
                }
                (None, _) => {
                    let at = self.span(start);
                    return Err(Error::syntax("UnexpectedSyntax", at, "this name has no closing backtick"));
                }
            }
        }
    }

    fn text(&mut self, quote: char) -> Result<String, Error> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let Some(c) = self.peek(0) else {
                let at = self.span(start);
                return Err(Error::syntax("UnexpectedSyntax", at, "this text has no closing quote"));
            };
            let here = self.at;
            self.at += c.len_utf8();
            if c == quote {
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let escape = self.peek(0).unwrap_or('\\');
            self.at += escape.len_utf8();
            match escape {
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '\\' | '\'' | '"' | '`' => text.push(escape),
                'u' | 'U' => text.push(self.unicode(here, if escape == 'u' { 4 } else { 8 })?),
                _ => {
                    let at = self.span(here);
                    return Err(Error::syntax("UnexpectedSyntax", at, "there is no such escape")
                        .with_hint("write a backslash twice"));
                }
            }
        }
    }

    fn unicode(&mut self, start: usize, digits: usize) -> Result<char, Error> {
        let hex: String = self.rest().chars().take(digits).collect();
        let found = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
        self.at = (self.at + hex.len()).min(self.query.len());
        found.and_then(char::from_u32).ok_or_else(|| {
            let at = self.span(start);
            Error::syntax("InvalidUnicodeLiteral", at, format!("{digits} hexadecimal digits are due here"))
        })
    }
}
