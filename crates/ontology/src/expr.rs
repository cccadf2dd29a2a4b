//! Expressions of the mapping language, compiled: fields are numbers, so evaluating one hashes no string.

use crate::dictionary;
use crate::functions::{self, Func};
use crate::scalar::Scalar;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A field of a raw record: an index into [`Fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub u16);

impl FieldId {
    /// Its place in a flat record.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every field that any expression reads. A receiver keeps only these, in an array indexed by [`FieldId`].
#[derive(Clone, Debug, Default)]
pub struct Fields {
    names: Vec<String>,
    by_name: FxHashMap<String, FieldId>,
}

impl Fields {
    /// The field with this name (or this old name); `None` when nothing reads it.
    pub fn id(&self, name: &str) -> Option<FieldId> {
        self.by_name.get(name).copied()
    }

    /// Whether a name that stands for a field is an old one of it.
    pub fn is_old(&self, id: FieldId, name: &str) -> bool {
        self.name(id) != name
    }

    /// How many there are: the length of a flat record.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is read at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a field.
    pub fn name(&self, id: FieldId) -> &str {
        self.names.get(id.index()).map_or("", String::as_str)
    }

    /// Every name by which a field is found, old names included, in the order of names.
    pub fn known(&self) -> Vec<(&str, FieldId)> {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, id)| (name.as_str(), *id)).collect();
        all.sort_unstable();
        all
    }

    /// Every name of a field, old ones too.
    pub(crate) fn all_names(&self, id: FieldId) -> impl Iterator<Item = &str> {
        self.by_name.iter().filter(move |(_, i)| **i == id).map(|(n, _)| n.as_str())
    }

    /// All names, by id.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The field with this name, made if it is new.
    pub(crate) fn intern(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.id(name) {
            return id;
        }
        let id = FieldId(u16::try_from(self.names.len()).unwrap_or(u16::MAX));
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), id);
        id
    }

    /// Lets an old name stand for a field; a field that has this very name keeps it.
    pub(crate) fn rename(&mut self, old: &str, new: &str) {
        let id = self.intern(new);
        self.by_name.entry(old.to_owned()).or_insert(id);
    }
}

/// What expressions hash.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    /// Fields.
    pub(crate) fields: Vec<FieldId>,
    /// Keys of dictionaries that stand in a text.
    pub(crate) members: Vec<Arc<str>>,
}

/// A flat record.
///
/// **Contract:** returns the value of a field, or `None` when the record does not have it. For fields that hold a list, one
/// element (see [`crate::mapping::Table::fields`]).
pub trait Record {
    /// The value of a field.
    fn get(&self, field: FieldId) -> Option<Scalar<'_>>;
}

/// Replaces personal data by a keyed hash.
pub trait Hasher {
    /// The hash of a text, printable.
    fn hash(&self, text: &str) -> String;
}

/// What evaluation needs beside the record.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The lookup tables of the mapping.
    pub lookups: &'a [Lookup],
    /// Replaces personal data.
    pub hasher: &'a dyn Hasher,
}

/// A lookup table: `table(severity)`. The entry `""` stands for "absent".
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// Its name.
    pub name: String,
    /// Text to text.
    pub entries: FxHashMap<String, String>,
}

/// A word to compare with.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// As written.
    pub text: Arc<str>,
    /// As a number, when it is one.
    pub number: Option<f64>,
}

impl Literal {
    fn equals(&self, s: &Scalar<'_>) -> bool {
        match s {
            Scalar::Text(t) => t.as_ref() == self.text.as_ref(),
            Scalar::Int(_) | Scalar::Float(_) => self.number.is_some() && self.number == s.number(),
            other => other.to_text().as_ref() == self.text.as_ref(),
        }
    }
}

/// A comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `= word`
    Equal(Literal),
    /// `!= word`
    Differs(Literal),
    /// `in [word, …]`
    In(Vec<Literal>),
    /// `starts word`
    Starts(Arc<str>),
    /// `ends word`
    Ends(Arc<str>),
    /// `has word`
    Has(Arc<str>),
    /// `< n`
    Less(f64),
    /// `<= n`
    AtMost(f64),
    /// `> n`
    More(f64),
    /// `>= n`
    AtLeast(f64),
}

/// A compiled expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// That field.
    Field(FieldId),
    /// A literal text.
    Text(Arc<str>),
    /// A literal whole number.
    Int(i64),
    /// A literal number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// The first that is there.
    First(Vec<Expr>),
    /// The second if the first holds.
    If(Box<(Expr, Expr)>),
    /// A comparison; absent when its left side is.
    Is(Box<Expr>, Test),
    /// All hold.
    And(Vec<Expr>),
    /// One holds.
    Or(Vec<Expr>),
    /// It does not hold, or is absent.
    Not(Box<Expr>),
    /// A function of one value.
    Call(Func, Box<Expr>),
    /// A lookup: which table.
    Table(u16, Box<Expr>),
    /// A piece between separators, from the end when negative.
    Split(Box<Expr>, Arc<str>, i32),
    /// The value of a key in a dictionary of structured fields.
    Member(Box<Expr>, Arc<str>),
    /// The parts joined by `/` (`id`) or by a space (`words`); absent when one is.
    Join(&'static str, Vec<Expr>),
    /// Whether two values are equal; absent when one is.
    Same(Box<(Expr, Expr)>),
    /// The metric point as a number of tries; whether they are what a ratio counts.
    Tries(Box<(Expr, Expr)>),
    /// Whether one moment is before another; absent when one is.
    Before(Box<(Expr, Expr)>),
    /// A text without its ending and the separator before that; absent when it does not end so.
    Stem(Box<(Expr, Expr)>),
}

impl Expr {
    /// Its value for a record; `None` when it is absent.
    pub fn eval<'v, R: Record + ?Sized>(&'v self, record: &'v R, cx: &Context<'v>) -> Option<Scalar<'v>> {
        match self {
            Expr::Field(f) => record.get(*f),
            Expr::Text(s) => Some(Scalar::text(s)),
            Expr::Int(i) => Some(Scalar::Int(*i)),
            Expr::Float(x) => Some(Scalar::Float(*x)),
            Expr::Bool(b) => Some(Scalar::Bool(*b)),
            Expr::First(all) => all.iter().find_map(|e| e.eval(record, cx)),
            Expr::If(both) => both.0.holds(record, cx).then(|| both.1.eval(record, cx)).flatten(),
            Expr::Is(e, test) => e.eval(record, cx).and_then(|s| test.check(&s)).map(Scalar::Bool),
            Expr::And(all) => joined(all.iter().map(|e| e.eval(record, cx)), false),
            Expr::Or(all) => joined(all.iter().map(|e| e.eval(record, cx)), true),
            Expr::Not(e) => Some(Scalar::Bool(!e.holds(record, cx))),
            Expr::Call(f, e) => functions::apply(*f, e.eval(record, cx)?, cx),
            Expr::Table(which, e) => {
                let table = cx.lookups.get(usize::from(*which))?;
                let found = match e.eval(record, cx) {
                    None => table.entries.get(""),
                    Some(s) => table.entries.get(s.to_text().as_ref()),
                };
                found.map(|s| Scalar::text(s))
            }
            Expr::Split(e, sep, n) => functions::split(e.eval(record, cx)?, sep, *n),
            Expr::Member(e, key) => dictionary::member(&e.eval(record, cx)?.to_text(), key),
            Expr::Join(between, parts) => {
                let mut id = String::new();
                for part in parts {
                    let value = part.eval(record, cx)?;
                    if !id.is_empty() {
                        id.push_str(between);
                    }
                    id.push_str(&value.to_text());
                }
                Some(Scalar::Text(id.into()))
            }
            Expr::Same(both) => {
                let (a, b) = (both.0.eval(record, cx)?, both.1.eval(record, cx)?);
                Some(Scalar::Bool(a == b || a.to_text() == b.to_text()))
            }
            Expr::Tries(both) => {
                let point = both.0.eval(record, cx)? == Scalar::Point;
                point.then(|| Scalar::Tries(both.1.holds(record, cx)))
            }
            Expr::Before(both) => {
                let (a, b) = (both.0.eval(record, cx)?, both.1.eval(record, cx)?);
                Some(Scalar::Bool(a.time()? < b.time()?))
            }
            Expr::Stem(both) => functions::stem(&both.0.eval(record, cx)?, &both.1.eval(record, cx)?),
        }
    }

    /// Whether it is there and neither `false` nor empty.
    pub fn holds<R: Record + ?Sized>(&self, record: &R, cx: &Context<'_>) -> bool {
        self.eval(record, cx).is_some_and(|s| s.holds())
    }

    /// Every field it reads, in order, possibly more than once.
    pub fn fields(&self, to: &mut Vec<FieldId>) {
        match self {
            Expr::Field(f) => to.push(*f),
            Expr::Text(_) | Expr::Int(_) | Expr::Float(_) | Expr::Bool(_) => {}
            Expr::First(all) | Expr::And(all) | Expr::Or(all) | Expr::Join(_, all) => {
                all.iter().for_each(|e| e.fields(to));
            }
            Expr::If(both) | Expr::Same(both) | Expr::Tries(both) | Expr::Before(both) | Expr::Stem(both) => {
                both.0.fields(to);
                both.1.fields(to);
            }
            Expr::Is(e, _) | Expr::Not(e) | Expr::Call(_, e) | Expr::Table(_, e) | Expr::Split(e, ..) => {
                e.fields(to)
            }
            Expr::Member(e, _) => e.fields(to),
        }
    }

    /// Everything that it hashes; `Err` when it hashes something else than fields, or members of them, as they came. In kept
    /// requests those are replaced by their hashes, so what is made of them first would be another text then.
    pub(crate) fn hashed(&self, to: &mut Hashed) -> Result<(), ()> {
        match self {
            Expr::Field(_) | Expr::Text(_) | Expr::Int(_) | Expr::Float(_) | Expr::Bool(_) => Ok(()),
            Expr::First(all) | Expr::And(all) | Expr::Or(all) | Expr::Join(_, all) => {
                all.iter().try_for_each(|e| e.hashed(to))
            }
            Expr::If(both) | Expr::Same(both) | Expr::Tries(both) | Expr::Before(both) | Expr::Stem(both) => {
                both.0.hashed(to).and_then(|()| both.1.hashed(to))
            }
            Expr::Call(Func::Hash, e) => e.as_it_came(to),
            Expr::Is(e, _)
            | Expr::Not(e)
            | Expr::Call(_, e)
            | Expr::Table(_, e)
            | Expr::Split(e, ..)
            | Expr::Member(e, _) => e.hashed(to),
        }
    }

    fn as_it_came(&self, to: &mut Hashed) -> Result<(), ()> {
        match self {
            Expr::Field(f) => {
                to.fields.push(*f);
                Ok(())
            }
            Expr::Member(_, key) => {
                to.members.push(Arc::clone(key));
                Ok(())
            }
            Expr::First(all) => all.iter().try_for_each(|e| e.as_it_came(to)),
            Expr::If(both) => both.1.as_it_came(to),
            // An id of several parts: those that are personal are so where they stand alone, for that they may be read alone.
            Expr::Join(..) => Ok(()),
            _ => Err(()),
        }
    }

    /// Whether personal data leaves it only hashed.
    pub(crate) fn hashes(&self) -> bool {
        match self {
            Expr::Call(Func::Hash, _) => true,
            Expr::First(all) => all.iter().all(Expr::hashes),
            Expr::If(both) => both.1.hashes(),
            _ => false,
        }
    }
}

/// `and` (`decides` = false) and `or` (`decides` = true) with absent values: one that decides wins, else absence does.
fn joined<'v>(mut all: impl Iterator<Item = Option<Scalar<'v>>>, decides: bool) -> Option<Scalar<'v>> {
    let mut absent = false;
    if all.any(|s| match s {
        Some(s) => s.holds() == decides,
        None => {
            absent = true;
            false
        }
    }) {
        return Some(Scalar::Bool(decides));
    }
    (!absent).then_some(Scalar::Bool(!decides))
}

impl Test {
    fn check(&self, s: &Scalar<'_>) -> Option<bool> {
        Some(match self {
            Test::Equal(l) => l.equals(s),
            Test::Differs(l) => !l.equals(s),
            Test::In(all) => all.iter().any(|l| l.equals(s)),
            Test::Starts(t) => s.to_text().starts_with(t.as_ref()),
            Test::Ends(t) => s.to_text().ends_with(t.as_ref()),
            Test::Has(t) => s.to_text().contains(t.as_ref()),
            Test::Less(n) => s.number()? < *n,
            Test::AtMost(n) => s.number()? <= *n,
            Test::More(n) => s.number()? > *n,
            Test::AtLeast(n) => s.number()? >= *n,
        })
    }
}
