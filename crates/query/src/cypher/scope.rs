//! Names in scope, what is known of their types, and which slots an expression touches.

use super::Plans;
use super::ast::Name;
use super::data::{Data, Unknown};
use super::error::{Error, Kind, Phase, Span};
use super::plan::{Op, Slot, Step};
use super::value::{Map, Value};
use std::collections::BTreeSet;

/// What is known of a value before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ty {
    Any,
    Bool,
    Int,
    Float,
    Text,
    List(Box<Ty>),
    Map,
    Node,
    Edge,
    Path,
    Temporal,
    /// Always null.
    Null,
}

impl Ty {
    pub(crate) fn list(of: Ty) -> Ty {
        Ty::List(Box::new(of))
    }

    pub(crate) fn join(self, other: &Ty) -> Ty {
        if self == *other { self } else { Ty::Any }
    }

    pub(crate) fn may_be_bool(&self) -> bool {
        matches!(self, Ty::Any | Ty::Bool | Ty::Null)
    }

    pub(crate) fn may_be_list(&self) -> bool {
        matches!(self, Ty::Any | Ty::List(_) | Ty::Null)
    }

    pub(crate) fn may_be_node(&self) -> bool {
        matches!(self, Ty::Any | Ty::Node | Ty::Null)
    }

    pub(crate) fn may_be_number(&self) -> bool {
        matches!(self, Ty::Any | Ty::Int | Ty::Float | Ty::Null)
    }

    pub(crate) fn may_have_properties(&self) -> bool {
        matches!(self, Ty::Any | Ty::Map | Ty::Node | Ty::Edge | Ty::Temporal | Ty::Null)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Ty::Any => "of any type",
            Ty::Bool => "a boolean",
            Ty::Int => "an integer",
            Ty::Float => "a float",
            Ty::Text => "a string",
            Ty::List(_) => "a list",
            Ty::Map => "a map",
            Ty::Node => "a node",
            Ty::Edge => "a relationship",
            Ty::Path => "a path",
            Ty::Temporal => "a date or time",
            Ty::Null => "null",
        }
    }
}

/// One name in scope.
#[derive(Clone, Debug)]
pub(crate) struct Var {
    pub name: String,
    pub slot: Slot,
    pub ty: Ty,
}

/// Turns a parsed query into a plan.
pub(crate) struct Compiler<'a> {
    pub data: &'a dyn Data,
    pub params: &'a Map,
    pub text: &'a str,
    pub plans: Plans,
    pub scope: Vec<Var>,
    pub slots: usize,
    pub steps: usize,
    pub states: usize,
    /// What slots are called in the query.
    pub names: std::collections::BTreeMap<Slot, String>,
    /// Slots read by the expressions being compiled, innermost last.
    touched: Vec<BTreeSet<Slot>>,
    /// Where aggregates may stand and what they were turned into.
    pub grouping: Option<super::project::Grouping>,
}

pub(crate) type Compiled<T> = Result<T, Error>;

impl<'a> Compiler<'a> {
    pub(crate) fn new(data: &'a dyn Data, params: &'a Map, text: &'a str, plans: Plans) -> Compiler<'a> {
        Compiler {
            data,
            params,
            text,
            plans,
            scope: Vec::new(),
            slots: 0,
            steps: 0,
            states: 0,
            names: std::collections::BTreeMap::new(),
            touched: Vec::new(),
            grouping: None,
        }
    }

    pub(crate) fn slot(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    pub(crate) fn state(&mut self) -> usize {
        self.states += 1;
        self.states - 1
    }

    pub(crate) fn step(&mut self, op: Op, guess: f64) -> Step {
        self.steps += 1;
        Step { op, id: self.steps - 1, guess }
    }

    pub(crate) fn declare(&mut self, name: &str, ty: Ty) -> Slot {
        let slot = self.slot();
        self.names.insert(slot, name.to_owned());
        self.scope.push(Var { name: name.to_owned(), slot, ty });
        slot
    }

    pub(crate) fn var(&self, name: &str) -> Option<&Var> {
        self.scope.iter().rev().find(|v| v.name == name)
    }

    pub(crate) fn touch(&mut self, slot: Slot) {
        if let Some(set) = self.touched.last_mut() {
            set.insert(slot);
        }
    }

    /// Runs `compile` and says which slots it read.
    pub(crate) fn tracked<T>(
        &mut self,
        compile: impl FnOnce(&mut Self) -> Compiled<T>,
    ) -> Compiled<(T, BTreeSet<Slot>)> {
        self.touched.push(BTreeSet::new());
        let found = compile(self);
        let slots = self.touched.pop().unwrap_or_default();
        if let Some(outer) = self.touched.last_mut() {
            outer.extend(slots.iter().copied());
        }
        Ok((found?, slots))
    }

    /// Runs `compile` in a scope of its own.
    pub(crate) fn within<T>(&mut self, compile: impl FnOnce(&mut Self) -> Compiled<T>) -> Compiled<T> {
        let kept = self.scope.clone();
        let found = compile(self);
        self.scope = kept;
        found
    }

    pub(crate) fn undefined(&self, name: &str, at: Span) -> Error {
        let known = self.scope.iter().map(|v| v.name.clone());
        let near = crate::run::nearest(name, known, 1);
        let error = Error::syntax("UndefinedVariable", at, "no variable has this name here");
        match near.first() {
            Some(n) => error.with_hint(format!("did you mean `{n}`?")),
            None => error,
        }
    }

    pub(crate) fn param(&self, name: &str, at: Span) -> Compiled<Value> {
        self.params.get(name).cloned().ok_or_else(|| {
            let message = "this parameter was not given";
            Error::new(Kind::ParameterMissing, Phase::Compile, "MissingParameter", at, message)
        })
    }

    pub(crate) fn unknown(what: &Unknown, at: Span) -> Error {
        let message = format!("there is no {} of this name", what.what);
        let error = Error::new(Kind::UnknownName, Phase::Compile, "UnknownName", at, message);
        if what.nearest.is_empty() {
            return error;
        }
        let names: Vec<String> = what.nearest.iter().map(|n| format!("`{n}`")).collect();
        error.with_hint(format!("did you mean {}?", names.join(" or ")))
    }

    pub(crate) fn known<T>(found: Result<T, Unknown>, name: &Name) -> Compiled<T> {
        found.map_err(|u| Compiler::unknown(&u, name.at))
    }

    /// The text of a part of the query.
    pub(crate) fn source(&self, at: Span) -> &'a str {
        self.text.get(at.start as usize..at.end as usize).unwrap_or_default()
    }
}
