//! The ways in which one conclusion follows: mostly one, sometimes thousands.

use crate::join::Support;
use std::sync::Arc;

/// As many are kept in a row; a tree takes a kilobyte even for one.
const FEW: usize = 8;

/// A set of supports.
#[derive(Clone, Debug)]
pub(crate) enum Supports {
    /// What nearly all conclusions have.
    One(Support),
    /// Sorted.
    Few(Arc<[Support]>),
    Many(imbl::OrdSet<Support>),
}

impl Default for Supports {
    fn default() -> Self {
        Supports::Few(Arc::default())
    }
}

impl FromIterator<Support> for Supports {
    fn from_iter<I: IntoIterator<Item = Support>>(all: I) -> Supports {
        Supports::of(all.into_iter().collect())
    }
}

impl Supports {
    fn of(mut all: Vec<Support>) -> Supports {
        if all.len() == 1
            && let Some(one) = all.pop()
        {
            return Supports::One(one);
        }
        if all.len() > FEW {
            return Supports::Many(all.into_iter().collect());
        }
        all.sort_unstable();
        all.dedup();
        Supports::Few(all.into())
    }

    /// Adds one; false when it was there.
    pub(crate) fn insert(&mut self, support: Support) -> bool {
        match self {
            Supports::One(one) if *one == support => false,
            Supports::One(one) => {
                *self = [one.clone(), support].into_iter().collect();
                true
            }
            Supports::Few(few) if few.contains(&support) => false,
            Supports::Few(few) => {
                *self = few.iter().cloned().chain([support]).collect();
                true
            }
            Supports::Many(many) => many.insert(support).is_none(),
        }
    }

    /// Takes one away; false when it was not there.
    pub(crate) fn remove(&mut self, support: &Support) -> bool {
        match self {
            Supports::One(one) if one == support => {
                *self = Supports::default();
                true
            }
            Supports::One(_) => false,
            Supports::Few(few) if !few.contains(support) => false,
            Supports::Few(few) => {
                *self = few.iter().filter(|s| *s != support).cloned().collect();
                true
            }
            Supports::Many(many) => {
                let was_there = many.remove(support).is_some();
                if many.len() <= FEW {
                    *self = many.iter().cloned().collect();
                }
                was_there
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Supports::One(_) => 1,
            Supports::Few(few) => few.len(),
            Supports::Many(many) => many.len(),
        }
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Support> {
        let (few, many) = match self {
            Supports::One(one) => (Some(std::slice::from_ref(one).iter()), None),
            Supports::Few(few) => (Some(few.iter()), None),
            Supports::Many(many) => (None, Some(many.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::Ground;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((0u32..20, any::<bool>()), 0..200)) {
            let (mut supports, mut twin) = (Supports::default(), BTreeSet::new());
            for (n, add) in steps {
                let support = Support { plan: 1, grounds: Arc::new([Ground::Witness(n)]) };
                if add {
                    prop_assert_eq!(supports.insert(support.clone()), twin.insert(support));
                } else {
                    prop_assert_eq!(supports.remove(&support), twin.remove(&support));
                }
                prop_assert!(supports.iter().eq(twin.iter()));
                prop_assert_eq!((supports.len(), supports.is_empty()), (twin.len(), twin.is_empty()));
            }
        }
    }
}
