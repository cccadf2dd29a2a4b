//! Drawing what follows: every new edge is looked at once, and touches only what it is a premise of.
//!
//! A conclusion is an edge with the set of its supports, the ways in which it follows. When it holds is not written down but
//! read off its premises, so a premise that goes on, ends or is seen earlier than thought costs nothing here. Supports are
//! taken away only when two nodes turn out to be one, or one to be two; a conclusion without any is taken back.

use crate::fold::Fold;
use crate::join::{Ground, GroupSearch, Search, Support, Witness, WitnessesAt};
use crate::links::End;
use crate::rules::Trigger;
use crate::runs::Runs;
use crate::topology::{Edge, EdgeId, Graph, Marks, NodeId};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What only drawing needs.
#[derive(Debug, Default)]
pub(crate) struct Drawing {
    witnesses: FxHashMap<(u16, Arc<[NodeId]>), u32>,
    at: WitnessesAt,
    /// Supports and witnesses held.
    pub(crate) held: usize,
}

impl Drawing {
    /// Finds a witness again.
    pub(crate) fn put_witness(&mut self, witness: &Witness, id: u32) {
        self.witnesses.insert((witness.group, Arc::clone(&witness.ends)), id);
        for end in witness.ends.iter().collect::<BTreeSet<_>>() {
            self.at.entry(*end).or_default().push(id);
        }
    }
}

impl Fold {
    /// Looks at an edge that is new, or that leads from or to a sampled node and was seen at another minute.
    pub(crate) fn draw(&mut self, edge: EdgeId) {
        let Some(relation) = self.graph.edge(edge).map(|e| e.relation) else { return };
        let rules = Arc::clone(&self.graph.rules);
        for trigger in rules.triggers(relation) {
            match *trigger {
                Trigger::Part { plan, part, back } => {
                    let found = self.search(plan, |s| s.along(part, edge, back));
                    self.support(found);
                }
                Trigger::Group { group, premise, back } => {
                    let Some(of) = rules.groups.get(group) else { continue };
                    let mut search = GroupSearch::new(&self.graph, of);
                    search.place(premise, edge, back);
                    for (ends, when) in search.found {
                        self.witness(group, &ends, &when);
                    }
                }
            }
        }
    }

    fn search(&mut self, plan: usize, begin: impl FnOnce(&mut Search<'_>)) -> Vec<Support> {
        let room = self.limits.conclusions.saturating_sub(self.drawing.held);
        let Some(mut search) = Search::new(&self.graph, &self.drawing.at, plan, room) else {
            return Vec::new();
        };
        begin(&mut search);
        let (found, cut_off) = (search.found, search.cut_off);
        if cut_off {
            self.totals.conclusions_left_out += 1;
        }
        found
    }

    /// Remembers that a group joined some kept nodes at some time.
    fn witness(&mut self, group: usize, ends: &[NodeId], when: &Runs) {
        let Ok(number) = u16::try_from(group) else { return };
        let key = (number, Arc::from(ends));
        if let Some(known) = self.drawing.witnesses.get(&key).copied() {
            let new = self.graph.witnesses.get(known as usize).is_some_and(|w| !w.seen.covers_all(when));
            if new && let Some(w) = self.graph.witnesses.get_mut(known as usize) {
                w.seen.cover_all(when);
            }
            return;
        }
        if self.drawing.held >= self.limits.conclusions {
            self.totals.conclusions_left_out += 1;
            return;
        }
        self.drawing.held += 1;
        let Ok(id) = u32::try_from(self.graph.witnesses.len()) else { return };
        let ends = Arc::clone(&key.1);
        self.graph.witnesses.push_back(Witness {
            group: number,
            ends: Arc::clone(&ends),
            seen: when.clone(),
        });
        self.drawing.witnesses.insert(key, id);
        for end in ends.iter().collect::<BTreeSet<_>>() {
            self.drawing.at.entry(*end).or_default().push(id);
        }
        let found = self.around_witness(id);
        self.support(found);
    }

    fn around_witness(&mut self, id: u32) -> Vec<Support> {
        let group = self.graph.witnesses.get(id as usize).map(|w| usize::from(w.group));
        let Some((plan, part)) = group.and_then(|g| self.graph.rules.place_of(g)) else { return Vec::new() };
        self.search(plan, |s| s.place(part, Ground::Witness(id)))
    }

    /// Counts supports to their conclusions, which are drawn when they are new.
    fn support(&mut self, found: Vec<Support>) {
        for support in found {
            let Some((relation, from, to)) = self.graph.head_of(&support) else { continue };
            let concluded = self.concluded();
            let known = self.known_edge((relation, from, to));
            let id = known.unwrap_or_else(|| {
                self.touch_begun(from);
                self.touch_begun(to);
                self.make_edge(Edge::new(relation, from, to))
            });
            self.told_by(id, concluded);
            let new = match self.graph.concluded.get_mut(id) {
                Some(known) => known.insert(support),
                None => {
                    self.graph.concluded.put(id, [support].into_iter().collect());
                    true
                }
            };
            self.drawing.held += usize::from(new);
            if known.is_none() {
                self.draw(id);
            }
        }
    }

    /// Lets a stand-in belong to one more node, and draws anew what that changes.
    pub(crate) fn belongs(&mut self, stand_in: NodeId, owner: NodeId) {
        /// A key that more than two share adopts nobody, with one more or less.
        const SHARED: usize = 2;
        let mut near = vec![stand_in, owner];
        let mut next = 0;
        while let Some(node) = near.get(next).copied() {
            next += 1;
            let Some(found) = self.graph.raw(node) else { continue };
            let mut more = found.followers.clone();
            if found.owners.len() <= SHARED {
                more.extend_from_slice(&found.owners);
            }
            near.extend(more.into_iter().filter(|f| !near.contains(f)).collect::<Vec<_>>());
        }
        let near_by = near.clone();
        // Mostly it is as new as the node itself, and nothing is known of it yet.
        near.retain(|n| {
            self.drawing.at.contains_key(n)
                || [End::Out, End::Into].iter().any(|end| self.graph.links.any(*n, *end))
        });
        let before = (!near.is_empty()).then(|| self.graph.clone());
        for shared in [stand_in, owner] {
            if let Some(marks) = self.graph.marks.get_mut(shared.0 as usize) {
                marks.set(Marks::SHARED);
            }
        }
        for one in [stand_in, owner] {
            self.touch_begun(one);
        }
        self.with_node(stand_in, |s| s.owners.push(owner));
        self.with_node(owner, |n| n.followers.push(stand_in));
        self.touch_begun(owner);
        self.joined_anew(&near_by, before.is_some());
        let Some(before) = before else { return };
        near.retain(|n| before.resolve(*n) != self.graph.resolve(*n));
        let edges = edges_at(&before, &near);
        self.take_back(&before, &edges, &near);
        for edge in edges {
            self.draw(edge);
        }
        for id in self.witnesses_at(&near) {
            let found = self.around_witness(id);
            self.support(found);
        }
    }

    fn witnesses_at(&self, nodes: &[NodeId]) -> BTreeSet<u32> {
        nodes.iter().filter_map(|n| self.drawing.at.get(n)).flatten().copied().collect()
    }

    /// Takes away supports that followed before some nodes were told to be others, and no longer do.
    fn take_back(&mut self, before: &Graph, edges: &BTreeSet<EdgeId>, moved: &[NodeId]) {
        // Everything that rested on an edge there, and everything that rested on that.
        let mut doubtful: BTreeSet<Support> = BTreeSet::new();
        let mut looked_at: BTreeSet<EdgeId> = BTreeSet::new();
        let mut queue: Vec<EdgeId> = edges.iter().copied().collect();
        let mut found = Vec::new();
        for id in self.witnesses_at(moved) {
            found.extend(self.around(before, &[], Some(id)));
        }
        loop {
            for support in found.drain(..) {
                if let Some((relation, from, to)) = before.head_of(&support)
                    && let Some(id) = self.known_edge((relation, from, to))
                {
                    queue.push(id);
                }
                doubtful.insert(support);
            }
            let Some(edge) = queue.pop() else { break };
            if looked_at.insert(edge) {
                found = self.around(before, &[edge], None);
            }
        }
        // A conclusion that is taken back takes others along; rules do not depend on themselves, so this ends.
        loop {
            let gone: Vec<Support> =
                doubtful.iter().filter(|s| !self.graph.still_follows(s)).cloned().collect();
            if gone.is_empty() {
                return;
            }
            for support in gone {
                doubtful.remove(&support);
                // Its ends are read from the graph in which it followed: its premises may be gone by now.
                let Some((relation, from, to)) = before.head_of(&support) else { continue };
                if let Some(id) = self.known_edge((relation, from, to)) {
                    self.unsupport(id, &support);
                }
            }
        }
    }

    /// Supports around some edges or a witness in an earlier graph.
    fn around(&self, before: &Graph, edges: &[EdgeId], witness: Option<u32>) -> Vec<Support> {
        let mut found = Vec::new();
        let mut search = |plan: usize, begin: &mut dyn FnMut(&mut Search<'_>)| {
            if let Some(mut s) = Search::new(before, &self.drawing.at, plan, usize::MAX) {
                begin(&mut s);
                found.append(&mut s.found);
            }
        };
        for edge in edges {
            let Some(relation) = before.edge(*edge).map(|e| e.relation) else { continue };
            for trigger in before.rules.triggers(relation) {
                if let Trigger::Part { plan, part, back } = *trigger {
                    search(plan, &mut |s| s.along(part, *edge, back));
                }
            }
        }
        if let Some(id) = witness
            && let Some(w) = before.witnesses.get(id as usize)
            && let Some((plan, part)) = before.rules.place_of(usize::from(w.group))
        {
            search(plan, &mut |s| s.place(part, Ground::Witness(id)));
        }
        found
    }

    fn unsupport(&mut self, id: EdgeId, support: &Support) {
        let Some(supports) = self.graph.concluded.get_mut(id) else { return };
        if !supports.remove(support) {
            return;
        }
        self.drawing.held -= 1;
        if !supports.is_empty() {
            return;
        }
        self.graph.concluded.remove(id);
        let concluded = self.concluded();
        let Some(edge) = self.graph.edge(id) else { return };
        if !edge.seen.is_empty() {
            // A source says so as well.
            let (was, told) = (edge.sources, self.graph.sets.get(edge.sources).without(concluded));
            let told = self.sets.id(&mut self.graph.sets, told, was);
            self.with_edge(id, |e| e.sources = told);
            return;
        }
        let (relation, from, to) = (edge.relation, edge.from, edge.to);
        self.drop_edge(id);
        self.graph.links.remove(from, End::Out, relation, id);
        self.graph.links.remove(to, End::Into, relation, id);
    }
}

/// Edges at some nodes, from sampled ones excepted.
fn edges_at(graph: &Graph, nodes: &[NodeId]) -> BTreeSet<EdgeId> {
    let both = |n: &NodeId| graph.links.of(*n, End::Out).chain(graph.links.of(*n, End::Into));
    nodes.iter().flat_map(both).collect()
}
