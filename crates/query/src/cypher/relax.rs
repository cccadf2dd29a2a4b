//! Where nothing depends on the order of rows, nodes and edges need not be put in order: what is only counted, what is only asked
//! whether there is any. Answers stay the same to the byte, groups too: they are told in the order of their first rows.

use super::data::PropertyKey;
use super::plan::{Ex, Op, Slot, Step, Sum, SumKind, Told};
use std::collections::BTreeSet;

/// Relaxes the steps of a query.
pub(crate) fn relax(steps: &mut [Step]) {
    let mut start = 0;
    for end in 0..steps.len() {
        if steps.get(end).is_some_and(|s| s.op.is_barrier()) {
            if let Some(segment) = steps.get_mut(start..=end) {
                relax_groups(segment);
            }
            start = end + 1;
        }
    }
}

/// Relaxes steps of which is asked whether they have a row, or how many.
pub(crate) fn relax_all(steps: &mut [Step], told: Told) {
    let steady = steps.iter().all(|s| is_plain_step(&s.op) && !s.op.is_barrier() && is_steady_step(&s.op));
    if steady {
        steps.iter_mut().for_each(|s| tell(&mut s.op, told));
        if told == Told::All {
            count_last(steps);
        }
    } else {
        relax(steps);
    }
}

/// Whether a step neither picks rows by their order nor keeps the first of those that are the same.
fn is_plain_step(op: &Op) -> bool {
    !matches!(op, Op::Skip { .. } | Op::Limit { .. } | Op::Distinct { .. })
}

/// Steps that end with rows being grouped.
fn relax_groups(segment: &mut [Step]) {
    let Some((Step { op: Op::Aggregate { keys, sums, ranked, .. }, .. }, steps)) = segment.split_last_mut()
    else {
        return;
    };
    let any_order = |kind| matches!(kind, SumKind::CountAll | SumKind::Count | SumKind::Min | SumKind::Max);
    let first = steps.iter().rposition(|s| !is_plain_step(&s.op)).map_or(0, |i| i + 1);
    let own = || keys.iter().map(|k| &k.0).chain(sums.iter().filter_map(|s| s.of.as_ref()));
    let steady =
        own().all(is_steady) && steps.get(first..).unwrap_or_default().iter().all(|s| is_steady_step(&s.op));
    if !steady || !sums.iter().all(|s| any_order(s.kind)) {
        return;
    }
    // What is told after all that rows are grouped by is known does not change which group comes first.
    let mut read = BTreeSet::new();
    let known = keys.iter().all(|k| reads(&k.0, &mut read));
    let written = |s: &Step| writes(&s.op).iter().any(|slot| read.contains(slot));
    let after = if known { steps.iter().rposition(written).map_or(0, |i| i + 1) } else { steps.len() };
    let after = after.max(first);
    let tells = |s: &Step| {
        matches!(s.op, Op::Scan { .. } | Op::Expand { bound: false, .. } | Op::Walk(_) | Op::Optional { .. })
    };
    if steps.get(after..).unwrap_or_default().iter().any(tells) {
        steps.iter_mut().skip(after).for_each(|s| tell(&mut s.op, Told::All));
        note_asked(steps, keys);
        // What is counted without being looked at need not become rows.
        let counts = |s: &Sum| match &s.of {
            None => true,
            Some(of) => s.kind == SumKind::Count && !s.distinct && matches!(of, Ex::Slot(_)),
        };
        if after < steps.len() && sums.iter().all(counts) {
            count_last(steps);
        }
        return;
    }
    // Otherwise what is told last carries where it would have come.
    let inner = own().any(has_steps);
    let one_row = |s: &Step| match &s.op {
        Op::Filter(e) => !has_steps(e),
        Op::Project(items) => items.iter().all(|(e, _)| !has_steps(e)),
        Op::Path { .. } => true,
        _ => false,
    };
    let last = steps.iter().rposition(|s| !one_row(s)).filter(|i| *i >= first && !inner);
    if let Some(Step { op, .. }) = last.and_then(|i| steps.get_mut(i))
        && matches!(op, Op::Scan { .. } | Op::Expand { bound: false, .. })
    {
        tell(op, Told::All);
        *ranked = true;
        note_asked(steps, keys);
    }
}

/// Has the edges of the last step told all at once, when they are told in any order and nothing after it reads them.
fn count_last(steps: &mut [Step]) {
    match steps.last_mut().map(|s| &mut s.op) {
        Some(Op::Expand { told, bound: false, .. }) if *told == Told::All => *told = Told::Counted,
        Some(Op::Optional { steps, .. }) => count_last(steps),
        _ => {}
    }
}

/// Notes which properties will be asked of the nodes that are all told: they are fetched together.
fn note_asked(steps: &mut [Step], keys: &[(Ex, Slot)]) {
    for at in 0..steps.len() {
        let Some((Step { op, .. }, after)) = steps.get_mut(at..).and_then(<[Step]>::split_first_mut) else {
            return;
        };
        let (slot, asked) = match op {
            Op::Optional { steps, .. } => {
                note_asked(steps, &[]);
                continue;
            }
            Op::Scan { slot, told: Told::All, asked, .. } => (*slot, asked),
            Op::Expand { to, told: Told::All, bound: false, asked, .. } => (*to, asked),
            _ => continue,
        };
        let soon = after.iter().take_while(|s| matches!(s.op, Op::Filter(_) | Op::Project(_)));
        let read = soon.clone().flat_map(|s| expressions(&s.op));
        let last = soon.count() == after.len();
        let grouped = keys.iter().map(|k| &k.0).filter(|_| last);
        read.chain(grouped).for_each(|e| properties_of(e, slot, asked));
        asked.sort_unstable();
        asked.dedup();
    }
}

/// Adds the properties that an expression asks of a node.
fn properties_of(e: &Ex, node: Slot, into: &mut Vec<PropertyKey>) {
    if let Ex::Property { of, key: Some(key), .. } = e
        && matches!(**of, Ex::Slot(slot) if slot == node)
    {
        into.push(*key);
    }
    parts(e).0.into_iter().for_each(|e| properties_of(e, node, into));
}

fn tell(op: &mut Op, how: Told) {
    match op {
        Op::Scan { told, .. } | Op::Expand { told, .. } => *told = how,
        Op::Walk(walk) => walk.told = how,
        Op::Optional { steps, .. } => steps.iter_mut().for_each(|s| tell(&mut s.op, how)),
        _ => {}
    }
}

/// The expressions of a step, those of steps inside of it left out.
fn expressions(op: &Op) -> Vec<&Ex> {
    match op {
        Op::Find { value: e, .. }
        | Op::Filter(e)
        | Op::Unwind { list: e, .. }
        | Op::Skip { count: e, .. }
        | Op::Limit { count: e, .. } => vec![e],
        Op::Walk(walk) | Op::Shortest { walk, .. } => walk.each.iter().map(|e| &e.1).collect(),
        Op::Project(items) => items.iter().map(|i| &i.0).collect(),
        Op::Call { args, .. } => args.iter().collect(),
        Op::Sort { keys, top, .. } => {
            let top = top.iter().flat_map(|(skip, limit)| skip.iter().chain([limit]));
            keys.iter().map(|k| &k.0).chain(top).collect()
        }
        Op::Aggregate { keys, sums, .. } => {
            let sums = sums.iter().flat_map(|s| s.of.iter().chain(&s.at));
            keys.iter().map(|k| &k.0).chain(sums).collect()
        }
        Op::Scan { .. }
        | Op::Expand { .. }
        | Op::Known { .. }
        | Op::KnownWalk { .. }
        | Op::Path { .. }
        | Op::Optional { .. }
        | Op::Distinct { .. } => Vec::new(),
    }
}

/// What an expression is made of, and the steps in it.
fn parts(e: &Ex) -> (Vec<&Ex>, &[Vec<Step>]) {
    let none: &[Vec<Step>] = &[];
    let found = match e {
        Ex::Const(_) | Ex::Slot(_) => Vec::new(),
        Ex::List(items) | Ex::Call(_, items, _) | Ex::And(items, _) | Ex::Or(items, _) => {
            items.iter().collect()
        }
        Ex::Map(entries) => entries.iter().map(|e| &e.1).collect(),
        Ex::Property { of, .. }
        | Ex::HasLabels(of, ..)
        | Ex::Neg(of, _)
        | Ex::Pos(of, _)
        | Ex::Not(of, _)
        | Ex::IsNull(of)
        | Ex::IsNotNull(of)
        | Ex::EachEdge { test: of, .. } => vec![&**of],
        Ex::Index(a, b, _) | Ex::Binary(_, a, b, _) => vec![&**a, &**b],
        Ex::Slice(of, from, to, _) => {
            [Some(of), from.as_ref(), to.as_ref()].into_iter().flatten().map(|e| &**e).collect()
        }
        Ex::Compare(first, rest) => [&**first].into_iter().chain(rest.iter().map(|r| &r.1)).collect(),
        Ex::Case { of, arms, otherwise } => {
            let arms = arms.iter().flat_map(|(when, then)| [when, then]);
            of.as_deref().into_iter().chain(arms).chain(otherwise.as_deref()).collect()
        }
        Ex::ListComp { list, filter, map, .. } => {
            [&**list].into_iter().chain(filter.as_deref()).chain(map.as_deref()).collect()
        }
        Ex::Quantifier { list, filter, .. } => [&**list].into_iter().chain(filter.as_deref()).collect(),
        Ex::Reduce { start, list, body, .. } => vec![&**start, &**list, &**body],
        Ex::Comprehend { steps, map } => return (vec![&**map], std::slice::from_ref(steps)),
        Ex::Exists(parts) | Ex::Count(parts) => return (Vec::new(), parts),
    };
    (found, none)
}

/// Whether an expression has the same value whenever it is asked: `rand()` depends on how often it was.
fn is_steady(e: &Ex) -> bool {
    if matches!(e, Ex::Call(f, ..) if f.name == "rand") {
        return false;
    }
    let (inner, steps) = parts(e);
    inner.into_iter().all(is_steady) && steps.iter().flatten().all(|s| is_steady_step(&s.op))
}

fn is_steady_step(op: &Op) -> bool {
    let inside = if let Op::Optional { steps, .. } = op { steps.as_slice() } else { &[] };
    expressions(op).into_iter().all(is_steady) && inside.iter().all(|s| is_steady_step(&s.op))
}

/// Whether there are steps in an expression.
fn has_steps(e: &Ex) -> bool {
    let (inner, steps) = parts(e);
    !steps.is_empty() || inner.into_iter().any(has_steps)
}

/// Adds the slots that an expression reads; says no where there are steps in it, which read more.
pub(crate) fn reads(e: &Ex, into: &mut BTreeSet<Slot>) -> bool {
    match e {
        Ex::Slot(slot) => {
            into.insert(*slot);
        }
        Ex::EachEdge { list, .. } => {
            into.insert(*list);
        }
        _ => {}
    }
    let (inner, steps) = parts(e);
    steps.is_empty() && inner.into_iter().all(|e| reads(e, into))
}

/// The slots that a step fills.
fn writes(op: &Op) -> Vec<Slot> {
    match op {
        Op::Scan { slot, .. } | Op::Find { slot, .. } | Op::Path { slot, .. } | Op::Unwind { slot, .. } => {
            vec![*slot]
        }
        Op::Expand { edge, to, .. } => vec![*edge, *to],
        Op::Walk(walk) | Op::Shortest { walk, .. } => vec![walk.edges, walk.to],
        Op::Known { edge, from, to, .. } => vec![*edge, from.0, to.0],
        Op::KnownWalk { to, .. } => vec![to.0],
        Op::Optional { steps, slots } => {
            slots.iter().copied().chain(steps.iter().flat_map(|s| writes(&s.op))).collect()
        }
        Op::Project(items) => items.iter().map(|i| i.1).collect(),
        Op::Call { slots, .. } => slots.iter().copied().flatten().collect(),
        Op::Filter(_)
        | Op::Distinct { .. }
        | Op::Skip { .. }
        | Op::Limit { .. }
        | Op::Sort { .. }
        | Op::Aggregate { .. } => Vec::new(),
    }
}

/// Properties that no row is sorted by are read of the rows that are left.
pub(crate) fn read_late(
    steps: &mut Vec<Step>,
    is_thing: impl Fn(Slot) -> bool,
    step: impl FnOnce(Op) -> Step,
) -> Option<()> {
    let sort = steps.iter().position(|s| matches!(s.op, Op::Sort { top: Some(_), .. }))?;
    let limit = steps.iter().position(|s| matches!(s.op, Op::Limit { .. })).filter(|l| *l > sort)?;
    let project = sort.checked_sub(1)?;
    let Op::Project(items) = &steps.get(project)?.op else { return None };
    let Op::Sort { keys, .. } = &steps.get(sort)?.op else { return None };
    let mut read = BTreeSet::new();
    if !keys.iter().all(|k| reads(&k.0, &mut read)) {
        return None;
    }
    let source = |e: &Ex| match e {
        Ex::Property { of, key: Some(_), .. } => match **of {
            Ex::Slot(slot) if is_thing(slot) => Some(slot),
            _ => None,
        },
        _ => None,
    };
    for (e, _) in items.iter().filter(|i| source(&i.0).is_none()) {
        if !reads(e, &mut read) {
            return None;
        }
    }
    let (late, soon): (Vec<_>, Vec<_>) =
        items.iter().cloned().partition(|(e, slot)| source(e).is_some() && !read.contains(slot));
    if late.is_empty() {
        return None;
    }
    if let Op::Sort { keep, .. } = &mut steps.get_mut(sort)?.op {
        keep.retain(|slot| !late.iter().any(|l| l.1 == *slot));
        keep.extend(late.iter().filter_map(|l| source(&l.0)));
        keep.sort_unstable();
        keep.dedup();
    }
    steps.insert(limit + 1, step(Op::Project(late)));
    if soon.is_empty() {
        steps.remove(project);
    } else if let Some(step) = steps.get_mut(project) {
        step.op = Op::Project(soon);
    }
    Some(())
}
