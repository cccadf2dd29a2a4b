//! How much of what there is: per class, relation and measure, who told of it, and how many things of a class have an edge of a
//! kind at all. Two walks, one over nodes and one over edges, whatever is asked.

use crate::sources::Sources;
use crate::topology::{Graph, NodeId};
use ontology::{ClassId, Minute, Ontology, RelationId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// One end of a relation: a class whose things may have an edge of it to things of another class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The relation; special cases of it count.
    pub relation: RelationId,
    /// Against its arrow.
    pub back: bool,
    /// Whose things are looked at; kinds of it count.
    pub class: ClassId,
    /// What the edge must lead to; kinds of it count.
    pub other: ClassId,
}

/// How many there are, when one was last seen, and how many each source told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub all: u64,
    /// The latest minute at which a source saw one.
    pub last: Option<Minute>,
    /// By source. One that several told of counts for each.
    pub sources: BTreeMap<String, u64>,
}

/// A count of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Nodes of exactly this class, by [`ClassId`].
    pub classes: Vec<Count>,
    /// Edges of exactly this relation, by [`RelationId`]; what was only concluded has no `last`.
    pub relations: Vec<Count>,
    /// The same edges by the classes they join.
    pub pairs: BTreeMap<(RelationId, ClassId, ClassId), u64>,
    /// Nodes that carry a measure, by [`ontology::MeasureId`].
    pub measured: Vec<u64>,
    /// For each end that was asked about: how many nodes have such an edge. `None` beyond [`ENDS_PER_CLASS`].
    pub joined: Vec<Option<u64>>,
}

/// Ends looked at per class: one bit each. Beyond: not looked at.
pub const ENDS_PER_CLASS: usize = 64;

/// A count before its sources have names.
#[derive(Clone, Default)]
struct Tally {
    all: u64,
    last: Option<Minute>,
    by: Vec<u64>,
}

impl Tally {
    fn add(&mut self, sources: Sources, last: Option<Minute>) {
        self.all += 1;
        self.last = self.last.max(last);
        for bit in sources.iter() {
            if self.by.len() <= bit {
                self.by.resize(bit + 1, 0);
            }
            if let Some(n) = self.by.get_mut(bit) {
                *n += 1;
            }
        }
    }
}

impl Census {
    /// Nodes of a class or of a kind of it.
    pub fn of_class(&self, o: &Ontology, class: ClassId) -> u64 {
        o.kinds_of(class).filter_map(|c| self.classes.get(c.index())).map(|c| c.all).sum()
    }

    /// Edges of a relation or of a special case of it.
    pub fn of_relation(&self, o: &Ontology, relation: RelationId) -> u64 {
        let all = (0..).map(RelationId).zip(&self.relations);
        all.filter(|(r, _)| o.is_case_of(*r, relation)).map(|(_, c)| c.all).sum()
    }
}

impl Graph {
    /// Counts everything, and for each of `ends` the nodes that have such an edge.
    pub fn census(&self, ends: &[End]) -> Census {
        let o = &self.ontology;
        let mut census = Census { measured: vec![0; o.measures.len()], ..Census::default() };
        let classes = self.count_nodes();
        let relations = self.count_edges(ends, &mut census);
        census.classes = classes.into_iter().map(|t| self.told(t)).collect();
        census.relations = relations.into_iter().map(|t| self.told(t)).collect();
        let mut carriers = FxHashSet::default();
        for (measure, node) in self.series_of.keys() {
            if carriers.insert((*measure, self.resolve(*node)))
                && let Some(n) = census.measured.get_mut(measure.index())
            {
                *n += 1;
            }
        }
        census
    }

    fn count_nodes(&self) -> Vec<Tally> {
        let mut classes = vec![Tally::default(); self.ontology.classes.len()];
        // Stand-ins under weaker keys add who told and when to the node they count as.
        let mut aside: FxHashMap<NodeId, (Sources, Option<Minute>)> = FxHashMap::default();
        for (i, node) in self.nodes.iter().enumerate() {
            let (Some(node), Ok(i)) = (node, u32::try_from(i)) else { continue };
            if node.owners.is_empty() {
                continue;
            }
            let root = self.resolve(NodeId(i));
            if root != NodeId(i) {
                let entry = aside.entry(root).or_default();
                *entry = (entry.0.with(node.sources), entry.1.max(node.seen.last()));
            }
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let (Some(node), Ok(i)) = (node, u32::try_from(i)) else { continue };
            if !node.owners.is_empty() && (node.sources.is_empty() || self.resolve(NodeId(i)) != NodeId(i)) {
                continue;
            }
            let (sources, last) = aside.get(&NodeId(i)).copied().unwrap_or_default();
            if let Some(t) = classes.get_mut(node.class.index()) {
                t.add(node.sources.with(sources), node.seen.last().max(last));
            }
        }
        classes
    }

    fn count_edges(&self, ends: &[End], census: &mut Census) -> Vec<Tally> {
        let o = &self.ontology;
        let mut relations = vec![Tally::default(); o.relations.len()];
        let looked = Looked::new(o, ends);
        census.joined = looked.placed.iter().map(|placed| placed.then_some(0)).collect();
        let mut marks = vec![0u64; self.nodes.len()];
        let mut pairs: FxHashMap<(RelationId, ClassId, ClassId), u64> = FxHashMap::default();
        for (_, edge) in self.edges() {
            let (from, to) = (self.resolve(edge.from), self.resolve(edge.to));
            let (Some(source), Some(target)) = (self.raw(from), self.raw(to)) else { continue };
            if let Some(t) = relations.get_mut(edge.relation.index()) {
                t.add(self.sets.get(edge.sources), edge.seen.last());
            }
            *pairs.entry((edge.relation, source.class, target.class)).or_default() += 1;
            for (end, bits) in looked.of(edge.relation) {
                let (node, class, other) = if end.back {
                    (to, target.class, source.class)
                } else {
                    (from, source.class, target.class)
                };
                let Some(bit) = bits.get(class.index()).copied().flatten() else { continue };
                let Some(mark) = marks.get_mut(node.0 as usize) else { continue };
                if *mark & (1 << bit) == 0 && o.is_a(other, end.other) {
                    *mark |= 1 << bit;
                    if let Some(Some(n)) = census.joined.get_mut(end.place) {
                        *n += 1;
                    }
                }
            }
        }
        census.pairs = pairs.into_iter().collect();
        relations
    }

    fn told(&self, tally: Tally) -> Count {
        let mut sources: BTreeMap<String, u64> = BTreeMap::new();
        for (i, name) in self.sources.iter().enumerate() {
            if let Some(n) = tally.by.get(Sources::place(i)).filter(|n| **n > 0) {
                sources.insert(name.to_string(), *n);
            }
        }
        Count { all: tally.all, last: tally.last, sources }
    }
}

/// Which ends an edge of a relation may be, and which bit of a node each has.
struct Looked {
    placed: Vec<bool>,
    by_relation: Vec<Vec<(Placed, Vec<Option<u8>>)>>,
}

struct Placed {
    place: usize,
    back: bool,
    other: ClassId,
}

impl Looked {
    fn new(o: &Ontology, ends: &[End]) -> Looked {
        let mut free = vec![0u8; o.classes.len()];
        let mut by_relation: Vec<Vec<(Placed, Vec<Option<u8>>)>> = Vec::new();
        by_relation.resize_with(o.relations.len(), Vec::new);
        let mut placed = Vec::new();
        for (place, end) in ends.iter().enumerate() {
            let kinds: Vec<ClassId> = o.kinds_of(end.class).collect();
            let room = |c: &ClassId| free.get(c.index()).is_some_and(|f| usize::from(*f) < ENDS_PER_CLASS);
            placed.push(kinds.iter().all(room));
            if placed.last() != Some(&true) {
                continue;
            }
            let mut bits = vec![None; o.classes.len()];
            for c in kinds {
                if let (Some(bit), Some(f)) = (bits.get_mut(c.index()), free.get_mut(c.index())) {
                    *bit = Some(*f);
                    *f += 1;
                }
            }
            for (r, all) in (0..).map(RelationId).zip(&mut by_relation) {
                if o.is_case_of(r, end.relation) {
                    all.push((Placed { place, back: end.back, other: end.other }, bits.clone()));
                }
            }
        }
        Looked { placed, by_relation }
    }

    fn of(&self, relation: RelationId) -> &[(Placed, Vec<Option<u8>>)] {
        self.by_relation.get(relation.index()).map(Vec::as_slice).unwrap_or_default()
    }
}
