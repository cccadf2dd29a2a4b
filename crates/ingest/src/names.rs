//! From the bytes of an attribute's key to the field it is: one probe for the few names that a mapping reads and for the many
//! that it does not.

use ontology::expr::{FieldId, Fields};

/// The names that a mapping reads, by a mix of their length and ends. Small enough to stay in the nearest cache: most keys are
/// of no use to any mapping, and of those no name is looked at.
#[derive(Debug)]
pub(crate) struct Names {
    /// Part of the mix, and one more than the place of the name; 0 for none. A power of two, at least twice as many as there
    /// are names, so that a run of names always ends.
    places: Vec<(u32, u32)>,
    /// Each with its field, and whether it is an old name of it.
    names: Vec<(Box<[u8]>, FieldId, bool)>,
}

/// Attribute names share their beginnings (`http.request.…`) and their endings (`….name`), seldom both and the length.
#[inline]
fn mix(key: &[u8]) -> u64 {
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (key.iter().fold(0, |all, b| all << 8 | u64::from(*b)), 0),
    };
    // Middles count too when a name is long: `k8s.deployment.uid`, `k8s.replicaset.uid`. Turned by another amount than the end,
    // which a middle may overlap, so that no byte cancels itself.
    let middle = key.get((key.len() / 2).saturating_sub(4)..).and_then(<[u8]>::first_chunk);
    let middle = middle.map_or(0, |m| u64::from_le_bytes(*m)).rotate_left(17);
    let all = (first ^ last.rotate_left(29)).wrapping_add(middle ^ key.len() as u64);
    all.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Where a mix belongs, and the part of it that is kept there.
#[inline]
const fn parts(mix: u64) -> (usize, u32) {
    ((mix >> 40) as usize, (mix >> 32) as u32)
}

impl Names {
    pub(crate) fn new(fields: &Fields) -> Names {
        let known = fields.known().into_iter();
        let names: Vec<(Box<[u8]>, FieldId, bool)> =
            known.map(|(name, field)| (name.as_bytes().into(), field, fields.is_old(field, name))).collect();
        let mut places = vec![(0, 0); (names.len() * 2 + 1).next_power_of_two()];
        let mask = places.len() - 1;
        for (number, (name, ..)) in (1..).zip(&names) {
            let (start, part) = parts(mix(name));
            let free = (start..start + places.len()).map(|at| at & mask);
            let free = free.into_iter().find(|at| places.get(*at).is_some_and(|p| p.1 == 0));
            if let Some(place) = free.and_then(|at| places.get_mut(at)) {
                *place = (part, number);
            }
        }
        Names { places, names }
    }

    /// The field with this name, and whether the name is an old one of it; `None` when nothing reads it.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<(FieldId, bool)> {
        let mask = self.places.len().wrapping_sub(1);
        let (mut at, part) = parts(mix(key));
        loop {
            let (known, number) = *self.places.get(at & mask)?;
            let place = usize::try_from(number).ok()?.checked_sub(1)?;
            if known == part
                && let Some((name, field, old)) = self.names.get(place)
                && **name == *key
            {
                return Some((*field, *old));
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ontology::Ontology;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    #[test]
    fn every_name_is_found_and_no_two_share_a_mix() {
        let o = Ontology::builtin();
        let names = Names::new(&o.mapping.fields);
        let known = o.mapping.fields.known();
        for (name, field) in &known {
            assert_eq!(
                names.find(name.as_bytes()),
                Some((*field, o.mapping.fields.is_old(*field, name))),
                "{name}"
            );
        }
        let mut mixes: Vec<u64> = known.iter().map(|(name, _)| mix(name.as_bytes())).collect();
        mixes.sort_unstable();
        mixes.dedup();
        assert_eq!(mixes.len(), known.len());
        assert_eq!(Names::new(&Fields::default()).find(b"http.route"), None);
    }

    static ONTOLOGY: LazyLock<Ontology> = LazyLock::new(Ontology::builtin);

    proptest! {
        #[test]
        fn any_key_is_what_the_mapping_says(key in "[a-z.]{0,12}", cut in 0_usize..40) {
            let o = &*ONTOLOGY;
            let names = Names::new(&o.mapping.fields);
            prop_assert_eq!(names.find(key.as_bytes()).map(|f| f.0), o.mapping.fields.id(&key));
            for name in o.mapping.fields.names() {
                let part = name.get(..cut).unwrap_or(name);
                prop_assert_eq!(names.find(part.as_bytes()).map(|f| f.0), o.mapping.fields.id(part));
            }
        }
    }
}
