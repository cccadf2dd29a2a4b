//! What a resource's entity references say: which of its attributes identify an entity of which type, and which describe it.
//!
//! Each of these attributes is told again under the reference: `entity_refs.TYPE.id.NAME`, `entity_refs.TYPE.description.NAME`.

use super::Sink;
use crate::Malformed;
use crate::proto::Reader;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

/// References of one resource. Beyond: it is refused. OpenTelemetry knows some fifty types of entities.
const REFERENCES: usize = 256;

/// One reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntityRef<'a> {
    /// The type of the entity.
    pub kind: &'a [u8],
    /// Names of the attributes that identify it.
    ids: Vec<&'a [u8]>,
    /// Names of those that describe it.
    descriptions: Vec<&'a [u8]>,
}

/// An `EntityRef` message.
pub(crate) fn proto(bytes: &[u8]) -> Result<EntityRef<'_>, Malformed> {
    let mut reference = EntityRef::default();
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            2 => reference.kind = wired.bytes("EntityRef.type")?,
            3 => reference.ids.push(wired.bytes("EntityRef.id_keys")?),
            4 => reference.descriptions.push(wired.bytes("EntityRef.description_keys")?),
            _ => {}
        }
    }
    Ok(reference)
}

/// The same as JSON.
pub(crate) fn json(o: &Map<String, Value>) -> EntityRef<'_> {
    let names = |key| -> Vec<&[u8]> {
        let all = o.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::as_bytes).collect()
    };
    EntityRef {
        kind: o.get("type").and_then(Value::as_str).unwrap_or_default().as_bytes(),
        ids: names("idKeys"),
        descriptions: names("descriptionKeys"),
    }
}

/// Tells what references say; `attribute` tells the value of an attribute under another name.
pub(crate) fn tell<'a, S: Sink<'a>, V: Copy>(
    references: &[EntityRef<'a>],
    attributes: &FxHashMap<&'a [u8], V>,
    sink: &mut S,
    attribute: fn(V, &[u8], &mut S) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if references.len() > REFERENCES {
        let message = format!("a resource with {} entity_refs; send at most {REFERENCES}", references.len());
        return Err(Malformed { message });
    }
    let mut name = Vec::new();
    for (place, reference) in references.iter().enumerate() {
        let lacks = |keys: &[&'a [u8]]| keys.iter().find(|k| !attributes.contains_key(*k)).copied();
        let wrong = match lacks(&reference.ids) {
            _ if reference.kind.is_empty() => Some("type"),
            _ if reference.ids.is_empty() => Some("id_keys"),
            Some(_) => Some("attributes that identify it"),
            None => None,
        };
        let before = references.iter().take(place).any(|r| r.kind == reference.kind);
        if let Some(wrong) = wrong.or(before.then_some("type of its own")) {
            sink.entity_in_part(format!("{}: it has no {wrong}", shown(reference)));
            continue;
        }
        if let Some(key) = lacks(&reference.descriptions) {
            let key = String::from_utf8_lossy(key);
            sink.entity_in_part(format!("{}: the resource has no `{key}`", shown(reference)));
        }
        for (part, keys) in [(&b"id"[..], &reference.ids), (b"description", &reference.descriptions)] {
            for key in keys {
                let Some(value) = attributes.get(key) else { continue };
                name.clear();
                name.extend([b"entity_refs", reference.kind, part, key].join(&b'.'));
                attribute(*value, &name, sink)?;
            }
        }
        sink.entity(reference.kind);
    }
    Ok(())
}

fn shown(reference: &EntityRef<'_>) -> String {
    format!("type `{}`", String::from_utf8_lossy(reference.kind.get(..80).unwrap_or(reference.kind)))
}
