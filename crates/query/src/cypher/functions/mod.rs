//! The functions of the language, one table.

mod convert;
mod graph;
mod list;
mod math;
mod text;
mod time;

use super::data::Data;
use super::error::Kind;
use super::plan::SumKind;
use super::scope::Ty;
use super::temporal::DateTime;
use super::value::Value;
use std::cell::Cell;

/// What a function may look at besides its arguments.
pub(crate) struct Env<'a> {
    pub data: &'a dyn Data,
    /// The moment the query was asked.
    pub now: &'a DateTime,
    /// State of `rand()`: seeded by the caller.
    pub random: &'a Cell<u64>,
    /// Most bytes that a single value may have.
    pub room: usize,
}

/// Why a function has no value.
#[derive(Debug)]
pub(crate) enum Fault {
    Wrong(Kind, &'static str, String),
    /// It would be larger than there is room for.
    TooLarge,
}

pub(crate) type Outcome = Result<Value, Fault>;

impl Fault {
    pub(crate) fn value(message: impl Into<String>) -> Fault {
        Fault::Wrong(Kind::TypeError, "InvalidArgumentValue", message.into())
    }

    pub(crate) fn range(message: impl Into<String>) -> Fault {
        Fault::Wrong(Kind::ArgumentError, "NumberOutOfRange", message.into())
    }

    /// An argument of the wrong type.
    pub(crate) fn of(name: &str, value: &Value) -> Fault {
        Fault::value(format!("`{name}` cannot be asked of {}", value.kind()))
    }
}

/// What may be said of a function's value before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gives {
    Any,
    Bool,
    Int,
    Float,
    Text,
    Map,
    Node,
    Nodes,
    Edges,
    Texts,
    Ints,
    Temporal,
    /// The type of the first argument.
    Same,
    /// The type of the items of the first argument.
    Item,
}

impl Gives {
    pub(crate) fn of(self, args: &[Ty]) -> Ty {
        match self {
            Gives::Any => Ty::Any,
            Gives::Bool => Ty::Bool,
            Gives::Int => Ty::Int,
            Gives::Float => Ty::Float,
            Gives::Text => Ty::Text,
            Gives::Map => Ty::Map,
            Gives::Node => Ty::Node,
            Gives::Nodes => Ty::list(Ty::Node),
            Gives::Edges => Ty::list(Ty::Edge),
            Gives::Texts => Ty::list(Ty::Text),
            Gives::Ints => Ty::list(Ty::Int),
            Gives::Temporal => Ty::Temporal,
            Gives::Same => args.first().cloned().unwrap_or(Ty::Any),
            Gives::Item => match args.first() {
                Some(Ty::List(item)) => item.as_ref().clone(),
                _ => Ty::Any,
            },
        }
    }
}

/// Types of the first argument that are taken; others are refused before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    Anything,
    Node,
    Edge,
    Path,
    Entity,
    /// `size`: lists and texts.
    Sized,
}

impl Accepts {
    pub(crate) fn takes(self, ty: &Ty) -> bool {
        if matches!(ty, Ty::Any | Ty::Null) {
            return true;
        }
        match self {
            Accepts::Anything => true,
            Accepts::Node => *ty == Ty::Node,
            Accepts::Edge => *ty == Ty::Edge,
            Accepts::Path => *ty == Ty::Path,
            Accepts::Entity => matches!(ty, Ty::Node | Ty::Edge | Ty::Map),
            Accepts::Sized => matches!(ty, Ty::List(_) | Ty::Text),
        }
    }
}

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    /// As people write it.
    pub name: &'static str,
    pub least: usize,
    pub most: usize,
    pub accepts: Accepts,
    pub ty: Gives,
    /// Whether null anywhere among the arguments gives null.
    pub nulls: Nulls,
    pub run: fn(&Env<'_>, &[Value]) -> Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    GiveNull,
    AreSeen,
}

impl Function {
    pub(crate) fn arity(&self) -> String {
        match (self.least, self.most) {
            (a, b) if a == b => a.to_string(),
            (a, usize::MAX) => format!("at least {a}"),
            (a, b) => format!("{a} to {b}"),
        }
    }

    pub(crate) fn call(&self, env: &Env<'_>, args: &[Value]) -> Outcome {
        if self.nulls == Nulls::GiveNull && args.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        (self.run)(env, args)
    }
}

type Run = fn(&Env<'_>, &[Value]) -> Outcome;

const fn of(
    name: &'static str,
    least: usize,
    most: usize,
    accepts: Accepts,
    ty: Gives,
    run: Run,
) -> Function {
    Function { name, least, most, accepts, ty, nulls: Nulls::GiveNull, run }
}

const fn plain(name: &'static str, count: usize, ty: Gives, run: Run) -> Function {
    of(name, count, count, Accepts::Anything, ty, run)
}

const fn seeing_nulls(name: &'static str, least: usize, most: usize, ty: Gives, run: Run) -> Function {
    Function { name, least, most, accepts: Accepts::Anything, ty, nulls: Nulls::AreSeen, run }
}

static TABLES: [&[Function]; 6] = [
    graph::FUNCTIONS,
    list::FUNCTIONS,
    text::FUNCTIONS,
    math::FUNCTIONS,
    convert::FUNCTIONS,
    time::FUNCTIONS,
];

/// The function of this name, in lower case.
pub(crate) fn find(lower: &str) -> Option<&'static Function> {
    TABLES.iter().copied().flatten().find(|f| f.name.eq_ignore_ascii_case(lower))
}

/// The names of all functions and aggregates.
pub(crate) fn names() -> impl Iterator<Item = String> {
    let functions = TABLES.iter().copied().flatten().map(|f| f.name.to_owned());
    functions.chain(SUMS.iter().map(|s| s.0.to_owned()))
}

const SUMS: [(&str, SumKind); 10] = [
    ("count", SumKind::Count),
    ("sum", SumKind::Sum),
    ("avg", SumKind::Avg),
    ("min", SumKind::Min),
    ("max", SumKind::Max),
    ("collect", SumKind::Collect),
    ("percentileCont", SumKind::PercentileCont),
    ("percentileDisc", SumKind::PercentileDisc),
    ("stDev", SumKind::StDev),
    ("stDevP", SumKind::StDevP),
];

/// Which aggregate has this name.
pub(crate) fn sum_kind(name: &str) -> Option<SumKind> {
    SUMS.iter().find(|s| s.0.eq_ignore_ascii_case(name)).map(|s| s.1)
}

/// The first argument.
fn first(args: &[Value]) -> &Value {
    args.first().unwrap_or(&Value::Null)
}

/// The second argument.
fn second(args: &[Value]) -> &Value {
    args.get(1).unwrap_or(&Value::Null)
}

fn text_of<'a>(name: &str, value: &'a Value) -> Result<&'a str, Fault> {
    match value {
        Value::Text(t) => Ok(t),
        other => Err(Fault::of(name, other)),
    }
}

fn int_of(name: &str, value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Int(i) => Ok(*i),
        other => Err(Fault::of(name, other)),
    }
}

fn number_of(name: &str, value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Int(i) => Ok(*i as f64),
        Value::Float(x) => Ok(*x),
        other => Err(Fault::of(name, other)),
    }
}
