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

    #[inline]
    pub(crate) fn contains(&self, field: FieldId) -> bool {
        self.0.get(field.index() / 64).is_some_and(|word| word & (1 << (field.index() % 64)) != 0)
    }

    /// Appends which of these fields are set.
    #[inline]
    pub(crate) fn write_common(&self, other: &FieldSet, into: &mut Vec<u8>) {
        self.0.iter().zip(&other.0).for_each(|(a, b)| into.extend_from_slice(&(a & b).to_le_bytes()));
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }
}

#[derive(Clone, Debug)]
struct Slot<'a> {
    /// One more than the largest index.
    width: u32,
    /// Index of the first value told.
    index: u32,
    /// Told by the scope: the item's own value replaces it.
    weak: bool,
    value: Scalar<'a>,
}

/// The fields of one record. As large as what is set in it, so that emptying and copying it cost no more than filling it.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    set: FieldSet,
    /// By field: where its slot is, if the field is set.
    places: Vec<u16>,
    slots: Vec<Slot<'a>>,
    /// Values beyond the first: field, index, value.
    more: Vec<(FieldId, u32, Scalar<'a>)>,
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

/// Appends a tag and the value.
#[inline]
fn write(value: &Scalar<'_>, into: &mut Vec<u8>) {
    match value {
        Scalar::Text(t) => {
            into.push(b't');
            into.extend_from_slice(&u32::try_from(t.len()).unwrap_or(u32::MAX).to_le_bytes());
            into.extend_from_slice(t.as_bytes());
        }
        Scalar::Int(i) => {
            into.push(b'i');
            into.extend_from_slice(&i.to_le_bytes());
        }
        Scalar::Float(f) => {
            into.push(b'f');
            into.extend_from_slice(&f.to_bits().to_le_bytes());
        }
        Scalar::Bool(b) => into.extend_from_slice(&[b'b', u8::from(*b)]),
        Scalar::Time(t) => {
            into.push(b'm');
            into.extend_from_slice(&t.nanos().to_le_bytes());
        }
        Scalar::Point => into.push(b'p'),
        Scalar::Tries(bad) => into.extend_from_slice(&[b'r', u8::from(*bad)]),
    }
}

impl<'a> Record<'a> {
    pub(crate) fn new(fields: usize) -> Record<'a> {
        Record { set: FieldSet::new(fields), places: vec![0; fields], slots: Vec::new(), more: Vec::new() }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.more.clear();
        self.set.clear();
    }

    #[inline]
    fn slot_mut(&mut self, field: FieldId) -> Option<&mut Slot<'a>> {
        if !self.set.contains(field) {
            return None;
        }
        let place = *self.places.get(field.index())?;
        self.slots.get_mut(usize::from(place))
    }

    /// Gives a field its slot, the one it has or a new one.
    #[inline]
    fn put(&mut self, field: FieldId, slot: Slot<'a>) {
        if let Some(own) = self.slot_mut(field) {
            *own = slot;
        } else if let Some(place) = self.places.get_mut(field.index()) {
            // There are no more slots than fields, whose numbers have 16 bits.
            *place = u16::try_from(self.slots.len()).unwrap_or(u16::MAX);
            self.slots.push(slot);
            self.set.insert(field);
        }
    }

    /// Sets a field, whatever it was.
    #[inline]
    pub(crate) fn set(&mut self, field: FieldId, value: Scalar<'a>) {
        self.put(field, Slot { width: 1, index: 0, weak: false, value });
    }

    /// Adds a value to a field; `weak` ones give way to others. An index already taken becomes the next free one. `false`
    /// when there is no room.
    #[inline]
    pub(crate) fn add(&mut self, field: FieldId, index: u32, weak: bool, value: Scalar<'a>) -> bool {
        if index >= REPEATS {
            return field.index() >= self.places.len();
        }
        let Some(slot) = self.slot_mut(field) else {
            self.put(field, Slot { width: index + 1, index, weak, value });
            return true;
        };
        if slot.weak && !weak {
            *slot = Slot { width: index + 1, index, weak, value };
            self.more.retain(|(f, ..)| *f != field);
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
        let of = of.min(REPEATS);
        if index >= REPEATS {
            return field.index() >= self.places.len();
        }
        match self.slot_mut(field) {
            Some(slot) => {
                slot.width = slot.width.max(of);
                self.more.push((field, index, value));
            }
            None => self.put(field, Slot { width: of, index, weak: false, value }),
        }
        true
    }

    #[inline]
    fn slot(&self, field: FieldId) -> Option<&Slot<'a>> {
        if !self.set.contains(field) {
            return None;
        }
        let place = *self.places.get(field.index())?;
        self.slots.get(usize::from(place))
    }

    /// The value of a field at an index; a field with one value has it at every index.
    #[inline]
    fn at<'v>(&'v self, slot: &'v Slot<'a>, field: FieldId, index: u32) -> Option<Scalar<'v>> {
        if slot.width == 1 || slot.index == index {
            return Some(borrowed(&slot.value));
        }
        self.more.iter().find(|(f, i, _)| *f == field && *i == index).map(|(.., v)| borrowed(v))
    }

    /// Appends all that the record says of a field, so that different values never give the same bytes.
    #[inline]
    pub(crate) fn write(&self, field: FieldId, into: &mut Vec<u8>) {
        let Some(slot) = self.slot(field) else { return into.push(0) };
        if slot.width == 1 {
            into.push(1);
            return write(&slot.value, into);
        }
        into.push(2);
        into.extend_from_slice(&slot.width.to_le_bytes());
        into.extend_from_slice(&slot.index.to_le_bytes());
        write(&slot.value, into);
        for (_, index, value) in self.more.iter().filter(|(f, ..)| *f == field) {
            into.push(3);
            into.extend_from_slice(&index.to_le_bytes());
            write(value, into);
        }
        into.push(4);
    }

    /// The fields that are set.
    pub(crate) fn fields(&self) -> &FieldSet {
        &self.set
    }

    /// Whether a field is set.
    #[inline]
    pub(crate) fn has(&self, field: FieldId) -> bool {
        self.set.contains(field)
    }

    /// The same record, independent of the bytes it was read from.
    pub(crate) fn into_owned(self) -> Record<'static> {
        let slot = |s: Slot<'_>| Slot { width: s.width, index: s.index, weak: s.weak, value: owned(s.value) };
        Record {
            set: self.set,
            places: self.places,
            slots: self.slots.into_iter().map(slot).collect(),
            more: self.more.into_iter().map(|(f, i, v)| (f, i, owned(v))).collect(),
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

impl<'v, 'a> View<'v, 'a> {
    pub(crate) fn new(
        layers: [Option<&'v Record<'a>>; 2],
        resource: Option<&'v Record<'static>>,
        points: &'v [(FieldId, Part)],
    ) -> View<'v, 'a> {
        View { layers, resource, index: 0, points, part: Cell::new(Part::Whole) }
    }

    /// Whether a field is set in the record itself, not in its resource.
    #[inline]
    pub(crate) fn near(&self, field: FieldId) -> bool {
        self.layers.iter().flatten().any(|r| r.has(field))
    }

    /// Appends all that the record itself says of a field.
    #[inline]
    pub(crate) fn write(&self, field: FieldId, into: &mut Vec<u8>) {
        if let Some(record) = self.layers.iter().flatten().find(|r| r.has(field)) {
            record.write(field, into);
        }
    }

    /// Whether a field holds: 0 when it has no value, 1 when it does not hold, 2 when it does.
    #[inline]
    pub(crate) fn holds(&self, field: FieldId) -> u8 {
        use expr::Record as _;
        self.get(field).map_or(0, |value| 1 + u8::from(value.holds()))
    }

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
