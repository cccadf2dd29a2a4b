//! Bringing near what the writer is about to look at: of many rows at once, so that the processor waits for memory once instead of
//! each time.

use crate::fold::{Context, Fold, NEAR};
use crate::links::End;
use crate::topology::NodeId;
use ontology::Value;
use ontology::fact::{Draft, Fact};
use std::hint::black_box;

impl Fold {
    /// Looks up the next things that were named all at once: the processor waits for memory once instead of each time.
    pub(crate) fn bring_named_near(&self, drafts: &[Draft]) {
        let mut nodes = [NodeId(u32::MAX); NEAR];
        for (slot, draft) in nodes.iter_mut().zip(drafts) {
            if let Some(node) = Fold::strongest(draft).and_then(|(key, primary)| self.with_key(key, primary))
            {
                *slot = node;
            }
        }
        let known = || nodes.iter().filter_map(|n| self.graph.raw(*n));
        black_box(known().map(|n| u32::from(n.class.0)).fold(0, u32::wrapping_add));
        let said = || known().flat_map(|n| n.attrs.iter());
        black_box(said().map(|(_, s)| s.rank).fold(0, u16::wrapping_add));
        let texts = said().filter_map(|(_, s)| match &s.value {
            Value::Text(text) => text.as_bytes().first(),
            _ => None,
        });
        black_box(texts.fold(0, |sum: u8, b| sum.wrapping_add(*b)));
    }

    /// Looks up the edges of the next calls in the same manner, and of those that are new the places where they will be put.
    pub(crate) fn bring_near(&self, facts: &[Fact], c: &Context) {
        let ends = |fact: &Fact| match fact {
            Fact::Call { relation, from, to, .. } => Some((*relation, c.node(*from)?, c.node(*to)?)),
            _ => None,
        };
        black_box(self.edge_index.warm(facts.iter().filter_map(ends)));
        let mut new = Vec::with_capacity(2 * facts.len());
        let mut seen = 0u32;
        for (relation, from, to) in facts.iter().filter_map(ends) {
            match self.edge_index.guess((relation, from, to)) {
                Some(id) => seen = seen.wrapping_add(self.graph.edge(id).map_or(0, |e| e.from.0)),
                None => new.extend([(from, End::Out), (to, End::Into)]),
            }
        }
        black_box((seen, self.graph.links.warm(&new)));
    }
}
