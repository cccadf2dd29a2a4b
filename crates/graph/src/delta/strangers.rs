//! Two graphs that share nothing, compared by the keys of what they hold.

use super::{Delta, Pair};
use crate::runs::Runs;
use crate::series::{CohortId, SeriesId};
use crate::topology::{EdgeId, Graph, NodeId};
use ontology::{MeasureId, Ontology, RelationId, Time, Value};

pub(super) fn delta(before: &Graph, after: &Graph) -> Delta {
    let terms = Terms::new(&before.ontology, &after.ontology);
    Delta {
        nodes: nodes(before, after, &terms),
        edges: edges(before, after, &terms),
        series: series(before, after, &terms),
    }
}

/// What the second ontology's words are in the first: by id there, the id here, or one that nothing has.
pub(crate) struct Terms {
    classes: Vec<usize>,
    relations: Vec<usize>,
    measures: Vec<usize>,
    attrs: Vec<usize>,
}

impl Terms {
    pub(crate) fn new(before: &Ontology, after: &Ontology) -> Terms {
        let words = |len: usize, known: usize, find: &dyn Fn(usize) -> Option<usize>| -> Vec<usize> {
            if std::ptr::eq(before, after) {
                return (0..len).collect();
            }
            (0..len).map(|i| find(i).unwrap_or(known + i)).collect()
        };
        let all = |name: &String, was: &[String]| -> Vec<String> {
            std::iter::once(name).chain(was).cloned().collect()
        };
        let class = |i: usize| {
            let c = after.classes.get(i)?;
            all(&c.name, &c.was).iter().find_map(|n| before.class(n)).map(|c| c.index())
        };
        let relation = |i: usize| {
            let r = after.relations.get(i)?;
            all(&r.name, &r.was).iter().find_map(|n| before.relation(n)).map(|r| r.index())
        };
        let measure = |i: usize| {
            let m = after.measures.get(i)?;
            all(&m.name, &m.was).iter().find_map(|n| before.measure(n)).map(|m| m.index())
        };
        let attr = |i: usize| {
            let a = after.attrs.get(i)?;
            let declares = after.classes.get(a.class.index())?;
            let class = all(&declares.name, &declares.was).iter().find_map(|n| before.class(n))?;
            all(&a.name, &a.was).iter().find_map(|n| before.attr(class, n)).map(|a| a.index())
        };
        Terms {
            classes: words(after.classes.len(), before.classes.len(), &class),
            relations: words(after.relations.len(), before.relations.len(), &relation),
            measures: words(after.measures.len(), before.measures.len(), &measure),
            attrs: words(after.attrs.len(), before.attrs.len(), &attr),
        }
    }

    /// A relation of the second in the first.
    pub(crate) fn relation(&self, id: RelationId) -> usize {
        Terms::of(Some(&self.relations), id.index())
    }

    /// A measure of the second in the first.
    pub(crate) fn measure(&self, id: MeasureId) -> usize {
        Terms::of(Some(&self.measures), id.index())
    }

    fn of(words: Option<&Vec<usize>>, id: usize) -> usize {
        words.map_or(id, |w| w.get(id).copied().unwrap_or(usize::MAX))
    }
}

/// Two sorted lists as pairs of what has the same key; of pairs, those that differ.
fn merge<K: Ord, T: Copy>(
    mut a: Vec<(K, T)>,
    mut b: Vec<(K, T)>,
    mut same: impl FnMut(T, T) -> bool,
) -> Vec<Pair<T>> {
    a.sort_unstable_by(|x, y| x.0.cmp(&y.0));
    b.sort_unstable_by(|x, y| x.0.cmp(&y.0));
    let mut found = Vec::new();
    let (mut xs, mut ys) = (a.into_iter().peekable(), b.into_iter().peekable());
    loop {
        let order = match (xs.peek(), ys.peek()) {
            (None, None) => return found,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(x), Some(y)) => x.0.cmp(&y.0),
        };
        let before = if order.is_le() { xs.next().map(|x| x.1) } else { None };
        let after = if order.is_ge() { ys.next().map(|y| y.1) } else { None };
        if !before.zip(after).is_some_and(|(x, y)| same(x, y)) {
            found.push(Pair { before, after });
        }
    }
}

/// What is known of a node: class, attributes, what it belongs to, when it was seen and ended, who told.
type Known<'a> = (usize, Vec<(usize, &'a Value)>, Vec<u64>, &'a Runs, Option<Time>, Vec<&'a str>);

fn node<'a>(graph: &'a Graph, id: NodeId, terms: Option<&Terms>) -> Option<Known<'a>> {
    let n = graph.raw(id)?;
    let attr = |a: ontology::AttrId| Terms::of(terms.map(|t| &t.attrs), a.index());
    let mut attrs: Vec<(usize, &Value)> = n.attrs.iter().map(|(a, s)| (attr(*a), &s.value)).collect();
    attrs.sort_by_key(|a| a.0);
    let mut owners: Vec<u64> = n.owners.iter().map(|o| graph.order(*o)).collect();
    owners.sort_unstable();
    let class = Terms::of(terms.map(|t| &t.classes), n.class.index());
    Some((class, attrs, owners, &n.seen, n.ended, graph.told_by(id)))
}

fn nodes(before: &Graph, after: &Graph, terms: &Terms) -> Vec<Pair<NodeId>> {
    let listed = |graph: &Graph| -> Vec<(u128, NodeId)> {
        let all = (0..).map(NodeId).zip(graph.nodes.iter());
        all.filter_map(|(id, n)| Some((n.as_ref()?.key.hash, id))).collect()
    };
    merge(listed(before), listed(after), |x, y| node(before, x, None) == node(after, y, Some(terms)))
}

fn edges(before: &Graph, after: &Graph, terms: &Terms) -> Vec<Pair<EdgeId>> {
    let listed = |graph: &Graph, terms: Option<&Terms>| -> Vec<((u64, u64, usize), EdgeId)> {
        let key = |e: &crate::Edge| {
            let relation = Terms::of(terms.map(|t| &t.relations), e.relation.index());
            (graph.order(e.from), graph.order(e.to), relation)
        };
        graph.edges().map(|(id, e)| (key(e), id)).collect()
    };
    let told = |graph: &Graph, id: EdgeId| graph.edge(id).map(|e| (e.seen.clone(), graph.edge_ended(e)));
    let same_sources = same_names(before, after);
    let (went, goes) = (digests(before), digests(after));
    let flow = |of: &[u128], id: EdgeId| of.get(id.0 as usize).copied().unwrap_or(0);
    merge(listed(before, None), listed(after, Some(terms)), |x, y| {
        let sources = |x: EdgeId, y: EdgeId| {
            let set = |g: &Graph, id: EdgeId| g.edge(id).map(|e| e.sources);
            (same_sources && set(before, x) == set(after, y))
                || before.edge_sources(x) == after.edge_sources(y)
        };
        told(before, x) == told(after, y) && flow(&went, x) == flow(&goes, y) && sources(x, y)
    })
}

/// Whether sets of sources are the same sets under the same numbers.
fn same_names(a: &Graph, b: &Graph) -> bool {
    a.sets.is(&b.sets) && a.sources == b.sources
}

/// By edge, a digest of all that went along it: by side, cohort, minute and amount, in no order.
fn digests(graph: &Graph) -> Vec<u128> {
    let mut all = vec![0_u128; graph.edges.len()];
    let cohorts: Vec<u128> =
        (0..).map(CohortId).take(graph.cohorts.len()).map(|c| cohort(graph, c)).collect();
    graph.flows.each_cell(|edge, side, cohort, minute, bytes| {
        if let Some(sum) = all.get_mut(edge.0 as usize) {
            let cohort = cohorts.get(cohort.0 as usize).copied().unwrap_or(0);
            let head = u128::from(minute.0.cast_unsigned()) << 1 | u128::from(side == crate::Side::Asked);
            *sum = sum.wrapping_add(digest(bytes.chunks(16).map(word), mixed(cohort, head)));
        }
    });
    all
}

fn word(bytes: &[u8]) -> u128 {
    bytes.iter().fold(1, |all, b| all << 8 | u128::from(*b))
}

/// A cohort by the keys of what it names.
fn cohort(graph: &Graph, id: CohortId) -> u128 {
    let mut keys: Vec<u64> = graph.cohort(id).iter().map(|n| graph.order(*n)).collect();
    keys.sort_unstable();
    digest(keys.into_iter().map(u128::from), 0)
}

/// Two lanes of multiplying and folding, as wyhash does: by chance, two of a thousand million million things agree in
/// one of a thousand million cases.
fn digest(words: impl Iterator<Item = u128>, seed: u128) -> u128 {
    words.fold(seed, mixed)
}

#[expect(clippy::cast_possible_truncation, reason = "halves are mixed one by one")]
fn mixed(state: u128, word: u128) -> u128 {
    let lane = |a: u64, b: u64| {
        let wide = u128::from(a) * u128::from(b);
        (wide >> 64) as u64 ^ wide as u64
    };
    let (low, high) = (state as u64, (state >> 64) as u64);
    let (x, y) = (word as u64, (word >> 64) as u64);
    let a = lane(low ^ x ^ 0x9e37_79b9_7f4a_7c15, high ^ y ^ 0xd6e8_feb8_6659_fd93);
    let b = lane(high ^ x ^ 0xe703_7ed1_a0b4_28db, low ^ y ^ 0x8ebc_6af0_9c88_c6e3);
    let (a, b) = (a.wrapping_add(x.rotate_left(29)), b.wrapping_add(y.rotate_left(17) ^ x));
    u128::from(lane(a ^ 0x5895_65ed_2d1c_8a27, b | 1)) << 64
        | u128::from(lane(b ^ 0x2d35_8dcc_aa6c_78a5, a | 1) ^ b)
}

/// Measure, subject and what the cohort names.
type SeriesKey = (usize, u64, Vec<u64>);

fn series(before: &Graph, after: &Graph, terms: &Terms) -> Vec<Pair<SeriesId>> {
    let listed = |graph: &Graph, terms: Option<&Terms>| -> Vec<(SeriesKey, SeriesId)> {
        let key = |s: &crate::Series| {
            let mut cohort: Vec<u64> = graph.cohort(s.cohort).iter().map(|n| graph.order(*n)).collect();
            cohort.sort_unstable();
            let measure = Terms::of(terms.map(|t| &t.measures), s.measure.index());
            (measure, graph.order(s.subject), cohort)
        };
        let all = (0..).map(SeriesId).zip(&graph.series).filter(|(_, s)| s.says_anything());
        all.map(|(id, s)| (key(s), id)).collect()
    };
    merge(listed(before, None), listed(after, Some(terms)), |x, y| {
        before.series_at(x).zip(after.series_at(y)).is_some_and(|(x, y)| x.says_the_same(y))
    })
}
