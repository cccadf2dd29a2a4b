//! From a record to the things it names: attributes evaluated, keys completed, each thing once per batch.

use crate::draw::Draw;
use crate::plan::{Plan, SourcePlan};
use crate::record::{FieldSet, View};
use ontology::expr::Context;
use ontology::mapping::{PartPlan, RoleId, Source, Table};
use ontology::model::Type;
use ontology::scalar::Scalar;
use ontology::{AttrId, ClassId, Draft, Key, Ontology, Ref, RelationId, Value};
use xxhash_rust::xxh3::xxh3_128;

/// A thing recognised in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Place of the source in the mapping.
    pub source: u16,
    /// Place of the table in the source.
    pub table: u16,
    /// Which element, when the table gives several.
    pub index: u16,
    /// Whether the table gives one per element here, also where only some elements gave one.
    pub repeats: bool,
    pub class: ClassId,
    pub role: Option<RoleId>,
    pub node: Ref,
}

/// What recognising needs beside the record.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'n> {
    pub ontology: &'n Ontology,
    pub plan: &'n Plan,
    pub context: Context<'n>,
    /// Longest text of an attribute, in bytes. Longer ones are set aside.
    pub longest_text: usize,
}

/// Scratch space.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    content: Vec<u8>,
    key: Vec<u8>,
}

impl<'n> Reader<'n> {
    /// Whether a source applies to a record.
    pub(crate) fn applies(&self, source: &Source, view: &View<'_, '_>) -> bool {
        source.when.as_ref().is_none_or(|when| when.holds(view, &self.context))
    }

    /// Recognises what one table of a source says, at every index, and adds it to `found`.
    pub(crate) fn table(
        &self,
        (number, source, plan): (usize, &'n Source, &SourcePlan),
        place: usize,
        view: &mut View<'_, '_>,
        found: &mut Vec<Found>,
        draw: &mut Draw,
        scratch: &mut Scratch,
    ) {
        let (Some(table), Some(fields)) = (source.tables.get(place), plan.tables.get(place)) else { return };
        // A helper is read with its owner's index, so it is as wide as the owner.
        let own = fields.repeats.iter();
        let repeats = own.clone().any(|f| view.width(*f) > 1);
        let owner = table.helper_of.and_then(|o| plan.tables.get(o)).map(|o| o.repeats.iter());
        let width = own.chain(owner.into_iter().flatten()).map(|f| view.width(*f)).max().unwrap_or(0).max(1);
        let (source_number, table_number) = (short(number), short(place));
        // What the record says replaces what its resource said.
        found.retain(|f| f.source != source_number || f.table != table_number);
        for index in 0..width {
            view.index = index;
            if let Some(node) = self.node(source_number, table, index, view, found, draw, scratch) {
                let (class, role) = (table.class, table.role);
                let index = u16::try_from(index).unwrap_or(u16::MAX);
                let (source, table) = (source_number, table_number);
                found.push(Found { source, table, index, repeats, class, role, node });
            } else if view.has_any(&fields.key_fields) && self.incomplete(table, &fields.key_fields, view) {
                let name = self.ontology.class_name(table.class);
                draw.refused
                    .in_part(&format!("no key of {name} is complete"), || self.said(source, table, view));
            }
        }
        view.index = 0;
    }

    /// Whether some part of a key is there, read from a field of the table's own; with none, the record does not speak of
    /// such a thing at all.
    fn incomplete(&self, table: &Table, own: &FieldSet, view: &View<'_, '_>) -> bool {
        table.keys.iter().flat_map(|k| &k.parts).any(|p| match p {
            PartPlan::Attr(i) => table.attrs.get(*i).is_some_and(|(_, e)| {
                let mut fields = Vec::new();
                e.fields(&mut fields);
                !fields.is_empty()
                    && e.eval(view, &self.context).is_some()
                    && fields.iter().any(|f| own.contains(*f) && view.width(*f) > 0)
            }),
            PartPlan::Related { .. } => false,
        })
    }

    /// What a record did say of a thing whose keys are incomplete.
    fn said(&self, source: &Source, table: &Table, view: &View<'_, '_>) -> String {
        let mut text = format!("{}:", source.name);
        for (attr, e) in &table.attrs {
            if let Some(value) = e.eval(view, &self.context) {
                let name = self.ontology.attrs.get(attr.index()).map_or("", |a| a.name.as_str());
                text.push_str(&format!(" {name}={}", value.to_text()));
            }
        }
        text
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one record, which live in different places while it is read"
    )]
    fn node(
        &self,
        source: u16,
        table: &'n Table,
        index: u32,
        view: &View<'_, '_>,
        found: &[Found],
        draw: &mut Draw,
        scratch: &mut Scratch,
    ) -> Option<Ref> {
        let content = &mut scratch.content;
        content.clear();
        content.extend_from_slice(&table.class.0.to_le_bytes());
        let mut values: Vec<Option<Said<'_>>> = Vec::with_capacity(table.attrs.len());
        for (attr, e) in &table.attrs {
            let value = e.eval(view, &self.context).and_then(|s| self.typed(*attr, s, draw));
            if let Some(value) = &value {
                content.extend_from_slice(&attr.0.to_le_bytes());
                value.write(content);
            }
            values.push(value);
        }
        let mut related: Vec<(RelationId, Ref, u128)> = Vec::new();
        for plan in &table.keys {
            for part in &plan.parts {
                let PartPlan::Related { relation, classes, helper } = part else { continue };
                if related.iter().any(|(r, ..)| r == relation) {
                    continue;
                }
                let Some(node) = relative(source, index, classes, *helper, found) else { continue };
                let Some(hash) = draw.primary(node) else { continue };
                content.extend_from_slice(&relation.0.to_le_bytes());
                content.extend_from_slice(&node.0.to_le_bytes());
                related.push((*relation, node, hash));
            }
        }
        let content = xxh3_128(content);
        if let Some(known) = draw.met(content) {
            return known;
        }
        let mut keys = Vec::new();
        let name = self.ontology.classes.get(table.class.index()).map_or("", |c| c.original());
        for plan in &table.keys {
            let key = &mut scratch.key;
            key.clear();
            key.extend_from_slice(name.as_bytes());
            key.extend_from_slice(&[0, plan.slot]);
            let complete = plan.parts.iter().all(|part| match part {
                PartPlan::Attr(i) => match values.get(*i) {
                    Some(Some(value)) => {
                        value.write(key);
                        true
                    }
                    _ => false,
                },
                PartPlan::Related { relation, .. } => match related.iter().find(|(r, ..)| r == relation) {
                    Some((.., hash)) => {
                        key.push(b'r');
                        key.extend_from_slice(&hash.to_le_bytes());
                        true
                    }
                    None => false,
                },
            });
            if complete {
                keys.push(Key { slot: plan.slot, hash: xxh3_128(key) });
            }
        }
        if keys.is_empty() {
            draw.nobody(content);
            return None;
        }
        let attrs = table.attrs.iter().zip(values).filter_map(|((a, _), v)| Some((*a, v?.value()))).collect();
        let edges = related.into_iter().map(|(r, node, _)| (r, node)).collect();
        Some(draw.add(content, Draft { class: table.class, keys, attrs }, edges))
    }

    /// The value of an attribute; a value that is not of its type is set aside.
    fn typed<'v>(&self, attr: AttrId, scalar: Scalar<'v>, draw: &mut Draw) -> Option<Said<'v>> {
        let attr = self.ontology.attrs.get(attr.index())?;
        let name = || {
            let class = self.ontology.class_name(attr.class);
            format!("{class}.{}", attr.name)
        };
        match (&attr.ty, scalar) {
            (Type::Text | Type::Version | Type::Url | Type::Hash, Scalar::Text(t)) => {
                if t.len() > self.longest_text {
                    draw.refused.in_part("text too long", || {
                        let start: String = t.chars().take(60).collect();
                        format!(
                            "{} has {} bytes, the limit is {}: {start}…",
                            name(),
                            t.len(),
                            self.longest_text
                        )
                    });
                    return None;
                }
                Some(Said::Text(t))
            }
            (ty, scalar) => match ty.value(&scalar) {
                Ok(value) => Some(Said::Value(value)),
                Err(why) => {
                    draw.refused.in_part("value that is not of its type", || format!("{}: {why}", name()));
                    None
                }
            },
        }
    }
}

/// The thing a key leads to: from its own helper table; else what the same source recognised, at the same index if it can be;
/// else what the record did.
fn relative(
    source: u16,
    index: u32,
    classes: &[ClassId],
    helper: Option<usize>,
    found: &[Found],
) -> Option<Ref> {
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    if let Some(helper) = helper {
        let helper = short(helper);
        return found
            .iter()
            .find(|f| f.source == source && f.table == helper && f.index == index)
            .map(|f| f.node);
    }
    let fits = |f: &&Found| f.role.is_none() && classes.contains(&f.class);
    let near = || found.iter().filter(fits).filter(|f| f.source == source);
    let best = near().find(|f| f.index == index).or_else(|| near().next());
    best.or_else(|| found.iter().find(fits)).map(|f| f.node)
}

fn short(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// An attribute's value: text stays borrowed until a draft needs it.
enum Said<'v> {
    Text(std::borrow::Cow<'v, str>),
    Value(Value),
}

impl Said<'_> {
    /// Appends a tag and the value, so that different values never give the same bytes.
    fn write(&self, into: &mut Vec<u8>) {
        let mut text = |s: &str| {
            into.push(b't');
            into.extend_from_slice(&u32::try_from(s.len()).unwrap_or(u32::MAX).to_le_bytes());
            into.extend_from_slice(s.as_bytes());
        };
        match self {
            Said::Text(s) => text(s),
            Said::Value(Value::Text(s)) => text(s),
            Said::Value(Value::Int(i)) => {
                into.push(b'i');
                into.extend_from_slice(&i.to_le_bytes());
            }
            Said::Value(Value::Float(f)) => {
                into.push(b'f');
                // Adding zero makes -0 the same as 0.
                into.extend_from_slice(&(f + 0.0).to_bits().to_le_bytes());
            }
            Said::Value(Value::Bool(b)) => into.extend_from_slice(&[b'b', u8::from(*b)]),
            Said::Value(Value::Time(t)) => {
                into.push(b'm');
                into.extend_from_slice(&t.nanos().to_le_bytes());
            }
        }
    }

    fn value(self) -> Value {
        match self {
            Said::Text(s) => Value::text(s),
            Said::Value(v) => v,
        }
    }
}
