//! SHACL shapes in Turtle: what must hold of the facts of one moment. Domain, range and cardinality of relations; datatype,
//! words and bounds of attributes.
//!
//! Classes are told apart by `rdfs:subClassOf`, so validate with the OWL export at hand (pyshacl: `ont_graph`).

use super::{ExportError, SH, Terms, Turtle, datatype, word};
use crate::model::{ClassId, Ontology, Relation, RelationId, Type};
use oxrdf::{Literal, NamedNode, Term, vocab::rdf};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Writes the shapes in Turtle.
///
/// # Errors
/// When the base IRI is none or the writer fails.
pub fn shacl(o: &Ontology, to: impl Write) -> Result<(), ExportError> {
    let terms = Terms::new(o)?;
    let shapes = terms.below("/shapes#");
    let mut out = Turtle::new(&terms, &[("sh", SH), ("shapes", shapes.as_str())], to)?;
    let mut shapes = Shapes { o, terms, out: &mut out };
    // The root of the classes: every node is of exactly one class that may have nodes.
    for (i, class) in (0..).map(ClassId).zip(&o.classes) {
        let own: Vec<_> =
            class.attrs.iter().filter(|a| o.attrs.get(a.index()).is_some_and(|a| a.class == i)).collect();
        if class.is.is_some() && own.is_empty() {
            continue;
        }
        let shape = shapes.shape(&class.name)?;
        shapes.say(&shape, "targetClass", terms.class(i))?;
        if class.is.is_none() {
            let concrete = o.kinds_of(i).map(|c| terms.class(c).into()).collect();
            let allowed = shapes.out.list(concrete)?;
            shapes.property(
                &shape,
                rdf::TYPE.into_owned(),
                vec![("in", allowed), number("minCount", 1), number("maxCount", 1)],
            )?;
        }
        for attr in own {
            let Some(ty) = o.attrs.get(attr.index()).map(|a| &a.ty) else { continue };
            let mut limits = vec![("datatype", datatype(ty).into()), number("maxCount", 1)];
            limits.extend(shapes.bounds(ty)?);
            shapes.property(&shape, terms.attr(*attr), limits)?;
        }
    }
    for (i, relation) in (0..).map(RelationId).zip(&o.relations) {
        shapes.relation(i, relation)?;
    }
    Ok(out.finish()?)
}

fn number(name: &'static str, n: i64) -> (&'static str, Term) {
    (name, Literal::from(n).into())
}

struct Shapes<'a, 'w, W: Write> {
    o: &'a Ontology,
    terms: Terms<'a>,
    out: &'w mut Turtle<W>,
}

impl<W: Write> Shapes<'_, '_, W> {
    fn shape(&mut self, name: &str) -> io::Result<NamedNode> {
        let shape = self.terms.below(&format!("/shapes#{name}"));
        self.out.say(shape.clone(), rdf::TYPE.into_owned(), word(SH, "NodeShape"))?;
        Ok(shape)
    }

    fn say(&mut self, shape: &NamedNode, name: &str, object: impl Into<Term>) -> io::Result<()> {
        self.out.say(shape.clone(), word(SH, name), object)
    }

    /// A property shape of a node shape.
    fn property(&mut self, shape: &NamedNode, path: NamedNode, limits: Vec<(&str, Term)>) -> io::Result<()> {
        let node = self.out.blank();
        self.say(shape, "property", node.clone())?;
        self.out.say(node.clone(), word(SH, "path"), path)?;
        for (name, limit) in limits {
            self.out.say(node.clone(), word(SH, name), limit)?;
        }
        Ok(())
    }

    /// What a type allows beyond its datatype.
    fn bounds(&mut self, ty: &Type) -> io::Result<Vec<(&'static str, Term)>> {
        let share = |x: f64| Term::from(Literal::from(x));
        Ok(match ty {
            Type::Ratio => vec![("minInclusive", share(0.0)), ("maxInclusive", share(1.0))],
            Type::Duration => vec![("minInclusive", share(0.0))],
            Type::Bytes => vec![number("minInclusive", 0)],
            Type::Hash => vec![("pattern", Literal::from("^[0-9a-f]{32}$").into())],
            Type::OneOf(words) => {
                let words = words.iter().map(|w| Literal::from(w.as_str()).into()).collect();
                vec![("in", self.out.list(words)?)]
            }
            _ => Vec::new(),
        })
    }

    /// Who may stand at the ends of a relation, and how many targets it has at a moment.
    fn relation(&mut self, id: RelationId, relation: &Relation) -> io::Result<()> {
        let (path, shape) = (self.terms.relation(id), self.shape(&relation.name)?);
        self.say(&shape, "targetSubjectsOf", path.clone())?;
        // What may stand at the source decides what may stand at the target: cells are options of experiments, variants of flags.
        let mut ranges: BTreeMap<ClassId, Vec<ClassId>> = BTreeMap::new();
        for (domain, range) in &relation.arrows {
            ranges.entry(*domain).or_default().push(*range);
        }
        let mut same: BTreeMap<Vec<ClassId>, Vec<ClassId>> = BTreeMap::new();
        for (domain, range) in ranges {
            same.entry(range).or_default().push(domain);
        }
        let shown: Vec<String> = same
            .iter()
            .map(|(range, domain)| format!("from {} to {}", self.names(domain), self.names(range)))
            .collect();
        let one = if relation.single { ", to one at a time" } else { "" };
        let message = format!("{} leads {}{one}", relation.name, shown.join(", or "));
        self.say(&shape, "message", Literal::new_language_tagged_literal_unchecked(message, "en"))?;
        let single = same.len() == 1;
        let mut ways = Vec::new();
        for (range, domain) in same {
            let way: Term = if single { shape.clone().into() } else { self.out.blank().into() };
            self.one_of(&way, domain)?;
            let targets = self.out.blank();
            self.on(&way, "property", targets.clone().into())?;
            self.out.say(targets.clone(), word(SH, "path"), path.clone())?;
            self.one_of(&targets.into(), range)?;
            ways.push(way);
        }
        if !single {
            let ways = self.out.list(ways)?;
            self.say(&shape, "or", ways)?;
        }
        if relation.single {
            self.property(&shape, path, vec![number("maxCount", 1)])?;
        }
        Ok(())
    }

    fn names(&self, classes: &[ClassId]) -> String {
        classes.iter().map(|c| self.o.class_name(*c)).collect::<Vec<_>>().join(" or ")
    }

    fn on(&mut self, shape: &Term, name: &str, object: Term) -> io::Result<()> {
        match shape.clone() {
            Term::NamedNode(n) => self.out.say(n, word(SH, name), object),
            Term::BlankNode(n) => self.out.say(n, word(SH, name), object),
            Term::Literal(_) => Ok(()),
        }
    }

    /// The node, or every value of the path, is of one of these classes.
    fn one_of(&mut self, shape: &Term, classes: Vec<ClassId>) -> io::Result<()> {
        if let [class] = classes.as_slice() {
            return self.on(shape, "class", self.terms.class(*class).into());
        }
        let mut ways = Vec::new();
        for class in classes {
            let way = self.out.blank();
            self.out.say(way.clone(), word(SH, "class"), self.terms.class(class))?;
            ways.push(way.into());
        }
        let ways = self.out.list(ways)?;
        self.on(shape, "or", ways)
    }
}
