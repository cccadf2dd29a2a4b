//! Evaluating expressions over a frame.

use super::ast::{Binary, Compare, Quantifier};
use super::budget::{Budget, Halt, shallow};
use super::error::{Error, Kind, Span};
use super::exec::{Cx, Exec, Flow, Run, type_error};
use super::functions::Fault;
use super::operate::{binary, negative};
use super::plan::{Ex, LabelTest, Slot};
use super::temporal::access;
use super::value::{List, Map, Value, both_numbers, compare, equal};
use std::cmp::Ordering;
use std::sync::Arc;

/// A truth value: `None` is unknown.
fn truth(value: &Value, at: Span) -> Run<Option<bool>> {
    match value {
        Value::Bool(b) => Ok(Some(*b)),
        Value::Null => Ok(None),
        other => Err(type_error(at, format!("a boolean is due here, this is {}", other.kind()))),
    }
}

fn from_truth(truth: Option<bool>) -> Value {
    truth.map_or(Value::Null, Value::Bool)
}

/// Values are compared, shown and let go of level by level, on the stack; and readers of JSON take about so many levels.
pub(crate) fn flat_enough(value: Value) -> Run<Value> {
    const DEEPEST: usize = 100;
    if value.depth() <= DEEPEST {
        return Ok(value);
    }
    let message = format!("a value is nested deeper than {DEEPEST} levels");
    Err(Error::run(Kind::TooLarge, "TooDeep", Span::default(), message).into())
}

pub(crate) fn fault(fault: Fault, at: Span) -> Halt {
    match fault {
        Fault::Wrong(kind, detail, message) => Error::run(kind, detail, at, message).into(),
        Fault::TooLarge => Halt::Budget(Budget::Memory),
    }
}

impl Exec<'_> {
    /// Whether a condition is true (neither false nor unknown).
    pub(crate) fn holds(&self, cx: &mut Cx, test: &Ex) -> Run<bool> {
        match self.eval(cx, test)? {
            Value::Bool(b) => Ok(b),
            Value::Null => Ok(false),
            other => {
                let message = format!("a condition is due here, this is {}", other.kind());
                Err(type_error(Span::default(), message))
            }
        }
    }

    /// The value of an expression.
    pub(crate) fn eval(&self, cx: &mut Cx, e: &Ex) -> Run<Value> {
        match e {
            Ex::Const(v) => Ok(v.clone()),
            Ex::Slot(s) => Ok(cx.get(*s).clone()),
            Ex::Property { of, name, key, at } => {
                // The common case looks at the slot where it is.
                if let Ex::Slot(s) = **of
                    && let Some(key) = key
                {
                    match cx.get(s) {
                        Value::Node(n) => return Ok(self.data.node_property(*n, *key)),
                        Value::Edge(e) => return Ok(self.data.edge_property(*e, *key)),
                        _ => {}
                    }
                }
                let of = self.eval(cx, of)?;
                self.property(&of, name, *at)
            }
            Ex::Compare(first, rest) => self.comparison(cx, first, rest),
            Ex::And(all, at) => self.all_of(cx, all, *at),
            Ex::Or(all, at) => self.any_of(cx, all, *at),
            Ex::Not(of, at) => {
                let value = self.eval(cx, of)?;
                Ok(from_truth(truth(&value, *at)?.map(|b| !b)))
            }
            Ex::IsNull(of) => Ok(Value::Bool(self.eval(cx, of)?.is_null())),
            Ex::IsNotNull(of) => Ok(Value::Bool(!self.eval(cx, of)?.is_null())),
            Ex::Binary(op, a, b, at) => {
                let (a, b) = (self.eval(cx, a)?, self.eval(cx, b)?);
                if *op == Binary::Matches {
                    return self.matches(&a, &b, *at);
                }
                flat_enough(binary(*op, &a, &b, self.limits.bytes).map_err(|f| fault(f, *at))?)
            }
            Ex::Neg(of, at) => {
                let value = self.eval(cx, of)?;
                negative(&value).map_err(|f| fault(f, *at))
            }
            Ex::Pos(of, at) => match self.eval(cx, of)? {
                v @ (Value::Null | Value::Int(_) | Value::Float(_) | Value::Duration(_)) => Ok(v),
                other => Err(type_error(*at, format!("a number is due here, this is {}", other.kind()))),
            },
            Ex::HasLabels(of, tests, at) => {
                let of = self.eval(cx, of)?;
                self.has_labels(&of, tests, *at)
            }
            Ex::Call(function, args, at) => {
                let mut values = Vec::with_capacity(args.len());
                for a in args {
                    values.push(self.eval(cx, a)?);
                }
                function.call(&self.env(), &values).map_err(|f| fault(f, *at))
            }
            Ex::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for i in items {
                    values.push(self.eval(cx, i)?);
                }
                flat_enough(Value::list(values))
            }
            Ex::Map(entries) => {
                let mut map = Map::new();
                for (k, v) in entries {
                    let value = self.eval(cx, v)?;
                    map.insert(Arc::clone(k), value);
                }
                flat_enough(Value::map(map))
            }
            Ex::Index(of, index, at) => {
                let (of, index) = (self.eval(cx, of)?, self.eval(cx, index)?);
                self.index(&of, &index, *at)
            }
            Ex::Slice(of, from, to, at) => {
                let of = self.eval(cx, of)?;
                let from = from.as_ref().map(|e| self.eval(cx, e)).transpose()?;
                let to = to.as_ref().map(|e| self.eval(cx, e)).transpose()?;
                slice(&of, from.as_ref(), to.as_ref(), *at)
            }
            Ex::Case { of, arms, otherwise } => self.case(cx, of.as_deref(), arms, otherwise.as_deref()),
            Ex::ListComp { slot, list, filter, map, at } => {
                let Some(items) = self.items(cx, list, *at)? else { return Ok(Value::Null) };
                let mut found = Collected::default();
                for item in items.iter() {
                    self.tick(cx)?;
                    cx.set(*slot, item.clone());
                    if let Some(f) = filter
                        && !self.holds(cx, f)?
                    {
                        continue;
                    }
                    let value = map.as_ref().map_or_else(|| Ok(item.clone()), |m| self.eval(cx, m))?;
                    found.push(self, value)?;
                }
                flat_enough(Value::list(found.values))
            }
            Ex::Quantifier { kind, slot, list, filter, at } => {
                let Some(items) = self.items(cx, list, *at)? else { return Ok(Value::Null) };
                self.quantified(cx, *kind, *slot, &items, filter.as_deref(), *at)
            }
            Ex::Reduce { sum, start, slot, list, body, at } => {
                let mut so_far = self.eval(cx, start)?;
                let Some(items) = self.items(cx, list, *at)? else { return Ok(Value::Null) };
                for item in items.iter() {
                    self.tick(cx)?;
                    cx.set(*sum, so_far);
                    cx.set(*slot, item.clone());
                    so_far = self.eval(cx, body)?;
                }
                Ok(so_far)
            }
            Ex::Comprehend { steps, map } => {
                let mut found = Collected::default();
                self.run(cx, steps, &mut |cx| {
                    let value = self.eval(cx, map)?;
                    found.push(self, value)?;
                    Ok(Flow::Go)
                })?;
                flat_enough(Value::list(found.values))
            }
            Ex::Exists(parts) => {
                let mut found = false;
                for steps in parts {
                    self.run(cx, steps, &mut |_| {
                        found = true;
                        Ok(Flow::Done)
                    })?;
                    if found {
                        break;
                    }
                }
                Ok(Value::Bool(found))
            }
            Ex::Count(parts) => {
                let mut count = 0;
                for steps in parts {
                    self.run(cx, steps, &mut |cx| {
                        count += i64::try_from(cx.many).unwrap_or(i64::MAX);
                        Ok(Flow::Go)
                    })?;
                }
                Ok(Value::Int(count))
            }
            Ex::EachEdge { list, slot, test } => {
                let Value::List(edges) = cx.get(*list).clone() else { return Ok(Value::Null) };
                for e in edges.iter() {
                    cx.set(*slot, e.clone());
                    if !self.holds(cx, test)? {
                        return Ok(Value::Bool(false));
                    }
                }
                Ok(Value::Bool(true))
            }
        }
    }

    /// `text =~ pattern`, over the whole text. Matching takes time linear in the text.
    fn matches(&self, text: &Value, pattern: &Value, at: Span) -> Run<Value> {
        let (Value::Text(text), Value::Text(pattern)) = (text, pattern) else { return Ok(Value::Null) };
        let mut last = self.pattern.borrow_mut();
        if last.as_ref().is_none_or(|(p, _)| p != pattern) {
            let built = regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(1 << 20).build();
            let built = built.map_err(|e| {
                let message = format!("this is no regular expression: {e}");
                Error::run(Kind::ArgumentError, "InvalidRegularExpression", at, message)
            })?;
            *last = Some((Arc::clone(pattern), built));
        }
        Ok(last.as_ref().map_or(Value::Null, |(_, r)| Value::Bool(r.is_match(text))))
    }

    /// The items of a list that is gone through; `None` when there is none.
    fn items(&self, cx: &mut Cx, list: &Ex, at: Span) -> Run<Option<Arc<List>>> {
        match self.eval(cx, list)? {
            Value::List(l) => Ok(Some(l)),
            Value::Null => Ok(None),
            other => Err(type_error(at, format!("a list is due here, this is {}", other.kind()))),
        }
    }

    fn all_of(&self, cx: &mut Cx, all: &[Ex], at: Span) -> Run<Value> {
        let mut known = true;
        for e in all {
            let value = self.eval(cx, e)?;
            match truth(&value, at)? {
                Some(false) => return Ok(Value::Bool(false)),
                Some(true) => {}
                None => known = false,
            }
        }
        Ok(from_truth(known.then_some(true)))
    }

    fn any_of(&self, cx: &mut Cx, all: &[Ex], at: Span) -> Run<Value> {
        let mut known = true;
        for e in all {
            let value = self.eval(cx, e)?;
            match truth(&value, at)? {
                Some(true) => return Ok(Value::Bool(true)),
                Some(false) => {}
                None => known = false,
            }
        }
        Ok(from_truth(known.then_some(false)))
    }

    fn comparison(&self, cx: &mut Cx, first: &Ex, rest: &[(Compare, Ex)]) -> Run<Value> {
        let mut left = self.eval(cx, first)?;
        let mut known = true;
        for (op, right) in rest {
            let right = self.eval(cx, right)?;
            match compared(*op, &left, &right) {
                Some(false) => return Ok(Value::Bool(false)),
                Some(true) => {}
                None => known = false,
            }
            left = right;
        }
        Ok(from_truth(known.then_some(true)))
    }

    fn case(&self, cx: &mut Cx, of: Option<&Ex>, arms: &[(Ex, Ex)], otherwise: Option<&Ex>) -> Run<Value> {
        let of = of.map(|e| self.eval(cx, e)).transpose()?;
        for (when, then) in arms {
            let when = self.eval(cx, when)?;
            let fits = match &of {
                Some(of) => equal(of, &when) == Some(true),
                None => matches!(when, Value::Bool(true)),
            };
            if fits {
                return self.eval(cx, then);
            }
        }
        otherwise.map_or(Ok(Value::Null), |e| self.eval(cx, e))
    }

    fn quantified(
        &self,
        cx: &mut Cx,
        kind: Quantifier,
        slot: Slot,
        items: &[Value],
        filter: Option<&Ex>,
        at: Span,
    ) -> Run<Value> {
        let (mut yes, mut unknown, mut no) = (0, 0, 0);
        for item in items {
            self.tick(cx)?;
            cx.set(slot, item.clone());
            let value = filter.map_or_else(|| Ok(item.clone()), |f| self.eval(cx, f))?;
            match truth(&value, at)? {
                Some(true) => yes += 1,
                Some(false) => no += 1,
                None => unknown += 1,
            }
            let decided = match kind {
                Quantifier::All => no > 0,
                Quantifier::Any | Quantifier::None => yes > 0,
                Quantifier::Single => yes > 1,
            };
            if decided {
                break;
            }
        }
        Ok(match kind {
            Quantifier::All if no > 0 => Value::Bool(false),
            Quantifier::Any if yes > 0 => Value::Bool(true),
            Quantifier::None if yes > 0 => Value::Bool(false),
            Quantifier::Single if yes > 1 => Value::Bool(false),
            _ if unknown > 0 => Value::Null,
            Quantifier::All | Quantifier::None => Value::Bool(true),
            Quantifier::Any => Value::Bool(false),
            Quantifier::Single => Value::Bool(yes == 1),
        })
    }

    fn property(&self, of: &Value, name: &str, at: Span) -> Run<Value> {
        let key = || self.data.property(name).ok().flatten();
        match of {
            Value::Null => Ok(Value::Null),
            Value::Node(n) => Ok(key().map_or(Value::Null, |k| self.data.node_property(*n, k))),
            Value::Edge(e) => Ok(key().map_or(Value::Null, |k| self.data.edge_property(*e, k))),
            Value::Map(m) => Ok(m.get(name).cloned().unwrap_or(Value::Null)),
            Value::Date(_)
            | Value::LocalTime(_)
            | Value::Time(_)
            | Value::LocalDateTime(_)
            | Value::DateTime(_)
            | Value::Duration(_) => access::part(of, name)
                .ok_or_else(|| type_error(at, format!("{} has no part `{name}`", of.kind()))),
            other => Err(type_error(at, format!("{} has no properties", other.kind()))),
        }
    }

    fn index(&self, of: &Value, index: &Value, at: Span) -> Run<Value> {
        match (of, index) {
            (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
            (Value::List(l), Value::Int(i)) => {
                Ok(place(*i, l.len()).and_then(|i| l.get(i)).cloned().unwrap_or(Value::Null))
            }
            (Value::List(_), other) => {
                Err(type_error(at, format!("a place in a list is a whole number, this is {}", other.kind())))
            }
            (Value::Map(_) | Value::Node(_) | Value::Edge(_), Value::Text(name)) => {
                self.property(of, name, at)
            }
            (Value::Map(_) | Value::Node(_) | Value::Edge(_), other) => {
                let message = format!("a property's name is a string, this is {}", other.kind());
                Err(Error::run(Kind::TypeError, "MapElementAccessByNonString", at, message).into())
            }
            (other, _) => Err(type_error(at, format!("{} has no places", other.kind()))),
        }
    }

    fn has_labels(&self, of: &Value, tests: &[LabelTest], at: Span) -> Run<Value> {
        match of {
            Value::Null => Ok(Value::Null),
            Value::Node(n) => {
                let has = |t: &LabelTest| t.label.is_some_and(|l| self.data.has_label(*n, l));
                Ok(Value::Bool(tests.iter().all(has)))
            }
            Value::Edge(e) => {
                let of = self.data.edge_type(*e);
                Ok(Value::Bool(tests.iter().all(|t| t.types.contains(&of))))
            }
            other => Err(type_error(at, format!("{} has no labels", other.kind()))),
        }
    }
}

/// Values being collected into one, which may only become so large.
#[derive(Default)]
struct Collected {
    values: Vec<Value>,
    bytes: usize,
}

impl Collected {
    fn push(&mut self, exec: &Exec<'_>, value: Value) -> Run<()> {
        self.bytes += shallow(&value);
        self.values.push(value);
        exec.room(self.bytes)
    }
}

fn compared(op: Compare, a: &Value, b: &Value) -> Option<bool> {
    match op {
        Compare::Eq => return equal(a, b),
        Compare::Ne => return equal(a, b).map(|e| !e),
        _ => {}
    }
    let Some(order) = compare(a, b) else {
        // Not a number is a number that is neither less nor more.
        return both_numbers(a, b).then_some(false);
    };
    Some(match op {
        Compare::Lt => order == Ordering::Less,
        Compare::Le => order != Ordering::Greater,
        Compare::Gt => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

/// A place in a list of some length; negative ones count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(index).ok()
}

fn slice(of: &Value, from: Option<&Value>, to: Option<&Value>, at: Span) -> Run<Value> {
    let list = match of {
        Value::Null => return Ok(Value::Null),
        Value::List(l) => l,
        other => return Err(type_error(at, format!("{} cannot be cut", other.kind()))),
    };
    let bound = |bound: Option<&Value>, default: usize| match bound {
        None => Ok(Some(default)),
        Some(Value::Null) => Ok(None),
        Some(Value::Int(i)) => Ok(Some(place(*i, list.len()).unwrap_or(0).min(list.len()))),
        Some(other) => {
            Err(type_error(at, format!("a place in a list is a whole number, this is {}", other.kind())))
        }
    };
    let (Some(from), Some(to)) = (bound(from, 0)?, bound(to, list.len())?) else { return Ok(Value::Null) };
    Ok(Value::list(list.get(from..to).unwrap_or_default().to_vec()))
}
