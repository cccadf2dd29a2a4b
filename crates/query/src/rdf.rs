//! The facts of a moment as RDF quads, in a fixed order, written as they are found.
//!
//! Entities, attributes and relations stand in the default graph; what kept rules conclude in `…/graph/derived`; who told
//! what and when in `…/graph/provenance`, edges as plain `rdf:Statement`s, which every RDF 1.1 reader loads.

use crate::moment::{Held, Moment};
use crate::view::View;
use graph::NodeId;
use ontology::Minute;
use ontology::export::{ExportError, Terms, literal};
use oxrdf::{GraphName, Literal, NamedNode, Quad, Term, vocab};
use oxttl::nquads::WriterNQuadsSerializer;
use oxttl::trig::WriterTriGSerializer;
use std::io::{self, Write};

/// How quads are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One quad a line.
    NQuads,
    /// With prefixes, grouped by thing.
    TriG,
}

impl Format {
    /// Every form and its name.
    pub const ALL: [(Format, &'static str); 2] = [(Format::NQuads, "nquads"), (Format::TriG, "trig")];

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::NQuads => "application/n-quads",
            Format::TriG => "application/trig",
        }
    }
}

/// Writes the facts of the last moment that a view sees.
///
/// # Errors
/// When the ontology's base IRI is none or the writer fails.
pub fn write(view: &View<'_>, format: Format, to: impl Write) -> Result<(), ExportError> {
    let terms = Terms::new(view.ontology())?;
    let mut out = Writer::new(&terms, format, to)?;
    let moment = Moment::of(view);
    let facts = Facts::of(view, terms, &moment);
    facts.head(&mut out)?;
    for node in moment.nodes() {
        facts.node(*node, &mut out)?;
    }
    Ok(out.finish()?)
}

enum Writer<W: Write> {
    NQuads(WriterNQuadsSerializer<W>),
    TriG(Box<WriterTriGSerializer<W>>),
}

impl<W: Write> Writer<W> {
    fn new(terms: &Terms<'_>, format: Format, to: W) -> Result<Self, ExportError> {
        if format == Format::NQuads {
            return Ok(Writer::NQuads(oxttl::NQuadsSerializer::new().for_writer(to)));
        }
        let (node, fact, graph) = (terms.node(""), terms.below("/fact/"), terms.below("/graph/"));
        let mut serializer = oxttl::TriGSerializer::new();
        for (prefix, iri) in [
            ("e2e", terms.base()),
            ("node", node.as_str()),
            ("fact", fact.as_str()),
            ("graph", graph.as_str()),
            ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
            ("rdfs", "http://www.w3.org/2000/01/rdf-schema#"),
            ("xsd", "http://www.w3.org/2001/XMLSchema#"),
        ] {
            serializer = serializer
                .with_prefix(prefix, iri)
                .map_err(|why| ExportError::Iri { iri: iri.to_owned(), why })?;
        }
        Ok(Writer::TriG(Box::new(serializer.for_writer(to))))
    }

    fn say(
        &mut self,
        graph: &GraphName,
        subject: &NamedNode,
        predicate: impl Into<NamedNode>,
        object: impl Into<Term>,
    ) -> io::Result<()> {
        let quad = Quad::new(subject.clone(), predicate.into(), object.into(), graph.clone());
        match self {
            Writer::NQuads(w) => w.serialize_quad(&quad),
            Writer::TriG(w) => w.serialize_quad(&quad),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Writer::NQuads(w) => w.finish().flush(),
            Writer::TriG(w) => w.finish()?.flush(),
        }
    }
}

struct Facts<'a> {
    view: &'a View<'a>,
    terms: Terms<'a>,
    moment: &'a Moment<'a>,
    derived: GraphName,
    provenance: GraphName,
}

impl<'a> Facts<'a> {
    fn of(view: &'a View<'a>, terms: Terms<'a>, moment: &'a Moment<'a>) -> Facts<'a> {
        Facts {
            view,
            terms,
            moment,
            derived: terms.below("/graph/derived").into(),
            provenance: terms.below("/graph/provenance").into(),
        }
    }

    /// What the snapshot is of, and under which ontology it was made.
    fn head<W: Write>(&self, out: &mut Writer<W>) -> io::Result<()> {
        let whole = self.terms.below("/graph/provenance");
        let version = Literal::from(self.view.ontology().version.as_str());
        out.say(&self.provenance, &whole, self.terms.own("snapshot_of"), time(&self.view.as_of.to_string()))?;
        let version_info = NamedNode::new_unchecked("http://www.w3.org/2002/07/owl#versionInfo");
        out.say(&self.provenance, &whole, version_info, version)?;
        Ok(())
    }

    fn iri(&self, node: NodeId) -> NamedNode {
        self.terms.node(&self.view.graph.id(node))
    }

    fn node<W: Write>(&self, node: NodeId, out: &mut Writer<W>) -> io::Result<()> {
        let (graph, o) = (self.view.graph, self.view.ontology());
        let Some(found) = graph.node(node) else { return Ok(()) };
        let (iri, facts) = (self.iri(node), GraphName::DefaultGraph);
        out.say(&facts, &iri, vocab::rdf::TYPE.into_owned(), self.terms.class(found.class))?;
        out.say(&facts, &iri, vocab::rdfs::LABEL.into_owned(), Literal::from(graph.name(node)))?;
        for (attr, value) in graph.attrs(node) {
            if let Some(ty) = o.attrs.get(attr.index()).map(|a| &a.ty) {
                out.say(&facts, &iri, self.terms.attr(attr), literal(ty, &value))?;
            }
        }
        let held = self.moment.held(node);
        for h in &held {
            let graph = if h.seen.is_some() { &facts } else { &self.derived };
            out.say(graph, &iri, self.terms.relation(h.relation), self.iri(h.to))?;
        }
        let minutes = self.moment.seen(node);
        self.told(&iri, minutes, &graph.node_sources(node), out)?;
        if let Some(began) = self.view.started(node) {
            out.say(&self.provenance, &iri, self.terms.own("began"), time(&began.to_string()))?;
        }
        if let Some(gone) = found.ended.filter(|e| *e <= self.moment.at()) {
            out.say(&self.provenance, &iri, self.terms.own("gone_at"), time(&gone.to_string()))?;
        }
        for h in &held {
            self.statement(node, &iri, h, out)?;
        }
        Ok(())
    }

    /// Who told of an edge, and when.
    fn statement<W: Write>(
        &self,
        node: NodeId,
        from: &NamedNode,
        h: &Held,
        out: &mut Writer<W>,
    ) -> io::Result<()> {
        let (graph, o) = (self.view.graph, self.view.ontology());
        let name = format!("/fact/{}.{}.{}", graph.id(node), o.relation_name(h.relation), graph.id(h.to));
        let fact = self.terms.below(&name);
        let mut say =
            |predicate: NamedNode, object: Term| out.say(&self.provenance, &fact, predicate, object);
        say(vocab::rdf::TYPE.into_owned(), vocab::rdf::STATEMENT.into_owned().into())?;
        say(vocab::rdf::SUBJECT.into_owned(), from.clone().into())?;
        say(vocab::rdf::PREDICATE.into_owned(), self.terms.relation(h.relation).into())?;
        say(vocab::rdf::OBJECT.into_owned(), self.iri(h.to).into())?;
        let mut rules: Vec<&str> =
            h.edges.iter().flat_map(|e| self.view.concluded_by(*e, self.moment.at())).collect();
        rules.sort_unstable();
        rules.dedup();
        for rule in rules {
            say(self.terms.own("concluded_by"), Literal::from(rule).into())?;
        }
        let mut sources: Vec<&str> = h.edges.iter().flat_map(|e| graph.edge_sources(*e)).collect();
        sources.sort_unstable();
        sources.dedup();
        self.told(&fact, h.seen, if h.seen.is_some() { &sources } else { &[] }, out)
    }

    fn told<W: Write>(
        &self,
        what: &NamedNode,
        minutes: Option<(Minute, Minute)>,
        sources: &[&str],
        out: &mut Writer<W>,
    ) -> io::Result<()> {
        if let Some((first, last)) = minutes {
            let at = |m: Minute| time(&m.start().to_string());
            out.say(&self.provenance, what, self.terms.own("first_seen"), at(first))?;
            out.say(&self.provenance, what, self.terms.own("last_seen"), at(last))?;
        }
        for source in sources {
            out.say(&self.provenance, what, self.terms.own("told_by"), Literal::from(*source))?;
        }
        Ok(())
    }
}

fn time(text: &str) -> Literal {
    Literal::new_typed_literal(text, vocab::xsd::DATE_TIME)
}
