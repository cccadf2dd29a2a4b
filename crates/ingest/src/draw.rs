//! The batch being drawn: each entity once, each presence and each implied edge once a minute, lists of entities shared.

use crate::refusal::Refusals;
use ontology::{Batch, Draft, Fact, Key, Minute, Ref, RelationId, Time};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// The hash of a draft's primary key, if that is complete, and the edges that its keys consist of.
type Identity = (Option<u128>, Vec<(RelationId, Ref)>);

/// A batch and the indexes that keep it free of repetition.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    pub drafts: Vec<Draft>,
    pub facts: Vec<Fact>,
    pub refused: Refusals,
    pub items: u64,
    /// What a draft says to the draft; `None` when no key of it was complete.
    index: FxHashMap<u128, Option<Ref>>,
    /// By draft.
    known: Vec<Identity>,
    seen: FxHashSet<(Ref, Minute)>,
    present: FxHashSet<Ref>,
    related: FxHashSet<(RelationId, Ref, Ref, Minute)>,
    lists: FxHashMap<Vec<Ref>, Arc<[Ref]>>,
}

impl Draw {
    /// The draft whose content has this hash: `None` when it was not met before, `Some(None)` when it has no complete key.
    #[inline]
    pub(crate) fn met(&self, content: u128) -> Option<Option<Ref>> {
        self.index.get(&content).copied()
    }

    /// Remembers that a content has no complete key.
    pub(crate) fn nobody(&mut self, content: u128) {
        self.index.insert(content, None);
    }

    /// Adds a draft.
    pub(crate) fn add(&mut self, content: u128, draft: Draft, edges: Vec<(RelationId, Ref)>) -> Ref {
        let new = Ref(u32::try_from(self.drafts.len()).unwrap_or(u32::MAX));
        let primary: Option<&Key> = draft.keys.iter().find(|k| k.slot == 0);
        self.known.push((primary.map(|k| k.hash), edges));
        self.drafts.push(draft);
        self.index.insert(content, Some(new));
        new
    }

    /// Adds a copy of a draft of another drawing. Nothing is recognised by it here.
    pub(crate) fn copy(&mut self, draft: Draft) -> Ref {
        let new = Ref(u32::try_from(self.drafts.len()).unwrap_or(u32::MAX));
        self.drafts.push(draft);
        new
    }

    /// The hash of a draft's primary key.
    pub(crate) fn primary(&self, r: Ref) -> Option<u128> {
        self.known.get(r.0 as usize).and_then(|k| k.0)
    }

    /// The edges that a draft's keys consist of.
    pub(crate) fn key_edges(&self, r: Ref) -> &[(RelationId, Ref)] {
        self.known.get(r.0 as usize).map(|k| k.1.as_slice()).unwrap_or_default()
    }

    /// An entity was there in a minute.
    pub(crate) fn see(&mut self, entity: Ref, minute: Minute) {
        if self.seen.insert((entity, minute)) {
            self.facts.push(Fact::Seen { entity, at: minute.start() });
        }
    }

    /// An entity is there at the moment at which the request came: what is said of it now counts before what was said earlier in the
    /// same minute.
    pub(crate) fn see_now(&mut self, entity: Ref, now: Time) {
        if self.present.insert(entity) {
            self.facts.push(Fact::Seen { entity, at: now });
        }
    }

    /// A relation held in a minute.
    pub(crate) fn relate(&mut self, relation: RelationId, from: Ref, to: Ref, minute: Minute) {
        if self.related.insert((relation, from, to, minute)) {
            self.facts.push(Fact::Related { relation, from, to, at: minute.start(), until: None });
        }
    }

    /// The one shared copy of a list of entities; the list is sorted and freed of repetition.
    pub(crate) fn list(&mut self, mut list: Vec<Ref>) -> Arc<[Ref]> {
        list.sort_unstable();
        list.dedup();
        if let Some(known) = self.lists.get(&list) {
            return Arc::clone(known);
        }
        let shared: Arc<[Ref]> = list.as_slice().into();
        self.lists.insert(list, Arc::clone(&shared));
        shared
    }

    /// The batch.
    pub(crate) fn finish(self, source: &str) -> Batch {
        Batch {
            source: source.to_owned(),
            drafts: self.drafts,
            facts: self.facts,
            refused: self.refused.finish(),
            items: self.items,
        }
    }
}
