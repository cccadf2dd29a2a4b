//! The few names of the core ontology that reasoning cannot do without, each resolved once.
//!
//! Everything else is read off the ontology: a class by what it is a kind of and which namespace it stands in, a measure by
//! its subject, aspect and kind, a relation by its ends and by how trouble travels along it.

use ontology::model::{Better, Holds};
use ontology::{ClassId, MeasureId, Ontology, RelationId};
use serde::{Deserialize, Serialize};

/// The ontology lacks a name that reasoning stands on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ontology has no {kind} `{name}`, which answering rests on; add it or extend the core files")]
pub struct Lacking {
    /// class or relation.
    pub kind: &'static str,
    /// The name that is missing.
    pub name: &'static str,
}

/// On whose side something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// What runs in the user's hands.
    Client,
    /// Between the client and us.
    Network,
    /// What answers.
    Backend,
}

impl Tier {
    /// Every tier, from the user inwards.
    pub const ALL: [Tier; 3] = [Tier::Client, Tier::Network, Tier::Backend];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Client => "client",
            Tier::Network => "network",
            Tier::Backend => "backend",
        }
    }
}

/// Sections of the class file and the side they stand on. `ux` is missing on purpose: what is felt says nothing about where
/// it comes from.
const TIERS: &[(&str, Tier)] = &[
    ("client", Tier::Client),
    ("exp", Tier::Client),
    ("net", Tier::Network),
    ("svc", Tier::Backend),
    ("data", Tier::Backend),
    ("infra", Tier::Backend),
];

/// The core names, resolved.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// One released build of something.
    pub version: ClassId,
    /// One option of a switch.
    pub treatment: ClassId,
    /// What decides between treatments.
    pub switch: ClassId,
    /// Something altered on purpose.
    pub change: ClassId,
    /// A claim that something is wrong.
    pub signal: ClassId,
    /// One use of an app.
    pub session: ClassId,
    /// What people wait for.
    pub view: ClassId,
    /// What people run.
    pub app: ClassId,
    /// What answers.
    pub service: ClassId,
    /// One thing a service does.
    pub operation: ClassId,
    /// One running copy of a service.
    pub instance: ClassId,
    /// What instances run on.
    pub host: ClassId,
    /// Where users are.
    pub place: ClassId,
    /// From a change to what it altered.
    pub changed: RelationId,
    /// From a signal to what it speaks of.
    pub about: RelationId,
    /// From an operation to the operation it asks.
    pub calls: RelationId,
    /// From a component to the team it belongs to, where the ontology tells.
    pub owner: Option<RelationId>,
}

impl Vocabulary {
    /// Resolves the names.
    ///
    /// # Errors
    /// Names the first one that the ontology lacks.
    pub fn new(o: &Ontology) -> Result<Vocabulary, Lacking> {
        let class = |name| o.class(name).ok_or(Lacking { kind: "class", name });
        let relation = |name| o.relation(name).ok_or(Lacking { kind: "relation", name });
        Ok(Vocabulary {
            version: class("Version")?,
            treatment: class("Treatment")?,
            switch: class("Switch")?,
            change: class("Change")?,
            signal: class("Signal")?,
            session: class("Session")?,
            view: class("View")?,
            app: class("App")?,
            service: class("Service")?,
            operation: class("Operation")?,
            instance: class("Instance")?,
            host: class("Host")?,
            place: class("Place")?,
            changed: relation("changed")?,
            about: relation("about")?,
            calls: relation("calls")?,
            owner: o.relation("owned_by"),
        })
    }

    /// On whose side a class stands, as far as its namespace tells.
    pub fn tier(&self, o: &Ontology, class: ClassId) -> Option<Tier> {
        let namespace = &o.classes.get(class.index())?.namespace;
        TIERS.iter().find(|t| t.0 == namespace).map(|t| t.1)
    }

    /// The measures that say how it feels: those of a view, and those of a version that sessions run, worst way known; measures
    /// that only add up to another are left to explain it.
    pub fn felt(&self, o: &Ontology) -> Vec<MeasureId> {
        let part = |id: MeasureId| o.measures.iter().any(|m| m.parts.contains(&id));
        (0..o.measures.len())
            .filter_map(|i| u16::try_from(i).ok().map(MeasureId))
            .filter(|id| {
                o.measures.get(id.index()).is_some_and(|m| {
                    let carried = o.is_a(m.of, self.view)
                        || (o.is_a(m.of, self.version) && self.tier(o, m.of) == Some(Tier::Client));
                    carried && m.better != Better::Steady && !part(*id)
                })
            })
            .collect()
    }

    /// Relations that carry traffic from a sampled thing (an interaction) into a class: how users enter the backend.
    pub fn enters(&self, o: &Ontology, into: ClassId) -> Vec<RelationId> {
        (0..o.relations.len())
            .filter_map(|i| u16::try_from(i).ok().map(RelationId))
            .filter(|r| {
                o.relations.get(r.index()).is_some_and(|r| {
                    r.holds == Holds::Flow
                        && r.arrows.iter().any(|(from, to)| {
                            *to == into
                                && o.classes
                                    .get(from.index())
                                    .is_some_and(|c| c.grain == ontology::model::Grain::Sampled)
                        })
                })
            })
            .collect()
    }

    /// The relation by which things of one class belong to one of another (`Instance -instance_of-> Service`).
    pub fn belongs(&self, o: &Ontology, from: ClassId, to: ClassId) -> Option<RelationId> {
        (0..o.relations.len()).filter_map(|i| u16::try_from(i).ok().map(RelationId)).find(|r| {
            o.relations.get(r.index()).is_some_and(|r| {
                r.single
                    && r.holds != Holds::Flow
                    && r.arrows.iter().any(|(a, b)| o.is_a(from, *a) && o.is_a(to, *b))
            })
        })
    }
}
