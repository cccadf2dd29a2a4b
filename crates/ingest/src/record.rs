//! One record as a flat array: the value of each field the mapping names, looked up once by name, found by number.

use crate::observation::Part;
use ontology::expr::{self, FieldId};
use ontology::scalar::Scalar;
use std::borrow::Cow;
use std::cell::Cell;

/// Values of one field in one record. Beyond: further ones are left out and counted.
pub(crate) const REPEATS: u32 = 256;

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet(Vec<u64>);

impl FieldSet {
    pub(crate) fn new(fields: usize) -> FieldSet {
        FieldSet(vec![0; fields.div_ceil(64)])
    }

    pub(crate) fn of(fields: usize, members: impl IntoIterator<Item = FieldId>) -> FieldSet {
        let mut set = FieldSet::new(fields);
        members.into_iter().for_each(|f| set.insert(f));
        set
    }

    #[inline]
    pub(crate) fn insert(&mut self, field: FieldId) {
        if let Some(word) = self.0.get_mut(field.index() / 64) {
            *word |= 1 << (field.index() % 64);
        }
    }

    pub(crate) fn remove(&mut self, field: FieldId) {
        if let Some(word) = self.0.get_mut(field.index() / 64) {
            *word &= !(1 << (field.index() % 64));
        }
    }

    #[inline]
    pub(crate) fn meets(&self, other: &FieldSet) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub(crate) fn contains(&self, field: FieldId) -> bool {
        self.0.get(field.index() / 64).is_some_and(|word| word & (1 << (field.index() % 64)) != 0)
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }
}

#[derive(Clone, Debug)]
struct Slot<'a> {
    /// Valid when it is the record's own stamp.
    stamp: u32,
    /// One more than the largest index.
    width: u32,
    /// Index of the first value told.
    index: u32,
    /// Told by the scope: the item's own value replaces it.
    weak: bool,
    value: Scalar<'a>,
}

/// The fields of one record. Emptied in constant time.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    stamp: u32,
    slots: Vec<Slot<'a>>,
    /// Values beyond the first: field, index, value.
    more: Vec<(FieldId, u32, Scalar<'a>)>,
    set: FieldSet,
}

/// The same value for as long as the original lives.
#[inline]
fn borrowed<'v>(s: &'v Scalar<'_>) -> Scalar<'v> {
    match s {
        Scalar::Text(t) => Scalar::Text(Cow::Borrowed(t)),
        Scalar::Int(i) => Scalar::Int(*i),
        Scalar::Float(f) => Scalar::Float(*f),
        Scalar::Bool(b) => Scalar::Bool(*b),
        Scalar::Time(t) => Scalar::Time(*t),
        Scalar::Point => Scalar::Point,
        Scalar::Tries(bad) => Scalar::Tries(*bad),
    }
}

fn owned(s: Scalar<'_>) -> Scalar<'static> {
    match s {
        Scalar::Text(t) => Scalar::Text(Cow::Owned(t.into_owned())),
        Scalar::Int(i) => Scalar::Int(i),
        Scalar::Float(f) => Scalar::Float(f),
        Scalar::Bool(b) => Scalar::Bool(b),
        Scalar::Time(t) => Scalar::Time(t),
        Scalar::Point => Scalar::Point,
        Scalar::Tries(bad) => Scalar::Tries(bad),
    }
}

impl<'a> Record<'a> {
    pub(crate) fn new(fields: usize) -> Record<'a> {
        let empty = Slot { stamp: 0, width: 0, index: 0, weak: false, value: Scalar::Bool(false) };
        Record { stamp: 1, slots: vec![empty; fields], more: Vec::new(), set: FieldSet::new(fields) }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        if self.stamp == u32::MAX {
            self.slots.iter_mut().for_each(|s| s.stamp = 0);
            self.stamp = 0;
        }
        self.stamp += 1;
        self.more.clear();
        self.set.clear();
    }

    /// Sets a field, whatever it was.
    #[inline]
    pub(crate) fn set(&mut self, field: FieldId, value: Scalar<'a>) {
        let stamp = self.stamp;
        if let Some(slot) = self.slots.get_mut(field.index()) {
            *slot = Slot { stamp, width: 1, index: 0, weak: false, value };
            self.set.insert(field);
        }
    }

    /// Adds a value to a field; `weak` ones give way to others. An index already taken becomes the next free one. `false`
    /// when there is no room.
    #[inline]
    pub(crate) fn add(&mut self, field: FieldId, index: u32, weak: bool, value: Scalar<'a>) -> bool {
        let stamp = self.stamp;
        let Some(slot) = self.slots.get_mut(field.index()) else { return true };
        if index >= REPEATS {
            return false;
        }
        if slot.stamp != stamp || (slot.weak && !weak) {
            if slot.stamp == stamp {
                self.more.retain(|(f, ..)| *f != field);
            }
            *slot = Slot { stamp, width: index + 1, index, weak, value };
            self.set.insert(field);
            return true;
        }
        if weak && !slot.weak {
            return true;
        }
        let index = index.max(slot.width);
        if index >= REPEATS {
            return false;
        }
        slot.width = index + 1;
        self.more.push((field, index, value));
        true
    }

    /// Adds the value that a field has at one place of a list of `of` elements; other places stay empty until told. `false`
    /// when there is no room.
    pub(crate) fn add_listed(&mut self, field: FieldId, index: u32, of: u32, value: Scalar<'a>) -> bool {
        let (stamp, of) = (self.stamp, of.min(REPEATS));
        let Some(slot) = self.slots.get_mut(field.index()) else { return true };
        if index >= REPEATS {
            return false;
        }
        if slot.stamp == stamp {
            slot.width = slot.width.max(of);
            self.more.push((field, index, value));
        } else {
            *slot = Slot { stamp, width: of, index, weak: false, value };
            self.set.insert(field);
        }
        true
    }

    #[inline]
    fn slot(&self, field: FieldId) -> Option<&Slot<'a>> {
        self.slots.get(field.index()).filter(|s| s.stamp == self.stamp)
    }

    /// The value of a field at an index; a field with one value has it at every index.
    #[inline]
    fn at<'v>(&'v self, slot: &'v Slot<'a>, field: FieldId, index: u32) -> Option<Scalar<'v>> {
        if slot.width == 1 || slot.index == index {
            return Some(borrowed(&slot.value));
        }
        self.more.iter().find(|(f, i, _)| *f == field && *i == index).map(|(.., v)| borrowed(v))
    }

    /// The fields that are set.
    pub(crate) fn fields(&self) -> &FieldSet {
        &self.set
    }

    /// Whether a field is set.
    pub(crate) fn has(&self, field: FieldId) -> bool {
        self.slot(field).is_some()
    }

    /// The same record, independent of the bytes it was read from.
    pub(crate) fn into_owned(self) -> Record<'static> {
        let slot = |s: Slot<'_>| Slot {
            stamp: s.stamp,
            width: s.width,
            index: s.index,
            weak: s.weak,
            value: owned(s.value),
        };
        Record {
            stamp: self.stamp,
            slots: self.slots.into_iter().map(slot).collect(),
            more: self.more.into_iter().map(|(f, i, v)| (f, i, owned(v))).collect(),
            set: self.set,
        }
    }
}

/// A record with what lies under it: the event over its span, the item over its resource.
#[derive(Debug)]
pub(crate) struct View<'v, 'a> {
    /// Nearest first.
    pub layers: [Option<&'v Record<'a>>; 2],
    /// The resource, when there is one.
    pub resource: Option<&'v Record<'static>>,
    /// Which element of fields that hold lists.
    pub index: u32,
    /// Fields that stand for the metric point of the record, with the part they stand for.
    pub points: &'v [(FieldId, Part)],
    /// The part that was asked for last.
    pub part: Cell<Part>,
}

impl View<'_, '_> {
    /// How many values a field has; 0 when it is not set.
    pub(crate) fn width(&self, field: FieldId) -> u32 {
        let near = self.layers.iter().flatten().find_map(|r| r.slot(field).map(|s| s.width));
        near.or_else(|| self.resource.and_then(|r| r.slot(field).map(|s| s.width))).unwrap_or(0)
    }

    /// Whether any of these fields is set in the record itself, not in its resource.
    pub(crate) fn touches(&self, fields: &FieldSet) -> bool {
        self.layers.iter().flatten().any(|r| r.fields().meets(fields))
    }

    /// Whether any of these fields is set.
    pub(crate) fn has_any(&self, fields: &FieldSet) -> bool {
        self.touches(fields) || self.resource.is_some_and(|r| r.fields().meets(fields))
    }
}

impl expr::Record for View<'_, '_> {
    #[inline]
    fn get(&self, field: FieldId) -> Option<Scalar<'_>> {
        for record in self.layers.iter().flatten() {
            if let Some(slot) = record.slot(field) {
                let value = record.at(slot, field, self.index);
                if value == Some(Scalar::Point) {
                    let part = self.points.iter().find(|(f, _)| *f == field).map(|(_, p)| *p);
                    self.part.set(part.unwrap_or(Part::Whole));
                }
                return value;
            }
        }
        let resource = self.resource?;
        resource.at(resource.slot(field)?, field, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expr::Record as _;

    fn view<'v>(layers: [Option<&'v Record<'v>>; 2], index: u32) -> View<'v, 'v> {
        View { layers, resource: None, index, points: &[], part: Cell::new(Part::Whole) }
    }

    #[test]
    fn one_value_stands_for_every_index_and_many_for_their_own() {
        let mut r = Record::new(3);
        let (a, b) = (FieldId(0), FieldId(1));
        r.add(a, 0, false, Scalar::Int(1));
        r.add(b, 0, false, Scalar::Int(10));
        r.add(b, 2, false, Scalar::Int(12));
        let v = view([Some(&r), None], 2);
        assert_eq!((v.width(a), v.width(b), v.width(FieldId(2))), (1, 3, 0));
        assert_eq!((v.get(a), v.get(b)), (Some(Scalar::Int(1)), Some(Scalar::Int(12))));
        assert_eq!(view([Some(&r), None], 1).get(b), None);
        r.clear();
        assert_eq!(view([Some(&r), None], 0).get(a), None);
    }

    #[test]
    fn the_nearer_layer_and_the_items_own_value_win() {
        let a = FieldId(0);
        let (mut item, mut event) = (Record::new(1), Record::new(1));
        item.add(a, 0, true, Scalar::Int(1));
        item.add(a, 0, false, Scalar::Int(2));
        item.add(a, 0, true, Scalar::Int(3));
        assert_eq!(view([None, Some(&item)], 0).get(a), Some(Scalar::Int(2)));
        event.add(a, 0, false, Scalar::Int(4));
        assert_eq!(view([Some(&event), Some(&item)], 0).get(a), Some(Scalar::Int(4)));
    }
}
