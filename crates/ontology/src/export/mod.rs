//! The ontology in open forms: OWL for people and reasoners, SHACL for validators, a JSON-LD context, JSON Schema,
//! and the questions as SPARQL.
//!
//! OWL says what the words are and no more: an `rdfs:range` would not check a fact, it would draw a wrong conclusion from it.
//! What must hold of facts stands in the SHACL shapes, which mean a snapshot of one moment.

mod context;
mod owl;
mod shacl;
mod sparql;
mod terms;

pub use context::jsonld_context;
pub use owl::owl;
pub use shacl::shacl;
pub use sparql::sparql;
pub use terms::{Terms, datatype, literal};

use crate::load::Kind;
use crate::model::Ontology;
use oxrdf::{BlankNode, IriParseError, Literal, NamedNode, NamedOrBlankNode, Term, Triple, vocab};
use oxttl::turtle::WriterTurtleSerializer;
use serde_json::{Value as Json, json};
use std::io::{self, Write};

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ontology's base IRI is none.
    #[error(
        "`{iri}`, the base of the ontology's terms, is not an IRI ({why}); mend `ontology: {{iri: …}}` in classes.yaml"
    )]
    Iri {
        /// What was written.
        iri: String,
        /// What is wrong with it.
        why: IriParseError,
    },
    /// A question asks for what SPARQL cannot say.
    #[error("writing line {line} of question {question} as SPARQL: {why}")]
    Unsaid {
        /// Name of the question.
        question: String,
        /// Which of its lines, from 1.
        line: usize,
        /// What cannot be said.
        why: String,
    },
    /// The writer failed.
    #[error("writing the export")]
    Write(#[from] io::Error),
}

/// The JSON Schemas of all kinds of file as one document, each under its own name.
pub fn json_schemas(o: &Ontology) -> Json {
    let base = format!("{}/schema", o.iri.trim_end_matches(['#', '/']));
    let mut all = serde_json::Map::new();
    for (_, kind) in Kind::ALL {
        if let Some(mut schema) = crate::json_schema(kind) {
            // An `$id` of its own keeps `#/$defs/…` inside pointing into this schema.
            if let Some(fields) = schema.as_object_mut() {
                fields.insert("$id".to_owned(), json!(format!("{base}/{kind}")));
            }
            all.insert(kind.to_owned(), schema);
        }
    }
    let any: Vec<Json> = all.keys().map(|kind| json!({"$ref": format!("{base}/{kind}")})).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": base,
        "title": format!("Files of the ontology {} {}", o.name, o.version),
        "anyOf": any,
        "$defs": all,
    })
}

/// Turtle under way: triples one by one, blank nodes numbered in the order in which they are wanted.
struct Turtle<W: Write> {
    to: WriterTurtleSerializer<W>,
    blanks: u32,
}

impl<W: Write> Turtle<W> {
    fn new(terms: &Terms<'_>, more: &[(&str, &str)], to: W) -> Result<Self, ExportError> {
        let ours = [("e2e", terms.base()), ("rdfs", RDFS), ("xsd", XSD)];
        let mut serializer = oxttl::TurtleSerializer::new();
        for (prefix, iri) in ours.iter().chain(more) {
            serializer = serializer
                .with_prefix(*prefix, *iri)
                .map_err(|why| ExportError::Iri { iri: (*iri).to_owned(), why })?;
        }
        Ok(Turtle { to: serializer.for_writer(to), blanks: 0 })
    }

    fn say(
        &mut self,
        subject: impl Into<NamedOrBlankNode>,
        predicate: NamedNode,
        object: impl Into<Term>,
    ) -> io::Result<()> {
        self.to.serialize_triple(&Triple::new(subject, predicate, object))
    }

    fn blank(&mut self) -> BlankNode {
        self.blanks += 1;
        BlankNode::new_unchecked(format!("b{}", self.blanks))
    }

    /// An RDF list; its head.
    fn list(&mut self, items: Vec<Term>) -> io::Result<Term> {
        let cells: Vec<BlankNode> = items.iter().map(|_| self.blank()).collect();
        for (i, item) in items.into_iter().enumerate() {
            let Some(cell) = cells.get(i) else { break };
            let rest =
                cells.get(i + 1).map_or(Term::from(vocab::rdf::NIL.into_owned()), |c| c.clone().into());
            self.say(cell.clone(), vocab::rdf::FIRST.into_owned(), item)?;
            self.say(cell.clone(), vocab::rdf::REST.into_owned(), rest)?;
        }
        Ok(cells.first().map_or(Term::from(vocab::rdf::NIL.into_owned()), |c| c.clone().into()))
    }

    fn finish(self) -> io::Result<()> {
        self.to.finish()?.flush()
    }
}

const RDFS: &str = "http://www.w3.org/2000/01/rdf-schema#";
const XSD: &str = "http://www.w3.org/2001/XMLSchema#";
const OWL: &str = "http://www.w3.org/2002/07/owl#";
const SKOS: &str = "http://www.w3.org/2004/02/skos/core#";
const SCHEMA: &str = "https://schema.org/";
const SH: &str = "http://www.w3.org/ns/shacl#";

fn word(namespace: &str, name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{namespace}{name}"))
}

fn english(text: &str) -> Literal {
    Literal::new_language_tagged_literal_unchecked(text, "en")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;
    use oxrdf::Graph;
    use std::collections::BTreeSet;

    /// A small ontology of a site's own beside the built-in one.
    fn site() -> Ontology {
        let classes = r#"
classes:
  infra:
    Rack: {is: Component, key: [name], attrs: {name: string, units: int, cooling: air|water}, doc: "Holds hosts.", names: [cabinet]}
"#;
        let relations = r#"
stands_in: {arrow: "Host -> Rack", card: n..1, time: while, doc: "Where it is."}
bolted_in: {is: stands_in, arrow: "Host -> Rack", card: n..1, time: while}
cools: {arrow: ["Rack -> Host | Instance", "Zone -> Rack"], card: n..m, time: while}
"#;
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        crate::load(&[file("classes.yaml", classes), file("relations.yaml", relations)]).unwrap()
    }

    type Export = fn(&Ontology, &mut Vec<u8>) -> Result<(), ExportError>;

    fn written(export: Export, o: &Ontology) -> String {
        let mut bytes = Vec::new();
        export(o, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn read(turtle: &str) -> Graph {
        oxttl::TurtleParser::new().for_slice(turtle).collect::<Result<Graph, _>>().unwrap()
    }

    const EXPORTS: [(&str, Export); 2] = [("owl", |o, to| owl(o, to)), ("shacl", |o, to| shacl(o, to))];

    /// The triples about a term, its blank nodes followed, as indented lines with short names.
    fn about(graph: &Graph, term: &str) -> String {
        fn lines(graph: &Graph, subject: NamedOrBlankNode, depth: usize, out: &mut String) {
            let short = |t: &str| {
                let t = t.replace("https://w3id.org/e2egraph/core#", "").replace("http://www.w3.org/", "");
                t.trim_matches(['<', '>'])
                    .rsplit_once('#')
                    .map_or(t.clone(), |(_, n)| n.trim_matches('>').to_owned())
            };
            let mut found: Vec<Triple> =
                graph.triples_for_subject(&subject).map(|t| t.into_owned()).collect();
            found.sort_by_key(|t| (t.predicate.to_string(), t.object.to_string()));
            for t in found {
                let object = match &t.object {
                    Term::BlankNode(_) => String::new(),
                    Term::Literal(l) => l.value().to_owned(),
                    Term::NamedNode(n) => short(n.as_str()),
                };
                let line = format!("{}{} {object}", "  ".repeat(depth), short(t.predicate.as_str()));
                out.push_str(line.trim_end());
                out.push('\n');
                if let Term::BlankNode(b) = t.object {
                    lines(graph, b.into(), depth + 1, out);
                }
            }
        }
        let mut out = String::new();
        lines(
            graph,
            NamedNode::new(format!("https://w3id.org/e2egraph/{term}")).unwrap().into(),
            0,
            &mut out,
        );
        out
    }

    #[track_caller]
    fn check(export: Export, term: &str, wanted: &str) {
        let wanted: Vec<&str> = wanted.trim_matches('\n').lines().map(str::trim_end).collect();
        let found = about(&read(&written(export, &site())), term);
        assert_eq!(found.lines().collect::<Vec<_>>(), wanted, "\n{found}");
    }

    #[test]
    fn a_class_in_owl_has_its_words_and_what_it_is_a_kind_of() {
        check(
            |o, to| owl(o, to),
            "core#Rack",
            "
type Class
comment Holds hosts.
label Rack
subClassOf Component
altLabel cabinet
",
        );
    }

    #[test]
    fn a_relation_in_owl_is_part_of_the_more_general_one() {
        check(
            |o, to| owl(o, to),
            "core#bolted_in",
            "
type ObjectProperty
comment Host -> Rack; one target at a moment; holds for a while.
label bolted in
subPropertyOf stands_in
https://schema.org/domainIncludes Host
https://schema.org/rangeIncludes Rack
",
        );
    }

    #[test]
    fn words_of_other_vocabularies_are_close_matches() {
        let graph = about(&read(&written(|o, to| owl(o, to), &site())), "core#Remediation");
        for wanted in
            ["closeMatch Activity", "closeMatch ns/sosa/Actuation", "closeMatch https://schema.org/Action"]
        {
            assert!(graph.contains(wanted), "{wanted}:\n{graph}");
        }
    }

    #[test]
    fn a_class_shape_holds_datatypes_and_words() {
        check(
            |o, to| shacl(o, to),
            "core/shapes#Rack",
            "
type NodeShape
property
  datatype string
  maxCount 1
  path name
property
  datatype integer
  maxCount 1
  path units
property
  datatype string
  in
    first air
    rest
      first water
      rest nil
  maxCount 1
  path cooling
targetClass Rack
",
        );
    }

    #[test]
    fn a_relation_shape_holds_domain_range_and_number() {
        check(
            |o, to| shacl(o, to),
            "core/shapes#stands_in",
            "
type NodeShape
class Host
message stands_in leads from Host to Rack, to one at a time
property
  class Rack
  path stands_in
property
  maxCount 1
  path stands_in
targetSubjectsOf stands_in
",
        );
    }

    #[test]
    fn the_source_of_a_relation_decides_what_may_be_its_target() {
        check(
            |o, to| shacl(o, to),
            "core/shapes#cools",
            "
type NodeShape
message cools leads from Rack to Host or Instance, or from Zone to Rack
or
  first
    class Rack
    property
      or
        first
          class Host
        rest
          first
            class Instance
          rest nil
      path cools
  rest
    first
      class Zone
      property
        class Rack
        path cools
    rest nil
targetSubjectsOf cools
",
        );
    }

    #[test]
    fn the_same_ontology_gives_the_same_bytes() {
        for (name, export) in EXPORTS {
            assert_eq!(written(export, &site()), written(export, &site()), "{name}");
        }
    }

    #[test]
    fn owl_draws_no_conclusions_and_uses_no_name_twice() {
        let graph = read(&written(|o, to| owl(o, to), &Ontology::builtin()));
        let mut kinds: BTreeSet<(String, String)> = BTreeSet::new();
        for t in &graph {
            assert!(
                !t.predicate.as_str().ends_with("#domain") && !t.predicate.as_str().ends_with("#range"),
                "{t}"
            );
            if t.predicate == vocab::rdf::TYPE {
                assert!(kinds.insert((t.subject.to_string(), String::new())), "declared twice: {t}");
            }
        }
        let o = Ontology::builtin();
        let names: BTreeSet<&str> = o.attrs.iter().map(|a| a.name.as_str()).collect();
        let declared = o.classes.len() + o.relations.len() + names.len() + terms::OWN.len();
        assert_eq!(kinds.len(), 1 + 6 + declared);
    }

    #[test]
    fn the_context_types_every_word() {
        let all = jsonld_context(&site()).unwrap();
        let of = |name: &str| all["@context"][name].to_string();
        assert_eq!(of("runs_on"), r#"{"@id":"https://w3id.org/e2egraph/core#runs_on","@type":"@id"}"#);
        assert_eq!(of("units"), r#"{"@id":"https://w3id.org/e2egraph/core#units","@type":"xsd:integer"}"#);
        // Attributes are called so: no alias may hide them, nor they an alias.
        assert!(of("type").contains("core#type") && of("id") == "null");
        // What was before is a number of a capacity change and a text of a configuration change.
        assert_eq!(of("old"), r#"{"@id":"https://w3id.org/e2egraph/core#old"}"#);
        assert_eq!(all["@context"]["CapacityChange"]["@context"]["old"]["@type"], "xsd:integer");
    }

    #[test]
    fn the_schemas_are_one_document_whose_parts_keep_their_own_definitions() {
        let all = json_schemas(&site());
        assert_eq!(all["anyOf"].as_array().unwrap().len(), Kind::ALL.len());
        assert_eq!(all["$defs"]["classes"]["$id"], "https://w3id.org/e2egraph/core/schema/classes");
        assert!(all["$defs"]["relations"]["$defs"].is_object());
    }

    #[test]
    fn a_base_that_is_no_iri_is_told() {
        let o = Ontology { iri: "core".to_owned(), ..Ontology::builtin() };
        let told = owl(&o, Vec::new()).unwrap_err().to_string();
        assert!(told.contains("`core`, the base of the ontology's terms, is not an IRI"), "{told}");
    }
}
