//! Clauses to steps.

use super::ast::{Call, Clause, Node, Query, Yields};
use super::data::Data;
use super::error::{Error, Kind, Phase, Span};
use super::expr::has_aggregate;
use super::pattern::New;
use super::plan::{Ex, Op, Part, Plan, Slot, Step};
use super::project::{Named, Projected};
use super::relax::relax;
use super::scope::{Compiled, Compiler, Ty};
use super::value::Value;
use super::{Call as Asked, Plans};

/// Makes a query ready to run over some data.
pub(crate) fn compile(query: &Query, data: &dyn Data, call: &Asked<'_>, text: &str) -> Compiled<Plan> {
    let mut c = Compiler::new(data, &call.parameters, text, call.plans);
    let mut parts: Vec<Part> = Vec::new();
    let mut columns: Option<Vec<String>> = None;
    for clauses in &query.parts {
        c.scope.clear();
        let (mut steps, found) = c.part(clauses)?;
        if c.plans == Plans::Chosen {
            relax(&mut steps);
        }
        let names: Vec<String> = found.iter().map(|f| f.0.clone()).collect();
        match &columns {
            Some(first) => {
                let mut slots = Vec::new();
                for name in first {
                    slots.extend(found.iter().find(|f| f.0 == *name).map(|f| f.1));
                }
                if slots.len() != found.len() || slots.len() != first.len() {
                    let message = "all parts of a UNION must return the same columns";
                    return Err(Error::syntax("DifferentColumnsInUnion", last_return(clauses), message));
                }
                parts.push(Part { steps, columns: slots });
            }
            None => {
                parts.push(Part { steps, columns: found.iter().map(|f| f.1).collect() });
                columns = Some(names);
            }
        }
    }
    let distinct = query.all.first() == Some(&false);
    let columns = columns.unwrap_or_default();
    Ok(Plan { parts, distinct, columns, slots: c.slots, steps: c.steps, states: c.states, names: c.names })
}

fn last_return(clauses: &[Clause]) -> Span {
    match clauses.last() {
        Some(Clause::Return(p)) => p.at,
        _ => Span::default(),
    }
}

type Columns = Vec<(String, Slot)>;

impl Compiler<'_> {
    /// The clauses of one part: they must end with RETURN, or be a single CALL.
    fn part(&mut self, clauses: &[Clause]) -> Compiled<(Vec<Step>, Columns)> {
        if let [Clause::Call(call)] = clauses {
            return self.procedure(call, true);
        }
        if !matches!(clauses.last(), Some(Clause::Return(_))) {
            let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
            let at = Span { start: end, end };
            return Err(Error::syntax("InvalidClauseComposition", at, "a query ends with RETURN"));
        }
        self.clauses(clauses)
    }

    fn clauses(&mut self, clauses: &[Clause]) -> Compiled<(Vec<Step>, Columns)> {
        let mut steps = Vec::new();
        let mut columns = Columns::new();
        for clause in clauses {
            match clause {
                Clause::Match { optional, patterns, filter, .. } => {
                    if let Some(f) = filter.as_ref().filter(|f| has_aggregate(f)) {
                        let message = "aggregates can stand in WITH and RETURN only";
                        return Err(Error::syntax("InvalidAggregation", f.at, message));
                    }
                    let found = self.matched(patterns, filter.as_ref(), New::Allowed)?;
                    if *optional {
                        let op = Op::Optional { steps: found.steps, slots: found.slots };
                        steps.push(self.step(op, 0.0));
                    } else {
                        steps.extend(found.steps);
                    }
                }
                Clause::Unwind { list, var } => {
                    let (ex, ty) = self.value(list)?;
                    if self.var(&var.text).is_some() {
                        return Err(Error::syntax(
                            "VariableAlreadyBound",
                            var.at,
                            "this name is taken already",
                        ));
                    }
                    let item = match ty {
                        Ty::List(item) => *item,
                        Ty::Null => Ty::Null,
                        _ => Ty::Any,
                    };
                    let slot = self.declare(&var.text, item);
                    steps.push(self.step(Op::Unwind { list: ex, slot }, 0.0));
                }
                Clause::With { body, filter } => {
                    let Projected { steps: more, .. } =
                        self.project(body, filter.as_ref(), Named::Variables)?;
                    steps.extend(more);
                }
                Clause::Return(body) => {
                    let found = self.project(body, None, Named::Columns)?;
                    steps.extend(found.steps);
                    columns = found.columns;
                }
                Clause::Call(call) => steps.extend(self.procedure(call, false)?.0),
            }
        }
        Ok((steps, columns))
    }

    /// EXISTS { … } and COUNT { … }: sees what is in scope outside.
    pub(crate) fn subquery(&mut self, query: &Query) -> Compiled<Vec<Vec<Step>>> {
        // Names of the outer query stay what they are while rows are grouped inside.
        let kept = self.grouping.take();
        let mut parts = Vec::new();
        for clauses in &query.parts {
            let found = self.within(|c| c.clauses(clauses));
            match found {
                Ok((steps, _)) => parts.push(steps),
                Err(e) => {
                    self.grouping = kept;
                    return Err(e);
                }
            }
        }
        self.grouping = kept;
        Ok(parts)
    }

    fn procedure(&mut self, call: &Call, alone: bool) -> Compiled<(Vec<Step>, Columns)> {
        let data = self.data;
        let all = data.procedures();
        let found = all.iter().position(|p| p.name == call.name.text);
        let Some((index, procedure)) = found.and_then(|i| Some((i, all.get(i)?))) else {
            let near = crate::run::nearest(&call.name.text, all.iter().map(|p| p.name.clone()), 1);
            let message = "there is no procedure of this name";
            let error =
                Error::new(Kind::ProcedureError, Phase::Compile, "ProcedureNotFound", call.name.at, message);
            return Err(near
                .first()
                .map_or(error.clone(), |n| error.with_hint(format!("did you mean `{n}`?"))));
        };
        let args = self.procedure_args(call, &procedure.takes, alone)?;
        let mut slots = vec![None; procedure.gives.len()];
        let mut columns = Columns::new();
        let declare = |c: &mut Self, name: &str, at: Span, column: usize, slots: &mut Vec<Option<Slot>>| {
            if c.var(name).is_some() {
                return Err(Error::syntax("VariableAlreadyBound", at, "this name is taken already"));
            }
            let slot = c.declare(name, Ty::Any);
            if let Some(s) = slots.get_mut(column) {
                *s = Some(slot);
            }
            Ok((name.to_owned(), slot))
        };
        match &call.yields {
            Yields::NotSaid if alone => {
                for (i, name) in procedure.gives.iter().enumerate() {
                    columns.push(declare(self, name, call.name.at, i, &mut slots)?);
                }
            }
            Yields::NotSaid => {}
            Yields::All(at) if !alone => {
                let message = "`YIELD *` is for a CALL that stands alone";
                return Err(Error::syntax("UnexpectedSyntax", *at, message));
            }
            Yields::All(at) => {
                for (i, name) in procedure.gives.iter().enumerate() {
                    columns.push(declare(self, name, *at, i, &mut slots)?);
                }
            }
            Yields::Some(named) => {
                for (column, alias) in named {
                    let name = alias.as_ref().unwrap_or(column);
                    let Some(i) = procedure.gives.iter().position(|g| *g == column.text) else {
                        return Err(Error::syntax(
                            "UndefinedVariable",
                            column.at,
                            "the procedure has no such column",
                        ));
                    };
                    columns.push(declare(self, &name.text, name.at, i, &mut slots)?);
                }
            }
        }
        let mut steps = vec![self.step(Op::Call { procedure: index, args, slots }, 0.0)];
        if let Some(f) = &call.filter {
            let test = self.predicate(f)?;
            steps.push(self.step(Op::Filter(test), 0.0));
        }
        Ok((steps, columns))
    }

    fn procedure_args(&mut self, call: &Call, takes: &[(String, String)], alone: bool) -> Compiled<Vec<Ex>> {
        let Some(given) = &call.args else {
            if !alone || !matches!(call.yields, Yields::NotSaid) {
                let message = "arguments can only be left out where CALL stands alone";
                return Err(Error::syntax("InvalidArgumentPassingMode", call.name.at, message));
            }
            return takes.iter().map(|(name, _)| Ok(Ex::Const(self.param(name, call.name.at)?))).collect();
        };
        if given.len() != takes.len() {
            let message = format!("the procedure takes {} arguments", takes.len());
            return Err(Error::syntax("InvalidNumberOfArguments", call.name.at, message));
        }
        let mut args = Vec::new();
        for (e, (_, takes)) in given.iter().zip(takes) {
            if has_aggregate(e) {
                let message = "aggregates can stand in WITH and RETURN only";
                return Err(Error::syntax("InvalidAggregation", e.at, message));
            }
            let (ex, ty) = self.value(e)?;
            if !fits(takes, &ty) {
                let message = format!("{takes} is due here, this is {}", ty.name());
                return Err(Error::syntax("InvalidArgumentType", e.at, message));
            }
            // A whole number stands for a number as well.
            let int = if let Node::Int(i) = e.node { Some(i) } else { None };
            args.push(match int.filter(|_| takes.starts_with("FLOAT")) {
                Some(i) => Ex::Const(Value::Float(i as f64)),
                None => ex,
            });
        }
        Ok(args)
    }
}

fn fits(takes: &str, ty: &Ty) -> bool {
    match takes.trim_end_matches('?') {
        "INTEGER" => matches!(ty, Ty::Any | Ty::Null | Ty::Int),
        "FLOAT" | "NUMBER" => matches!(ty, Ty::Any | Ty::Null | Ty::Int | Ty::Float),
        "STRING" => matches!(ty, Ty::Any | Ty::Null | Ty::Text),
        "BOOLEAN" => matches!(ty, Ty::Any | Ty::Null | Ty::Bool),
        _ => true,
    }
}
