//! Everything one record names, taken together: its edges, its cohorts, who was there. Worked out once per distinct scene,
//! because a thousand spans of one operation on one instance are the same scene.

use crate::cardinality::Targets;
use crate::draw::Draw;
use crate::plan::Plan;
use crate::recognise::Found;
use crate::refusal::Refusals;
use crate::tell::Related;
use ontology::mapping::{Pick, Source};
use ontology::{Minute, Ontology, Ref, Refused, RelationId, Time};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// One scene.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Everything in it, for steps.
    pub here: Arc<[Ref]>,
    /// Its edges.
    related: Vec<(RelationId, Ref, Ref)>,
    /// What of its edges is set aside.
    refused: Vec<Refused>,
    /// Where its edges lead to.
    targets: Targets,
    /// Everyone, edges' ends in a role included.
    everyone: Vec<Ref>,
    /// What a population can be split by.
    dimensions: Vec<Ref>,
    /// By subject.
    cohorts: Vec<(Ref, Arc<[Ref]>)>,
    /// The minute it was told of last.
    told: Option<Minute>,
}

/// A part of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// What is no event.
    Lasting,
    /// Events.
    Events,
}

/// The scenes of a batch.
#[derive(Debug, Default)]
pub(crate) struct Scenes {
    all: Vec<Scene>,
    index: FxHashMap<u128, usize>,
    told: FxHashSet<(usize, Minute)>,
    bytes: Vec<u8>,
}

impl Scenes {
    /// The number of the scene that these found things are.
    pub(crate) fn number(&mut self, o: &Ontology, plan: &Plan, found: &[Found], draw: &mut Draw) -> usize {
        self.bytes.clear();
        for f in found {
            self.bytes.extend_from_slice(&f.source.to_le_bytes());
            self.bytes.extend_from_slice(&f.table.to_le_bytes());
            self.bytes.extend_from_slice(&f.index.to_le_bytes());
            self.bytes.extend_from_slice(&f.node.0.to_le_bytes());
        }
        let hash = xxh3_128(&self.bytes);
        if let Some(known) = self.index.get(&hash) {
            return *known;
        }
        let scene = scene(o, plan, found, draw);
        let number = self.all.len();
        self.all.push(scene);
        self.index.insert(hash, number);
        number
    }

    /// What of a scene's own edges is set aside, to be counted for each record of it.
    pub(crate) fn refused(&self, number: usize) -> &[Refused] {
        self.all.get(number).map_or(&[], |s| &s.refused)
    }

    /// The written edges of a record that fit beside those of its scene and one another; what does not is counted.
    pub(crate) fn fitting(&self, number: usize, o: &Ontology, written: &mut Vec<Related>, draw: &mut Draw) {
        if written.is_empty() {
            return;
        }
        let mut targets = self.all.get(number).map(|s| s.targets.clone()).unwrap_or_default();
        written.retain(|r| targets.fits(o, (r.relation, r.from, r.to), draw));
    }

    /// Tells that everything in a scene was there and held in a minute.
    pub(crate) fn tell(&mut self, number: usize, minute: Minute, draw: &mut Draw) {
        let Some(scene) = self.all.get_mut(number) else { return };
        if scene.told == Some(minute) {
            return;
        }
        scene.told = Some(minute);
        if !self.told.insert((number, minute)) {
            return;
        }
        for r in &scene.everyone {
            draw.see(*r, minute);
        }
        for (relation, from, to) in &scene.related {
            draw.relate(*relation, *from, *to, minute);
        }
    }

    /// Everyone in a scene, in a role or not, and their edges.
    pub(crate) fn all_of(&self, number: usize) -> (&[Ref], &[(RelationId, Ref, Ref)]) {
        self.all.get(number).map_or((&[], &[]), |s| (s.everyone.as_slice(), s.related.as_slice()))
    }

    /// Tells that a part of a scene is there and holds at the moment it is told at: what lasts of it, or its events.
    pub(crate) fn tell_now(
        &mut self,
        number: usize,
        (now, part): (Time, Told),
        plan: &Plan,
        draw: &mut Draw,
    ) {
        let Some(scene) = self.all.get(number) else { return };
        let event = |r: Ref, draw: &Draw| {
            let class = draw.drafts.get(r.0 as usize).map(|d| d.class.index());
            class.and_then(|c| plan.happened.get(c)).is_some_and(|times| !times.is_empty())
        };
        for r in &scene.everyone {
            if event(*r, draw) == (part == Told::Events) {
                draw.see_now(*r, now);
            }
        }
        for (relation, from, to) in &scene.related {
            if part == Told::Lasting && !event(*from, draw) && !event(*to, draw) {
                draw.relate(*relation, *from, *to, now.minute());
            }
        }
    }

    /// Everything in a scene.
    pub(crate) fn here(&self, number: usize) -> Arc<[Ref]> {
        self.all.get(number).map_or_else(|| Arc::from([]), |s| Arc::clone(&s.here))
    }

    /// The population that a measure on one thing of the scene tells of.
    pub(crate) fn cohort(&mut self, number: usize, subject: Ref, draw: &mut Draw) -> Arc<[Ref]> {
        let Some(scene) = self.all.get_mut(number) else { return Arc::from([]) };
        if let Some((_, known)) = scene.cohorts.iter().find(|(s, _)| *s == subject) {
            return Arc::clone(known);
        }
        let others = scene.dimensions.iter().copied().filter(|r| *r != subject).collect();
        let cohort = draw.list(others);
        scene.cohorts.push((subject, Arc::clone(&cohort)));
        cohort
    }
}

fn scene(o: &Ontology, plan: &Plan, found: &[Found], draw: &mut Draw) -> Scene {
    let mut related: Vec<(RelationId, Ref, Ref)> = Vec::new();
    for f in found {
        related.extend(draw.key_edges(f.node).iter().map(|(r, to)| (*r, f.node, *to)));
    }
    let mut sources: Vec<u16> = found.iter().map(|f| f.source).collect();
    sources.sort_unstable();
    sources.dedup();
    for number in sources {
        let Some(source) = o.mapping.sources.get(usize::from(number)) else { continue };
        let of =
            |table: usize| found.iter().filter(move |f| f.source == number && usize::from(f.table) == table);
        for edge in &source.auto {
            // Tables that repeat are read side by side; one that does not stands beside every element.
            let (many_from, many_to) = (of(edge.from).count() > 1, of(edge.to).count() > 1);
            for a in of(edge.from) {
                for b in of(edge.to) {
                    if a.index == b.index || !many_from || !many_to {
                        related.push((edge.relation, a.node, b.node));
                    }
                }
            }
        }
    }
    let plain = || found.iter().filter(|f| f.role.is_none());
    for a in plain() {
        for b in plain().filter(|b| b.node != a.node) {
            let implied = plan.auto_between(a.class, b.class);
            related.extend(implied.iter().map(|r| (*r, a.node, b.node)));
        }
    }
    related.retain(|(_, from, to)| from != to);
    let before = std::mem::replace(&mut draw.refused, Refusals::verbatim());
    let mut targets = Targets::default();
    related.retain(|edge| targets.fits(o, *edge, draw));
    let refused = std::mem::replace(&mut draw.refused, before).take();
    related.sort_unstable();
    related.dedup();
    let mut everyone: Vec<Ref> = found.iter().map(|f| f.node).collect();
    everyone.sort_unstable();
    everyone.dedup();
    let dimension = |f: &&Found| plan.dimension.get(f.class.index()).copied().unwrap_or(false);
    Scene {
        here: draw.list(plain().map(|f| f.node).collect()),
        related,
        refused,
        targets,
        everyone,
        dimensions: plain().filter(dimension).map(|f| f.node).collect(),
        cohorts: Vec::new(),
        told: None,
    }
}

/// The things of a record that a written end means: the first choice that is there, from the source that wrote it if it can be.
pub(crate) fn picked<'f>(
    o: &Ontology,
    number: usize,
    picks: &[Pick],
    found: &'f [Found],
) -> impl Iterator<Item = &'f Found> + use<'f> {
    let fits = |p: &Pick, f: &Found| o.fits(*p, f.class, f.role);
    let near = |f: &Found| usize::from(f.source) == number;
    let first = picks.iter().find_map(|p| {
        let mut all = found.iter().filter(|f| fits(p, f));
        all.clone().find(|f| near(f)).or_else(|| all.next())
    });
    // A table that gave several gives all of them.
    let (source, table) = first.map_or((u16::MAX, u16::MAX), |f| (f.source, f.table));
    found.iter().filter(move |f| f.source == source && f.table == table)
}

/// The source at a place.
pub(crate) fn source(o: &Ontology, number: usize) -> Option<&Source> {
    o.mapping.sources.get(number)
}
