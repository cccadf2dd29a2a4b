//! Conditions on people, grounded: dimensions are classes of the ontology under any name people have for them, names are nodes of the
//! graph.
//!
//! A name is a node's whole name or id; or else a part of its key or its `name` (`B` of `lolomo_rows/B`, `BR`); or else what
//! the lexicon sends there (`brazil`); or else any of these in other letters; or else the beginning of a version (`8.42` is
//! every `8.42.x`). The first of these that anything answers to is meant, and of several nodes any.

use crate::cohort::{Filter, Test, parent};
use crate::run::{QueryError, nearest};
use crate::text::{Op, Predicate, Term};
use graph::{Graph, NodeId};
use ontology::lexicon::Meaning;
use ontology::model::{KeyPart, Type};
use ontology::{AttrId, ClassId, Value};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The cohorts of a condition, and hints at old names in it.
///
/// # Errors
/// When it names something unknown, with the column and the nearest there is.
pub fn ground(graph: &Graph, predicate: &Predicate) -> Result<(Filter, BTreeSet<String>), QueryError> {
    if predicate.is_everyone() {
        return Ok((Filter::all(), BTreeSet::new()));
    }
    let mut ground = Ground { graph, renamed: BTreeSet::new() };
    let test = ground.predicate(predicate)?;
    Ok((Filter::from(test), ground.renamed))
}

struct Ground<'a> {
    graph: &'a Graph,
    renamed: BTreeSet<String>,
}

impl Ground<'_> {
    fn predicate(&mut self, predicate: &Predicate) -> Result<Test, QueryError> {
        let mut all = |parts: &[Predicate]| -> Result<Vec<Test>, QueryError> {
            parts.iter().map(|p| self.predicate(p)).collect()
        };
        Ok(match predicate {
            Predicate::All(parts) => Test::All(all(parts)?),
            Predicate::Any(parts) => Test::Any(all(parts)?),
            Predicate::Not(part) => Test::Not(Box::new(self.predicate(part)?)),
            Predicate::Term(term) => self.term(term)?,
        })
    }

    fn term(&mut self, term: &Term) -> Result<Test, QueryError> {
        let classes = self.classes(&term.dimension).map_err(|e| e.at(term.place))?;
        let mut nodes: Vec<NodeId> = Vec::new();
        for (name, place) in &term.names {
            let found = match term.op {
                Op::In | Op::NotIn => self.named(&classes, term, name),
                Op::Less | Op::AtMost | Op::More | Op::AtLeast => self.ordered(&classes, term, name),
            };
            nodes.extend(found.map_err(|e| e.at(*place))?);
        }
        let test = Test::names(nodes);
        Ok(if term.op == Op::NotIn { Test::Not(Box::new(test)) } else { test })
    }

    /// The classes that a dimension means: one by its name, or all that people call so.
    fn classes(&mut self, dimension: &str) -> Result<Vec<ClassId>, QueryError> {
        let o = self.graph.ontology();
        if let Some(class) = o.class(dimension) {
            if let Some(now) = o.classes.get(class.index()).map(|c| &c.name).filter(|n| *n != dimension) {
                self.renamed.insert(format!("The class {dimension} is now called {now}."));
            }
            return Ok(vec![class]);
        }
        let mut found: Vec<ClassId> = Vec::new();
        for phrase in o.lexicon.meanings(dimension) {
            if let Meaning::Thing { class, only, by } = &phrase.meaning
                && only.is_empty()
                && by.is_empty()
            {
                found.push(*class);
            }
        }
        if found.is_empty() {
            let spoken = o.lexicon.phrases.iter().filter(|p| !p.written).filter_map(|p| match p.meaning {
                Meaning::Thing { .. } => Some(p.text.clone()),
                _ => None,
            });
            let names = o.classes.iter().map(|c| c.name.clone()).chain(spoken);
            let nearest = nearest(dimension, names, 3);
            return Err(QueryError::Unknown { kind: "dimension", name: dimension.to_owned(), nearest });
        }
        Ok(found)
    }

    fn belongs(&self, node: NodeId, within: Option<&str>) -> bool {
        let Some(within) = within else { return true };
        let called = |p: NodeId| {
            let name = self.graph.name(p);
            name == within || name.rsplit('/').next() == Some(within) || self.graph.id(p) == within
        };
        parent(self.graph, node).is_some_and(called)
    }

    fn all(&self, classes: &[ClassId], term: &Term) -> Vec<NodeId> {
        let nodes = classes.iter().flat_map(|c| self.graph.ontology().kinds_of(*c)).collect::<BTreeSet<_>>();
        let nodes = nodes.into_iter().flat_map(|c| self.graph.of_exactly(c));
        nodes.filter(|n| self.belongs(*n, term.within.as_deref())).collect()
    }

    fn named(&self, classes: &[ClassId], term: &Term, name: &str) -> Result<Vec<NodeId>, QueryError> {
        let graph = self.graph;
        let is_of = |n: NodeId| {
            let class = graph.node(n).map(|n| n.class);
            class.is_some_and(|c| classes.iter().any(|of| graph.ontology().is_a(c, *of)))
                && self.belongs(n, term.within.as_deref())
        };
        let mut whole: Vec<NodeId> = classes.iter().flat_map(|c| graph.all_named(*c, name)).collect();
        whole.extend(graph.node_with_id(name));
        whole.retain(|n| is_of(*n));
        if !whole.is_empty() {
            return Ok(whole);
        }
        let all = self.all(classes, term);
        let lower = name.to_lowercase();
        let sent = self.sent(name);
        let ways: [&dyn Fn(NodeId) -> bool; 4] = [
            &|n| self.parts(n).iter().any(|p| p == name),
            &|n| {
                let attrs = graph.attrs(n);
                let has = |(attr, text): &(AttrId, String)| {
                    attrs.iter().any(|(a, v)| a == attr && v.to_string() == *text)
                };
                sent.iter().any(|wanted| wanted.iter().all(has))
            },
            &|n| {
                graph.name(n).to_lowercase() == lower
                    || self.parts(n).iter().any(|p| p.to_lowercase() == lower)
            },
            &|n| self.version(n).is_some_and(|v| order(&Ordered::Version(v), name) == Some(Ordering::Equal)),
        ];
        for way in ways {
            let found: Vec<NodeId> = all.iter().copied().filter(|n| way(*n)).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        /// Names looked through for the nearest.
        const NAMES: usize = 5_000;
        let names = all.iter().take(NAMES).map(|n| graph.name(*n));
        let mut near: Vec<String> = nearest(name, names, 3);
        if near.is_empty() {
            let parts = all.iter().take(NAMES).flat_map(|n| self.parts(*n));
            near = nearest(name, parts, 3);
        }
        let class = match &term.within {
            Some(within) => format!("{} of {within}", term.dimension),
            None => term.dimension.clone(),
        };
        Err(QueryError::NoNode { class, name: name.to_owned(), nearest: near })
    }

    /// What the lexicon says of a name: values that a node must have.
    fn sent(&self, name: &str) -> Vec<Vec<(AttrId, String)>> {
        let o = self.graph.ontology();
        let meanings = o.lexicon.meanings(name).iter().filter_map(|p| match &p.meaning {
            Meaning::Thing { only, by, .. } if !(only.is_empty() && by.is_empty()) => {
                Some(only.iter().chain(by).cloned().collect())
            }
            _ => None,
        });
        meanings.collect()
    }

    /// What a node's key is made of, and its name.
    fn parts(&self, node: NodeId) -> Vec<String> {
        let parts = self.key_attrs(node).into_iter().map(|(_, value)| value.to_string());
        parts.chain(self.graph.attr_named(node, "name").map(Value::to_string)).collect()
    }

    fn key_attrs(&self, node: NodeId) -> Vec<(AttrId, &Value)> {
        let o = self.graph.ontology();
        let class = self.graph.node(node).and_then(|n| o.classes.get(n.class.index()));
        let key = class.and_then(|c| c.keys.first());
        let attrs = key.into_iter().flatten().filter_map(|p| match p {
            KeyPart::Attr(a) => Some(*a),
            KeyPart::Relation(_) => None,
        });
        attrs.filter_map(|a| Some((a, self.graph.attr(node, a)?))).collect()
    }

    fn version(&self, node: NodeId) -> Option<String> {
        match self.ordered_part(node)? {
            Ordered::Version(text) => Some(text),
            Ordered::Number(_) => None,
        }
    }

    /// The part of a node's key that has an order.
    fn ordered_part(&self, node: NodeId) -> Option<Ordered> {
        let o = self.graph.ontology();
        self.key_attrs(node).into_iter().find_map(|(a, value)| match (&o.attrs.get(a.index())?.ty, value) {
            (Type::Version, Value::Text(text)) => Some(Ordered::Version(text.to_string())),
            (_, Value::Int(n)) => Some(Ordered::Number(*n as f64)),
            (_, Value::Float(n)) => Some(Ordered::Number(*n)),
            _ => None,
        })
    }

    fn ordered(&self, classes: &[ClassId], term: &Term, name: &str) -> Result<Vec<NodeId>, QueryError> {
        let all = self.all(classes, term);
        let parts: Vec<(NodeId, Ordered)> =
            all.iter().filter_map(|n| Some((*n, self.ordered_part(*n)?))).collect();
        if parts.is_empty() && !all.is_empty() {
            return Err(QueryError::NoOrder { dimension: term.dimension.clone() });
        }
        let wanted = |found: Ordering| match term.op {
            Op::Less => found.is_lt(),
            Op::AtMost => found.is_le(),
            Op::More => found.is_gt(),
            Op::AtLeast => found.is_ge(),
            Op::In => found.is_eq(),
            Op::NotIn => found.is_ne(),
        };
        let found = parts.into_iter().filter(|(_, p)| order(p, name).is_some_and(wanted));
        Ok(found.map(|(n, _)| n).collect())
    }
}

enum Ordered {
    Version(String),
    Number(f64),
}

/// How something stands to what was written. A version is compared as far as the written one goes: `8.42.1` is neither before nor
/// after `8.42`.
fn order(of: &Ordered, written: &str) -> Option<Ordering> {
    match of {
        Ordered::Number(n) => n.partial_cmp(&written.parse::<f64>().ok()?),
        Ordered::Version(version) => {
            let cut = |text: &str| -> Vec<String> {
                let parts = text.trim_start_matches('v').split(['.', '-', '+', '_']);
                parts.map(str::to_owned).collect()
            };
            let (of, written) = (cut(version), cut(written));
            for (i, wanted) in written.iter().enumerate() {
                let Some(part) = of.get(i) else { return Some(Ordering::Less) };
                let found = match (part.parse::<u64>(), wanted.parse::<u64>()) {
                    (Ok(a), Ok(b)) => a.cmp(&b),
                    // A word (`beta`) comes before any number, as pre-releases do.
                    (Ok(_), Err(_)) => Ordering::Greater,
                    (Err(_), Ok(_)) => Ordering::Less,
                    (Err(_), Err(_)) => part.cmp(wanted),
                };
                if found.is_ne() {
                    return Some(found);
                }
            }
            Some(Ordering::Equal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_far_as_they_are_written() {
        let against = |a: &str, b: &str| order(&Ordered::Version(a.to_owned()), b).unwrap();
        assert_eq!(against("8.42.1", "8.42"), Ordering::Equal);
        assert_eq!(against("8.9.0", "8.42"), Ordering::Less);
        assert_eq!(against("v8.100", "8.42.7"), Ordering::Greater);
        assert_eq!(against("8.42", "8.42.0"), Ordering::Less);
        assert_eq!(against("8.42.0-beta", "8.42.0-1"), Ordering::Less);
        assert_eq!(order(&Ordered::Number(3.0), "x"), None);
        assert_eq!(order(&Ordered::Number(3.0), "7"), Some(Ordering::Less));
    }
}
