//! Reads an expression of the mapping language.
//!
//! `e | f` binds loosest, then `//`, then `c ? a`, then `or`, `and`, `not`, then comparisons.

use crate::expr::{Expr, Fields, Literal, Test};
use crate::functions::{MORE, NAMES};
use crate::problems::meant;
use std::sync::Arc;

/// Why a text is no expression: where (in bytes from its start), which part, what is wrong, what to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) offset: usize,
    pub(crate) text: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Quoted(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: &[&str] = &["//", "!=", "<=", ">=", "->", "|", "?", "=", "<", ">", "(", ")", "[", "]", ","];
/// Words that have a meaning of their own and cannot be fields.
const WORDS: &[&str] = &["and", "or", "not", "in", "starts", "ends", "has"];
/// Expressions nested deeper than this are refused, so that reading is bounded.
const DEPTH: u32 = 40;

struct Reader<'a> {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: u32,
    fields: &'a mut Fields,
    tables: &'a [&'a str],
}

/// Compiles an expression; new fields are added to the table.
pub(crate) fn compile(text: &str, fields: &mut Fields, tables: &[&str]) -> Result<Expr, Mistake> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, depth: 0, fields, tables };
    let expr = reader.pipe()?;
    match reader.peek() {
        Token::End => Ok(expr),
        _ => Err(reader.mistake(
            "nothing more is expected here",
            "put `//`, `|`, `and` or `or` before it, or quote it with '…'",
        )),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Mistake> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let offset = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            all.push((offset, Token::End));
            return Ok(all);
        };
        if first == '\'' {
            let Some(end) = rest.get(1..).and_then(|r| r.find('\'')) else {
                let mistake = Mistake {
                    offset,
                    text: rest.to_owned(),
                    message: "this quote is never closed".into(),
                    hint: "close it with '".into(),
                };
                return Err(mistake);
            };
            all.push((offset, Token::Quoted(rest.get(1..=end).unwrap_or("").to_owned())));
            rest = rest.get(end + 2..).unwrap_or("");
            continue;
        }
        let length = name_length(rest);
        if length > 0 {
            all.push((offset, Token::Name(rest.get(..length).unwrap_or("").to_owned())));
            rest = rest.get(length..).unwrap_or("");
            continue;
        }
        let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) else {
            let mistake = Mistake {
                offset,
                text: first.to_string(),
                message: "this character has no meaning here".into(),
                hint: "quote literal text with '…'".into(),
            };
            return Err(mistake);
        };
        all.push((offset, Token::Symbol(symbol)));
        rest = rest.get(symbol.len()..).unwrap_or("");
    }
}

/// Names are dotted; `/`, `-` and `:` belong to a name only between letters or digits (`kubernetes.io/name`, not `a // b`).
fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b >= 0x80;
    let mut n = 0;
    if bytes.first() == Some(&b'-') && bytes.get(1).is_some_and(u8::is_ascii_digit) {
        n = 1;
    }
    while let Some(b) = bytes.get(n) {
        let joins =
            matches!(b, b'/' | b'-' | b':') && n > 0 && bytes.get(n + 1).is_some_and(|next| plain(*next));
        if !(plain(*b) || joins || *b == b'-' && n > 0 && bytes.get(n - 1).copied().is_some_and(plain)) {
            break;
        }
        n += 1;
    }
    n
}

impl Reader<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, t)| t)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(n) if n == word);
        if found {
            self.at += 1;
        }
        found
    }

    fn mistake(&self, message: impl Into<String>, hint: impl Into<String>) -> Mistake {
        let (offset, token) = self.tokens.get(self.at).map_or((0, &Token::End), |(o, t)| (*o, t));
        let text = match token {
            Token::Name(s) | Token::Quoted(s) => s.clone(),
            Token::Symbol(s) => (*s).to_owned(),
            Token::End => "end of the expression".to_owned(),
        };
        Mistake { offset, text, message: message.into(), hint: hint.into() }
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Mistake> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.mistake(format!("`{symbol}` is missing before this"), format!("add `{symbol}`")))
        }
    }

    fn pipe(&mut self) -> Result<Expr, Mistake> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.mistake("this is nested too deep", "split it up"));
        }
        let mut e = self.alternatives()?;
        while self.take("|") {
            let piped = self.function(Some(e))?;
            e = piped;
            if self.take("//") {
                e = match self.alternatives()? {
                    Expr::First(mut rest) => {
                        rest.insert(0, e);
                        Expr::First(rest)
                    }
                    other => Expr::First(vec![e, other]),
                };
            }
        }
        self.depth -= 1;
        Ok(e)
    }

    fn alternatives(&mut self) -> Result<Expr, Mistake> {
        let mut all = vec![self.condition()?];
        while self.take("//") {
            all.push(self.condition()?);
        }
        Ok(one_or(all, Expr::First))
    }

    fn condition(&mut self) -> Result<Expr, Mistake> {
        let c = self.or()?;
        if self.take("?") { Ok(Expr::If(Box::new((c, self.condition()?)))) } else { Ok(c) }
    }

    fn or(&mut self) -> Result<Expr, Mistake> {
        let mut all = vec![self.and()?];
        while self.take_word("or") {
            all.push(self.and()?);
        }
        Ok(one_or(all, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, Mistake> {
        let mut all = vec![self.not()?];
        while self.take_word("and") {
            all.push(self.not()?);
        }
        Ok(one_or(all, Expr::And))
    }

    fn not(&mut self) -> Result<Expr, Mistake> {
        let mut odd = false;
        while self.take_word("not") {
            odd = !odd;
        }
        let e = self.comparison()?;
        Ok(if odd { Expr::Not(Box::new(e)) } else { e })
    }

    fn comparison(&mut self) -> Result<Expr, Mistake> {
        let left = self.primary()?;
        let test = match self.peek().clone() {
            Token::Symbol(s @ ("=" | "!=" | "<" | "<=" | ">" | ">=")) => {
                self.at += 1;
                let word = self.literal()?;
                match (s, word.number) {
                    ("=", _) => Test::Equal(word),
                    ("!=", _) => Test::Differs(word),
                    ("<", Some(n)) => Test::Less(n),
                    ("<=", Some(n)) => Test::AtMost(n),
                    (">", Some(n)) => Test::More(n),
                    (_, Some(n)) => Test::AtLeast(n),
                    (_, None) => {
                        self.at -= 1;
                        return Err(self.mistake(
                            "this comparison needs a number",
                            "write a number, or compare with `=`",
                        ));
                    }
                }
            }
            Token::Name(n) if n == "in" => {
                self.at += 1;
                self.expect("[")?;
                let mut words = vec![self.literal()?];
                while self.take(",") {
                    words.push(self.literal()?);
                }
                self.expect("]")?;
                Test::In(words)
            }
            Token::Name(n) if n == "starts" || n == "ends" || n == "has" => {
                self.at += 1;
                let word = self.literal()?.text;
                match n.as_str() {
                    "starts" => Test::Starts(word),
                    "ends" => Test::Ends(word),
                    _ => Test::Has(word),
                }
            }
            _ => return Ok(left),
        };
        Ok(Expr::Is(Box::new(left), test))
    }

    fn literal(&mut self) -> Result<Literal, Mistake> {
        match self.peek().clone() {
            Token::Name(s) if !WORDS.contains(&s.as_str()) => {
                self.at += 1;
                Ok(Literal { number: s.parse().ok(), text: Arc::from(s) })
            }
            Token::Quoted(s) => {
                self.at += 1;
                Ok(Literal { number: None, text: Arc::from(s) })
            }
            _ => {
                Err(self.mistake("a word or a number is wanted here", "write the word, or quote it with '…'"))
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Mistake> {
        match self.peek().clone() {
            Token::Quoted(s) => {
                self.at += 1;
                Ok(Expr::Text(Arc::from(s)))
            }
            Token::Symbol("(") => {
                self.at += 1;
                let e = self.pipe()?;
                self.expect(")")?;
                Ok(e)
            }
            Token::Name(s) => {
                if matches!(self.tokens.get(self.at + 1), Some((_, Token::Symbol("(")))) {
                    return self.function(None);
                }
                if WORDS.contains(&s.as_str()) {
                    return Err(self
                        .mistake("a field or a value is wanted here", "this word has a meaning of its own"));
                }
                self.at += 1;
                if let Ok(i) = s.parse() {
                    return Ok(Expr::Int(i));
                }
                if let Ok(x) = s.parse() {
                    return Ok(Expr::Float(x));
                }
                Ok(match s.as_str() {
                    "true" => Expr::Bool(true),
                    "false" => Expr::Bool(false),
                    _ => Expr::Field(self.fields.intern(&s)),
                })
            }
            Token::Symbol(_) | Token::End => {
                Err(self
                    .mistake("a field or a value is wanted here", "write a field, or literal text as '…'"))
            }
        }
    }

    /// A function after `|` (its first argument given) or written as a call.
    fn function(&mut self, given: Option<Expr>) -> Result<Expr, Mistake> {
        let before = self.at;
        let Token::Name(name) = self.next() else {
            self.at = before;
            return Err(self.mistake("a function is wanted after `|`", "write for example `| lower`"));
        };
        let simple = NAMES.iter().find(|(n, _)| *n == name).map(|(_, f)| *f);
        if simple.is_none() && !MORE.iter().any(|(n, _)| *n == name) {
            self.at = before;
            let known = NAMES.iter().map(|(n, _)| *n).chain(MORE.iter().map(|(n, _)| *n));
            return Err(self.mistake("no function has this name", meant(&name, known)));
        }
        let piped = given.is_some();
        let mut args: Vec<Expr> = given.into_iter().collect();
        if name == "table" {
            return self.table(args.pop());
        }
        if self.take("(") {
            if !self.take(")") {
                args.push(self.pipe()?);
                while self.take(",") {
                    args.push(self.pipe()?);
                }
                self.expect(")")?;
            }
        } else if !piped {
            return Err(self.mistake("`(` is missing before this", "add `(`"));
        }
        let form = MORE
            .iter()
            .find(|(n, _)| *n == name)
            .map_or_else(|| format!("x | {name}"), |(_, f)| (*f).to_owned());
        let built = match (simple, name.as_str(), args.len()) {
            (Some(f), _, 1) => args.pop().map(|e| Expr::Call(f, Box::new(e))),
            (None, "id", 1..) => Some(Expr::Join("/", args)),
            (None, "words", 1..) => Some(Expr::Join(" ", args)),
            (None, "same", 2) => args.pop().zip(args.pop()).map(|(b, a)| Expr::Same(Box::new((a, b)))),
            (None, "tries", 2) => args.pop().zip(args.pop()).map(|(b, a)| Expr::Tries(Box::new((a, b)))),
            (None, "before", 2) => args.pop().zip(args.pop()).map(|(b, a)| Expr::Before(Box::new((a, b)))),
            (None, "stem", 2) => args.pop().zip(args.pop()).map(|(b, a)| Expr::Stem(Box::new((a, b)))),
            (None, "member", 2) => match (args.pop(), args.pop()) {
                (Some(Expr::Text(key)), Some(e)) => Some(Expr::Member(Box::new(e), key)),
                _ => None,
            },
            (None, "split", 3) => match (args.pop(), args.pop(), args.pop()) {
                (Some(Expr::Int(n)), Some(Expr::Text(sep)), Some(e)) if !sep.is_empty() => {
                    Some(Expr::Split(Box::new(e), sep, i32::try_from(n).unwrap_or(i32::MAX)))
                }
                _ => None,
            },
            _ => None,
        };
        built.ok_or_else(|| {
            self.at = before;
            self.mistake("these are not the arguments of this function", format!("write it like `{form}`"))
        })
    }

    fn table(&mut self, given: Option<Expr>) -> Result<Expr, Mistake> {
        let Some(e) = given else {
            return Err(self.mistake("`table` follows a value", "write `field | table(name)`"));
        };
        self.expect("(")?;
        let Token::Name(name) = self.peek().clone() else {
            return Err(
                self.mistake("the name of a table is wanted here", meant("", self.tables.iter().copied()))
            );
        };
        let Some(which) = self.tables.iter().position(|t| *t == name) else {
            return Err(self.mistake("no table has this name", meant(&name, self.tables.iter().copied())));
        };
        self.at += 1;
        self.expect(")")?;
        Ok(Expr::Table(u16::try_from(which).unwrap_or(u16::MAX), Box::new(e)))
    }
}

fn one_or(mut all: Vec<Expr>, many: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, Some(last)) => {
            all.push(last);
            many(all)
        }
        (_, None) => many(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Context, FieldId, Hasher, Lookup, Record};
    use crate::scalar::Scalar;

    struct Flat(Vec<Option<Scalar<'static>>>);
    impl Record for Flat {
        fn get(&self, field: FieldId) -> Option<Scalar<'_>> {
            self.0.get(field.index()).cloned().flatten()
        }
    }
    struct Plain;
    impl Hasher for Plain {
        fn hash(&self, text: &str) -> String {
            format!("h({text})")
        }
    }

    fn eval(text: &str, record: &[(&str, Scalar<'static>)]) -> String {
        let mut fields = Fields::default();
        let e = match compile(text, &mut fields, &["platform"]) {
            Ok(e) => e,
            Err(m) => return format!("{}: `{}`: {}; {}", m.offset, m.text, m.message, m.hint),
        };
        let mut flat = Flat(vec![None; fields.len()]);
        for (name, value) in record {
            if let Some(id) = fields.id(name) {
                flat.0[id.index()] = Some(value.clone());
            }
        }
        let entries = [("Tizen", "tv"), ("", "web")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let lookups = [Lookup { name: "platform".into(), entries: entries.into_iter().collect() }];
        let cx = Context { lookups: &lookups, hasher: &Plain };
        e.eval(&flat, &cx).map_or("absent".into(), |s| s.to_text().into_owned())
    }

    fn t(s: &'static str) -> Scalar<'static> {
        Scalar::text(s)
    }

    #[test]
    fn the_first_that_is_there_wins() {
        assert_eq!(eval("a.b // c // 'none'", &[("c", t("x"))]), "x");
        assert_eq!(eval("a.b // c // 'none'", &[]), "none");
        assert_eq!(eval("a ? 'A' // b ? 'B'", &[("b", t("1"))]), "B");
    }

    #[test]
    fn a_pipe_applies_to_everything_before_it() {
        assert_eq!(eval("a // b | hash", &[("b", t("x"))]), "h(x)");
        assert_eq!(eval("os.name | table(platform)", &[("os.name", t("Tizen"))]), "tv");
        assert_eq!(eval("os.name | table(platform)", &[]), "web");
        assert_eq!(eval("os.name | table(platform) // 'other'", &[("os.name", t("BeOS"))]), "other");
        assert_eq!(eval("d | millis", &[("d", Scalar::Int(1_500_000))]), "1.5");
        assert_eq!(eval("x | split('/', -1) | lower", &[("x", t("a/B"))]), "b");
    }

    #[test]
    fn comparisons_with_absent_fields_are_absent_and_do_not_hold() {
        assert_eq!(eval("a = x", &[]), "absent");
        assert_eq!(eval("not (a = x)", &[]), "true");
        assert_eq!(eval("a = x or b = y", &[("b", t("y"))]), "true");
        assert_eq!(eval("a = x or b = y", &[("b", t("z"))]), "absent");
        assert_eq!(eval("rc >= 400 or rc = 0", &[("rc", t("503"))]), "true");
        assert_eq!(
            eval("k in [CLIENT, PRODUCER] and (db // mq)", &[("k", t("CLIENT")), ("mq", t("kafka"))]),
            "true"
        );
        assert_eq!(eval("(o // 'ok') = error", &[]), "false");
        assert_eq!(
            eval("t starts dev.cdevents.service", &[("t", t("dev.cdevents.service.deployed.0.2.0"))]),
            "true"
        );
    }

    #[test]
    fn moments_are_compared_and_endings_cut() {
        let at = |s: &'static str| [("a", t(s)), ("b", t("2026-11-24T12:00:00Z"))];
        assert_eq!(eval("before(a | real_time, b)", &at("2026-11-24T11:59:59Z")), "true");
        assert_eq!(eval("before(a, b)", &at("2026-11-24T12:00:00Z")), "false");
        assert_eq!(eval("before(a | real_time, b)", &at("0001-01-01T00:00:00Z")), "absent");
        assert_eq!(eval("a | whole_millis", &at("2026-11-24T12:00:00.499273Z")), "2026-11-24T12:00:00.499Z");
        assert_eq!(eval("stem(a, 'x9') // a", &[("a", t("cart-x9"))]), "cart");
        assert_eq!(eval("a | percent", &[("a", t("99.9"))]), "0.9990000000000001");
    }

    #[test]
    fn names_may_hold_slashes_and_dashes() {
        let field = "metadata.labels.app.kubernetes.io/part-of";
        assert_eq!(eval("metadata.labels.app.kubernetes.io/part-of // 'x'", &[(field, t("shop"))]), "shop");
    }

    #[test]
    fn a_mistake_says_where_and_what_to_write() {
        assert_eq!(eval("a | lowr", &[]), "4: `lowr`: no function has this name; did you mean `lower`?");
        assert_eq!(
            eval("a | table(platfrm)", &[]),
            "10: `platfrm`: no table has this name; did you mean `platform`?"
        );
        assert_eq!(
            eval("a // ", &[]),
            "5: `end of the expression`: a field or a value is wanted here; write a field, or literal text as '…'"
        );
        assert_eq!(
            eval("a 'b'", &[]),
            "2: `b`: nothing more is expected here; put `//`, `|`, `and` or `or` before it, or quote it with '…'"
        );
        assert_eq!(eval("'b", &[]), "0: `'b`: this quote is never closed; close it with '");
        assert_eq!(
            eval("a > big", &[]),
            "4: `big`: this comparison needs a number; write a number, or compare with `=`"
        );
        assert_eq!(
            eval("split(a, 1)", &[]),
            "0: `split`: these are not the arguments of this function; write it like `split('/', -1)`"
        );
    }
}
