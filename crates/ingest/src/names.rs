//! From the bytes of an attribute's key to the field it is: one probe for the few names that a mapping reads and for the many
//! that it does not.

use ontology::expr::{FieldId, Fields};

/// The names that a mapping reads, by a mix of their length and ends. Names differ there, or a step later.
#[derive(Debug)]
pub(crate) struct Names {
    /// A power of two, at least four times as many as there are names; a run of names ends at an empty place.
    places: Vec<Option<(Box<[u8]>, FieldId)>>,
}

/// Attribute names share their beginnings (`http.request.…`) and their endings (`….name`), seldom both and the length.
#[inline]
fn mix(key: &[u8]) -> usize {
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (key.iter().fold(0, |all, b| all << 8 | u64::from(*b)), 0),
    };
    // Middles count too when a name is long: `k8s.deployment.uid`, `k8s.replicaset.uid`.
    let middle = key.get(key.len() / 2).copied().map_or(0, u64::from);
    let all = (first ^ last.rotate_left(29)).wrapping_add(middle << 8 ^ key.len() as u64);
    usize::try_from(all.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).unwrap_or(0)
}

impl Names {
    pub(crate) fn new(fields: &Fields) -> Names {
        let known = fields.known();
        let mut places = vec![None; (known.len() * 4).next_power_of_two()];
        let mask = places.len() - 1;
        for (name, field) in known {
            let start = mix(name.as_bytes());
            let free = (start..start + places.len()).map(|at| at & mask);
            let free = free.into_iter().find(|at| places.get(*at).is_some_and(Option::is_none));
            if let Some(place) = free.and_then(|at| places.get_mut(at)) {
                *place = Some((name.as_bytes().into(), field));
            }
        }
        Names { places }
    }

    /// The field with this name; `None` when nothing reads it.
    #[inline]
    pub(crate) fn field(&self, key: &[u8]) -> Option<FieldId> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = mix(key);
        loop {
            let (name, field) = self.places.get(at & mask)?.as_ref()?;
            if **name == *key {
                return Some(*field);
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

    #[test]
    fn every_name_is_found_and_seldom_is_a_second_look_needed() {
        let o = Ontology::builtin();
        let names = Names::new(&o.mapping.fields);
        for (name, field) in o.mapping.fields.known() {
            assert_eq!(names.field(name.as_bytes()), Some(field), "{name}");
        }
        let mask = names.places.len() - 1;
        let known = o.mapping.fields.known();
        let first = known.iter().filter(|(name, _)| {
            let place = names.places[mix(name.as_bytes()) & mask].as_ref();
            place.is_some_and(|(n, _)| **n == *name.as_bytes())
        });
        assert!(first.count() * 10 > known.len() * 8, "the mix puts names together");
        assert_eq!(Names::new(&Fields::default()).field(b"http.route"), None);
    }

    proptest! {
        #[test]
        fn any_key_is_what_the_mapping_says(key in "[a-z.]{0,12}", cut in 0_usize..40) {
            let o = Ontology::builtin();
            let names = Names::new(&o.mapping.fields);
            prop_assert_eq!(names.field(key.as_bytes()), o.mapping.fields.id(&key));
            for name in o.mapping.fields.names() {
                let part = name.get(..cut).unwrap_or(name);
                prop_assert_eq!(names.field(part.as_bytes()), o.mapping.fields.id(part));
            }
        }
    }
}
