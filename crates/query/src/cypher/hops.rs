//! The edges at a node, one after the other: put in order only as far as they are asked for, and looked at closely only when
//! their turn comes. And the edges between two nodes that are known, from the end that has fewer.

use super::data::{Check, Hop, Label, Met, PropertyKey, Way};
use super::exec::{Cx, Exec, Flow, Run, Sink, used};
use super::plan::{Slot, Told, Types};
use super::value::{EdgeRef, NodeRef, Value};

/// Edges put in order at first, and how many times as many next: what a LIMIT leaves of a page of rows is about as much, and a
/// node with 100,000 edges that are all wanted is cut up four times.
const FIRST: usize = 64;
const MORE: usize = 8;

/// Nodes whose properties are fetched together.
const AT_ONCE: usize = 64;

/// What tells apart edges that are not the same but for their id.
type Same = (u32, u64, NodeRef);

/// Edges of one node being taken off the shared stack, or from what is kept of a busy one.
pub(crate) struct Taking {
    /// Where they begin.
    pub start: usize,
    next: usize,
    end: usize,
    /// In order up to here.
    sorted: usize,
    checked: bool,
    repeats: bool,
    last: Option<Same>,
    busy: Option<usize>,
}

/// A node with so many edges is kept with them, for walks come to it again and again.
const MANY: usize = 1024;
/// The share of a query's memory that such edges may take.
const SHARE: usize = 4;

/// The edges of a busy node, put in order as far as anybody asked for them.
#[derive(Debug)]
pub(crate) struct Busy {
    node: NodeRef,
    way: Way,
    types: Types,
    met: Vec<Met>,
    sorted: usize,
    repeats: bool,
}

/// Puts what comes first into order; says how many that are.
fn sort_some(rest: &mut [Met], before: usize) -> usize {
    let few = if before == 0 { FIRST } else { before.saturating_mul(MORE) };
    if let Some(last) = few.checked_sub(1).filter(|_| few < rest.len()) {
        rest.select_nth_unstable(last);
    }
    let few = few.min(rest.len());
    if let Some(first) = rest.get_mut(..few) {
        first.sort_unstable();
    }
    few
}

/// Edges that are counted at either of two nodes, at first, to see which has fewer.
const RACE: usize = 32;

/// The edges at one node for many rows that ask whether they lead to theirs.
#[derive(Debug, Default)]
pub(crate) struct Around {
    node: Option<NodeRef>,
    /// As they are met at `node`, by the node at their other end.
    met: Vec<Met>,
    repeats: bool,
    /// Edges looked at from other ends for the sake of this node.
    asked: Option<NodeRef>,
    spent: usize,
}

impl Exec<'_> {
    /// Appends the edges at a node to the shared stack.
    pub(crate) fn meet(
        &self,
        cx: &mut Cx,
        step: usize,
        (node, way, types): (NodeRef, Way, &Types),
        check: Check,
    ) -> Run<bool> {
        let start = cx.met.len();
        let repeats = match types {
            Types::Any => self.data.meet(node, way, &[], check, &mut cx.met),
            Types::These(types) if types.is_empty() => false,
            Types::These(types) => self.data.meet(node, way, types, check, &mut cx.met),
        };
        cx.hit(step, cx.met.len() - start + 1);
        self.room(cx.kept + cx.met.len() * size_of::<Met>())?;
        Ok(repeats)
    }

    /// Meets the edges at a node, to be taken one after the other.
    pub(crate) fn open(
        &self,
        cx: &mut Cx,
        step: usize,
        (node, way, types, told): (NodeRef, Way, &Types, Told),
    ) -> Run<Taking> {
        let start = cx.met.len();
        let of = |b: &Busy| b.node == node && b.way == way && b.types == *types;
        if told == Told::InOrder
            && let Some(place) = cx.busy.iter().position(of)
            && let Some(Busy { met, sorted, repeats, .. }) = cx.busy.get(place)
        {
            let (end, sorted, repeats, busy) = (met.len(), *sorted, *repeats, Some(place));
            cx.hit(step, 1);
            return Ok(Taking { start, next: 0, end, sorted, checked: false, repeats, last: None, busy });
        }
        let check = if told == Told::All { Check::Now } else { Check::Later };
        let repeats = self.meet(cx, step, (node, way, types), check)?;
        let end = cx.met.len();
        let kept: usize = cx.busy.iter().map(|b| b.met.len() * size_of::<Met>()).sum();
        let more = (end - start) * size_of::<Met>();
        if told == Told::InOrder && end - start >= MANY && kept + more <= self.limits.bytes / SHARE {
            let met = cx.met.split_off(start);
            let types = types.clone();
            cx.busy.push(Busy { node, way, types, met, sorted: 0, repeats });
            let busy = Some(cx.busy.len() - 1);
            return Ok(Taking {
                start,
                next: 0,
                end: end - start,
                sorted: 0,
                checked: false,
                repeats,
                last: None,
                busy,
            });
        }
        let sorted = if told == Told::InOrder || repeats { start } else { end };
        let checked = check == Check::Now;
        Ok(Taking { start, next: start, end, sorted, checked, repeats, last: None, busy: None })
    }

    /// The next edge to tell of.
    pub(crate) fn take(&self, cx: &mut Cx, from: &mut Taking) -> Run<Option<Met>> {
        while from.next < from.end {
            self.tick(cx)?;
            let Cx { met, busy, .. } = &mut *cx;
            let (all, first) = match from.busy.and_then(|b| busy.get_mut(b)) {
                Some(busy) => {
                    // Another walk may have put more of it in order meanwhile.
                    from.sorted = busy.sorted;
                    (&mut busy.met, 0)
                }
                None => (met, from.start),
            };
            if from.next == from.sorted {
                let rest = all.get_mut(from.next..from.end).unwrap_or_default();
                from.sorted += sort_some(rest, from.next - first);
            }
            let Some(met) = all.get(from.next).copied() else { break };
            if let Some(busy) = from.busy.and_then(|b| busy.get_mut(b)) {
                busy.sorted = from.sorted;
            }
            from.next += 1;
            let same: Same = (met.kind, met.order, met.node);
            if from.repeats && from.last == Some(same) {
                continue;
            }
            if !from.checked && !self.data.is_told(&met) {
                continue;
            }
            from.last = Some(same);
            return Ok(Some(met));
        }
        Ok(None)
    }

    /// Every node, or every one with a label.
    pub(crate) fn scan(
        &self,
        cx: &mut Cx,
        step: usize,
        (slot, label, told, asked): (Slot, Option<Label>, Told, &[PropertyKey]),
        next: Sink<'_>,
    ) -> Run<Flow> {
        cx.turn += 1;
        let turn = cx.turn;
        let mut nodes =
            if told == Told::InOrder { self.data.nodes(label) } else { self.data.nodes_in_any_order(label) };
        let mut few = Vec::new();
        loop {
            few.clear();
            few.extend(nodes.by_ref().take(if told == Told::All { AT_ONCE } else { 1 }));
            if few.is_empty() {
                return Ok(Flow::Go);
            }
            self.data.fetch(&mut few.iter().copied(), asked);
            for node in few.iter().copied() {
                self.tick(cx)?;
                cx.hit(step, 1);
                cx.set(slot, Value::Node(node));
                if told == Told::All {
                    let (kind, order) = self.data.node_order(node);
                    cx.rank = (turn, Met { kind, order, node, edge: EdgeRef(0) });
                }
                if next(cx)? == Flow::Done {
                    return Ok(Flow::Done);
                }
            }
        }
    }

    /// Every hop at a node, one after the other.
    pub(crate) fn hops(
        &self,
        cx: &mut Cx,
        step: usize,
        (node, way, types, told): (NodeRef, Way, &Types, Told),
        asked: &[PropertyKey],
        each: &mut dyn FnMut(&mut Cx, Hop) -> Run<Flow>,
    ) -> Run<Flow> {
        let mut taking = self.open(cx, step, (node, way, types, told))?;
        cx.turn += 1;
        let turn = cx.turn;
        let mut flow = Flow::Go;
        let mut fetched = taking.start;
        loop {
            if !asked.is_empty() && taking.next == fetched && fetched < taking.end {
                let few = fetched..taking.end.min(fetched + AT_ONCE);
                fetched = few.end;
                let met = cx.met.get(few).unwrap_or_default();
                self.data.fetch(&mut met.iter().map(|m| m.node), asked);
            }
            let Some(met) = self.take(cx, &mut taking)? else { break };
            if told == Told::All {
                cx.rank = (turn, met);
            }
            if each(cx, met.hop())? == Flow::Done {
                flow = Flow::Done;
                break;
            }
        }
        cx.met.truncate(taking.start);
        Ok(flow)
    }

    /// Every hop at a node in one row that stands for all of them.
    pub(crate) fn counted(
        &self,
        cx: &mut Cx,
        step: usize,
        (node, way, types): (NodeRef, Way, &Types),
        unlike: &[Slot],
        each: &mut dyn FnMut(&mut Cx, Hop) -> Run<Flow>,
    ) -> Run<Flow> {
        let start = cx.met.len();
        let repeats = self.meet(cx, step, (node, way, types), Check::Now)?;
        if repeats {
            let mut met = cx.met.split_off(start);
            met.sort_unstable();
            met.dedup_by_key(|m| (m.kind, m.order, m.node));
            cx.met.append(&mut met);
        }
        let (mut many, mut last) = (0, None);
        for i in start..cx.met.len() {
            self.tick(cx)?;
            let Some(hop) = cx.met.get(i).map(Met::hop) else { break };
            if !used(cx, unlike, hop.edge) {
                (many, last) = (many + 1, Some(hop));
            }
        }
        cx.met.truncate(start);
        let Some(hop) = last else { return Ok(Flow::Go) };
        cx.many = many;
        let flow = each(cx, hop);
        cx.many = 1;
        flow
    }

    /// Every edge between two nodes, in the order in which the first tells them.
    pub(crate) fn between(
        &self,
        cx: &mut Cx,
        step: usize,
        (from, to, way, types): (NodeRef, NodeRef, Way, &Types),
        each: &mut dyn FnMut(&mut Cx, Hop) -> Run<Flow>,
    ) -> Run<Flow> {
        let start = cx.met.len();
        let repeats = if from != to && self.is_around(cx, step, (from, to, way, types))? {
            let Cx { met, around, .. } = &mut *cx;
            let Some(around) = around.get(step) else { return Ok(Flow::Go) };
            let first = around.met.partition_point(|m| m.node < from);
            let of_both = around.met.iter().skip(first).take_while(|m| m.node == from);
            met.extend(of_both.map(|m| self.data.turned(*m, to)));
            around.repeats
        } else {
            let repeats = self.meet(cx, step, (from, way, types), Check::Later)?;
            let mut kept = start;
            for i in start..cx.met.len() {
                if cx.met.get(i).is_some_and(|m| m.node == to) {
                    cx.met.swap(kept, i);
                    kept += 1;
                }
            }
            cx.met.truncate(kept);
            repeats
        };
        let end = cx.met.len();
        let mut taking = Taking {
            start,
            next: start,
            end,
            sorted: start,
            checked: false,
            repeats,
            last: None,
            busy: None,
        };
        let mut flow = Flow::Go;
        while let Some(met) = self.take(cx, &mut taking)? {
            if each(cx, met.hop())? == Flow::Done {
                flow = Flow::Done;
                break;
            }
        }
        cx.met.truncate(start);
        Ok(flow)
    }

    /// Whether the edges of a row are better found at their far end, which then has been met.
    fn is_around(
        &self,
        cx: &mut Cx,
        step: usize,
        (from, to, way, types): (NodeRef, NodeRef, Way, &Types),
    ) -> Run<bool> {
        let back = way.back();
        if cx.around.len() <= step {
            cx.around.resize_with(step + 1, Around::default);
        }
        let Some(around) = cx.around.get_mut(step) else { return Ok(false) };
        if around.node == Some(to) {
            return Ok(true);
        }
        if around.asked != Some(to) {
            (around.asked, around.spent) = (Some(to), 0);
        }
        let types_of = match types {
            Types::Any => &[][..],
            Types::These(types) if types.is_empty() => return Ok(false),
            Types::These(types) => types,
        };
        let degree = |node, way, most| self.data.degree(node, way, types_of, most);
        let mut most = RACE;
        let (near, far) = loop {
            let both = (degree(from, way, most), degree(to, back, most));
            if both.0 < most || both.1 < most {
                break both;
            }
            most = most.saturating_mul(MORE);
        };
        around.spent += near;
        // What several rows would look at is looked at once from the other end as soon as that is no more.
        let spent = around.spent;
        if far > near && (far > spent || degree(to, back, spent + 1) > spent) {
            return Ok(false);
        }
        let start = cx.met.len();
        let repeats = self.meet(cx, step, (to, back, types), Check::Later)?;
        let mut met = cx.met.split_off(start);
        met.sort_unstable_by_key(|m| m.node);
        if let Some(around) = cx.around.get_mut(step) {
            *around = Around { node: Some(to), met, repeats, ..Around::default() };
        }
        Ok(true)
    }
}
