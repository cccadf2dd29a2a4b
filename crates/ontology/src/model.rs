//! The ontology after loading: every name resolved to a small id, every id an index into a table.
//!
//! Ids are given in file order, so the same files give the same ids.

use crate::actions::Action;
use crate::lexicon::Lexicon;
use crate::mapping::Mapping;
use crate::problems::Problem;
use crate::rules::{Question, Rules};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The attribute that says when something began.
pub const STARTED: &str = "started_at";
/// The attribute that says when it ended.
pub const ENDED: &str = "ended_at";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u16);
        impl $name {
            /// Its place in the table it indexes.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(/** A class: `Service`, `Session`. */ ClassId);
id!(/** A relation: `runs_on`. */ RelationId);
id!(/** A measure: `view.ttr`. */ MeasureId);
id!(/** An attribute of a class: `Service.name`. */ AttrId);
id!(/** A kind of trouble: `latency`. */ AspectId);

/// What an attribute's value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Yes or no.
    Bool,
    /// A moment.
    Time,
    /// A length of time, kept in seconds.
    Duration,
    /// A size, kept in bytes.
    Bytes,
    /// A share, usually 0..1.
    Ratio,
    /// A version string.
    Version,
    /// A URL.
    Url,
    /// Personal: only its keyed hash is ever stored.
    Hash,
    /// One of these words.
    OneOf(Vec<String>),
}

/// One attribute.
#[derive(Clone, Debug)]
pub struct Attr {
    /// Its name: `name`.
    pub name: String,
    /// The class that declares it.
    pub class: ClassId,
    /// What its value must be.
    pub ty: Type,
    /// Names it had before, oldest first.
    pub was: Vec<String>,
    /// What it is.
    pub doc: String,
}

/// How many nodes of a class are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Every one.
    Each,
    /// For a while, then folded into cohorts.
    Sampled,
}

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// The value of an attribute of the class.
    Attr(AttrId),
    /// The identity of the node that an n..1 relation leads to.
    Relation(RelationId),
}

/// One class.
#[derive(Clone, Debug)]
pub struct Class {
    /// `Service`.
    pub name: String,
    /// The file section it stands in: `svc`.
    pub namespace: String,
    /// What it is a kind of.
    pub is: Option<ClassId>,
    /// Abstract classes have no nodes of their own.
    pub is_abstract: bool,
    /// Its keys: `key` first, then each `also`.
    pub keys: Vec<Vec<KeyPart>>,
    /// Events told by several sources: same values here…
    pub near_same: Vec<KeyPart>,
    /// …and starts this close together, in seconds.
    pub near_secs: i64,
    /// Its attributes, inherited ones included.
    pub attrs: Vec<AttrId>,
    /// How many of its nodes are kept.
    pub grain: Grain,
    /// Its nodes are made of what programs write: there is no end to them, so they have a bound of their own.
    pub open: bool,
    /// An entity not seen for this many seconds is gone.
    pub life_secs: i64,
    /// The attribute in which a source says how often it tells of an entity, in seconds; it wins over `life_secs`.
    pub interval: Option<AttrId>,
    /// Other words for it.
    pub names: Vec<String>,
    /// What it is.
    pub doc: String,
    /// Names it had before, oldest first.
    pub was: Vec<String>,
}

impl Class {
    /// The name it had first. Keys are made from it, so that another name gives nothing another id.
    pub fn original(&self) -> &str {
        first_of(&self.was, &self.name)
    }
}

fn first_of<'a>(was: &'a [String], name: &'a str) -> &'a str {
    was.first().map_or(name, String::as_str)
}

/// How long a relation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Said once, true for good.
    Fixed,
    /// Until contradicted or no longer seen.
    While,
    /// Traffic: the edge carries flow statistics per minute.
    Flow,
}

/// When an edge is implied by both ends being recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto {
    /// Never.
    No,
    /// In the same mapping table.
    Table,
    /// Anywhere in the same record.
    Record,
}

/// Which way trouble travels along a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Travel {
    /// `<-`: from target to source.
    ToSource,
    /// `->`: from source to target.
    ToTarget,
}

/// How trouble travels along a relation.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which way.
    pub travel: Travel,
    /// Prior chance that it gets through, 0..1.
    pub prior: f64,
    /// Shortest usual delay in seconds.
    pub delay_min_secs: i64,
    /// Longest usual delay in seconds.
    pub delay_max_secs: i64,
    /// Which kinds of trouble get through.
    pub aspects: Vec<AspectId>,
}

/// One relation.
#[derive(Clone, Debug)]
pub struct Relation {
    /// `runs_on`.
    pub name: String,
    /// Allowed (domain, range) pairs; an abstract class stands for all below it.
    pub arrows: Vec<(ClassId, ClassId)>,
    /// One target at a time.
    pub single: bool,
    /// How long it holds.
    pub holds: Holds,
    /// When it is implied.
    pub auto: Auto,
    /// The more general relation it is a case of.
    pub is: Option<RelationId>,
    /// Drawn by rules.
    pub derived: bool,
    /// How trouble travels along it.
    pub faults: Vec<Fault>,
    /// Names it had before, oldest first.
    pub was: Vec<String>,
    /// What it says.
    pub doc: String,
}

/// Which way a measure is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Small values are good.
    Lower,
    /// Large values are good.
    Higher,
    /// Any large move is news.
    Steady,
}

/// How a measure is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureKind {
    /// A length of time; kept as a sketch.
    Duration,
    /// Bad ones over all; kept as two sums.
    Ratio,
    /// Happenings per time.
    Rate,
    /// A level.
    Gauge,
}

/// The statistic people mean when they say a measure's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Show {
    /// The arithmetic mean (ratios, rates).
    Mean,
    /// A quantile, 0..1.
    Quantile(f64),
    /// The largest.
    Max,
}

/// One measure.
#[derive(Clone, Debug)]
pub struct Measure {
    /// `view.ttr`.
    pub name: String,
    /// The class that carries it.
    pub of: ClassId,
    /// Which kind of trouble a bad value is.
    pub aspect: AspectId,
    /// Which way is bad.
    pub better: Better,
    /// How it is kept.
    pub kind: MeasureKind,
    /// Its unit (UCUM): `ms`, `1`, `By`.
    pub unit: String,
    /// The statistic people mean.
    pub show: Show,
    /// Smallest relative change worth a regression.
    pub care_change: f64,
    /// Fewest samples to say so.
    pub care_samples: u64,
    /// Measures that add up to this one.
    pub parts: Vec<MeasureId>,
    /// What it is.
    pub doc: String,
    /// Names it had before, oldest first.
    pub was: Vec<String>,
}

impl Measure {
    /// The name it had first: items are counted once by it, whatever it is called now.
    pub fn original(&self) -> &str {
        first_of(&self.was, &self.name)
    }
}

/// One kind of trouble.
#[derive(Clone, Debug)]
pub struct Aspect {
    /// `saturation`.
    pub name: String,
    /// What it turns into on the same component, with weight.
    pub becomes: Vec<(AspectId, f64)>,
}

/// Where one of our words meets other people's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Whose words: `prov`.
    pub vocabulary: String,
    /// The class, relation or attribute of ours.
    pub ours: String,
    /// Words of theirs that mean nearly the same.
    pub theirs: Vec<String>,
}

/// The whole ontology, loaded and checked.
#[derive(Clone, Debug, Default)]
pub struct Ontology {
    /// Name of the ontology: `e2e/core`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What tells this text of it from any other: a hash of all its files.
    pub fingerprint: u64,
    /// Base IRI of its terms.
    pub iri: String,
    /// What extends it: name and version as the heads of a site's files say.
    pub sites: Vec<(String, String)>,
    /// What is not wrong but should be known: old names that a site's files still use.
    pub notes: Vec<Problem>,
    /// Indexed by [`ClassId`].
    pub classes: Vec<Class>,
    /// Indexed by [`AttrId`].
    pub attrs: Vec<Attr>,
    /// Indexed by [`RelationId`].
    pub relations: Vec<Relation>,
    /// Indexed by [`MeasureId`].
    pub measures: Vec<Measure>,
    /// Indexed by [`AspectId`].
    pub aspects: Vec<Aspect>,
    /// How raw records become facts.
    pub mapping: Mapping,
    /// What follows from what.
    pub rules: Rules,
    /// What may be done.
    pub actions: Vec<Action>,
    /// The words people use.
    pub lexicon: Lexicon,
    /// What it must be able to answer.
    pub questions: Vec<Question>,
    /// Where our words meet other people's.
    pub alignments: Vec<Alignment>,
    /// Other people's vocabularies that have IRIs: name and what their words begin with.
    pub vocabularies: BTreeMap<String, String>,
    /// Name to id.
    pub(crate) class_by_name: BTreeMap<String, ClassId>,
    /// Name to id.
    pub(crate) relation_by_name: BTreeMap<String, RelationId>,
    /// Name to id.
    pub(crate) measure_by_name: BTreeMap<String, MeasureId>,
}

impl Ontology {
    /// The class with this name.
    pub fn class(&self, name: &str) -> Option<ClassId> {
        self.class_by_name.get(name).copied()
    }

    /// The relation with this name.
    pub fn relation(&self, name: &str) -> Option<RelationId> {
        self.relation_by_name.get(name).copied()
    }

    /// The measure with this name.
    pub fn measure(&self, name: &str) -> Option<MeasureId> {
        self.measure_by_name.get(name).copied()
    }

    /// The attribute of a class (or one it inherits) with this name.
    pub fn attr(&self, class: ClassId, name: &str) -> Option<AttrId> {
        let class = self.classes.get(class.index())?;
        let find = |fits: &dyn Fn(&Attr) -> bool| {
            class.attrs.iter().copied().find(|a| self.attrs.get(a.index()).is_some_and(fits))
        };
        find(&|a| a.name == name).or_else(|| find(&|a| a.was.iter().any(|w| w == name)))
    }

    /// Whether things of a class are events: they are kept each and say when they began ([`STARTED`]).
    pub fn is_event(&self, class: ClassId) -> bool {
        self.classes.get(class.index()).is_some_and(|c| c.grain == Grain::Each)
            && self.attr(class, STARTED).is_some()
    }

    /// Where a name is an old one: what it is (`class`, `relation`, `measure`), and what it is called now.
    pub fn renamed(&self, name: &str) -> Option<(&'static str, &str)> {
        let class = self.class(name).and_then(|c| self.classes.get(c.index())).map(|c| ("class", &c.name));
        let relation =
            || self.relation(name).and_then(|r| self.relations.get(r.index())).map(|r| ("relation", &r.name));
        let measure =
            || self.measure(name).and_then(|m| self.measures.get(m.index())).map(|m| ("measure", &m.name));
        let (what, now) = class.or_else(relation).or_else(measure)?;
        (now != name).then_some((what, now.as_str()))
    }

    /// The aspect with this name.
    pub fn aspect(&self, name: &str) -> Option<AspectId> {
        (0..).map(AspectId).zip(&self.aspects).find(|(_, a)| a.name == name).map(|(id, _)| id)
    }

    /// The name of a class; empty for an id of another ontology.
    pub fn class_name(&self, class: ClassId) -> &str {
        self.classes.get(class.index()).map_or("", |c| &c.name)
    }

    /// The name of a relation; empty for an id of another ontology.
    pub fn relation_name(&self, relation: RelationId) -> &str {
        self.relations.get(relation.index()).map_or("", |r| &r.name)
    }

    /// The classes that have nodes and are `general` or a kind of it, in file order.
    pub fn kinds_of(&self, general: ClassId) -> impl Iterator<Item = ClassId> + '_ {
        (0..)
            .map(ClassId)
            .zip(&self.classes)
            .filter(move |(id, c)| !c.is_abstract && self.is_a(*id, general))
            .map(|(id, _)| id)
    }

    /// The relations in the keys of a class and of what is below it: those who share their targets are siblings.
    pub fn key_relations(&self, class: ClassId) -> BTreeSet<RelationId> {
        let keys =
            self.kinds_of(class).filter_map(|c| self.classes.get(c.index())).filter_map(|c| c.keys.first());
        keys.flatten()
            .filter_map(|part| match part {
                KeyPart::Relation(r) => Some(*r),
                KeyPart::Attr(_) => None,
            })
            .collect()
    }

    /// Whether a relation may lead from one class to another.
    pub fn allows(&self, relation: RelationId, from: ClassId, to: ClassId) -> bool {
        let arrows = self.relations.get(relation.index()).map(|r| r.arrows.as_slice()).unwrap_or_default();
        arrows.iter().any(|(domain, range)| self.is_a(from, *domain) && self.is_a(to, *range))
    }

    /// Whether a relation is `general` or a special case of it.
    pub fn is_case_of(&self, special: RelationId, general: RelationId) -> bool {
        let mut at = Some(special);
        while let Some(r) = at {
            if r == general {
                return true;
            }
            at = self.relations.get(r.index()).and_then(|r| r.is);
        }
        false
    }

    /// Whether `class` is `general` or a kind of it.
    pub fn is_a(&self, class: ClassId, general: ClassId) -> bool {
        let mut at = Some(class);
        while let Some(c) = at {
            if c == general {
                return true;
            }
            at = self.classes.get(c.index()).and_then(|c| c.is);
        }
        false
    }
}
