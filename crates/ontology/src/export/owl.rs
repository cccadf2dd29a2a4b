//! OWL 2 DL in Turtle: classes, object properties, datatype properties, and where they meet other people's words.
//!
//! No `rdfs:domain` and no `rdfs:range` (see the shapes); `schema:domainIncludes` and `rangeIncludes` tell readers the same
//! without anything following from it. An n..1 relation is not functional: it has one target *at a moment*.

use super::terms::{OWN, comment, label, words};
use super::{ExportError, OWL, RDFS, SCHEMA, SKOS, Terms, Turtle, XSD, english, word};
use crate::model::{ClassId, Holds, Ontology, Relation, Type};
use oxrdf::{Literal, NamedNode, vocab::rdf};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Annotation properties that must be declared in OWL 2 DL because they are not its own.
const ANNOTATIONS: &[(&str, &str)] = &[
    (SKOS, "altLabel"),
    (SKOS, "closeMatch"),
    (SKOS, "note"),
    (SKOS, "definition"),
    (SCHEMA, "domainIncludes"),
    (SCHEMA, "rangeIncludes"),
];

/// Writes the ontology as an OWL 2 DL ontology in Turtle.
///
/// # Errors
/// When the base IRI is none or the writer fails.
pub fn owl(o: &Ontology, to: impl Write) -> Result<(), ExportError> {
    let terms = Terms::new(o)?;
    let mut out = Turtle::new(&terms, &[("owl", OWL), ("skos", SKOS), ("schema", SCHEMA)], to)?;
    let a = rdf::TYPE.into_owned();
    let whole = terms.below("");
    out.say(whole.clone(), a.clone(), word(OWL, "Ontology"))?;
    out.say(whole.clone(), label(), english(&o.name))?;
    out.say(whole.clone(), word(OWL, "versionInfo"), Literal::from(o.version.as_str()))?;
    if let Ok(version) = NamedNode::new(format!("{}/{}", whole.as_str(), o.version)) {
        out.say(whole, word(OWL, "versionIRI"), version)?;
    }
    for (namespace, name) in ANNOTATIONS {
        out.say(word(namespace, name), a.clone(), word(OWL, "AnnotationProperty"))?;
    }
    for (i, class) in (0..).zip(&o.classes) {
        let iri = terms.class(ClassId(i));
        out.say(iri.clone(), a.clone(), word(OWL, "Class"))?;
        out.say(iri.clone(), label(), english(&words(&class.name)))?;
        if !class.doc.is_empty() {
            out.say(iri.clone(), comment(), english(&class.doc))?;
        }
        for name in &class.names {
            out.say(iri.clone(), word(SKOS, "altLabel"), english(name))?;
        }
        if let Some(general) = class.is {
            out.say(iri.clone(), word(RDFS, "subClassOf"), terms.class(general))?;
        }
        aligned(o, &class.name, iri, &mut out)?;
    }
    for relation in &o.relations {
        let iri = terms.own(&relation.name);
        out.say(iri.clone(), a.clone(), word(OWL, "ObjectProperty"))?;
        out.say(iri.clone(), label(), english(&words(&relation.name)))?;
        out.say(iri.clone(), comment(), english(&said(o, relation)))?;
        if let Some(general) = relation.is {
            out.say(iri.clone(), word(RDFS, "subPropertyOf"), terms.relation(general))?;
        }
        let ends = |end: fn(&(ClassId, ClassId)) -> ClassId| {
            relation.arrows.iter().map(end).collect::<BTreeSet<_>>()
        };
        for class in ends(|a| a.0) {
            out.say(iri.clone(), word(SCHEMA, "domainIncludes"), terms.class(class))?;
        }
        for class in ends(|a| a.1) {
            out.say(iri.clone(), word(SCHEMA, "rangeIncludes"), terms.class(class))?;
        }
        aligned(o, &relation.name, iri, &mut out)?;
    }
    let mut attrs: BTreeMap<&str, Vec<(ClassId, &Type)>> = BTreeMap::new();
    for attr in &o.attrs {
        attrs.entry(&attr.name).or_default().push((attr.class, &attr.ty));
    }
    for (name, on) in attrs {
        let iri = terms.attr_named(name);
        out.say(iri.clone(), a.clone(), word(OWL, "DatatypeProperty"))?;
        out.say(iri.clone(), label(), english(&words(name)))?;
        for unit in on.iter().filter_map(|(_, ty)| unit(ty)).collect::<BTreeSet<_>>() {
            out.say(iri.clone(), comment(), english(unit))?;
        }
        for class in on.iter().map(|(class, _)| *class).collect::<BTreeSet<_>>() {
            out.say(iri.clone(), word(SCHEMA, "domainIncludes"), terms.class(class))?;
        }
        aligned(o, name, iri, &mut out)?;
    }
    for (name, datatype, doc) in OWN {
        let iri = terms.own(name);
        out.say(iri.clone(), a.clone(), word(OWL, "DatatypeProperty"))?;
        out.say(iri.clone(), label(), english(&words(name)))?;
        out.say(iri.clone(), comment(), english(doc))?;
        out.say(iri, word(SCHEMA, "rangeIncludes"), word(XSD, datatype))?;
    }
    Ok(out.finish()?)
}

/// What a relation says, for people: its doc, its arrows, how long it holds.
fn said(o: &Ontology, relation: &Relation) -> String {
    let arrows: Vec<String> = relation
        .arrows
        .iter()
        .map(|(d, r)| format!("{} -> {}", o.class_name(*d), o.class_name(*r)))
        .collect();
    let holds = match relation.holds {
        Holds::Fixed => "said once, true for good",
        Holds::While => "holds for a while",
        Holds::Flow => "traffic",
    };
    let one = if relation.single { "one target at a moment" } else { "many targets" };
    let derived = if relation.derived { "; follows from rules" } else { "" };
    let doc = if relation.doc.is_empty() { String::new() } else { format!("{} ", relation.doc) };
    format!("{doc}{}; {one}; {holds}{derived}.", arrows.join(", "))
}

fn unit(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Duration => Some("In seconds."),
        Type::Bytes => Some("In bytes."),
        Type::Ratio => Some("A share, 0 to 1."),
        Type::Hash => Some("Personal: a keyed hash, never the value itself."),
        _ => None,
    }
}

/// A word's close matches in other vocabularies; those of vocabularies without IRIs as notes.
fn aligned<W: Write>(
    o: &Ontology,
    name: &str,
    iri: NamedNode,
    out: &mut Turtle<W>,
) -> Result<(), ExportError> {
    for alignment in o.alignments.iter().filter(|a| a.ours == name) {
        for theirs in &alignment.theirs {
            let base = o.vocabularies.get(&alignment.vocabulary);
            match base.map(|b| NamedNode::new(format!("{b}{theirs}"))) {
                Some(Ok(match_)) => out.say(iri.clone(), word(SKOS, "closeMatch"), match_)?,
                _ => {
                    let note = format!("{}: {theirs}", alignment.vocabulary);
                    out.say(iri.clone(), word(SKOS, "note"), Literal::from(note))?;
                }
            }
        }
    }
    Ok(())
}
