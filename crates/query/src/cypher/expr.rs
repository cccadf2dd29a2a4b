//! Expressions to plans: names to slots, what can be told of types before anything runs, aggregates to where they are summed.

use super::Plans;
use super::ast::{self, Binary, Expr, Name, Node, PathPattern};
use super::error::{Error, Span};
use super::functions::{self, Function};
use super::plan::{Ex, LabelTest, Slot, Step, Told};
use super::relax::relax_all;
use super::scope::{Compiled, Compiler, Ty};
use super::value::Value;
use std::sync::Arc;

/// Whether a pattern may stand here as a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Value,
    Predicate,
}

fn wrong_type(at: Span, message: impl Into<String>) -> Error {
    Error::syntax("InvalidArgumentType", at, message)
}

impl Compiler<'_> {
    /// A value.
    pub(crate) fn value(&mut self, e: &Expr) -> Compiled<(Ex, Ty)> {
        self.expr(e, Place::Value)
    }

    /// A condition.
    pub(crate) fn predicate(&mut self, e: &Expr) -> Compiled<Ex> {
        let (ex, ty) = self.expr(e, Place::Predicate)?;
        if !ty.may_be_bool() {
            return Err(wrong_type(e.at, format!("a condition is due here, this is {}", ty.name())));
        }
        Ok(ex)
    }

    fn values(&mut self, all: &[Expr]) -> Compiled<(Vec<Ex>, Vec<Ty>)> {
        let mut found = (Vec::new(), Vec::new());
        for e in all {
            let (ex, ty) = self.value(e)?;
            found.0.push(ex);
            found.1.push(ty);
        }
        Ok(found)
    }

    fn boxed(&mut self, e: &Expr) -> Compiled<Box<Ex>> {
        Ok(Box::new(self.value(e)?.0))
    }

    fn maybe(&mut self, e: Option<&Expr>) -> Compiled<Option<Box<Ex>>> {
        e.map(|e| self.boxed(e)).transpose()
    }

    fn maybe_predicate(&mut self, e: Option<&Expr>) -> Compiled<Option<Box<Ex>>> {
        e.map(|e| self.predicate(e).map(Box::new)).transpose()
    }

    pub(crate) fn expr(&mut self, e: &Expr, place: Place) -> Compiled<(Ex, Ty)> {
        if let Some((slot, ty)) = self.grouped(e) {
            self.touch(slot);
            return Ok((Ex::Slot(slot), ty));
        }
        let at = e.at;
        Ok(match &e.node {
            Node::Null => (Ex::Const(Value::Null), Ty::Null),
            Node::Bool(b) => (Ex::Const(Value::Bool(*b)), Ty::Bool),
            Node::Int(i) => (Ex::Const(Value::Int(*i)), Ty::Int),
            Node::Float(x) => (Ex::Const(Value::Float(*x)), Ty::Float),
            Node::Text(t) => (Ex::Const(Value::text(t)), Ty::Text),
            Node::Param(p) => (Ex::Const(self.param(p, at)?), Ty::Any),
            Node::Var(name) => {
                let (slot, ty) = self.resolve(name, at)?;
                (Ex::Slot(slot), ty)
            }
            Node::List(items) => {
                let (items, types) = self.values(items)?;
                let mut types = types.into_iter().filter(|t| *t != Ty::Null);
                let first = types.next().unwrap_or(Ty::Any);
                (Ex::List(items), Ty::list(types.fold(first, |a, b| a.join(&b))))
            }
            Node::Map(entries) => {
                let mut found = Vec::new();
                for (key, value) in entries {
                    found.push((Arc::from(key.text.as_str()), self.value(value)?.0));
                }
                (Ex::Map(found), Ty::Map)
            }
            Node::Property(of, key) => self.property(of, key, at)?,
            Node::Index(of, index) => {
                let (of, ty) = self.value(of)?;
                let index = self.boxed(index)?;
                let ty = if let Ty::List(item) = ty { *item } else { Ty::Any };
                (Ex::Index(Box::new(of), index, at), ty)
            }
            Node::Slice(of, from, to) => {
                let (of, ty) = self.value(of)?;
                let (from, to) = (self.maybe(from.as_deref())?, self.maybe(to.as_deref())?);
                (Ex::Slice(Box::new(of), from, to, at), ty)
            }
            Node::HasLabels(of, labels) => {
                let (of, ty) = self.value(of)?;
                (Ex::HasLabels(Box::new(of), self.label_tests(labels, &ty)?, at), Ty::Bool)
            }
            Node::Neg(of) | Node::Pos(of) => {
                let (ex, ty) = self.value(of)?;
                if !ty.may_be_number() && ty != Ty::Temporal {
                    return Err(wrong_type(of.at, format!("a number is due here, this is {}", ty.name())));
                }
                let negative = matches!(e.node, Node::Neg(_));
                (if negative { Ex::Neg(Box::new(ex), at) } else { Ex::Pos(Box::new(ex), at) }, ty)
            }
            Node::Not(of) => (Ex::Not(Box::new(self.logic(of, place)?), at), Ty::Bool),
            Node::And(all) => (Ex::And(self.logics(all, place)?, at), Ty::Bool),
            Node::Or(all) => (Ex::Or(self.logics(all, place)?, at), Ty::Bool),
            Node::Binary(op, a, b) => self.binary(*op, a, b, at, place)?,
            Node::Compare(first, rest) => {
                let first = self.boxed(first)?;
                let mut found = Vec::new();
                for (op, e) in rest {
                    found.push((*op, self.value(e)?.0));
                }
                (Ex::Compare(first, found), Ty::Bool)
            }
            Node::IsNull(of) => (Ex::IsNull(self.boxed(of)?), Ty::Bool),
            Node::IsNotNull(of) => (Ex::IsNotNull(self.boxed(of)?), Ty::Bool),
            Node::Call { name, distinct, args } => self.call(e, name, *distinct, args)?,
            Node::CountStar => self.aggregate(e)?,
            Node::Case { of, arms, otherwise } => self.case(of.as_deref(), arms, otherwise.as_deref())?,
            Node::ListComp { var, list, filter, map } => {
                self.list_comp(var, list, filter.as_deref(), map.as_deref(), at)?
            }
            Node::Quantifier { kind, var, list, filter } => {
                let (list, item) = self.iterated(list)?;
                let (slot, filter) = self.local(|c| {
                    let slot = c.declare(&var.text, item);
                    Ok((slot, c.maybe_predicate(filter.as_deref())?))
                })?;
                (Ex::Quantifier { kind: *kind, slot, list: Box::new(list), filter, at }, Ty::Bool)
            }
            Node::Reduce { sum, start, var, list, body } => {
                let (start, ty) = self.value(start)?;
                let (list, item) = self.iterated(list)?;
                let (sum, slot, body) = self.local(|c| {
                    let sum = c.declare(&sum.text, Ty::Any);
                    let slot = c.declare(&var.text, item);
                    Ok((sum, slot, c.boxed(body)?))
                })?;
                let (start, list) = (Box::new(start), Box::new(list));
                let ty = if matches!(ty, Ty::List(_)) { Ty::list(Ty::Any) } else { Ty::Any };
                (Ex::Reduce { sum, start, slot, list, body, at }, ty)
            }
            Node::PatternComp { pattern, filter, map } => {
                self.comprehension(pattern, filter.as_deref(), map)?
            }
            Node::Pattern(pattern) => {
                if place == Place::Value {
                    let message = "a pattern is a condition: it can stand in WHERE, not as a value";
                    return Err(Error::syntax("UnexpectedSyntax", at, message)
                        .with_hint("collect what it finds: [(a)-->(b) | b]"));
                }
                let mut steps = self.local(|c| c.pattern_predicate(pattern))?;
                self.relax_all(&mut steps, Told::UntilOne);
                (Ex::Exists(vec![steps]), Ty::Bool)
            }
            Node::Subquery { count, query } => {
                let mut parts = self.local(|c| c.subquery(query))?;
                let told = if *count { Told::All } else { Told::UntilOne };
                parts.iter_mut().for_each(|steps| self.relax_all(steps, told));
                if *count { (Ex::Count(parts), Ty::Int) } else { (Ex::Exists(parts), Ty::Bool) }
            }
        })
    }

    fn relax_all(&self, steps: &mut [Step], told: Told) {
        if self.plans == Plans::Chosen {
            relax_all(steps, told);
        }
    }

    /// In a scope of its own, where aggregates cannot stand.
    fn local<T>(&mut self, compile: impl FnOnce(&mut Self) -> Compiled<T>) -> Compiled<T> {
        self.within(|c| {
            if let Some(g) = c.grouping.as_mut() {
                g.closed += 1;
            }
            let found = compile(c);
            if let Some(g) = c.grouping.as_mut() {
                g.closed -= 1;
            }
            found
        })
    }

    /// The slot of a variable that may be read here.
    pub(crate) fn resolve(&mut self, name: &str, at: Span) -> Compiled<(Slot, Ty)> {
        let place = self.scope.iter().rposition(|v| v.name == name);
        let Some((place, var)) = place.and_then(|i| Some((i, self.scope.get(i)?))) else {
            return Err(self.undefined(name, at));
        };
        let (slot, ty) = (var.slot, var.ty.clone());
        if let Some(g) = &self.grouping
            && g.bars(place, slot)
        {
            let message = "beside an aggregate only what rows are grouped by can stand";
            return Err(Error::syntax("AmbiguousAggregationExpression", at, message)
                .with_hint("give it a column of its own in a WITH before"));
        }
        self.touch(slot);
        Ok((slot, ty))
    }

    fn logic(&mut self, e: &Expr, place: Place) -> Compiled<Ex> {
        let (ex, ty) = self.expr(e, place)?;
        if !ty.may_be_bool() {
            return Err(wrong_type(e.at, format!("a boolean is due here, this is {}", ty.name())));
        }
        Ok(ex)
    }

    fn logics(&mut self, all: &[Expr], place: Place) -> Compiled<Vec<Ex>> {
        all.iter().map(|e| self.logic(e, place)).collect()
    }

    fn property(&mut self, of: &Expr, key: &Name, at: Span) -> Compiled<(Ex, Ty)> {
        let (ex, ty) = self.value(of)?;
        if !ty.may_have_properties() {
            let message =
                format!("only nodes, relationships, maps and times have properties, this is {}", ty.name());
            let mut error = wrong_type(of.at, message);
            // openCypher tells paths apart from plain values.
            if ty != Ty::Path {
                error.kind = super::error::Kind::TypeError;
            }
            return Err(error);
        }
        let found = self.data.property(&key.text);
        let known = if matches!(ty, Ty::Node | Ty::Edge) {
            Compiler::known(found, key)?
        } else {
            found.ok().flatten()
        };
        let name = Arc::from(key.text.as_str());
        Ok((Ex::Property { of: Box::new(ex), name, key: known, at }, Ty::Any))
    }

    fn label_tests(&mut self, labels: &[Name], ty: &Ty) -> Compiled<Vec<LabelTest>> {
        let mut tests = Vec::new();
        for name in labels {
            let (label, types) = (self.data.label(&name.text), self.data.edge_types(&name.text));
            tests.push(match ty {
                Ty::Node => LabelTest { label: Compiler::known(label, name)?, types: Vec::new() },
                Ty::Edge => LabelTest { label: None, types: Compiler::known(types, name)? },
                _ => LabelTest { label: label.unwrap_or(None), types: types.unwrap_or_default() },
            });
        }
        Ok(tests)
    }

    fn binary(&mut self, op: Binary, a: &Expr, b: &Expr, at: Span, place: Place) -> Compiled<(Ex, Ty)> {
        if op == Binary::Xor {
            let (a, b) = (self.logic(a, place)?, self.logic(b, place)?);
            return Ok((Ex::Binary(op, Box::new(a), Box::new(b), at), Ty::Bool));
        }
        let ((left, x), (right, y)) = (self.value(a)?, self.value(b)?);
        let ty = match op {
            Binary::In => {
                if !y.may_be_list() {
                    return Err(wrong_type(b.at, format!("a list is due after IN, this is {}", y.name())));
                }
                Ty::Bool
            }
            Binary::Add => sum_type(&x, &y),
            Binary::Sub | Binary::Mul | Binary::Div | Binary::Mod | Binary::Pow => {
                let temporal = |t: &Ty| matches!(t, Ty::Temporal);
                for (e, t) in [(a, &x), (b, &y)] {
                    if !t.may_be_number() && !temporal(t) {
                        return Err(wrong_type(e.at, format!("a number is due here, this is {}", t.name())));
                    }
                }
                match (&x, &y) {
                    (Ty::Int, Ty::Int) if op != Binary::Pow => Ty::Int,
                    (Ty::Int | Ty::Float, Ty::Int | Ty::Float) => Ty::Float,
                    _ => Ty::Any,
                }
            }
            _ => Ty::Bool,
        };
        Ok((Ex::Binary(op, Box::new(left), Box::new(right), at), ty))
    }

    fn call(&mut self, e: &Expr, name: &str, distinct: bool, args: &[Expr]) -> Compiled<(Ex, Ty)> {
        if functions::sum_kind(name).is_some() {
            return self.aggregate(e);
        }
        if distinct {
            return Err(Error::syntax("UnexpectedSyntax", e.at, "DISTINCT is for aggregates"));
        }
        let lower = name.to_ascii_lowercase();
        if let ("exists", [Expr { node: Node::Pattern(_), .. }]) = (lower.as_str(), args) {
            let of = args.first().map(|a| self.predicate(a)).transpose()?;
            return Ok((of.unwrap_or(Ex::Const(Value::Null)), Ty::Bool));
        }
        let Some(function) = functions::find(&lower) else {
            let near = crate::run::nearest(name, functions::names(), 1);
            let error = Error::syntax("UnknownFunction", e.at, "there is no function of this name");
            return Err(near
                .first()
                .map_or(error.clone(), |n| error.with_hint(format!("did you mean `{n}`?"))));
        };
        let fits = (function.least..=function.most).contains(&args.len());
        if !fits {
            let message = format!("`{}` takes {} arguments", function.name, function.arity());
            return Err(Error::syntax("InvalidNumberOfArguments", e.at, message));
        }
        let (args_ex, types) = self.values(args)?;
        self.fits(function, args, &types)?;
        let ty = function.ty.of(&types);
        Ok((Ex::Call(function, args_ex, e.at), ty))
    }

    fn fits(&self, function: &Function, args: &[Expr], types: &[Ty]) -> Compiled<()> {
        let (Some(first), Some(ty)) = (args.first(), types.first()) else { return Ok(()) };
        if function.accepts.takes(ty) {
            return Ok(());
        }
        let message = format!("`{}` cannot be asked of {}", function.name, ty.name());
        Err(wrong_type(first.at, message))
    }

    fn case(
        &mut self,
        of: Option<&Expr>,
        arms: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Compiled<(Ex, Ty)> {
        let of_ex = self.maybe(of)?;
        let mut found = Vec::new();
        let mut ty: Option<Ty> = None;
        for (when, then) in arms {
            let when = if of.is_some() { self.value(when)?.0 } else { self.predicate(when)? };
            let (then, t) = self.value(then)?;
            ty = Some(ty.map_or(t.clone(), |old| old.join(&t)));
            found.push((when, then));
        }
        let mut ty = ty.unwrap_or(Ty::Any);
        let otherwise = match otherwise {
            Some(e) => {
                let (ex, t) = self.value(e)?;
                ty = ty.join(&t);
                Some(Box::new(ex))
            }
            None => None,
        };
        Ok((Ex::Case { of: of_ex, arms: found, otherwise }, ty))
    }

    /// A list that is gone through, and what is known of its items.
    fn iterated(&mut self, list: &Expr) -> Compiled<(Ex, Ty)> {
        let (ex, ty) = self.value(list)?;
        match ty {
            Ty::List(item) => Ok((ex, *item)),
            Ty::Any | Ty::Null => Ok((ex, Ty::Any)),
            other => Err(wrong_type(list.at, format!("a list is due here, this is {}", other.name()))),
        }
    }

    fn list_comp(
        &mut self,
        var: &Name,
        list: &Expr,
        filter: Option<&Expr>,
        map: Option<&Expr>,
        at: Span,
    ) -> Compiled<(Ex, Ty)> {
        let (list, item) = self.iterated(list)?;
        let (slot, filter, map, ty) = self.local(|c| {
            let slot = c.declare(&var.text, item.clone());
            let filter = c.maybe_predicate(filter)?;
            let (map, ty) = match map {
                Some(m) => {
                    let (ex, ty) = c.value(m)?;
                    (Some(Box::new(ex)), ty)
                }
                None => (None, item),
            };
            Ok((slot, filter, map, ty))
        })?;
        Ok((Ex::ListComp { slot, list: Box::new(list), filter, map, at }, Ty::list(ty)))
    }

    fn comprehension(
        &mut self,
        pattern: &PathPattern,
        filter: Option<&Expr>,
        map: &Expr,
    ) -> Compiled<(Ex, Ty)> {
        let (steps, map, ty) = self.local(|c| {
            let steps = c.matched(std::slice::from_ref(pattern), filter, super::pattern::New::Allowed)?.steps;
            let (map, ty) = c.value(map)?;
            Ok((steps, Box::new(map), ty))
        })?;
        Ok((Ex::Comprehend { steps, map }, Ty::list(ty)))
    }

    /// An aggregate where one may stand: it is summed by a step before, here only its slot is read.
    fn aggregate(&mut self, e: &Expr) -> Compiled<(Ex, Ty)> {
        let open = self.grouping.as_ref().is_some_and(|g| g.closed == 0);
        if !open {
            let message = "aggregates can stand in WITH and RETURN only";
            return Err(Error::syntax("InvalidAggregation", e.at, message));
        }
        let (slot, ty) = self.summed(e)?;
        self.touch(slot);
        Ok((Ex::Slot(slot), ty))
    }

    /// What `e` has already been computed as, where rows are grouped or sorted.
    fn grouped(&self, e: &Expr) -> Option<(Slot, Ty)> {
        let g = self.grouping.as_ref()?;
        g.find(e)
    }
}

/// The type of `a + b`.
fn sum_type(a: &Ty, b: &Ty) -> Ty {
    match (a, b) {
        (Ty::Int, Ty::Int) => Ty::Int,
        (Ty::Int | Ty::Float, Ty::Int | Ty::Float) => Ty::Float,
        (Ty::Text, Ty::Text | Ty::Int | Ty::Float) | (Ty::Int | Ty::Float, Ty::Text) => Ty::Text,
        (Ty::List(a), Ty::List(b)) => Ty::list(a.as_ref().clone().join(b)),
        (Ty::List(_), _) | (_, Ty::List(_)) => Ty::list(Ty::Any),
        _ => Ty::Any,
    }
}

/// Whether an expression has an aggregate that belongs to it and not to a subquery.
pub(crate) fn has_aggregate(e: &Expr) -> bool {
    let any = |es: &[Expr]| es.iter().any(has_aggregate);
    let maybe = |e: &Option<Box<Expr>>| e.as_deref().is_some_and(has_aggregate);
    match &e.node {
        Node::CountStar => true,
        Node::Call { name, args, .. } => functions::sum_kind(name).is_some() || any(args),
        Node::List(all) | Node::And(all) | Node::Or(all) => any(all),
        Node::Map(entries) => entries.iter().any(|(_, e)| has_aggregate(e)),
        Node::Property(of, _) | Node::HasLabels(of, _) => has_aggregate(of),
        Node::Neg(of) | Node::Pos(of) | Node::Not(of) | Node::IsNull(of) | Node::IsNotNull(of) => {
            has_aggregate(of)
        }
        Node::Index(a, b) | Node::Binary(_, a, b) => has_aggregate(a) || has_aggregate(b),
        Node::Slice(of, a, b) => has_aggregate(of) || maybe(a) || maybe(b),
        Node::Compare(first, rest) => has_aggregate(first) || rest.iter().any(|(_, e)| has_aggregate(e)),
        Node::Case { of, arms, otherwise } => {
            maybe(of) || maybe(otherwise) || arms.iter().any(|(a, b)| has_aggregate(a) || has_aggregate(b))
        }
        Node::ListComp { list, filter, map, .. } => has_aggregate(list) || maybe(filter) || maybe(map),
        Node::Quantifier { list, filter, .. } => has_aggregate(list) || maybe(filter),
        Node::Reduce { start, list, body, .. } => [start, list, body].iter().any(|e| has_aggregate(e)),
        Node::Null
        | Node::Bool(_)
        | Node::Int(_)
        | Node::Float(_)
        | Node::Text(_)
        | Node::Param(_)
        | Node::Var(_)
        | Node::PatternComp { .. }
        | Node::Pattern(_)
        | Node::Subquery { .. } => false,
    }
}

/// Whether an expression is a variable or a property of one: what may stand beside an aggregate.
pub(crate) fn is_plain(e: &Expr) -> bool {
    match &e.node {
        Node::Var(_) => true,
        ast::Node::Property(of, _) => is_plain(of),
        _ => false,
    }
}
