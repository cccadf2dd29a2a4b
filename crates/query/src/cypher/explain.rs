//! A plan as rows that people read: what is done in which order, how many rows were expected, and what came of it.

use super::data::{Data, EdgeType, Label, Way};
use super::exec::Work;
use super::plan::{Ex, Op, Plan, Slot, Step, SumKind, Types};
use super::value::Value;

/// Columns of `EXPLAIN`; `PROFILE` adds two.
pub(crate) const COLUMNS: [&str; 3] = ["step", "details", "expected rows"];
pub(crate) const PROFILE_COLUMNS: [&str; 2] = ["rows", "hits"];

struct Explaining<'a> {
    data: &'a dyn Data,
    plan: &'a Plan,
    work: Option<&'a [Work]>,
    rows: Vec<Vec<Value>>,
}

/// The rows of a plan.
pub(crate) fn explain(data: &dyn Data, plan: &Plan, work: Option<&[Work]>) -> Vec<Vec<Value>> {
    let mut e = Explaining { data, plan, work, rows: Vec::new() };
    for (i, part) in plan.parts.iter().enumerate() {
        if i > 0 {
            e.row("Union", if plan.distinct { "distinct" } else { "all" }, None, 0);
        }
        e.steps(&part.steps, 0);
    }
    e.rows
}

impl Explaining<'_> {
    fn row(&mut self, name: &str, details: &str, step: Option<&Step>, depth: usize) {
        let mut row = vec![Value::text(format!("{}{name}", "  ".repeat(depth))), Value::text(details)];
        #[expect(clippy::cast_possible_truncation, reason = "saturates; a guess")]
        row.push(step.filter(|s| s.guess > 0.0).map_or(Value::Null, |s| Value::Int(s.guess.ceil() as i64)));
        if let Some(work) = self.work {
            let done = step.and_then(|s| work.get(s.id));
            let number = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
            row.push(done.map_or(Value::Null, |w| number(w.rows)));
            row.push(done.map_or(Value::Null, |w| number(w.hits)));
        }
        self.rows.push(row);
    }

    fn name(&self, slot: Slot) -> String {
        self.plan.names.get(&slot).cloned().unwrap_or_else(|| format!("_{slot}"))
    }

    fn names(&self, slots: impl IntoIterator<Item = Slot>) -> String {
        slots.into_iter().map(|s| self.name(s)).collect::<Vec<_>>().join(", ")
    }

    fn label(&self, label: Option<Label>) -> String {
        let node = label.and_then(|l| self.data.nodes(Some(l)).next());
        let name = node.and_then(|n| {
            self.data
                .labels(n)
                .into_iter()
                .find(|l| self.data.label(l).ok().flatten() == label)
                .map(str::to_owned)
        });
        name.map_or_else(String::new, |n| format!(":{n}"))
    }

    fn types(&self, types: &Types) -> String {
        let name = |t: &EdgeType| self.data.type_name(*t).to_owned();
        match types {
            Types::Any => String::new(),
            Types::These(types) => format!(":{}", types.iter().map(name).collect::<Vec<_>>().join("|")),
        }
    }

    fn edge(&self, from: Slot, edge: Slot, to: Slot, way: Way, types: &str) -> String {
        let (left, right) = match way {
            Way::Out => ("-", "->"),
            Way::In => ("<-", "-"),
            Way::Both => ("-", "-"),
        };
        let edge = self.plan.names.get(&edge).cloned().unwrap_or_default();
        format!("({}){left}[{edge}{types}]{right}({})", self.name(from), self.name(to))
    }

    fn steps(&mut self, steps: &[Step], depth: usize) {
        for step in steps {
            let (name, details) = self.described(&step.op);
            self.row(name, &details, Some(step), depth);
            match &step.op {
                Op::Optional { steps, .. } => self.steps(steps, depth + 1),
                Op::Filter(e) => self.inner(e, depth + 1),
                Op::Project(items) => items.iter().for_each(|(e, _)| self.inner(e, depth + 1)),
                _ => {}
            }
        }
    }

    /// Steps inside of an expression.
    fn inner(&mut self, e: &Ex, depth: usize) {
        match e {
            Ex::Exists(parts) | Ex::Count(parts) => parts.iter().for_each(|p| self.steps(p, depth)),
            Ex::Comprehend { steps, .. } => self.steps(steps, depth),
            Ex::And(all, _) | Ex::Or(all, _) => all.iter().for_each(|e| self.inner(e, depth)),
            Ex::Not(of, _) => self.inner(of, depth),
            _ => {}
        }
    }

    fn described(&self, op: &Op) -> (&'static str, String) {
        match op {
            Op::Scan { slot, label: None, .. } => ("AllNodesScan", self.name(*slot)),
            Op::Scan { slot, label, .. } => {
                ("NodeByLabelScan", format!("{}{}", self.name(*slot), self.label(*label)))
            }
            Op::Find { slot, label, .. } => {
                ("NodeIndexSeek", format!("{}{}", self.name(*slot), self.label(*label)))
            }
            Op::Expand { from, edge, to, way, types, bound, .. } => {
                let text = self.edge(*from, *edge, *to, *way, &self.types(types));
                (if *bound { "Expand(Into)" } else { "Expand(All)" }, text)
            }
            Op::Walk(w) => {
                let most = w.most.map_or_else(String::new, |m| m.to_string());
                let types = format!("{}*{}..{most}", self.types(&w.types), w.least);
                ("VarLengthExpand", self.edge(w.from, w.edges, w.to, w.way, &types))
            }
            Op::Shortest { walk: w, all } => {
                let name = if *all { "AllShortestPaths" } else { "ShortestPath" };
                (name, self.edge(w.from, w.edges, w.to, w.way, &self.types(&w.types)))
            }
            Op::Known { edge, from, to, way, types, .. } => {
                ("ProjectEndpoints", self.edge(from.0, *edge, to.0, *way, &self.types(types)))
            }
            Op::KnownWalk { edges, from, to, way } => {
                ("ProjectEndpoints", self.edge(*from, *edges, to.0, *way, "*"))
            }
            Op::Filter(e) => ("Filter", self.condition(e)),
            Op::Path { slot, parts } => {
                ("ProjectPath", format!("{} = {}", self.name(*slot), self.names(parts.iter().copied())))
            }
            Op::Optional { slots, .. } => ("Optional", self.names(slots.iter().copied())),
            Op::Unwind { slot, .. } => ("Unwind", self.name(*slot)),
            Op::Project(items) => ("Projection", format!("{} columns", items.len())),
            Op::Call { procedure, .. } => {
                let name = self.data.procedures().get(*procedure).map_or(String::new(), |p| p.name.clone());
                ("ProcedureCall", name)
            }
            Op::Distinct { slots, .. } => ("Distinct", self.names(slots.iter().copied())),
            Op::Skip { .. } => ("Skip", String::new()),
            Op::Limit { .. } => ("Limit", String::new()),
            Op::Sort { keys, top, .. } => {
                (if top.is_some() { "Top" } else { "Sort" }, format!("{} keys", keys.len()))
            }
            Op::Aggregate { keys, sums, .. } => {
                let sums: Vec<&str> = sums.iter().map(|s| sum_name(s.kind)).collect();
                let keys = self.names(keys.iter().map(|k| k.1));
                (
                    "EagerAggregation",
                    format!("{} by {}", sums.join(", "), if keys.is_empty() { "nothing" } else { &keys }),
                )
            }
        }
    }

    fn condition(&self, e: &Ex) -> String {
        match e {
            Ex::HasLabels(of, tests, _) => {
                let labels: String = tests.iter().map(|t| self.label(t.label)).collect();
                format!("{}{labels}", self.condition(of))
            }
            Ex::Slot(s) => self.name(*s),
            Ex::Const(v) => super::show::shown(self.data, v),
            Ex::Property { of, name, .. } => format!("{}.{name}", self.condition(of)),
            Ex::Compare(first, rest) => {
                use super::ast::Compare as C;
                let sign = |c: &C| match c {
                    C::Eq => "=",
                    C::Ne => "<>",
                    C::Lt => "<",
                    C::Le => "<=",
                    C::Gt => ">",
                    C::Ge => ">=",
                };
                let rest: Vec<String> =
                    rest.iter().map(|(c, e)| format!("{} {}", sign(c), self.condition(e))).collect();
                format!("{} {}", self.condition(first), rest.join(" "))
            }
            Ex::Exists(_) => "exists".to_owned(),
            Ex::Not(of, _) => format!("NOT {}", self.condition(of)),
            Ex::And(all, _) => all.iter().map(|e| self.condition(e)).collect::<Vec<_>>().join(" AND "),
            Ex::Or(all, _) => all.iter().map(|e| self.condition(e)).collect::<Vec<_>>().join(" OR "),
            Ex::Call(f, args, _) => {
                let args: Vec<String> = args.iter().map(|e| self.condition(e)).collect();
                format!("{}({})", f.name, args.join(", "))
            }
            _ => "…".to_owned(),
        }
    }
}

fn sum_name(kind: SumKind) -> &'static str {
    match kind {
        SumKind::CountAll => "count(*)",
        SumKind::Count => "count",
        SumKind::Sum => "sum",
        SumKind::Avg => "avg",
        SumKind::Min => "min",
        SumKind::Max => "max",
        SumKind::Collect => "collect",
        SumKind::PercentileCont => "percentileCont",
        SumKind::PercentileDisc => "percentileDisc",
        SumKind::StDev => "stDev",
        SumKind::StDevP => "stDevP",
    }
}
