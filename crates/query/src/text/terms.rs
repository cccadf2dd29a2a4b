//! Conditions on people: `version = 8.42 and cell = B and not country in (BR, AR)`.
//!
//! ```text
//! any  = all { "or" all }
//! all  = one { "and" one }
//! one  = "not" one | "(" any ")" | term
//! term = DIMENSION ["of" NAME] ( ("=" | "!=" | "<" | "<=" | ">" | ">=") NAME | ["not"] "in" "(" NAME { "," NAME } ")" )
//! ```
//!
//! What a dimension or a name is, is asked of the ontology and the graph ([`crate::people`]); here they are words.

use super::{ParseError, Parser, quoted};
use std::fmt::{self, Display as _};
use std::str::FromStr;

/// Conditions within conditions, at most; a person writes three.
pub const MAX_DEPTH: usize = 64;

/// Where something was written. It is no part of what is asked: the same condition at another place is the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place(pub Option<usize>);

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl Eq for Place {}

/// How a dimension is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// One of the names.
    In,
    /// None of the names.
    NotIn,
    /// Before the name, as versions and numbers are ordered.
    Less,
    /// The same, or the name itself.
    AtMost,
    /// After the name.
    More,
    /// The same, or the name itself.
    AtLeast,
}

impl Op {
    const ORDERED: [(&'static str, Op); 4] =
        [("<", Op::Less), ("<=", Op::AtMost), (">", Op::More), (">=", Op::AtLeast)];
}

/// One condition: what a record names in a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// A class or what people call it.
    pub dimension: String,
    /// Only components that belong to this parent.
    pub within: Option<String>,
    /// How it is compared.
    pub op: Op,
    /// With what; one name where there is an order.
    pub names: Vec<(String, Place)>,
    /// Where the dimension was written.
    pub place: Place,
}

impl Term {
    /// That one of some components of a class is named (or none of them).
    pub fn of(class: String, wanted: bool, names: Vec<String>) -> Term {
        Term {
            dimension: class,
            within: None,
            op: if wanted { Op::In } else { Op::NotIn },
            names: names.into_iter().map(|n| (n, Place::default())).collect(),
            place: Place::default(),
        }
    }
}

/// A condition on people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// All of these; everyone, when there are none.
    All(Vec<Predicate>),
    /// At least one of these.
    Any(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
    /// One term.
    Term(Term),
}

impl Default for Predicate {
    fn default() -> Self {
        Predicate::All(Vec::new())
    }
}

impl From<Vec<Term>> for Predicate {
    fn from(terms: Vec<Term>) -> Predicate {
        let mut terms: Vec<Predicate> = terms.into_iter().map(Predicate::Term).collect();
        match terms.pop() {
            Some(only) if terms.is_empty() => only,
            last => Predicate::All(terms.into_iter().chain(last).collect()),
        }
    }
}

impl Predicate {
    /// Whether it says nothing: everyone.
    pub fn is_everyone(&self) -> bool {
        *self == Predicate::default()
    }

    /// ` where …`, or nothing for everyone.
    pub(super) fn clause(&self) -> String {
        if self.is_everyone() { String::new() } else { format!(" where {self}") }
    }

    fn joined(f: &mut fmt::Formatter<'_>, parts: &[Predicate], word: &str) -> fmt::Result {
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                write!(f, " {word} ")?;
            }
            match part {
                Predicate::Term(_) | Predicate::Not(_) => part.fmt(f)?,
                Predicate::All(_) if word == "or" => part.fmt(f)?,
                Predicate::All(_) | Predicate::Any(_) => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::All(parts) => Predicate::joined(f, parts, "and"),
            Predicate::Any(parts) => Predicate::joined(f, parts, "or"),
            Predicate::Not(part) => match part.as_ref() {
                Predicate::Term(_) | Predicate::Not(_) => write!(f, "not {part}"),
                Predicate::All(_) | Predicate::Any(_) => write!(f, "not ({part})"),
            },
            Predicate::Term(term) => term.fmt(f),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.dimension)?;
        self.within.as_ref().map_or(Ok(()), |w| write!(f, " of {}", quoted(w)))?;
        let names: Vec<String> = self.names.iter().map(|(n, _)| quoted(n)).collect();
        match (self.op, names.as_slice()) {
            (Op::In, [one]) => write!(f, " = {one}"),
            (Op::NotIn, [one]) => write!(f, " != {one}"),
            (Op::In, many) => write!(f, " in ({})", many.join(", ")),
            (Op::NotIn, many) => write!(f, " not in ({})", many.join(", ")),
            (ordered, names) => {
                let sign = Op::ORDERED.iter().find(|(_, op)| *op == ordered).map_or("=", |(sign, _)| sign);
                write!(f, " {sign} {}", names.join(", "))
            }
        }
    }
}

impl FromStr for Predicate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Predicate, ParseError> {
        let mut p = Parser::new(text)?;
        let found = p.any_of(0)?;
        p.finish()?;
        Ok(found)
    }
}

impl Parser {
    /// What stands after `where`; everyone, when nothing does.
    pub(super) fn terms(&mut self) -> Result<Predicate, ParseError> {
        if self.eat("where") { self.any_of(0) } else { Ok(Predicate::default()) }
    }

    fn any_of(&mut self, depth: usize) -> Result<Predicate, ParseError> {
        self.several(depth, "or", Parser::all_of, Predicate::Any)
    }

    fn all_of(&mut self, depth: usize) -> Result<Predicate, ParseError> {
        self.several(depth, "and", Parser::one_of, Predicate::All)
    }

    fn several(
        &mut self,
        depth: usize,
        word: &str,
        part: fn(&mut Parser, usize) -> Result<Predicate, ParseError>,
        of: fn(Vec<Predicate>) -> Predicate,
    ) -> Result<Predicate, ParseError> {
        let first = part(self, depth)?;
        if !self.eat(word) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self, depth)?];
        while self.eat(word) {
            parts.push(part(self, depth)?);
        }
        Ok(of(parts))
    }

    fn one_of(&mut self, depth: usize) -> Result<Predicate, ParseError> {
        if depth > MAX_DEPTH {
            return Err(
                self.error(format!("conditions may stand within conditions at most {MAX_DEPTH} deep"))
            );
        }
        if self.eat("not") {
            return Ok(Predicate::Not(Box::new(self.one_of(depth + 1)?)));
        }
        if self.eat("(") {
            let found = self.any_of(depth + 1)?;
            self.expect(")")?;
            return Ok(found);
        }
        self.term().map(Predicate::Term)
    }

    fn term(&mut self) -> Result<Term, ParseError> {
        let place = self.place();
        let mut words: Vec<String> = Vec::new();
        while let Some(word) = self.words.get(self.at).filter(|w| !w.quoted && !is_sign(&w.text)) {
            words.push(word.text.clone());
            self.at += 1;
        }
        if words.is_empty() {
            let such = "a class or what it is called, such as version, Cell or country";
            return Err(self.error(format!("expected a dimension here ({such}){}", self.found())));
        }
        let dimension = words.join(" ");
        let within = if self.eat("of") { Some(self.value()?.0) } else { None };
        let mut term = Term { dimension, within, op: Op::In, names: Vec::new(), place };
        if let Some((_, op)) = Op::ORDERED.iter().find(|(sign, _)| self.eat(sign)) {
            term.op = *op;
            term.names.push(self.value()?);
        } else if self.eat("=") {
            term.names.push(self.value()?);
        } else if self.eat("!=") {
            term.op = Op::NotIn;
            term.names.push(self.value()?);
        } else {
            if self.eat("not") {
                term.op = Op::NotIn;
            }
            if !self.eat("in") {
                return Err(self.error(format!(
                    "expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `in` or `not in` here{}",
                    self.found()
                )));
            }
            self.expect("(")?;
            term.names.push(self.value()?);
            while self.eat(",") {
                term.names.push(self.value()?);
            }
            self.expect(")")?;
        }
        Ok(term)
    }

    fn place(&self) -> Place {
        Place(Some(self.words.get(self.at).map_or(self.end, |w| w.column)))
    }

    /// A name, in quotes or not.
    fn value(&mut self) -> Result<(String, Place), ParseError> {
        let place = self.place();
        match self.words.get(self.at).filter(|w| w.quoted || !is_sign(&w.text)) {
            Some(word) => {
                let name = word.text.clone();
                self.at += 1;
                Ok((name, place))
            }
            None => Err(self.error(format!("expected a name here, such as 8.42 or \"x/B\"{}", self.found()))),
        }
    }
}

/// What ends a dimension and begins no name.
fn is_sign(word: &str) -> bool {
    matches!(
        word,
        "and" | "or" | "not" | "in" | "of" | "(" | ")" | "," | "=" | "!=" | "<" | "<=" | ">" | ">="
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse::<Predicate>().map(|p| p.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn and_binds_closer_than_or_and_parentheses_closer_than_both() {
        for (text, canonical) in [
            ("version = 8.42", r#"version = "8.42""#),
            ("a=1 and b=2 or c=3 and d=4", r#"a = "1" and b = "2" or c = "3" and d = "4""#),
            ("((a = 1)) and (b = 2 or c = 3)", r#"a = "1" and (b = "2" or c = "3")"#),
            ("not not a = 1 and not (b != 2 and c < 3)", r#"not not a = "1" and not (b != "2" and c < "3")"#),
            (
                "app version >= 8.42.0 and cell of rows in (A, \"B\")",
                r#"app version >= "8.42.0" and cell of "rows" in ("A", "B")"#,
            ),
            ("country not in (BR)", r#"country != "BR""#),
        ] {
            assert_eq!(read(text).unwrap(), canonical);
            assert_eq!(read(canonical).unwrap(), canonical);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (text, wanted) in [
            (
                "",
                "column 1: expected a dimension here (a class or what it is called, such as version, Cell or country), the text ends",
            ),
            (
                "version",
                "column 8: expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `in` or `not in` here, the text ends",
            ),
            ("version =", "column 10: expected a name here, such as 8.42 or \"x/B\", the text ends"),
            (
                "a = 1 and",
                "column 10: expected a dimension here (a class or what it is called, such as version, Cell or country), the text ends",
            ),
            ("(a = 1", "column 7: expected `)` here, the text ends"),
            ("a = 1 b = 2", "column 7: did not expect anything here, not `b`"),
            ("a in (1, 2", "column 11: expected `)` here, the text ends"),
            ("a = \"1", "column 5: this text has no closing \""),
        ] {
            assert_eq!(read(text).unwrap_err(), wanted, "{text}");
        }
        let deep = format!("{}a = 1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(read(&deep).unwrap_err().contains("at most 64 deep"));
        assert!(read(&"not ".repeat(10_000)).unwrap_err().contains("at most 64 deep"));
        assert!(read(&"a = 1 or ".repeat(10_000)).unwrap_err().contains("at most 65536 bytes"));
    }

    fn predicate() -> impl Strategy<Value = Predicate> {
        let op = prop_oneof![Just(Op::In), Just(Op::NotIn), Just(Op::Less), Just(Op::AtLeast)];
        let name = "[ a-z\"\\\\=(]{1,4}".prop_map(|n| (n, Place::default()));
        let term = (
            "[a-z]{3,5}( [a-z]{3,4})?",
            proptest::option::of("[a-z\"]{1,3}"),
            op,
            proptest::collection::vec(name, 1..3),
        );
        let term = term.prop_filter("signs", |(d, ..)| !d.split(' ').any(is_sign)).prop_map(
            |(dimension, within, op, mut names)| {
                names.truncate(if matches!(op, Op::In | Op::NotIn) { 9 } else { 1 });
                Predicate::Term(Term { dimension, within, op, names, place: Place::default() })
            },
        );
        term.prop_recursive(4, 20, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|p| Predicate::Not(Box::new(p))),
                proptest::collection::vec(inner.clone(), 2..4).prop_map(Predicate::All),
                proptest::collection::vec(inner, 2..4).prop_map(Predicate::Any),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(p in predicate()) {
            let read: Predicate = p.to_string().parse().unwrap();
            prop_assert_eq!(read.to_string(), p.to_string());
        }

        #[test]
        fn no_text_makes_it_fail_otherwise_than_with_a_message(text in "[a-c =!<>(),\"ornotid0-9]{0,60}") {
            let _ = text.parse::<Predicate>();
        }
    }
}
