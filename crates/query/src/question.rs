//! The ontology's competency questions, answered from the facts of a moment: every way in which a line of a question can be
//! walked, conclusions of rules included.

use crate::moment::Moment;
use crate::rules::{Reach, What};
use crate::view::View;
use graph::NodeId;
use ontology::RelationId;
use ontology::export::literal;
use ontology::paths::{Hop, Narrow, Path, PathNode, Repeat};
use ontology::rules::Keep;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Most ways that are walked; a line with more of them asks for too much at once.
pub const MOST: usize = 200_000;
/// Everything that follows is wanted, however weakly and over however many steps; only the work is bounded, for one node.
const ALL: Reach = Reach { weight: 0.0, hops: u32::MAX, facts: 1_000_000 };

/// Why a line has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// More ways than are walked.
    #[error(
        "there are more than {MOST} ways to walk `{path}`; ask at a moment with less traffic, or narrow the question in questions.yaml"
    )]
    TooMany {
        /// The line.
        path: String,
    },
    /// A rule needs more facts than are looked at.
    #[error(
        "`{relation}` in `{path}` follows from more than {} facts for {node}; ask `follows {relation}` about one node, which takes the strongest first",
        ALL.facts
    )]
    TooDeep {
        /// The line.
        path: String,
        /// The relation.
        relation: String,
        /// Where it was followed from.
        node: String,
    },
    /// A relation that is drawn only when asked, to be followed again and again.
    #[error(
        "`{relation}` follows from rules only when asked, so `{path}` cannot follow it again and again; write it without `+` or `*`"
    )]
    Repeated {
        /// The line.
        path: String,
        /// The relation.
        relation: String,
    },
}

/// What leads where from a node.
type Ends = FxHashMap<NodeId, Vec<(RelationId, NodeId)>>;

/// What held at a moment and what follows from it, ready to walk.
pub struct Walk<'a> {
    view: View<'a>,
    moment: Moment<'a>,
    out: Ends,
    into: Ends,
    /// What asked rules conclude of a relation (backwards where `true`) about a node.
    followed: BTreeMap<(RelationId, bool, NodeId), BTreeSet<NodeId>>,
}

impl<'a> Walk<'a> {
    /// At the last moment that a view sees.
    pub fn of(view: View<'a>) -> Walk<'a> {
        let moment = Moment::of(&view);
        let (mut out, mut into) = (Ends::default(), Ends::default());
        for node in moment.nodes() {
            for held in moment.held(*node) {
                out.entry(*node).or_default().push((held.relation, held.to));
                into.entry(held.to).or_default().push((held.relation, *node));
            }
        }
        Walk { view, moment, out, into, followed: BTreeMap::new() }
    }

    /// Titles of the columns of a line: `r:Regression`.
    pub fn columns(&self, path: &Path) -> Vec<String> {
        let o = self.view.ontology();
        distinct(path)
            .into_iter()
            .filter_map(|i| path.nodes.get(i))
            .map(|n| {
                let class = o.class_name(n.class);
                n.name.as_ref().map_or_else(|| class.to_owned(), |name| format!("{name}:{class}"))
            })
            .collect()
    }

    /// Every way to walk a line, as the nodes it meets, sorted by their names. A node that the line names twice is told once.
    ///
    /// # Errors
    /// When there are too many, or a rule cannot be followed.
    pub fn line(&mut self, path: &Path) -> Result<Vec<Vec<NodeId>>, NoAnswer> {
        let too_many = || NoAnswer::TooMany { path: path.text.clone() };
        let latest: BTreeMap<usize, BTreeSet<NodeId>> = (0..)
            .zip(&path.nodes)
            .filter(|(_, n)| n.narrow() == Some(Narrow::Latest))
            .map(|(i, n)| (i, self.latest(n)))
            .collect();
        let mut found: BTreeSet<Vec<NodeId>> = BTreeSet::new();
        let mut stack: Vec<Vec<NodeId>> = Vec::new();
        if let Some(first) = path.nodes.first() {
            stack.extend(
                self.moment.nodes().iter().filter(|n| self.fits(first, 0, **n, &latest)).map(|n| vec![*n]),
            );
        }
        let columns = distinct(path);
        while let Some(way) = stack.pop() {
            let (Some(last), Some(hop)) = (way.last(), path.hops.get(way.len() - 1)) else {
                if self.in_time(path, &way) {
                    found.insert(columns.iter().filter_map(|i| way.get(*i).copied()).collect());
                }
                if found.len() > MOST {
                    return Err(too_many());
                }
                continue;
            };
            let Some(next) = path.nodes.get(way.len()) else { continue };
            for node in self.ends(hop, *last, path)? {
                let same = same_before(path, way.len()).is_none_or(|i| way.get(i) == Some(&node));
                if same && self.fits(next, way.len(), node, &latest) {
                    let mut longer = way.clone();
                    longer.push(node);
                    stack.push(longer);
                }
            }
            if stack.len() > MOST {
                return Err(too_many());
            }
        }
        let mut named: Vec<(Vec<String>, Vec<NodeId>)> =
            found.into_iter().map(|row| (self.names(&row), row)).collect();
        named.sort();
        Ok(named.into_iter().map(|n| n.1).collect())
    }

    /// Names of nodes.
    pub fn names(&self, row: &[NodeId]) -> Vec<String> {
        row.iter().map(|n| self.view.graph.name(*n)).collect()
    }

    /// Where a hop leads from a node.
    fn ends(&mut self, hop: &Hop, node: NodeId, path: &Path) -> Result<BTreeSet<NodeId>, NoAnswer> {
        let o = self.view.ontology();
        let about = |r: &ontology::rules::Rule| {
            r.keep == Keep::Asked && r.concludes().is_some_and(|c| o.is_case_of(c, hop.relation))
        };
        let asked = o.rules.rules.iter().any(about);
        if hop.repeat == Repeat::Once {
            let mut found = self.next(hop.relation, hop.back, node);
            if asked {
                found.extend(self.follow(hop, node, path)?);
            }
            return Ok(found);
        }
        if asked {
            let relation = o.relation_name(hop.relation).to_owned();
            return Err(NoAnswer::Repeated { path: path.text.clone(), relation });
        }
        let mut found = BTreeSet::new();
        if hop.repeat == Repeat::AnyNumber {
            found.insert(node);
        }
        let mut queue = vec![node];
        while let Some(at) = queue.pop() {
            for n in self.next(hop.relation, hop.back, at) {
                if found.insert(n) {
                    queue.push(n);
                }
            }
        }
        Ok(found)
    }

    /// Where a relation that held leads, its special cases included.
    fn next(&self, relation: RelationId, back: bool, node: NodeId) -> BTreeSet<NodeId> {
        let side = if back { &self.into } else { &self.out };
        let o = self.view.ontology();
        let all = side.get(&node).into_iter().flatten();
        all.filter(|(r, _)| o.is_case_of(*r, relation)).map(|(_, n)| *n).collect()
    }

    /// Where asked rules say that a relation leads.
    fn follow(&mut self, hop: &Hop, node: NodeId, path: &Path) -> Result<BTreeSet<NodeId>, NoAnswer> {
        let key = (hop.relation, hop.back, node);
        if let Some(known) = self.followed.get(&key) {
            return Ok(known.clone());
        }
        let ends = if hop.back { [None, Some(node)] } else { [Some(node), None] };
        let all = self.view.follows(What::Relation(hop.relation), &ends, self.moment.at(), ALL);
        if all.cut_off.any() {
            return Err(NoAnswer::TooDeep {
                path: path.text.clone(),
                relation: self.view.ontology().relation_name(hop.relation).to_owned(),
                node: self.view.label(node),
            });
        }
        // What stands in the graph is walked as an edge, where it holds.
        let drawn = all.found.iter().filter(|f| f.edge.is_none());
        let other = drawn.filter_map(|f| f.ends.get(usize::from(!hop.back)).copied());
        let found: BTreeSet<NodeId> = other.filter(|n| self.moment.has(*n)).collect();
        self.followed.insert(key, found.clone());
        Ok(found)
    }

    fn fits(
        &self,
        wanted: &PathNode,
        at: usize,
        node: NodeId,
        latest: &BTreeMap<usize, BTreeSet<NodeId>>,
    ) -> bool {
        let (graph, o) = (self.view.graph, self.view.ontology());
        if !graph.node(node).is_some_and(|n| o.is_a(n.class, wanted.class)) {
            return false;
        }
        match wanted.narrow() {
            Some(Narrow::Is(attr, value)) => graph.attrs(node).iter().any(|(a, v)| {
                o.attrs.get(a.index()).is_some_and(|a| a.name == attr && literal(&a.ty, v).value() == value)
            }),
            Some(Narrow::Latest) => latest.get(&at).is_some_and(|l| l.contains(&node)),
            Some(Narrow::Before(..) | Narrow::Open) | None => true,
        }
    }

    /// Those of a class of whom no sibling was first seen later.
    fn latest(&self, wanted: &PathNode) -> BTreeSet<NodeId> {
        let (graph, o) = (self.view.graph, self.view.ontology());
        let class = |n: NodeId| graph.node(n).map(|n| n.class);
        let all: Vec<NodeId> = self
            .moment
            .nodes()
            .iter()
            .copied()
            .filter(|n| class(*n).is_some_and(|c| o.is_a(c, wanted.class)))
            .collect();
        let shared = o.key_relations(wanted.class);
        let parents =
            |n: NodeId| -> BTreeSet<NodeId> { shared.iter().flat_map(|r| self.next(*r, false, n)).collect() };
        let told: Vec<_> =
            all.iter().map(|n| (*n, class(*n), parents(*n), self.moment.seen(*n).map(|s| s.0))).collect();
        let later = |a: &(NodeId, _, BTreeSet<NodeId>, Option<ontology::Minute>)| {
            let siblings =
                told.iter().filter(|b| b.1 == a.1 && (shared.is_empty() || !b.2.is_disjoint(&a.2)));
            siblings.into_iter().any(|b| b.3.zip(a.3).is_some_and(|(b, a)| b > a))
        };
        told.iter().filter(|a| !later(a)).map(|a| a.0).collect()
    }

    /// Whether what must have begun before something else in the way did.
    fn in_time(&self, path: &Path, way: &[NodeId]) -> bool {
        path.nodes.iter().zip(way).all(|(wanted, node)| {
            let Some(Narrow::Before(secs, other)) = wanted.narrow() else { return true };
            let other =
                path.nodes.iter().position(|n| n.name.as_ref() == Some(&other)).and_then(|i| way.get(i));
            let Some(other) = other else { return true };
            self.view.started_before(*node, *other, secs)
        })
    }
}

/// Places of a path's nodes, the first of those with the same name.
fn distinct(path: &Path) -> Vec<usize> {
    (0..path.nodes.len()).filter(|i| same_before(path, *i).is_none()).collect()
}

/// The place of an earlier node with the same name.
fn same_before(path: &Path, at: usize) -> Option<usize> {
    let name = path.nodes.get(at)?.name.as_ref()?;
    path.nodes.iter().take(at).position(|n| n.name.as_ref() == Some(name))
}
