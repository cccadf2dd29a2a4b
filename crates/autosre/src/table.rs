//! Who felt what, when: a measure's observations by cohort and minute, told apart along facets.
//!
//! A facet is a dimension of cohorts (`AppVersion`, `Cell of lolomo_rows`), the subject itself, or a coarser reading of a
//! dimension by an attribute that several of its members share (the maker of device models). Facets that split people
//! exactly as an earlier one does are left out: they could only repeat what it says.

use crate::vocabulary::{Tier, Vocabulary};
use graph::{NodeId, Series};
use ontology::model::{KeyPart, MeasureKind, Type};
use ontology::{ClassId, MeasureId, Minute, Stretch};
use query::{Dim, Filter, View};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// What a facet says of people: what they run, how they are connected, or what they asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// What was waited for.
    Asked,
    /// Where users are.
    Where,
    /// A side of the system.
    Side(Tier),
}

/// One value of a facet.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// What people call it.
    pub label: String,
    /// The components it stands for.
    pub nodes: Vec<NodeId>,
}

/// One way to tell cohorts apart.
#[derive(Clone, Debug)]
pub struct Facet {
    /// What people call it.
    pub name: String,
    /// Class of its components.
    pub class: ClassId,
    /// What it says of people.
    pub role: Role,
    /// Its values; the first stands for "names none".
    pub levels: Vec<Level>,
    /// Whether it reads a dimension by an attribute.
    pub coarse: bool,
}

/// Observations of one leaf in one minute.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Index of its leaf.
    pub leaf: u32,
    /// When.
    pub minute: Minute,
    /// How many.
    pub n: f64,
    /// Sum of logarithms; for ratios, how many were bad.
    pub sum: f64,
    /// Sum of squared logarithms; unused for ratios.
    pub square: f64,
}

/// The observations.
#[derive(Clone, Debug)]
pub struct Table {
    /// The measure.
    pub measure: MeasureId,
    /// Whether it is a share of bad ones rather than a size.
    pub ratio: bool,
    /// `1.0` when large is bad, `-1.0` when small is bad.
    pub sign: f64,
    /// The facets.
    pub facets: Vec<Facet>,
    /// Levels of each leaf, in facet order.
    pub leaves: Vec<Vec<u16>>,
    /// The observations, by minute, then leaf.
    pub rows: Vec<Row>,
}

/// More cohorts than this are too many to keep apart on the way to an answer within a second; the rarest facets go first.
const MOST_LEVELS: usize = 600;

struct Source<'a> {
    subject: NodeId,
    series: Vec<&'a Series>,
}

impl Table {
    /// Reads the observations of a measure on some subjects, by cohorts that pass a filter, in a stretch.
    pub fn read(
        view: &View<'_>,
        vocabulary: &Vocabulary,
        measure: MeasureId,
        subjects: &[NodeId],
        filter: &Filter,
        during: Stretch,
    ) -> Option<Table> {
        Table::read_by(view, vocabulary, measure, subjects, filter, during, |_| true)
    }

    /// The same, told apart only by components of some classes: what is beside the point costs nothing.
    pub(crate) fn read_by(
        view: &View<'_>,
        vocabulary: &Vocabulary,
        measure: MeasureId,
        subjects: &[NodeId],
        filter: &Filter,
        during: Stretch,
        keep: impl Fn(ClassId) -> bool,
    ) -> Option<Table> {
        let about = view.measure(measure)?;
        let during = view.clip(during);
        let sources: Vec<Source<'_>> = subjects
            .iter()
            .map(|s| Source { subject: *s, series: view.series(measure, Some(*s), filter) })
            .filter(|s| !s.series.is_empty())
            .collect();
        let ratio = about.kind == MeasureKind::Ratio && !valued(&sources, during);
        let mut dims: Vec<Dim> = query::cohort::dimensions(
            view.graph,
            sources.iter().flat_map(|s| s.series.iter().map(|x| x.cohort)),
        );
        dims.retain(|d| !view.ontology().is_a(d.class, about.of) && keep(d.class));
        let mut facets = vec![Facet {
            name: view.ontology().classes.get(about.of.index())?.name.clone(),
            class: about.of,
            role: role(view, vocabulary, about.of),
            levels: vec![none()],
            coarse: false,
        }];
        facets.extend(dims.iter().map(|d| Facet {
            name: d.name(view.graph),
            class: d.class,
            role: role(view, vocabulary, d.class),
            levels: vec![none()],
            coarse: false,
        }));
        // Which facet and level a component stands for, found out once per component: cohorts name few in many combinations.
        let mut places: FxHashMap<NodeId, Vec<(usize, u16)>> = FxHashMap::default();
        let place = |node: NodeId, facets: &mut Vec<Facet>| -> Vec<(usize, u16)> {
            let class = view.graph.node(node).map(|n| n.class);
            let parent = query::cohort::parent(view.graph, node);
            dims.iter()
                .enumerate()
                .filter(|(_, d)| {
                    class.is_some_and(|c| view.ontology().is_a(c, d.class))
                        && d.within.is_none_or(|w| parent == Some(view.graph.resolve(w)))
                })
                .filter_map(|(i, _)| {
                    let facet = facets.get_mut(i + 1)?;
                    facet.levels.push(Level { label: view.graph.name(node), nodes: vec![node] });
                    Some((i + 1, u16::try_from(facet.levels.len() - 1).ok()?))
                })
                .collect()
        };
        let mut leaf_of: FxHashMap<Vec<u16>, u32> = FxHashMap::default();
        let mut cells: FxHashMap<(Minute, u32), (f64, f64, f64)> = FxHashMap::default();
        let (from, to) = (during.from.minute(), during.to.minute());
        for source in &sources {
            let own = facets.first_mut().map_or(0, |f| {
                f.levels.push(Level { label: view.graph.name(source.subject), nodes: vec![source.subject] });
                u16::try_from(f.levels.len() - 1).unwrap_or(0)
            });
            for series in &source.series {
                let within = series.between(from, to);
                if within.is_empty() {
                    continue;
                }
                let mut key = vec![0; facets.len()];
                key[0] = own;
                for member in view.graph.cohort(series.cohort) {
                    let node = view.graph.resolve(*member);
                    let known = places.entry(node).or_insert_with(|| place(node, &mut facets));
                    for (facet, level) in known.iter() {
                        if key[*facet] == 0 {
                            key[*facet] = *level;
                        }
                    }
                }
                let next = u32::try_from(leaf_of.len()).unwrap_or(u32::MAX);
                let leaf = *leaf_of.entry(key).or_insert(next);
                for (minute, stat) in within {
                    let n = if ratio { stat.tries() } else { stat.count as f64 };
                    if n <= 0.0 {
                        continue;
                    }
                    let cell = cells.entry((*minute, leaf)).or_default();
                    cell.0 += n;
                    if ratio {
                        cell.1 += stat.bad_tries();
                    } else {
                        let mean = stat.log_mean().unwrap_or(0.0);
                        cell.1 += n * mean;
                        cell.2 += stat.log_variance().unwrap_or(0.0) * (n - 1.0) + n * mean * mean;
                    }
                }
            }
        }
        let mut leaves = vec![Vec::new(); leaf_of.len()];
        for (key, leaf) in leaf_of {
            if let Some(at) = leaves.get_mut(leaf as usize) {
                *at = key;
            }
        }
        let rows = cells
            .into_iter()
            .map(|((minute, leaf), (n, sum, square))| Row { leaf, minute, n, sum, square })
            .collect();
        let sign = if about.better == ontology::model::Better::Higher { -1.0 } else { 1.0 };
        let mut table = Table { measure, ratio, sign, facets, leaves, rows };
        table.settle_order();
        table.coarsen(view);
        table.prune();
        Some(table)
    }

    /// Renumbers levels by name, so that nothing depends on the order in which cohorts were first met.
    fn settle_order(&mut self) {
        for (i, facet) in self.facets.iter_mut().enumerate() {
            let mut order: Vec<usize> = (1..facet.levels.len()).collect();
            order.sort_by(|a, b| facet.levels[*a].label.cmp(&facet.levels[*b].label));
            let mut new_of = vec![0u16; facet.levels.len()];
            let mut levels = vec![none()];
            for old in order {
                new_of[old] = u16::try_from(levels.len()).unwrap_or(0);
                levels.push(facet.levels[old].clone());
            }
            facet.levels = levels;
            for leaf in &mut self.leaves {
                if let Some(at) = leaf.get_mut(i) {
                    *at = new_of.get(*at as usize).copied().unwrap_or(0);
                }
            }
        }
        let mut order: Vec<usize> = (0..self.leaves.len()).collect();
        order.sort_by(|a, b| self.leaves[*a].cmp(&self.leaves[*b]));
        let mut new_of = vec![0u32; self.leaves.len()];
        for (new, old) in order.iter().enumerate() {
            new_of[*old] = u32::try_from(new).unwrap_or(u32::MAX);
        }
        self.leaves = order.iter().map(|old| self.leaves[*old].clone()).collect();
        for row in &mut self.rows {
            row.leaf = new_of.get(row.leaf as usize).copied().unwrap_or(0);
        }
        self.rows.sort_by_key(|r| (r.minute, r.leaf));
    }

    /// Adds coarser readings of facets by attributes that are part of a key or take one of a few words, and by what their
    /// members belong to.
    fn coarsen(&mut self, view: &View<'_>) {
        let o = view.ontology();
        let mut added: Vec<(Facet, usize, Vec<u16>)> = Vec::new();
        for (i, facet) in self.facets.iter().enumerate() {
            let Some(class) = o.classes.get(facet.class.index()) else { continue };
            let by_key = |a: &ontology::AttrId| {
                class.keys.first().is_some_and(|k| k.len() > 1 && k.contains(&KeyPart::Attr(*a)))
            };
            let readable =
                |a: &ontology::AttrId| o.attrs.get(a.index()).is_some_and(|x| matches!(x.ty, Type::OneOf(_)));
            for attr in class.attrs.iter().copied().filter(|a| by_key(a) || readable(a)) {
                let value = |level: &Level| {
                    level.nodes.first().and_then(|n| view.graph.attr(*n, attr)).map(ToString::to_string)
                };
                let mut words: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
                for level in facet.levels.iter().skip(1) {
                    if let Some(word) = value(level) {
                        words.entry(word).or_default().extend(level.nodes.iter().copied());
                    }
                }
                if words.len() < 2 || words.len() + 1 >= facet.levels.len() {
                    continue;
                }
                let of = |level: &Level| {
                    let word = value(level)?;
                    u16::try_from(words.keys().position(|w| *w == word)? + 1).ok()
                };
                let map = facet.levels.iter().map(|l| of(l).unwrap_or(0)).collect();
                let attr_name = o.attrs.get(attr.index()).map_or("?", |a| a.name.as_str());
                let mut levels = vec![none()];
                levels.extend(words.into_iter().map(|(label, nodes)| Level { label, nodes }));
                let name = format!("{} {attr_name}", facet.name);
                added.push((
                    Facet { name, class: facet.class, role: facet.role, levels, coarse: true },
                    i,
                    map,
                ));
            }
        }
        for (i, facet) in self.facets.iter().enumerate() {
            added.extend(by_parent(view, facet).map(|(coarse, map)| (coarse, i, map)));
        }
        for (facet, from, map) in added {
            for leaf in &mut self.leaves {
                let fine = leaf.get(from).copied().unwrap_or(0);
                leaf.push(map.get(fine as usize).copied().unwrap_or(0));
            }
            self.facets.push(facet);
        }
    }

    /// Leaves out facets that cannot tell anyone apart.
    fn prune(&mut self) {
        let mut keep: Vec<usize> = Vec::new();
        for i in 0..self.facets.len() {
            let used: BTreeSet<u16> = self.leaves.iter().map(|l| l[i]).collect();
            let same = |j: usize| {
                let mut there: BTreeMap<u16, u16> = BTreeMap::new();
                let mut back: BTreeMap<u16, u16> = BTreeMap::new();
                self.leaves.iter().all(|l| {
                    *there.entry(l[i]).or_insert(l[j]) == l[j] && *back.entry(l[j]).or_insert(l[i]) == l[i]
                })
            };
            let repeats = keep.iter().any(|j| same(*j));
            if (i == 0 || used.len() > 1) && !repeats && self.facets[i].levels.len() <= MOST_LEVELS {
                keep.push(i);
            }
        }
        self.facets = keep.iter().map(|i| self.facets[*i].clone()).collect();
        for leaf in &mut self.leaves {
            *leaf = keep.iter().map(|i| leaf[*i]).collect();
        }
    }

    /// Keeps only some facets (the subject's always), so that what is known to be beside the point costs nothing.
    #[must_use]
    pub fn with_facets(mut self, keep: impl Fn(&Facet) -> bool) -> Table {
        let kept: Vec<usize> =
            (0..self.facets.len()).filter(|i| *i == 0 || self.facets.get(*i).is_some_and(&keep)).collect();
        self.facets = kept.iter().map(|i| self.facets[*i].clone()).collect();
        let short: Vec<Vec<u16>> =
            self.leaves.iter().map(|leaf| kept.iter().map(|i| leaf[*i]).collect()).collect();
        let mut distinct = short.clone();
        distinct.sort();
        distinct.dedup();
        let of: Vec<u32> = short
            .iter()
            .map(|key| distinct.binary_search(key).ok().and_then(|i| u32::try_from(i).ok()).unwrap_or(0))
            .collect();
        let mut rows: BTreeMap<(Minute, u32), Row> = BTreeMap::new();
        for r in &self.rows {
            let leaf = of.get(r.leaf as usize).copied().unwrap_or(0);
            let at = rows.entry((r.minute, leaf)).or_insert(Row {
                leaf,
                minute: r.minute,
                n: 0.0,
                sum: 0.0,
                square: 0.0,
            });
            at.n += r.n;
            at.sum += r.sum;
            at.square += r.square;
        }
        self.leaves = distinct;
        self.rows = rows.into_values().collect();
        self
    }

    /// The facet of a class, the coarser readings left out.
    pub fn facet(&self, class: ClassId) -> Option<usize> {
        self.facets.iter().position(|f| f.class == class && !f.coarse)
    }

    /// First and last minute with something.
    pub fn extent(&self) -> Option<(Minute, Minute)> {
        Some((self.rows.first()?.minute, self.rows.last()?.minute))
    }

    /// Whether a leaf passes conditions on facets.
    pub fn matches(&self, leaf: u32, terms: &[(usize, Vec<u16>)]) -> bool {
        let Some(leaf) = self.leaves.get(leaf as usize) else { return false };
        terms.iter().all(|(f, levels)| leaf.get(*f).is_some_and(|l| levels.contains(l)))
    }
}

/// A facet read by what its members belong to (the app of a version), when that tells them apart.
fn by_parent(view: &View<'_>, facet: &Facet) -> Option<(Facet, Vec<u16>)> {
    let parent = |level: &Level| query::cohort::parent(view.graph, *level.nodes.first()?);
    let mut parents: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
    for level in facet.levels.iter().skip(1) {
        let name = view.graph.name(parent(level)?);
        parents.entry(name).or_default().extend(level.nodes.iter().copied());
    }
    if parents.len() < 2 || parents.len() + 1 >= facet.levels.len() {
        return None;
    }
    let of = |level: &Level| {
        let name = view.graph.name(parent(level)?);
        u16::try_from(parents.keys().position(|p| *p == name)? + 1).ok()
    };
    let map = facet.levels.iter().map(|l| of(l).unwrap_or(0)).collect();
    let mut levels = vec![none()];
    levels.extend(parents.into_iter().map(|(label, nodes)| Level { label, nodes }));
    let name = format!("{} of", facet.name);
    Some((Facet { name, class: facet.class, role: facet.role, levels, coarse: true }, map))
}

fn none() -> Level {
    Level { label: "none".to_owned(), nodes: Vec::new() }
}

fn role(view: &View<'_>, vocabulary: &Vocabulary, class: ClassId) -> Role {
    let o = view.ontology();
    if o.is_a(class, vocabulary.place) {
        return Role::Where;
    }
    vocabulary.tier(o, class).map_or(Role::Asked, Role::Side)
}

fn valued(sources: &[Source<'_>], during: Stretch) -> bool {
    let (from, to) = (during.from.minute(), during.to.minute());
    sources
        .iter()
        .flat_map(|s| s.series.iter())
        .flat_map(|s| s.between(from, to))
        .any(|(_, stat)| stat.sketch.count() > 0)
}
