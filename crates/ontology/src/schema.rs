//! JSON Schema of the files, for editors: made from the same types that read them.

use crate::load::Kind;
use crate::raw;
use crate::yaml::{Entries, Word};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// The schema of one kind of file; `None` when there is no such kind.
pub fn json_schema(kind: &str) -> Option<Value> {
    let kind = Kind::ALL.iter().find(|(_, name)| *name == kind)?.0;
    let mut g = SchemaGenerator::default();
    let mut sections: Vec<(&str, Schema)> = Vec::new();
    let whole = match kind {
        Kind::Classes => {
            sections.push(("ontology", g.subschema_for::<raw::Head>()));
            sections.push(("classes", g.subschema_for::<Entries<Entries<raw::Class>>>()));
            None
        }
        Kind::Relations => Some(of::<Entries<raw::Relation>>(&mut g)),
        Kind::Measures => {
            sections.push(("aspects", of::<Entries<raw::Aspect>>(&mut g)));
            sections.push(("measures", of::<Entries<raw::MeasureOrName>>(&mut g)));
            None
        }
        Kind::Rules => {
            sections.push(("reach", of::<raw::Reach>(&mut g)));
            sections.push(("predicates", of::<Entries<Word>>(&mut g)));
            sections.push(("rules", of::<Entries<raw::Rule>>(&mut g)));
            None
        }
        Kind::Actions => Some(of::<Entries<raw::Action>>(&mut g)),
        Kind::Lexicon => {
            sections.push(("things", of::<Entries<raw::Thing>>(&mut g)));
            sections.push(("measures", of::<Entries<raw::MeasureWord>>(&mut g)));
            sections.push(("moves", of::<Entries<raw::Move>>(&mut g)));
            sections.push(("picks", of::<Entries<raw::Pick>>(&mut g)));
            sections.push(("intents", of::<Entries<raw::Intent>>(&mut g)));
            None
        }
        Kind::Mapping => {
            sections.push(("trust", of::<Vec<Word>>(&mut g)));
            sections.push(("renamed", of::<Entries<Word>>(&mut g)));
            sections.push(("tables", of::<Entries<Entries<Word>>>(&mut g)));
            sections.push(("personal", of::<Vec<Word>>(&mut g)));
            sections.push(("feeds", of::<Entries<raw::Feed>>(&mut g)));
            // What may stand in a source depends on the classes there are, so the check knows and a schema cannot.
            sections.push((
                "sources",
                schemars::json_schema!({"type": "object", "additionalProperties": {"type": "object"}}),
            ));
            None
        }
        Kind::Questions => Some(of::<Entries<raw::Question>>(&mut g)),
        Kind::Alignments => {
            Some(schemars::json_schema!({"type": "object", "additionalProperties": {"type": "object"}}))
        }
    };
    let definitions = g.take_definitions(true);
    let mut schema = match whole {
        Some(whole) => whole.to_value(),
        None => {
            let properties: serde_json::Map<String, Value> =
                sections.into_iter().map(|(name, s)| (name.to_owned(), s.to_value())).collect();
            json!({"type": "object", "properties": properties, "additionalProperties": false})
        }
    };
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Some(schema)
}

fn of<T: JsonSchema>(g: &mut SchemaGenerator) -> Schema {
    g.subschema_for::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_has_a_schema() {
        for (_, name) in Kind::ALL {
            let schema = json_schema(name).unwrap();
            assert!(schema["$schema"].is_string() && schema["type"] == "object", "{name}: {schema}");
        }
        assert!(json_schema("nonsense").is_none());
        assert!(json_schema("relations").unwrap().to_string().contains("fault"));
    }
}
