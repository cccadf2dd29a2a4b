//! What reading asks of every node it passes, side by side in a table of its own: a node itself lies wherever there was room, and
//! waiting for it would be most of what a walk past it costs.

use crate::topology::{Graph, Marks, Node, NodeId};
use ontology::{AttrId, ClassId, Minute, Ontology, Value};

/// A day: for how long what nobody knows the kind of is taken to be there.
const LIFE_MINUTES: i64 = 86_400 / 60;
/// A year.
const LONGEST_MINUTES: f64 = 525_600.0;

/// What is known of a node by its own key. Kept equal to what the node says ([`crate::Fold::with_node`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    /// `None` where no node is held.
    class: Option<ClassId>,
    /// The minute it was first seen.
    first: Option<i32>,
    life_minutes: i32,
}

impl Default for Glance {
    fn default() -> Self {
        Glance { class: None, first: None, life_minutes: short(LIFE_MINUTES) }
    }
}

fn short(minutes: i64) -> i32 {
    i32::try_from(minutes).unwrap_or(i32::MAX)
}

impl Glance {
    pub(crate) fn of(o: &Ontology, node: &Node) -> Glance {
        let said = |attr: AttrId| node.attrs.iter().find(|(a, _)| *a == attr).map(|(_, s)| &s.value);
        Glance {
            class: Some(node.class),
            first: node.seen.first().map(|m| short(m.0)),
            life_minutes: short(life_minutes(o, node.class, said)),
        }
    }
}

/// For how long a node of a class is taken to be there after it was seen, when its attributes say this. A source that says how often
/// it tells of it may miss one telling: that is twice the interval, and a minute for the way.
fn life_minutes<'v>(o: &Ontology, class: ClassId, said: impl FnOnce(AttrId) -> Option<&'v Value>) -> i64 {
    let Some(class) = o.classes.get(class.index()) else { return LIFE_MINUTES };
    match class.interval.and_then(said) {
        Some(Value::Float(secs)) if *secs > 0.0 => {
            #[expect(clippy::cast_possible_truncation, reason = "bounded to a year of minutes")]
            let minutes = (secs * 2.0 / 60.0).clamp(0.0, LONGEST_MINUTES).ceil() as i64;
            minutes + 1
        }
        _ => (class.life_secs / 60).max(1),
    }
}

impl Graph {
    fn glance(&self, node: NodeId) -> Glance {
        self.glances.get(node.0 as usize).copied().unwrap_or_default()
    }

    /// The class of a node, if it is still held.
    pub fn class_of(&self, node: NodeId) -> Option<ClassId> {
        self.glance(self.resolve(node)).class
    }

    /// When one key of a node was first seen, without looking at the node.
    pub fn first_seen(&self, member: NodeId) -> Option<Minute> {
        self.glance(member).first.map(|m| Minute(i64::from(m)))
    }

    /// Whether a node is a thing of its own: it counts as no other, and somebody told of it. A weaker key that several things
    /// were told with is none of them, and no further one.
    pub(crate) fn stands(&self, node: NodeId) -> bool {
        // Only a node with a weaker key, or near one, can count as another.
        if !self.has_mark(node, Marks::SHARED) {
            return self.glance(node).class.is_some();
        }
        self.raw(node).is_some_and(|n| n.owners.is_empty() || n.is_told()) && self.resolve(node) == node
    }

    /// For how long a node is taken to be there after it was seen.
    pub(crate) fn life_minutes(&self, node: NodeId) -> i64 {
        let glance = self.glance(node);
        match glance.class {
            // What it is known by elsewhere may say how often it is told of.
            Some(class) if self.has_mark(node, Marks::SHARED) && self.has_attrs(node) => {
                life_minutes(&self.ontology, class, |a| self.attr(node, a))
            }
            _ => i64::from(glance.life_minutes),
        }
    }

    fn has_attrs(&self, node: NodeId) -> bool {
        self.raw(node).is_some_and(|n| !n.attrs.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_says_how_often_it_is_told_of_lives_twice_as_long() {
        let o = Ontology::builtin();
        let class = o.class("Service").unwrap();
        let half_an_hour = Value::Float(1800.0);
        assert_eq!(life_minutes(&o, class, |_| Some(&half_an_hour)), 61);
        assert_eq!(life_minutes(&o, class, |_| None), 24 * 60);
        assert_eq!(life_minutes(&o, class, |_| Some(&Value::Float(1e18))), 525_601);
    }
}
