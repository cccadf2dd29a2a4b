//! What rules test of single nodes: attributes, and when events began and ended.

use crate::view::View;
use graph::NodeId;
use ontology::premise::Compare;
use ontology::{Time, Value};

impl View<'_> {
    /// Whether an attribute is as a rule wants it. What is not known equals nothing and differs from everything.
    pub(crate) fn attribute_is(&self, node: NodeId, attr: &str, test: &Compare) -> bool {
        let value = self.graph.attr_named(node, attr);
        match test {
            Compare::In(words) => value.is_some_and(|v| words.contains(&v.to_string())),
            Compare::Differs(word) => value.is_none_or(|v| v.to_string() != *word),
            Compare::Than(operator, number) => {
                value.and_then(Value::as_f64).is_some_and(|v| match *operator {
                    "<" => v < *number,
                    "<=" => v <= *number,
                    ">" => v > *number,
                    _ => v >= *number,
                })
            }
        }
    }

    /// When an event ended; `None` while it goes on, as far as is known.
    pub(crate) fn ended(&self, node: NodeId) -> Option<Time> {
        let said = self.graph.node(node).and_then(|n| n.ended);
        match self.graph.attr_named(node, "ended_at") {
            Some(Value::Time(t)) => Some(said.map_or(*t, |s| s.min(*t))),
            _ => said,
        }
    }

    /// Whether one event lies within another. One that goes on lies within another that goes on if it began later.
    pub(crate) fn lies_during(&self, inner: NodeId, outer: NodeId) -> bool {
        let (Some(from), Some(begun)) = (self.started(inner), self.started(outer)) else { return false };
        let to = self.ended(inner).unwrap_or(from);
        begun <= from && self.ended(outer).is_none_or(|end| to <= end)
    }

    /// Whether one event started before another, by at most so many seconds.
    pub(crate) fn started_before(&self, first: NodeId, then: NodeId, secs: i64) -> bool {
        let (Some(a), Some(b)) = (self.started(first), self.started(then)) else { return false };
        a <= b && b.since(a) <= secs.saturating_mul(1_000_000_000)
    }
}
