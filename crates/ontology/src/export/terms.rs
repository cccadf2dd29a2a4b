//! Our words and values as RDF terms.
//!
//! An attribute of the same name is the same property on every class: that is how people read `name`, and readers of RDF
//! expect it. Its types may differ from class to class, so they stand in the shapes.

use super::{ExportError, RDFS, XSD, word};
use crate::model::{AttrId, ClassId, Ontology, RelationId, Type};
use crate::value::Value;
use oxrdf::{Literal, NamedNode};

/// Makes IRIs from the ontology's base.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub(super) o: &'a Ontology,
}

impl<'a> Terms<'a> {
    /// # Errors
    /// When the ontology's base IRI is none.
    pub fn new(o: &'a Ontology) -> Result<Terms<'a>, ExportError> {
        match NamedNode::new(&o.iri) {
            Ok(_) => Ok(Terms { o }),
            Err(why) => Err(ExportError::Iri { iri: o.iri.clone(), why }),
        }
    }

    /// What the IRIs of all terms begin with.
    pub fn base(&self) -> &'a str {
        &self.o.iri
    }

    /// The ontology itself, and what hangs below it: its nodes, its shapes, its graphs.
    pub fn below(&self, path: &str) -> NamedNode {
        // Names in `path` are ours: letters, digits, `_`, `.`, `-`, `/`, `#`.
        word(self.o.iri.trim_end_matches(['#', '/']), path)
    }

    /// A word of the export itself, such as `last_seen`.
    pub fn own(&self, name: &str) -> NamedNode {
        word(&self.o.iri, name)
    }

    /// A class.
    pub fn class(&self, class: ClassId) -> NamedNode {
        self.own(self.o.class_name(class))
    }

    /// A relation: an object property.
    pub fn relation(&self, relation: RelationId) -> NamedNode {
        self.own(self.o.relation_name(relation))
    }

    /// An attribute: a datatype property. OWL 2 DL wants it told apart from a relation of the same name.
    pub fn attr(&self, attr: AttrId) -> NamedNode {
        let name = self.o.attrs.get(attr.index()).map_or("", |a| a.name.as_str());
        self.attr_named(name)
    }

    /// The datatype property for an attribute's name.
    pub(super) fn attr_named(&self, name: &str) -> NamedNode {
        if self.o.relation(name).is_some() || OWN.iter().any(|(own, ..)| *own == name) {
            self.own(&format!("{name}.value"))
        } else {
            self.own(name)
        }
    }

    /// Nodes have stable ids; this is the IRI of one.
    pub fn node(&self, id: &str) -> NamedNode {
        self.below(&format!("/node/{id}"))
    }
}

/// Properties of the export itself: name, datatype, what it says.
pub(super) const OWN: &[(&str, &str, &str)] = &[
    ("first_seen", "dateTime", "The minute in which a fact was first seen."),
    ("last_seen", "dateTime", "The minute in which a fact was last seen, up to the moment of the snapshot."),
    ("told_by", "string", "A source that told of a fact."),
    ("concluded_by", "string", "A rule from which a fact follows."),
    ("began", "dateTime", "When a thing began: what it says itself, else when it was first seen."),
    ("gone_at", "dateTime", "When a source said that this thing came to its end."),
    ("snapshot_of", "dateTime", "The moment that a snapshot is of."),
];

/// The XSD datatype of an attribute's values.
pub fn datatype(ty: &Type) -> NamedNode {
    let name = match ty {
        Type::Text | Type::Version | Type::Hash | Type::OneOf(_) => "string",
        Type::Int | Type::Bytes => "integer",
        Type::Float | Type::Duration | Type::Ratio => "double",
        Type::Bool => "boolean",
        Type::Time => "dateTime",
        Type::Url => "anyURI",
    };
    word(XSD, name)
}

/// A value as a literal of its attribute's datatype. A value that is not of the type keeps its own, for the shapes to find.
pub fn literal(ty: &Type, value: &Value) -> Literal {
    match (ty, value) {
        (Type::Url, Value::Text(t)) => Literal::new_typed_literal(t.as_ref(), word(XSD, "anyURI")),
        (Type::Float | Type::Duration | Type::Ratio, Value::Int(i)) => Literal::from(*i as f64),
        (_, Value::Text(t)) => Literal::new_simple_literal(t.as_ref()),
        (_, Value::Int(i)) => Literal::from(*i),
        (_, Value::Float(x)) => Literal::from(*x),
        (_, Value::Bool(b)) => Literal::from(*b),
        (_, Value::Time(t)) => Literal::new_typed_literal(t.to_string(), word(XSD, "dateTime")),
    }
}

pub(super) fn label() -> NamedNode {
    word(RDFS, "label")
}

pub(super) fn comment() -> NamedNode {
    word(RDFS, "comment")
}

/// `ServiceVersion` and `runs_on` as words.
pub(super) fn words(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if i > 0 && c.is_ascii_uppercase() {
            out.push(' ');
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(if c == '_' { ' ' } else { c });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    #[test]
    fn values_are_literals_of_their_attributes_type() {
        let xsd = |name: &str| format!("<{XSD}{name}>");
        for (ty, value, wanted) in [
            (Type::Text, Value::text("a \"b\"\n"), "\"a \\\"b\\\"\\n\"".to_owned()),
            (Type::Int, Value::Int(-3), format!("\"-3\"^^{}", xsd("integer"))),
            (Type::Duration, Value::Int(2), format!("\"2\"^^{}", xsd("double"))),
            (Type::Ratio, Value::Float(0.25), format!("\"0.25\"^^{}", xsd("double"))),
            (Type::Bool, Value::Bool(true), format!("\"true\"^^{}", xsd("boolean"))),
            (Type::Url, Value::text("https://x/ y"), format!("\"https://x/ y\"^^{}", xsd("anyURI"))),
            (
                Type::Time,
                Value::Time(Time::from_secs(0)),
                format!("\"1970-01-01T00:00:00Z\"^^{}", xsd("dateTime")),
            ),
            // Not of the type: for the shapes to find.
            (Type::Int, Value::text("three"), "\"three\"".to_owned()),
        ] {
            let found = literal(&ty, &value);
            assert_eq!(found.to_string(), wanted);
            let is_of_type = found.datatype() == datatype(&ty).as_ref();
            assert_eq!(is_of_type, wanted != "\"three\"", "{wanted}");
        }
    }

    #[test]
    fn an_attribute_called_like_a_relation_has_a_name_of_its_own() {
        let o = Ontology::builtin();
        let terms = Terms::new(&o).unwrap();
        assert_eq!(terms.attr_named("name").as_str(), "https://w3id.org/e2egraph/core#name");
        assert_eq!(terms.attr_named("runs_on").as_str(), "https://w3id.org/e2egraph/core#runs_on.value");
        assert_eq!(terms.attr_named("told_by").as_str(), "https://w3id.org/e2egraph/core#told_by.value");
    }
}
