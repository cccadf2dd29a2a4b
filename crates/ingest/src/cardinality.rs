//! One record says of a relation that leads to one thing at a time where it leads to once: what it says beyond is set aside.

use crate::draw::Draw;
use ontology::{Draft, Ontology, Ref, RelationId};
use rustc_hash::FxHashMap;

/// An edge of a record.
pub(crate) type Edge = (RelationId, Ref, Ref);

/// Where relations lead to in one record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets(FxHashMap<(RelationId, u128), Ref>);

impl Targets {
    /// Whether an edge fits beside those before it; what does not is counted.
    pub(crate) fn fits(&mut self, o: &Ontology, (relation, from, to): Edge, draw: &mut Draw) -> bool {
        let Some(known) = o.relations.get(relation.index()).filter(|r| r.single) else { return true };
        let Some(key) = draw.drafts.get(from.0 as usize).and_then(|d| d.keys.first()) else { return true };
        let first = *self.0.entry((relation, key.hash)).or_insert(to);
        let draft = |r: Ref| draw.drafts.get(r.0 as usize);
        let (Some(one), Some(other)) = (draft(first), draft(to)) else { return true };
        if first == to || !differ(one, other) {
            return true;
        }
        let detail = draft(from).map(|from| {
            let [from, one, other] = [from, one, other].map(|d| shown(o, d));
            format!("{from} -{}-> {one} and {other}", known.name)
        });
        let reason = format!("second target of {}, which leads to one at a time", known.name);
        draw.refused.in_part(&reason, || detail.unwrap_or_default());
        false
    }
}

/// Whether two things are surely not the same: they have a key in common that says something else, and none that says the same.
fn differ(one: &Draft, other: &Draft) -> bool {
    let pairs = || one.keys.iter().flat_map(|a| other.keys.iter().map(move |b| (a, b)));
    pairs().any(|(a, b)| one.class != other.class || a.slot == b.slot)
        && !pairs().any(|(a, b)| a.hash == b.hash)
}

/// Class and the first values of a thing.
fn shown(o: &Ontology, draft: &Draft) -> String {
    let values: Vec<String> = draft.attrs.iter().take(3).map(|(_, v)| v.to_string()).collect();
    format!("{}({})", o.class_name(draft.class), values.join(" "))
}
