//! A JSON-LD context: our names as IRIs, so that plain JSON with our words is RDF.

use super::{ExportError, Terms, XSD, datatype};
use crate::model::{Attr, ClassId, Ontology, RelationId};
use oxrdf::NamedNode;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The context. An attribute whose type depends on the class is typed within the class.
///
/// # Errors
/// When the base IRI is none.
pub fn jsonld_context(o: &Ontology) -> Result<Json, ExportError> {
    let terms = Terms::new(o)?;
    let mut context = Map::new();
    let mut types: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for attr in &o.attrs {
        types.entry(&attr.name).or_default().insert(datatype(&attr.ty).into_string());
    }
    let varies = |attr: &Attr| types.get(attr.name.as_str()).is_some_and(|t| t.len() > 1);
    let typed = |attr: &Attr| json!({"@id": terms.attr_named(&attr.name).as_str(), "@type": short(&datatype(&attr.ty))});
    for (i, class) in (0..).map(ClassId).zip(&o.classes) {
        let own: Map<String, Json> = class
            .attrs
            .iter()
            .filter_map(|a| o.attrs.get(a.index()))
            .filter(|a| varies(a))
            .map(|a| (a.name.clone(), typed(a)))
            .collect();
        let mut term = Map::new();
        term.insert("@id".to_owned(), json!(terms.class(i).as_str()));
        if !own.is_empty() {
            term.insert("@context".to_owned(), Json::Object(own));
        }
        context.insert(class.name.clone(), Json::Object(term));
    }
    for attr in &o.attrs {
        let term =
            if varies(attr) { json!({"@id": terms.attr_named(&attr.name).as_str()}) } else { typed(attr) };
        context.insert(attr.name.clone(), term);
    }
    for (i, relation) in (0..).map(RelationId).zip(&o.relations) {
        let mut term = json!({"@id": terms.relation(i).as_str(), "@type": "@id"});
        if let (false, Some(fields)) = (relation.single, term.as_object_mut()) {
            fields.insert("@container".to_owned(), json!("@set"));
        }
        context.insert(relation.name.clone(), term);
    }
    // No alias for `@id` and `@type`: attributes are called so too. A word called like a prefix is written with the prefix.
    context.insert("@version".to_owned(), json!(1.1));
    context.insert("e2e".to_owned(), json!(terms.base()));
    context.insert("xsd".to_owned(), json!(XSD));
    context.insert("node".to_owned(), json!({"@id": terms.node("").as_str(), "@prefix": true}));
    Ok(json!({"@context": context}))
}

fn short(datatype: &NamedNode) -> String {
    datatype
        .as_str()
        .strip_prefix(XSD)
        .map_or_else(|| datatype.as_str().to_owned(), |name| format!("xsd:{name}"))
}
