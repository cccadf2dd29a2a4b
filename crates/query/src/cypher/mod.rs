//! openCypher, the reading half: a query is parsed, its names are resolved to slots, its patterns are put into an order, and
//! rows are pushed through the steps under a budget.
//!
//! A query never changes anything. It runs over anything that is [`Data`]: the temporal graph seen at a moment or over a
//! stretch ([`Scoped`]), or a property graph in memory ([`memory::Memory`]).

mod aggregate;
mod ast;
mod budget;
mod compile;
mod data;
mod error;
mod eval;
mod exec;
mod explain;
mod expr;
mod functions;
mod hops;
mod json;
mod keys;
pub mod memory;
mod operate;
mod parse;
mod parse_expr;
mod parse_pattern;
mod pattern;
mod plan;
mod planner;
mod project;
mod relax;
mod scope;
mod scoped;
mod scoped_properties;
mod shortest;
mod show;
mod sort;
pub mod temporal;
mod token;
mod value;
mod walk;

pub use budget::{Budget, Limits};
pub use data::{Check, Data, EdgeType, Hop, Label, Met, Procedure, PropertyKey, Unknown, Way};
pub use error::{Error, Kind, Phase, Span};
pub use json::{from_json, to_json};
pub use scoped::{Scope, Scoped};
pub use show::shown;
pub use value::{EdgeRef, List, Map, NodeRef, Path, Value};

use budget::{Halt, Kept};
use exec::{Cx, Exec, Flow, Work};
use parse::Mode;
use plan::Plan;
use rustc_hash::FxHashSet;
use std::cell::{Cell, RefCell};
use temporal::DateTime;
use value::Key;

/// How the steps of a query are chosen. Both give the same rows; where ORDER BY leaves it open, perhaps in another order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plans {
    /// By what they are likely to cost.
    #[default]
    Chosen,
    /// As the query is written, everything in order: to compare with.
    Written,
}

/// What a query is asked with.
pub struct Call<'a> {
    /// `$name` to value.
    pub parameters: Map,
    /// What it may cost.
    pub limits: Limits,
    /// Asked now and then; yes ends the query.
    pub stop: &'a dyn Fn() -> bool,
    /// What `datetime()` says.
    pub now: DateTime,
    /// Where `rand()` begins.
    pub seed: u64,
    /// How steps are chosen.
    pub plans: Plans,
}

impl Default for Call<'_> {
    fn default() -> Self {
        Call {
            parameters: Map::new(),
            limits: Limits::default(),
            stop: &|| false,
            now: DateTime::utc(0),
            seed: 0,
            plans: Plans::Chosen,
        }
    }
}

/// What a query found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<Value>>,
    /// The limit that ended it early; its rows are right but not all.
    pub truncated: Option<Budget>,
    /// Nodes and edges looked at.
    pub hits: u64,
}

/// Answers a query.
///
/// # Errors
/// When the text is no query, names something unknown, or asks for something that values do not have.
pub fn ask(data: &dyn Data, text: &str, call: &Call<'_>) -> Result<Answer, Error> {
    answer(data, text, call).map_err(|e| e.placed(text))
}

fn answer(data: &dyn Data, text: &str, call: &Call<'_>) -> Result<Answer, Error> {
    let (mode, query) = parse::parse(text)?;
    let plan = compile::compile(&query, data, call, text)?;
    if mode == Mode::Explain {
        let columns = explain::COLUMNS.map(str::to_owned).to_vec();
        return Ok(Answer { columns, rows: explain::explain(data, &plan, None), ..Answer::default() });
    }
    let (mut answer, work) = run(data, &plan, call)?;
    if mode == Mode::Profile {
        answer.columns =
            explain::COLUMNS.iter().chain(&explain::PROFILE_COLUMNS).map(|c| (*c).to_owned()).collect();
        answer.rows = explain::explain(data, &plan, Some(&work));
    }
    Ok(answer)
}

fn run(data: &dyn Data, plan: &Plan, call: &Call<'_>) -> Result<(Answer, Vec<Work>), Error> {
    let exec = Exec {
        data,
        now: &call.now,
        stop: call.stop,
        limits: call.limits,
        random: Cell::new(call.seed),
        pattern: RefCell::new(None),
    };
    let mut cx = Cx::new(plan);
    let mut answer = Answer { columns: plan.columns.clone(), ..Answer::default() };
    let (mut kept, mut seen) = (Kept::default(), FxHashSet::default());
    for part in &plan.parts {
        let done = exec.run(&mut cx, &part.steps, &mut |cx| {
            let row: Vec<Value> = part.columns.iter().map(|s| cx.get(*s).clone()).collect();
            // A call that gives no columns has done its work.
            if row.is_empty() {
                return Ok(Flow::Go);
            }
            if plan.distinct && !seen.insert(Key(row.clone())) {
                return Ok(Flow::Go);
            }
            if answer.rows.len() >= call.limits.rows {
                return Err(Halt::Budget(Budget::Rows));
            }
            let before = kept.bytes;
            row.iter().for_each(|v| kept.add(v));
            kept.bytes += size_of::<Vec<Value>>();
            exec.recount(cx, before, kept.bytes)?;
            answer.rows.push(row);
            Ok(Flow::Go)
        });
        match done {
            Ok(_) => {}
            Err(Halt::Error(e)) => return Err(*e),
            Err(Halt::Budget(b)) => {
                answer.truncated = Some(b);
                break;
            }
        }
    }
    answer.hits = cx.work.iter().map(|w| w.hits).sum();
    Ok((answer, cx.work))
}
