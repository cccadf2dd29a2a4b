//! In which order a pattern is matched: from the node that fewest fit, along the edges that multiply rows least, every
//! condition as soon as what it reads is known.

use super::Plans;
use super::ast::{Compare, Shortest};
use super::data::{Label, PropertyKey, Way};
use super::pattern::{Condition, Pattern, PatternEdge, label_test};
use super::plan::{Ex, Op, Slot, Step, Told, Types, Walk};
use super::scope::Compiler;
use super::value::NodeRef;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A property that is compared with a value leaves about this share of nodes: System R's guess.
const EQUAL_SHARE: f64 = 0.1;
/// Longest walk that is guessed with; what lies beyond is as many again and changes no choice.
const GUESSED_HOPS: u32 = 4;

/// Edges of one node that are counted: who has more has many.
const MOST_COUNTED: usize = 1024;

struct Planning<'c, 'a> {
    compiler: &'c mut Compiler<'a>,
    pattern: Pattern,
    /// Slots of the pattern that are not filled yet.
    open: BTreeSet<Slot>,
    done_edges: Vec<bool>,
    edge_slots: Vec<Slot>,
    steps: Vec<Step>,
    rows: f64,
    /// For each node of the pattern that is looked up by a value known already: the nodes found.
    looked_up: Vec<Option<Vec<NodeRef>>>,
    /// Edges that a row becomes along an edge of the pattern from one of its ends, as far as it was asked.
    counted: RefCell<BTreeMap<(Slot, usize), f64>>,
}

impl Compiler<'_> {
    pub(crate) fn plan_pattern(&mut self, pattern: Pattern) -> Vec<Step> {
        let mut open: BTreeSet<Slot> = pattern.nodes.iter().filter(|n| !n.bound).map(|n| n.slot).collect();
        open.extend(pattern.edges.iter().filter(|e| !e.bound).map(|e| e.slot));
        open.extend(pattern.paths.iter().map(|p| p.0));
        let done_edges = vec![false; pattern.edges.len()];
        let mut planning = Planning {
            compiler: self,
            pattern,
            open,
            done_edges,
            edge_slots: Vec::new(),
            steps: Vec::new(),
            rows: 1.0,
            looked_up: Vec::new(),
            counted: RefCell::default(),
        };
        planning.look_up();
        planning.settle();
        for i in 0..planning.pattern.nodes.len() {
            planning.check_bound(i);
        }
        while planning.next() {}
        planning.steps
    }
}

impl Planning<'_, '_> {
    fn push(&mut self, op: Op) {
        let step = self.compiler.step(op, self.rows);
        self.steps.push(step);
    }

    fn is_open(&self, node: usize) -> bool {
        self.pattern.nodes.get(node).is_some_and(|n| self.open.contains(&n.slot))
    }

    fn slot(&self, node: usize) -> Slot {
        self.pattern.nodes.get(node).map_or(0, |n| n.slot)
    }

    /// A node known before: its labels are conditions, and it must be a node at all.
    fn check_bound(&mut self, node: usize) {
        let Some(n) = self.pattern.nodes.get(node).filter(|n| n.bound) else { return };
        let test = label_test(n.slot, &n.labels);
        self.push(Op::Filter(test));
    }

    fn next(&mut self) -> bool {
        // One row, or none and nothing more to do; and edges between two known nodes are found at the end that has fewer.
        if let Some(node) =
            (0..self.pattern.nodes.len()).find(|n| self.is_open(*n) && self.found(*n).is_some())
        {
            self.start(node);
            return true;
        }
        if let Some(edge) = self.best_edge() {
            match self.better_from_both_ends(edge) {
                Some(node) => self.start(node),
                None => self.along(edge),
            }
            return true;
        }
        let known = self.pattern.edges.iter().zip(&self.done_edges).position(|(e, done)| e.bound && !done);
        if let Some(edge) = known.filter(|e| self.pattern.edges.get(*e).is_some_and(|e| e.range.is_none())) {
            self.along(edge);
            return true;
        }
        let mut open = (0..self.pattern.nodes.len()).filter(|i| self.is_open(*i));
        let node = if self.compiler.plans == Plans::Written {
            open.next()
        } else {
            let costs = open.map(|i| (i, self.start_cost(i)));
            costs.min_by(|a, b| a.1.total_cmp(&b.1)).map(|c| c.0)
        };
        let Some(node) = node else { return false };
        self.start(node);
        true
    }

    /// Looks up what is known before anything runs: how many edges are there decides where to begin.
    fn look_up(&mut self) {
        /// More are not told apart from what other nodes have.
        const FEW: usize = 8;
        if self.compiler.plans == Plans::Written || self.pattern.edges.is_empty() {
            return;
        }
        self.looked_up = (0..self.pattern.nodes.len())
            .map(|node| {
                let (key, value) = self.lookup(node).filter(|_| self.is_open(node))?;
                let Ex::Const(value) = value else { return None };
                let found = self.compiler.data.find(self.rarest(node).flatten(), key, &value);
                (found.len() <= FEW).then_some(found)
            })
            .collect();
    }

    fn found(&self, node: usize) -> Option<&Vec<NodeRef>> {
        self.looked_up.get(node)?.as_ref()
    }

    /// The far end of an edge, where it is found by an index rather than by going along all edges of the near end.
    fn better_from_both_ends(&self, edge: usize) -> Option<usize> {
        /// A lookup by a value that is only known for each row costs about so many edges.
        const LOOKUP: f64 = 50.0;
        let e = self.pattern.edges.get(edge).filter(|e| !e.bound)?;
        let (near, far) = if self.is_open(e.from) { (e.to, e.from) } else { (e.from, e.to) };
        if self.compiler.plans == Plans::Written || !self.is_open(far) || near == far {
            return None;
        }
        (self.lookup(far).is_some() && self.fan_out(e) > LOOKUP).then_some(far)
    }

    /// The edge to follow next, of those with a known end.
    fn best_edge(&self) -> Option<usize> {
        let written = self.compiler.plans == Plans::Written;
        let mut best: Option<(usize, f64)> = None;
        for (i, e) in self.pattern.edges.iter().enumerate() {
            let reachable = !self.is_open(e.from) || !self.is_open(e.to);
            if self.done_edges.get(i) == Some(&true) || !reachable {
                continue;
            }
            let both = !self.is_open(e.from) && !self.is_open(e.to);
            let cost = match (e.bound, e.range, e.shortest) {
                (true, ..) => 0.0,
                (_, _, Shortest::One | Shortest::All) if both => 1e12,
                (_, _, Shortest::One | Shortest::All) => continue,
                (_, None, _) if both => 0.5,
                (_, None, _) => self.fan_out(e) * self.far_share(e),
                (_, Some(_), _) => 1e3 + self.fan_out(e) * if both { 1.0 } else { 2.0 },
            };
            // The first as written, shortest walks when both their ends are known.
            let cost = if written && cost < 1e12 { 1.0 } else { cost };
            if best.is_none_or(|b| cost < b.1) {
                best = Some((i, cost));
            }
        }
        best.map(|b| b.0)
    }

    /// Rows that one row becomes along an edge.
    fn fan_out(&self, e: &PatternEdge) -> f64 {
        let data = self.compiler.data;
        let near = if self.is_open(e.from) { e.to } else { e.from };
        let way = if self.is_open(e.from) { e.way.back() } else { e.way };
        let types = match &e.types {
            Types::Any => &[][..],
            Types::These(types) if types.is_empty() => return 0.0,
            Types::These(types) => types,
        };
        let each = *self.counted.borrow_mut().entry((e.slot, near)).or_insert_with(|| {
            match self.found(near).map(Vec::as_slice) {
                None | Some([]) => data.edges_per_node(types, way),
                Some(found) => {
                    let all: usize = found.iter().map(|n| data.degree(*n, way, types, MOST_COUNTED)).sum();
                    all as f64 / found.len() as f64
                }
            }
        });
        match e.range {
            None => each,
            Some((least, most)) => {
                let far = most.unwrap_or(GUESSED_HOPS).min(GUESSED_HOPS).max(least.min(GUESSED_HOPS));
                (least..=far).map(|n| each.powi(i32::try_from(n).unwrap_or(1))).sum()
            }
        }
    }

    fn far_share(&self, e: &PatternEdge) -> f64 {
        let far = if self.is_open(e.to) { e.to } else { e.from };
        self.share(far)
    }

    /// The share of all nodes that fit a node of the pattern.
    fn share(&self, node: usize) -> f64 {
        let Some(n) = self.pattern.nodes.get(node) else { return 1.0 };
        let all = self.compiler.data.count(None).max(1) as f64;
        let labelled = n.labels.iter().map(|l| self.label_count(*l) as f64 / all).fold(1.0, f64::min);
        let compared = self.pattern.conditions.iter().filter(|c| equality(&c.test, n.slot).is_some()).count();
        labelled * EQUAL_SHARE.powi(i32::try_from(compared).unwrap_or(1))
    }

    fn label_count(&self, label: Option<Label>) -> usize {
        label.map_or(0, |l| self.compiler.data.count(Some(l)))
    }

    fn start_cost(&self, node: usize) -> f64 {
        if self.lookup(node).is_some() {
            return if self.found(node).is_some() { 1.0 } else { 1.5 };
        }
        self.share(node) * self.compiler.data.count(None) as f64
    }

    /// The label that fewest nodes have.
    fn rarest(&self, node: usize) -> Option<Option<Label>> {
        let labels = &self.pattern.nodes.get(node)?.labels;
        labels.iter().copied().min_by_key(|l| self.label_count(*l))
    }

    /// An index that finds a node, with the value it is asked for.
    fn lookup(&self, node: usize) -> Option<(PropertyKey, Ex)> {
        if self.compiler.plans == Plans::Written {
            return None;
        }
        let n = self.pattern.nodes.get(node)?;
        let label = self.rarest(node).flatten();
        self.pattern.conditions.iter().find_map(|c| {
            let others_known = c.reads.iter().all(|s| *s == n.slot || !self.open.contains(s));
            let (key, value) = equality(&c.test, n.slot).filter(|_| others_known)?;
            self.compiler.data.is_indexed(label, key).then(|| (key, value.clone()))
        })
    }

    fn start(&mut self, node: usize) {
        let (slot, rarest) = (self.slot(node), self.rarest(node));
        self.rows *= self.start_cost(node).max(1.0);
        let found = self.lookup(node);
        match (found, rarest) {
            (Some((key, value)), label) => self.push(Op::Find { slot, label: label.flatten(), key, value }),
            (None, None) => self.push(Op::Scan { slot, label: None, told: Told::InOrder, asked: Vec::new() }),
            (None, Some(Some(label))) => {
                self.push(Op::Scan { slot, label: Some(label), told: Told::InOrder, asked: Vec::new() })
            }
            // A label that nothing has.
            (None, Some(None)) => {
                self.push(Op::Filter(Ex::Const(super::value::Value::Bool(false))));
                self.push(Op::Scan { slot, label: None, told: Told::InOrder, asked: Vec::new() });
            }
        }
        self.filled(slot);
        self.label_filter(node, rarest);
    }

    /// Conditions on labels that were not used to find the node.
    fn label_filter(&mut self, node: usize, used: Option<Option<Label>>) {
        let Some(n) = self.pattern.nodes.get(node) else { return };
        let mut labels = n.labels.clone();
        if let Some(i) = used.and_then(|u| labels.iter().position(|l| *l == u)) {
            labels.remove(i);
        }
        if !labels.is_empty() {
            let test = label_test(n.slot, &labels);
            self.push(Op::Filter(test));
        }
        self.settle();
    }

    /// A slot is known now.
    fn filled(&mut self, slot: Slot) {
        self.open.remove(&slot);
    }

    /// Puts in every named path and condition whose parts are known.
    fn settle(&mut self) {
        let open = &self.open;
        let (ready, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pattern.paths)
            .into_iter()
            .partition(|(_, parts)| parts.iter().all(|s| !open.contains(s)));
        self.pattern.paths = waiting;
        for (slot, parts) in ready {
            self.push(Op::Path { slot, parts });
            self.filled(slot);
        }
        let open = &self.open;
        let (ready, waiting): (Vec<Condition>, Vec<Condition>) = std::mem::take(&mut self.pattern.conditions)
            .into_iter()
            .partition(|c| c.reads.iter().all(|s| !open.contains(s)));
        self.pattern.conditions = waiting;
        for c in ready {
            self.push(Op::Filter(c.test));
        }
    }

    fn along(&mut self, index: usize) {
        if let Some(done) = self.done_edges.get_mut(index) {
            *done = true;
        }
        let Some(e) = self.pattern.edges.get_mut(index) else { return };
        let each = e.each.take();
        let Some(e) = self.pattern.edges.get(index) else { return };
        let backwards = self.is_open(e.from);
        let (near, far) = if backwards { (e.to, e.from) } else { (e.from, e.to) };
        let way = match (e.way, backwards) {
            (Way::Out, true) => Way::In,
            (Way::In, true) => Way::Out,
            (way, _) => way,
        };
        let (from, to, edge, bound) = (self.slot(near), self.slot(far), e.slot, !self.is_open(far));
        let (types, range, known, shortest) = (e.types.clone(), e.range, e.bound, e.shortest);
        let (ends_from, ends_to, pattern_way) = (e.from, e.to, e.way);
        let growth = self.fan_out(e) * if bound { EQUAL_SHARE } else { self.share(far) };
        self.rows *= if known { 1.0 } else { growth };
        let unlike = self.edge_slots.clone();
        let mut late = None;
        let op = match range {
            None if known => Op::Known {
                edge,
                from: (self.slot(ends_from), !self.is_open(ends_from)),
                to: (self.slot(ends_to), !self.is_open(ends_to) || ends_from == ends_to),
                way: pattern_way,
                types,
                unlike,
            },
            None => Op::Expand {
                from,
                edge,
                to,
                way,
                types,
                bound,
                unlike,
                told: Told::InOrder,
                asked: Vec::new(),
            },
            Some(_) if known && !backwards => Op::KnownWalk { edges: edge, from, to: (to, bound), way },
            Some((least, most)) => {
                let ready = each.as_ref().is_none_or(|(_, c)| c.reads.iter().all(|s| !self.open.contains(s)));
                let each = each.map(|(slot, c)| (slot, c.test));
                let (inside, after) = if ready { (each, None) } else { (None, each) };
                late = after;
                // A walk that is known but not from where: walked again and compared.
                let edges = if known { self.compiler.slot() } else { edge };
                if known {
                    let same = Ex::Compare(Box::new(Ex::Slot(edges)), vec![(Compare::Eq, Ex::Slot(edge))]);
                    self.pattern.conditions.push(Condition { test: same, reads: BTreeSet::from([to]) });
                }
                let (each, told) = (inside, Told::InOrder);
                let walk =
                    Walk { from, edges, to, way, types, least, most, bound, each, unlike, backwards, told };
                match shortest {
                    Shortest::No => Op::Walk(Box::new(walk)),
                    kind => Op::Shortest { walk: Box::new(walk), all: kind == Shortest::All },
                }
            }
        };
        self.push(op);
        self.filled(edge);
        self.edge_slots.push(edge);
        let opened: Vec<usize> = [ends_from, ends_to].into_iter().filter(|n| self.is_open(*n)).collect();
        for node in &opened {
            let slot = self.slot(*node);
            self.filled(slot);
        }
        if let Some((slot, test)) = late {
            let reads = self.pattern.edges.iter().map(|e| e.slot).filter(|s| self.open.contains(s)).collect();
            self.pattern
                .conditions
                .push(Condition { test: Ex::EachEdge { list: edge, slot, test: Box::new(test) }, reads });
        }
        for node in opened {
            self.label_filter(node, None);
        }
        self.settle();
    }
}

/// The property and the other side, where a test says that a property of `slot` equals something.
fn equality(test: &Ex, slot: Slot) -> Option<(PropertyKey, &Ex)> {
    let Ex::Compare(left, rest) = test else { return None };
    let [(Compare::Eq, right)] = rest.as_slice() else { return None };
    let property = |e: &Ex| match e {
        Ex::Property { of, key: Some(key), .. } if matches!(**of, Ex::Slot(s) if s == slot) => Some(*key),
        _ => None,
    };
    let reads_slot =
        |e: &Ex| matches!(e, Ex::Property { of, .. } if matches!(**of, Ex::Slot(s) if s == slot));
    match (property(left), property(right)) {
        (Some(key), _) if !reads_slot(right) => Some((key, right)),
        (None, Some(key)) => Some((key, left)),
        _ => None,
    }
}
