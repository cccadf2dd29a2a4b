//! Running a plan: rows are pushed through the steps in one frame, so that matching copies nothing.

use super::aggregate::Groups;
use super::budget::{Budget, Halt, Kept, Limits};
use super::data::{Data, EdgeType, Hop, Label, Met, PropertyKey};
use super::error::{Error, Kind, Span};
use super::functions::Env;
use super::hops::{Around, Busy};
use super::keys::{Keys, Place};
use super::plan::{Ex, Op, Plan, Slot, Step, Told, Types};
use super::project::row_count;
use super::sort::Sorted;
use super::temporal::DateTime;
use super::value::{EdgeRef, NodeRef, Value, same};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

pub(crate) type Run<T> = Result<T, Halt>;

/// Whether more rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    Done,
}

/// Takes the frame after the last step.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(&mut Cx) -> Run<Flow>;

/// What does not change during a run.
pub(crate) struct Exec<'a> {
    pub data: &'a dyn Data,
    pub now: &'a DateTime,
    pub stop: &'a dyn Fn() -> bool,
    pub limits: Limits,
    pub random: Cell<u64>,
    /// The last regular expression: most queries have one, for every row.
    pub pattern: RefCell<Option<(Arc<str>, regex::Regex)>>,
}

/// How much a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub rows: u64,
    /// Nodes, edges and properties' owners looked at.
    pub hits: u64,
}

/// What rows are put in order by when they come in any.
pub(crate) type Rank = (u64, Met);

const NO_RANK: Rank = (0, Met { kind: 0, order: 0, node: NodeRef(0), edge: EdgeRef(0) });

/// What changes during a run.
pub(crate) struct Cx {
    pub frame: Vec<Value>,
    /// Edges met and not taken yet; those of deeper steps stack upon each other.
    pub met: Vec<Met>,
    /// Where the row at hand would come among the others: which turn of the step that tells in any order it is of, and what it was there.
    pub rank: Rank,
    /// How many rows the frame stands for: more than one only between a step that tells of edges all at once and what counts them.
    pub many: u64,
    /// Turns of steps that tell of edges or nodes.
    pub turn: u64,
    /// What steps keep to find the edges between two nodes, by step.
    pub around: Vec<Around>,
    /// Busy nodes with their edges.
    pub busy: Vec<Busy>,
    /// What was last looked up, by step.
    pub found: Vec<Option<(Value, Arc<[NodeRef]>)>>,
    pub states: Vec<State>,
    pub work: Vec<Work>,
    /// Room for the values that a row is told apart by.
    pub key: Vec<Value>,
    pub kept: usize,
    ticks: u32,
}

#[derive(Debug, Default)]
pub(crate) enum State {
    #[default]
    None,
    Seen(Keys, Kept),
    Count(usize, usize),
    Sorted(Sorted),
    Groups(Groups),
}

impl State {
    fn kept(&self) -> usize {
        match self {
            State::Seen(_, kept) => kept.bytes,
            State::Sorted(s) => s.kept.bytes,
            State::Groups(g) => g.kept.bytes,
            State::None | State::Count(..) => 0,
        }
    }
}

impl Cx {
    pub(crate) fn new(plan: &Plan) -> Cx {
        let mut states = Vec::new();
        states.resize_with(plan.states, State::default);
        Cx {
            frame: vec![Value::Null; plan.slots],
            met: Vec::new(),
            rank: NO_RANK,
            many: 1,
            turn: 0,
            around: Vec::new(),
            busy: Vec::new(),
            found: Vec::new(),
            states,
            work: vec![Work::default(); plan.steps],
            key: Vec::new(),
            kept: 0,
            ticks: 0,
        }
    }

    pub(crate) fn set(&mut self, slot: Slot, value: Value) {
        if let Some(s) = self.frame.get_mut(slot) {
            *s = value;
        }
    }

    pub(crate) fn get(&self, slot: Slot) -> &Value {
        self.frame.get(slot).unwrap_or(&Value::Null)
    }

    pub(crate) fn node(&self, slot: Slot) -> Option<NodeRef> {
        match self.get(slot) {
            Value::Node(n) => Some(*n),
            _ => None,
        }
    }

    pub(crate) fn hit(&mut self, step: usize, hits: usize) {
        if let Some(w) = self.work.get_mut(step) {
            w.hits += hits as u64;
        }
    }

    fn row(&mut self, step: usize) {
        if let Some(w) = self.work.get_mut(step) {
            w.rows += self.many;
        }
    }
}

impl Exec<'_> {
    pub(crate) fn env(&self) -> Env<'_> {
        Env { data: self.data, now: self.now, random: &self.random, room: self.limits.bytes }
    }

    /// Counts a bit of work; now and then asks whether to go on.
    pub(crate) fn tick(&self, cx: &mut Cx) -> Run<()> {
        // Asking the clock costs as much as a few dozen bits of work.
        const EVERY: u32 = 1024;
        cx.ticks += 1;
        if cx.ticks >= EVERY {
            cx.ticks = 0;
            if (self.stop)() {
                return Err(Halt::Budget(Budget::Time));
            }
        }
        Ok(())
    }

    /// Counts bytes that are kept beyond those of the states before.
    pub(crate) fn room(&self, bytes: usize) -> Run<()> {
        if bytes > self.limits.bytes { Err(Halt::Budget(Budget::Memory)) } else { Ok(()) }
    }

    /// Runs steps from the frame as it is.
    pub(crate) fn run(&self, cx: &mut Cx, steps: &[Step], sink: Sink<'_>) -> Run<Flow> {
        self.prepare(cx, steps)?;
        let mut rest = steps;
        let mut rows: Option<Rows> = None;
        loop {
            let end = rest.iter().position(|s| s.op.is_barrier());
            let (segment, after) = rest.split_at(end.unwrap_or(rest.len()));
            let barrier = after.first();
            let mut emit = |cx: &mut Cx| match barrier {
                Some(step) => self.collect(cx, step),
                None => sink(cx),
            };
            let flow = match rows.take() {
                None => self.pipe(cx, segment, &mut emit)?,
                Some(found) => found.each(cx, &mut |cx| {
                    self.tick(cx)?;
                    self.pipe(cx, segment, &mut emit)
                })?,
            };
            let Some(step) = barrier else { return Ok(flow) };
            rows = Some(self.collected(cx, step));
            rest = after.get(1..).unwrap_or_default();
        }
    }

    /// Fresh states for steps that keep one.
    fn prepare(&self, cx: &mut Cx, steps: &[Step]) -> Run<()> {
        for step in steps {
            let (state, fresh) = match &step.op {
                Op::Distinct { state, .. } => (*state, State::Seen(Keys::default(), Kept::default())),
                Op::Skip { count, state } => (*state, State::Count(0, self.count(cx, count)?)),
                Op::Limit { count, state } => (*state, State::Count(0, self.count(cx, count)?)),
                Op::Sort { top, state, keys, .. } => {
                    let most = match top {
                        Some((skip, limit)) => {
                            let skip = skip.as_ref().map_or(Ok(0), |s| self.count(cx, s))?;
                            skip.saturating_add(self.count(cx, limit)?)
                        }
                        None => usize::MAX,
                    };
                    (*state, State::Sorted(Sorted::new(most, keys.iter().map(|k| k.1).collect())))
                }
                Op::Aggregate { keys, sums, state, .. } => {
                    (*state, State::Groups(Groups::new(keys.is_empty(), sums)))
                }
                _ => continue,
            };
            self.swap_state(cx, state, fresh);
        }
        Ok(())
    }

    fn swap_state(&self, cx: &mut Cx, state: usize, fresh: State) -> State {
        let Some(place) = cx.states.get_mut(state) else { return State::None };
        let old = std::mem::replace(place, fresh);
        cx.kept = cx.kept.saturating_sub(old.kept());
        old
    }

    fn count(&self, cx: &mut Cx, count: &Ex) -> Run<usize> {
        let value = self.eval(cx, count)?;
        Ok(row_count(&value)?)
    }

    /// Counts what a state keeps after a change.
    pub(crate) fn recount(&self, cx: &mut Cx, before: usize, after: usize) -> Run<()> {
        cx.kept = cx.kept.saturating_sub(before).saturating_add(after);
        self.room(cx.kept)
    }

    /// A row reaches a barrier.
    fn collect(&self, cx: &mut Cx, step: &Step) -> Run<Flow> {
        cx.row(step.id);
        match &step.op {
            Op::Sort { keys, keep, state, .. } => {
                let mut key = Vec::with_capacity(keys.len());
                for (e, _) in keys {
                    key.push(self.eval(cx, e)?);
                }
                let values: Vec<Value> = keep.iter().map(|s| cx.get(*s).clone()).collect();
                let Some(State::Sorted(sorted)) = cx.states.get_mut(*state) else { return Ok(Flow::Go) };
                let before = sorted.kept.bytes;
                sorted.push(key, values);
                let after = sorted.kept.bytes;
                self.recount(cx, before, after)?;
            }
            Op::Aggregate { keys, sums, ranked, state } => self.grouped(cx, keys, sums, (*ranked, *state))?,
            _ => {}
        }
        Ok(Flow::Go)
    }

    fn collected(&self, cx: &mut Cx, step: &Step) -> Rows {
        match &step.op {
            Op::Sort { keep, state, .. } => match self.swap_state(cx, *state, State::None) {
                State::Sorted(s) => Rows { slots: keep.clone(), rows: s.rows() },
                _ => Rows { slots: Vec::new(), rows: Vec::new() },
            },
            Op::Aggregate { keys, sums, state, .. } => {
                let slots = keys.iter().map(|k| k.1).chain(sums.iter().map(|s| s.slot)).collect();
                match self.swap_state(cx, *state, State::None) {
                    State::Groups(g) => Rows { slots, rows: g.rows(sums) },
                    _ => Rows { slots, rows: Vec::new() },
                }
            }
            _ => Rows { slots: Vec::new(), rows: Vec::new() },
        }
    }

    /// Pushes the frame through steps that are no barriers.
    pub(crate) fn pipe(&self, cx: &mut Cx, steps: &[Step], sink: Sink<'_>) -> Run<Flow> {
        let Some((step, rest)) = steps.split_first() else { return sink(cx) };
        let id = step.id;
        let mut next = |cx: &mut Cx| {
            cx.row(id);
            self.pipe(cx, rest, sink)
        };
        match &step.op {
            Op::Filter(test) => {
                if self.holds(cx, test)? {
                    next(cx)
                } else {
                    Ok(Flow::Go)
                }
            }
            Op::Project(items) => {
                for (e, slot) in items {
                    let value = self.eval(cx, e)?;
                    cx.set(*slot, value);
                }
                next(cx)
            }
            Op::Scan { slot, label, told, asked } => {
                self.scan(cx, id, (*slot, *label, *told, asked), &mut next)
            }
            Op::Find { slot, label, key, value } => {
                let value = self.eval(cx, value)?;
                for node in self.found(cx, id, (*label, *key), &value).iter().copied() {
                    self.tick(cx)?;
                    cx.hit(id, 1);
                    cx.set(*slot, Value::Node(node));
                    if next(cx)? == Flow::Done {
                        return Ok(Flow::Done);
                    }
                }
                Ok(Flow::Go)
            }
            Op::Expand { from, edge, to, way, types, bound, unlike, told, asked } => {
                let Some(node) = cx.node(*from) else { return Ok(Flow::Go) };
                let mut each = |cx: &mut Cx, hop: Hop| {
                    if used(cx, unlike, hop.edge) {
                        return Ok(Flow::Go);
                    }
                    cx.set(*edge, Value::Edge(hop.edge));
                    if !*bound {
                        cx.set(*to, Value::Node(hop.node));
                    }
                    next(cx)
                };
                if *bound {
                    let Some(far) = cx.node(*to) else { return Ok(Flow::Go) };
                    return self.between(cx, id, (node, far, *way, types), &mut each);
                }
                if *told == Told::Counted {
                    return self.counted(cx, id, (node, *way, types), unlike, &mut each);
                }
                self.hops(cx, id, (node, *way, types, *told), asked, &mut each)
            }
            Op::Walk(walk) => self.walk(cx, id, walk, &mut next),
            Op::Shortest { walk, all } => self.shortest(cx, id, walk, *all, &mut next),
            Op::Known { edge, from, to, way, types, unlike } => {
                let Value::Edge(e) = *cx.get(*edge) else { return Ok(Flow::Go) };
                if used(cx, unlike, e) || !fits(types, self.data.edge_type(e)) {
                    return Ok(Flow::Go);
                }
                self.known(cx, e, *from, *to, *way, &mut next)
            }
            Op::KnownWalk { edges, from, to, way } => {
                let Some(end) = self.follow(cx, *edges, *from, *way) else { return Ok(Flow::Go) };
                if to.1 {
                    return if cx.node(to.0) == Some(end) { next(cx) } else { Ok(Flow::Go) };
                }
                cx.set(to.0, Value::Node(end));
                next(cx)
            }
            Op::Path { slot, parts } => {
                let path = self.path(cx, parts);
                cx.set(*slot, path);
                next(cx)
            }
            Op::Optional { steps: inner, slots } => {
                let mut found = false;
                let flow = self.pipe(cx, inner, &mut |cx| {
                    found = true;
                    next(cx)
                })?;
                if found {
                    return Ok(flow);
                }
                for slot in slots {
                    cx.set(*slot, Value::Null);
                }
                next(cx)
            }
            Op::Unwind { list, slot } => match self.eval(cx, list)? {
                Value::Null => Ok(Flow::Go),
                Value::List(items) => {
                    for item in items.iter() {
                        self.tick(cx)?;
                        cx.set(*slot, item.clone());
                        if next(cx)? == Flow::Done {
                            return Ok(Flow::Done);
                        }
                    }
                    Ok(Flow::Go)
                }
                one => {
                    cx.set(*slot, one);
                    next(cx)
                }
            },
            Op::Call { procedure, args, slots } => {
                let args = args.iter().map(|a| self.eval(cx, a)).collect::<Run<Vec<Value>>>()?;
                for row in self.data.call(*procedure, &args) {
                    self.tick(cx)?;
                    for (value, slot) in row.into_iter().zip(slots) {
                        if let Some(slot) = slot {
                            cx.set(*slot, value);
                        }
                    }
                    if next(cx)? == Flow::Done {
                        return Ok(Flow::Done);
                    }
                }
                Ok(Flow::Go)
            }
            Op::Distinct { slots, state } => {
                let mut key = std::mem::take(&mut cx.key);
                key.clear();
                key.extend(slots.iter().map(|s| cx.get(*s).clone()));
                let Some(State::Seen(seen, kept)) = cx.states.get_mut(*state) else { return Ok(Flow::Go) };
                let place = seen.place(&key);
                let before = kept.bytes;
                if let Place::New(hash) = place {
                    key.iter().for_each(|v| kept.add(v));
                    kept.bytes += size_of::<Vec<Value>>();
                    seen.add(hash, key.clone());
                }
                let after = kept.bytes;
                cx.key = key;
                if matches!(place, Place::At(_)) {
                    return Ok(Flow::Go);
                }
                self.recount(cx, before, after)?;
                next(cx)
            }
            Op::Skip { state, .. } => {
                let Some(State::Count(seen, skip)) = cx.states.get_mut(*state) else { return Ok(Flow::Go) };
                if *seen < *skip {
                    *seen += 1;
                    return Ok(Flow::Go);
                }
                next(cx)
            }
            Op::Limit { state, .. } => {
                let Some(State::Count(seen, limit)) = cx.states.get_mut(*state) else {
                    return Ok(Flow::Done);
                };
                if *seen >= *limit {
                    return Ok(Flow::Done);
                }
                *seen += 1;
                let last = *seen >= *limit;
                let flow = next(cx)?;
                Ok(if last { Flow::Done } else { flow })
            }
            Op::Sort { .. } | Op::Aggregate { .. } => {
                debug_assert!(false, "barriers split what is piped");
                Ok(Flow::Go)
            }
        }
    }

    /// The nodes that a step looks up; what many rows ask for is looked up once.
    fn found(
        &self,
        cx: &mut Cx,
        step: usize,
        (label, key): (Option<Label>, PropertyKey),
        value: &Value,
    ) -> Arc<[NodeRef]> {
        if cx.found.len() <= step {
            cx.found.resize(step + 1, None);
        }
        let Some(place) = cx.found.get_mut(step) else { return Arc::default() };
        if let Some((of, nodes)) = place
            && same(of, value)
        {
            return Arc::clone(nodes);
        }
        let fits = |n: &NodeRef| label.is_none_or(|l| self.data.has_label(*n, l));
        let nodes: Arc<[NodeRef]> = self.data.find(label, key, value).into_iter().filter(fits).collect();
        *place = Some((value.clone(), Arc::clone(&nodes)));
        nodes
    }
}

/// Whether an edge was used before in the same pattern.
pub(crate) fn used(cx: &Cx, unlike: &[Slot], edge: EdgeRef) -> bool {
    unlike.iter().any(|s| match cx.get(*s) {
        Value::Edge(e) => *e == edge,
        Value::List(l) => l.iter().any(|v| matches!(v, Value::Edge(e) if *e == edge)),
        _ => false,
    })
}

pub(crate) fn fits(types: &Types, of: EdgeType) -> bool {
    match types {
        Types::Any => true,
        Types::These(types) => types.contains(&of),
    }
}

/// Rows that a barrier let through.
struct Rows {
    slots: Vec<Slot>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    fn each(self, cx: &mut Cx, next: &mut dyn FnMut(&mut Cx) -> Run<Flow>) -> Run<Flow> {
        for row in self.rows {
            for (value, slot) in row.into_iter().zip(&self.slots) {
                cx.set(*slot, value);
            }
            if next(cx)? == Flow::Done {
                return Ok(Flow::Done);
            }
        }
        Ok(Flow::Go)
    }
}

pub(crate) fn type_error(at: Span, message: impl Into<String>) -> Halt {
    Error::run(Kind::TypeError, "InvalidArgumentType", at, message).into()
}
