//! WITH and RETURN: columns, grouping, DISTINCT, ORDER BY, SKIP, LIMIT, and what is in scope after them.

use super::Plans;
use super::ast::{Expr, Item, Node, Projection};
use super::error::{Error, Kind, Phase, Span};
use super::expr::{has_aggregate, is_plain};
use super::functions;
use super::plan::{Ex, Op, Slot, Step, Sum, SumKind};
use super::relax::read_late;
use super::scope::{Compiled, Compiler, Ty, Var};
use super::value::Value;
use std::collections::BTreeSet;

/// What has a slot already while columns are compiled beside aggregates, and while rows are sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grouping {
    /// Expressions that stand for a slot wherever they occur.
    known: Vec<(Expr, Slot, Ty)>,
    /// The same for whole sort keys only.
    whole: Vec<(Expr, Slot, Ty)>,
    sums: Vec<Sum>,
    /// Variables before this place in the scope may only be read when rows are grouped by them.
    barred_before: usize,
    /// How deep inside of something in which no aggregate can stand.
    pub(crate) closed: usize,
    /// Whether further aggregates may be added.
    fixed: bool,
}

impl Grouping {
    pub(crate) fn bars(&self, place: usize, slot: Slot) -> bool {
        place < self.barred_before && !self.known.iter().any(|k| k.1 == slot)
    }

    pub(crate) fn find(&self, e: &Expr) -> Option<(Slot, Ty)> {
        // What stands in a scope of its own may mean something else by the same name.
        if self.closed > 0 {
            return None;
        }
        self.known.iter().find(|k| k.0 == *e).map(|k| (k.1, k.2.clone()))
    }

    /// The column that a whole sort key is.
    fn column(&self, e: &Expr) -> Option<Slot> {
        self.whole.iter().find(|k| k.0 == *e).map(|k| k.1)
    }
}

struct Column {
    name: String,
    slot: Slot,
    ty: Ty,
}

/// The steps of a projection, and the slots of its columns by name.
pub(crate) struct Projected {
    pub steps: Vec<Step>,
    pub columns: Vec<(String, Slot)>,
}

impl Compiler<'_> {
    /// Compiles a projection; afterwards its columns are the scope.
    pub(crate) fn project(
        &mut self,
        p: &Projection,
        filter: Option<&Expr>,
        named: Named,
    ) -> Compiled<Projected> {
        let before = self.scope.clone();
        let grouped = p.items.iter().any(|i| has_aggregate(&i.expr));
        let mut steps = Vec::new();
        let mut columns: Vec<Column> = Vec::new();
        if p.star {
            if before.is_empty() && named == Named::Columns {
                return Err(Error::syntax("NoVariablesInScope", p.at, "there is no variable to return"));
            }
            columns.extend(self.all_variables());
        }
        let mut grouping = Grouping { barred_before: before.len(), ..Grouping::default() };
        if grouped {
            grouping.known = columns.iter().map(|c| (variable(&c.name), c.slot, c.ty.clone())).collect();
            self.keys(p, &mut columns, &mut grouping, named, &mut steps)?;
        }
        let mut whole = Vec::new();
        let mut assigned = Vec::new();
        self.grouping = grouped.then_some(grouping);
        for item in p.items.iter().filter(|i| !grouped || has_aggregate(&i.expr)) {
            let (ex, ty) = self.value(&item.expr)?;
            let name = self.column_name(item, named)?;
            let slot = match ex {
                Ex::Slot(slot) => slot,
                ex => {
                    let slot = self.slot();
                    assigned.push((ex, slot));
                    slot
                }
            };
            whole.push((item.expr.clone(), slot, ty.clone()));
            columns.push(Column { name, slot, ty });
        }
        let mut known = Vec::new();
        if let Some(g) = self.grouping.take() {
            known = g.known;
            self.insert_sums(&mut steps, g.sums);
        }
        if grouped {
            columns = in_order(p, columns, |i| self.column_name(i, named))?;
        }
        if !assigned.is_empty() {
            steps.push(self.step(Op::Project(assigned), 0.0));
        }
        unique(&columns, p)?;
        for item in &p.items {
            if let Some(c) =
                self.column_name(item, named).ok().and_then(|n| columns.iter().find(|c| c.name == n))
            {
                whole.push((item.expr.clone(), c.slot, c.ty.clone()));
            }
        }
        // Where a column has the name of a variable before it, the name means the column.
        let hidden = |e: &Expr| matches!(&e.node, Node::Var(v) if columns.iter().any(|c| c.name == *v));
        known.extend(whole.iter().filter(|k| is_plain(&k.0)).cloned());
        known.retain(|k: &(Expr, Slot, Ty)| !hidden(&k.0));
        whole.retain(|k: &(Expr, Slot, Ty)| !hidden(&k.0));
        if p.distinct {
            let (slots, state) = (columns.iter().map(|c| c.slot).collect(), self.state());
            steps.push(self.step(Op::Distinct { slots, state }, 0.0));
        }
        let after: Vec<Var> =
            columns.iter().map(|c| Var { name: c.name.clone(), slot: c.slot, ty: c.ty.clone() }).collect();
        let closed = grouped || p.distinct;
        self.scope = if closed { after.clone() } else { [before, after.clone()].concat() };
        self.ordered(
            p,
            filter,
            &columns,
            Grouping { known, whole, fixed: true, ..Grouping::default() },
            &mut steps,
        )?;
        if self.plans == Plans::Chosen && !closed && filter.is_none() {
            let things = std::mem::take(&mut self.scope);
            let is_thing =
                |s: Slot| things.iter().any(|v| v.slot == s && matches!(v.ty, Ty::Node | Ty::Edge));
            read_late(&mut steps, is_thing, |op| self.step(op, 0.0));
        }
        self.scope = after;
        Ok(Projected { steps, columns: columns.into_iter().map(|c| (c.name, c.slot)).collect() })
    }

    fn all_variables(&self) -> Vec<Column> {
        let mut found: Vec<Column> = Vec::new();
        for v in self.scope.iter().rev() {
            if !found.iter().any(|c| c.name == v.name) {
                found.push(Column { name: v.name.clone(), slot: v.slot, ty: v.ty.clone() });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Columns without aggregates: what rows are grouped by.
    fn keys(
        &mut self,
        p: &Projection,
        columns: &mut Vec<Column>,
        grouping: &mut Grouping,
        named: Named,
        steps: &mut Vec<Step>,
    ) -> Compiled<()> {
        let mut keys: Vec<(Ex, Slot)> = columns.iter().map(|c| (Ex::Slot(c.slot), c.slot)).collect();
        for item in p.items.iter().filter(|i| !has_aggregate(&i.expr)) {
            let (ex, ty) = self.value(&item.expr)?;
            let name = self.column_name(item, named)?;
            // A variable stays where it is, so that patterns beside the aggregate find it.
            let slot = if let Ex::Slot(slot) = ex { slot } else { self.slot() };
            if is_plain(&item.expr) {
                grouping.known.push((item.expr.clone(), slot, ty.clone()));
            }
            keys.push((ex, slot));
            columns.push(Column { name, slot, ty });
        }
        let state = self.state();
        steps.push(self.step(Op::Aggregate { keys, sums: Vec::new(), ranked: false, state }, 0.0));
        Ok(())
    }

    fn insert_sums(&mut self, steps: &mut [Step], found: Vec<Sum>) {
        if let Some(Step { op: Op::Aggregate { sums, .. }, .. }) = steps.first_mut() {
            *sums = found;
        }
    }

    fn column_name(&self, item: &Item, named: Named) -> Compiled<String> {
        if let Some(alias) = &item.alias {
            return Ok(alias.text.clone());
        }
        if let Node::Var(name) = &item.expr.node {
            return Ok(name.clone());
        }
        if named == Named::Variables {
            let message = "a column of WITH needs a name";
            return Err(Error::syntax("NoExpressionAlias", item.expr.at, message).with_hint("add `AS name`"));
        }
        Ok(self.source(item.expr.at).to_owned())
    }

    /// ORDER BY, SKIP, LIMIT and WHERE.
    fn ordered(
        &mut self,
        p: &Projection,
        filter: Option<&Expr>,
        columns: &[Column],
        grouping: Grouping,
        steps: &mut Vec<Step>,
    ) -> Compiled<()> {
        let closed = p.items.iter().any(|i| has_aggregate(&i.expr));
        self.grouping = (closed || p.distinct || !p.order.is_empty()).then_some(grouping);
        let mut keys = Vec::new();
        for (e, order) in &p.order {
            if has_aggregate(e) && !closed {
                let message = "nothing is aggregated before ORDER BY";
                return Err(Error::syntax("InvalidAggregation", e.at, message));
            }
            let column = self.grouping.as_ref().and_then(|g| g.column(e));
            let key = column.map_or_else(|| self.value(e).map(|v| v.0), |slot| Ok(Ex::Slot(slot)))?;
            keys.push((key, *order));
        }
        let kept_grouping = self.grouping.take();
        let (filter, touched) = match filter {
            Some(f) => {
                self.grouping = kept_grouping.filter(|_| closed || p.distinct);
                let (ex, touched) = self.tracked(|c| c.predicate(f))?;
                self.grouping = None;
                (Some(ex), touched)
            }
            None => (None, BTreeSet::new()),
        };
        let skip = p.skip.as_ref().map(|e| self.count(e)).transpose()?;
        let limit = p.limit.as_ref().map(|e| self.count(e)).transpose()?;
        if !keys.is_empty() {
            let mut keep: BTreeSet<Slot> = touched;
            keep.extend(columns.iter().map(|c| c.slot));
            let top = limit.clone().map(|l| (skip.clone(), l));
            let state = self.state();
            steps.push(self.step(Op::Sort { keys, keep: keep.into_iter().collect(), top, state }, 0.0));
        }
        if let Some(count) = skip {
            let state = self.state();
            steps.push(self.step(Op::Skip { count, state }, 0.0));
        }
        if let Some(count) = limit {
            let state = self.state();
            steps.push(self.step(Op::Limit { count, state }, 0.0));
        }
        if let Some(f) = filter {
            steps.push(self.step(Op::Filter(f), 0.0));
        }
        Ok(())
    }

    /// The number after SKIP or LIMIT: no variable can stand in it.
    fn count(&mut self, e: &Expr) -> Compiled<Ex> {
        match &e.node {
            Node::Float(_) => {
                return Err(Error::syntax("InvalidArgumentType", e.at, "a whole number is due here"));
            }
            Node::Neg(inner) if matches!(inner.node, Node::Int(1..)) => {
                return Err(Error::syntax(
                    "NegativeIntegerArgument",
                    e.at,
                    "a number of rows cannot be negative",
                ));
            }
            _ => {}
        }
        let kept = std::mem::take(&mut self.scope);
        let found = self.value(e);
        self.scope = kept;
        match found {
            Ok((ex, _)) => Ok(ex),
            Err(error) if error.detail == "UndefinedVariable" => {
                Err(Error::syntax("NonConstantExpression", e.at, "SKIP and LIMIT cannot depend on rows"))
            }
            Err(error) => Err(error),
        }
    }

    /// The slot of an aggregate.
    pub(crate) fn summed(&mut self, e: &Expr) -> Compiled<(Slot, Ty)> {
        let (kind, distinct, args): (SumKind, bool, &[Expr]) = match &e.node {
            Node::Call { name, distinct, args } => {
                (functions::sum_kind(name).unwrap_or(SumKind::Count), *distinct, args)
            }
            _ => (SumKind::CountAll, false, &[]),
        };
        let due = match kind {
            SumKind::CountAll => 0,
            SumKind::PercentileCont | SumKind::PercentileDisc => 2,
            _ => 1,
        };
        if args.len() != due {
            let message = format!("this aggregate takes {due} arguments");
            return Err(Error::syntax("InvalidNumberOfArguments", e.at, message));
        }
        if let Some(inner) = args.iter().find(|a| has_aggregate(a)) {
            return Err(Error::syntax(
                "NestedAggregation",
                inner.at,
                "an aggregate cannot be aggregated again",
            ));
        }
        if let Some(random) = args.iter().find(|a| is_random(a)) {
            let message = "what is aggregated must not be random";
            return Err(Error::syntax("NonConstantExpression", random.at, message));
        }
        // What is aggregated is read before rows are grouped.
        let outer = self.grouping.take();
        let mut compiled = Vec::new();
        let mut failed = None;
        for a in args {
            match self.value(a) {
                Ok(found) => compiled.push(found),
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        self.grouping = outer;
        if let Some(e) = failed {
            return Err(e);
        }
        if self.grouping.as_ref().is_none_or(|g| g.fixed) {
            let message = "this aggregate is not among the columns";
            return Err(Error::syntax("InvalidAggregation", e.at, message));
        }
        let ty = match kind {
            SumKind::CountAll | SumKind::Count => Ty::Int,
            SumKind::Collect => Ty::list(compiled.first().map_or(Ty::Any, |c| c.1.clone())),
            SumKind::Min | SumKind::Max => compiled.first().map_or(Ty::Any, |c| c.1.clone()),
            _ => Ty::Any,
        };
        let slot = self.slot();
        let mut args = compiled.into_iter().map(|c| c.0);
        let sum = Sum { kind, distinct, of: args.next(), at: args.next(), slot, span: e.at };
        if let Some(g) = self.grouping.as_mut() {
            g.sums.push(sum);
            g.known.push((e.clone(), slot, ty.clone()));
        }
        Ok((slot, ty))
    }
}

/// Whether columns without an alias take their text as name (RETURN) or are an error (WITH).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Columns,
    Variables,
}

fn variable(name: &str) -> Expr {
    Expr { node: Node::Var(name.to_owned()), at: Span::default() }
}

fn is_random(e: &Expr) -> bool {
    matches!(&e.node, Node::Call { name, .. } if name.eq_ignore_ascii_case("rand"))
}

/// Columns in the order they were written: keys and sums were compiled apart.
fn in_order(
    p: &Projection,
    columns: Vec<Column>,
    name: impl Fn(&Item) -> Compiled<String>,
) -> Compiled<Vec<Column>> {
    let stars = columns.len() - p.items.len();
    let (mut found, mut rest): (Vec<Column>, Vec<Column>) = (Vec::new(), Vec::new());
    for (i, c) in columns.into_iter().enumerate() {
        if i < stars { found.push(c) } else { rest.push(c) }
    }
    for item in &p.items {
        let name = name(item)?;
        if let Some(i) = rest.iter().position(|c| c.name == name) {
            found.push(rest.remove(i));
        }
    }
    Ok(found)
}

fn unique(columns: &[Column], p: &Projection) -> Compiled<()> {
    let mut seen = BTreeSet::new();
    for (i, c) in columns.iter().enumerate() {
        if !seen.insert(c.name.as_str()) {
            let stars = columns.len() - p.items.len();
            let at = i.checked_sub(stars).and_then(|i| p.items.get(i)).map_or(p.at, |i| i.expr.at);
            return Err(Error::syntax("ColumnNameConflict", at, "two columns have this name"));
        }
    }
    Ok(())
}

/// The number that SKIP and LIMIT were given.
pub(crate) fn row_count(value: &Value) -> Result<usize, Error> {
    let wrong =
        |detail, message: &str| Error::new(Kind::SyntaxError, Phase::Run, detail, Span::default(), message);
    match value {
        Value::Int(n) if *n >= 0 => Ok(usize::try_from(*n).unwrap_or(usize::MAX)),
        Value::Int(_) => Err(wrong("NegativeIntegerArgument", "a number of rows cannot be negative")),
        _ => Err(wrong("InvalidArgumentType", "a number of rows is a whole number")),
    }
}
