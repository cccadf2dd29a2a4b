//! Patterns to graphs of nodes and edges over slots, with the conditions on them.

use super::ast::{Arrow, Compare, EdgePattern, Expr, Name, Node, NodePattern, PathPattern, Shortest};
use super::data::{Label, Way};
use super::error::{Error, Span};
use super::plan::{Ex, LabelTest, Slot, Step, Types};
use super::scope::{Compiled, Compiler, Ty};
use std::collections::BTreeSet;

/// Whether a pattern may bring new names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum New {
    Allowed,
    Forbidden,
}

/// Steps that match patterns, and the slots they fill for names that are new.
pub(crate) struct Matched {
    pub steps: Vec<Step>,
    pub slots: Vec<Slot>,
}

#[derive(Debug)]
pub(crate) struct PatternNode {
    pub slot: Slot,
    pub labels: Vec<Option<Label>>,
    /// Known before the pattern.
    pub bound: bool,
}

#[derive(Debug)]
pub(crate) struct PatternEdge {
    pub slot: Slot,
    pub from: usize,
    pub to: usize,
    pub way: Way,
    pub types: Types,
    pub range: Option<(u32, Option<u32>)>,
    /// Known before the pattern.
    pub bound: bool,
    /// Conditions on each edge of a walk: the slot the edge is put into, and the condition.
    pub each: Option<(Slot, Condition)>,
    pub shortest: Shortest,
}

/// A condition and the slots it reads.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub test: Ex,
    pub reads: BTreeSet<Slot>,
}

#[derive(Debug, Default)]
pub(crate) struct Pattern {
    pub nodes: Vec<PatternNode>,
    pub edges: Vec<PatternEdge>,
    pub conditions: Vec<Condition>,
    /// Named paths: slot and parts.
    pub paths: Vec<(Slot, Vec<Slot>)>,
    /// Variables of this pattern's edges.
    named_edges: Vec<String>,
    new: Vec<Slot>,
}

impl Compiler<'_> {
    /// Compiles the patterns of one MATCH with its condition. New names are in scope afterwards.
    pub(crate) fn matched(
        &mut self,
        patterns: &[PathPattern],
        filter: Option<&Expr>,
        new: New,
    ) -> Compiled<Matched> {
        let before: BTreeSet<Slot> = self.scope.iter().map(|v| v.slot).collect();
        let mut pattern = Pattern::default();
        let mut waiting = Vec::new();
        for path in patterns {
            self.pattern_path(path, &before, new, &mut pattern, &mut waiting)?;
        }
        for (slot, is_walk, props) in waiting {
            self.pattern_props(slot, is_walk, &props, &mut pattern)?;
        }
        if let Some(f) = filter {
            for part in conjuncts(f) {
                let (test, reads) = self.tracked(|c| c.predicate(part))?;
                pattern.conditions.push(Condition { test, reads });
            }
        }
        let slots = pattern.new.clone();
        Ok(Matched { steps: self.plan_pattern(pattern), slots })
    }

    /// A pattern that stands as a condition.
    pub(crate) fn pattern_predicate(&mut self, pattern: &PathPattern) -> Compiled<Vec<Step>> {
        Ok(self.matched(std::slice::from_ref(pattern), None, New::Forbidden)?.steps)
    }

    fn pattern_path(
        &mut self,
        path: &PathPattern,
        before: &BTreeSet<Slot>,
        new: New,
        pattern: &mut Pattern,
        waiting: &mut Vec<(Slot, bool, Expr)>,
    ) -> Compiled<()> {
        let mut at = self.pattern_node(&path.start, before, new, pattern, waiting)?;
        let mut parts: Vec<Slot> = pattern.nodes.get(at).map(|n| n.slot).into_iter().collect();
        for (edge, node) in &path.steps {
            let index = self.pattern_edge(edge, path.shortest, before, new, pattern, waiting)?;
            let to = self.pattern_node(node, before, new, pattern, waiting)?;
            if let Some(e) = pattern.edges.get_mut(index) {
                (e.from, e.to) = (at, to);
                parts.push(e.slot);
            }
            parts.extend(pattern.nodes.get(to).map(|n| n.slot));
            at = to;
        }
        if let Some(name) = &path.var {
            if self.var(&name.text).is_some() {
                return Err(Error::syntax("VariableAlreadyBound", name.at, "this name is taken already"));
            }
            if new == New::Forbidden {
                return Err(self.undefined(&name.text, name.at));
            }
            let slot = self.declare(&name.text, Ty::Path);
            pattern.new.push(slot);
            pattern.paths.push((slot, parts));
        }
        Ok(())
    }

    fn pattern_node(
        &mut self,
        node: &NodePattern,
        before: &BTreeSet<Slot>,
        new: New,
        pattern: &mut Pattern,
        waiting: &mut Vec<(Slot, bool, Expr)>,
    ) -> Compiled<usize> {
        let mut labels = Vec::new();
        for l in &node.labels {
            labels.push(Compiler::known(self.data.label(&l.text), l)?);
        }
        let slot = match &node.var {
            None => self.slot(),
            Some(name) => match self.var(&name.text) {
                Some(_) => {
                    let (slot, ty) = self.resolve(&name.text, name.at)?;
                    if !ty.may_be_node() {
                        return Err(conflict(name, "a node", &ty));
                    }
                    slot
                }
                None if new == New::Forbidden => return Err(self.undefined(&name.text, name.at)),
                None => {
                    let slot = self.declare(&name.text, Ty::Node);
                    pattern.new.push(slot);
                    slot
                }
            },
        };
        if let Some(props) = &node.props {
            waiting.push((slot, false, props.clone()));
        }
        if let Some(i) = pattern.nodes.iter().position(|n| n.slot == slot) {
            if let Some(n) = pattern.nodes.get_mut(i) {
                n.labels.extend(labels);
            }
            return Ok(i);
        }
        pattern.nodes.push(PatternNode { slot, labels, bound: before.contains(&slot) });
        Ok(pattern.nodes.len() - 1)
    }

    fn pattern_edge(
        &mut self,
        edge: &EdgePattern,
        shortest: Shortest,
        before: &BTreeSet<Slot>,
        new: New,
        pattern: &mut Pattern,
        waiting: &mut Vec<(Slot, bool, Expr)>,
    ) -> Compiled<usize> {
        let mut types = if edge.types.is_empty() { Types::Any } else { Types::These(Vec::new()) };
        for name in &edge.types {
            let found = Compiler::known(self.data.edge_types(&name.text), name)?;
            if let Types::These(all) = &mut types {
                all.extend(found);
                all.sort_unstable();
                all.dedup();
            }
        }
        // One edge is the shortest path of length one.
        let range = edge.range.or((shortest != Shortest::No).then_some((1, Some(1))));
        let slot = match &edge.var {
            None => self.slot(),
            Some(name) => {
                if pattern.named_edges.contains(&name.text) {
                    let message = "one relationship cannot stand in two places of a pattern";
                    return Err(Error::syntax("RelationshipUniquenessViolation", name.at, message));
                }
                pattern.named_edges.push(name.text.clone());
                match self.var(&name.text) {
                    Some(_) => self.known_edge(name, range.is_some())?,
                    None if new == New::Forbidden => return Err(self.undefined(&name.text, name.at)),
                    None => {
                        let ty = if range.is_some() { Ty::list(Ty::Edge) } else { Ty::Edge };
                        let slot = self.declare(&name.text, ty);
                        pattern.new.push(slot);
                        slot
                    }
                }
            }
        };
        if let Some(props) = &edge.props {
            waiting.push((slot, range.is_some(), props.clone()));
        }
        let way = match edge.arrow {
            Arrow::Right => Way::Out,
            Arrow::Left => Way::In,
            Arrow::Both => Way::Both,
        };
        let bound = before.contains(&slot);
        pattern.edges.push(PatternEdge {
            slot,
            from: 0,
            to: 0,
            way,
            types,
            range,
            bound,
            each: None,
            shortest,
        });
        Ok(pattern.edges.len() - 1)
    }

    fn known_edge(&mut self, name: &Name, walk: bool) -> Compiled<Slot> {
        let (slot, ty) = self.resolve(&name.text, name.at)?;
        let fits = match &ty {
            Ty::Any | Ty::Null => true,
            Ty::Edge => !walk,
            Ty::List(item) => walk && matches!(**item, Ty::Edge | Ty::Any),
            _ => false,
        };
        if fits { Ok(slot) } else { Err(conflict(name, "a relationship", &ty)) }
    }

    /// `{name: 'x'}` as conditions.
    fn pattern_props(
        &mut self,
        slot: Slot,
        is_walk: bool,
        props: &Expr,
        pattern: &mut Pattern,
    ) -> Compiled<()> {
        let Node::Map(entries) = &props.node else { return Ok(()) };
        let of = if is_walk { self.slot() } else { slot };
        let mut tests = Vec::new();
        for (key, value) in entries {
            let known = Compiler::known(self.data.property(&key.text), key)?;
            let ((value, _), mut reads) = self.tracked(|c| c.value(value))?;
            let name = key.text.as_str().into();
            let property = Ex::Property { of: Box::new(Ex::Slot(of)), name, key: known, at: key.at };
            let test = Ex::Compare(Box::new(property), vec![(Compare::Eq, value)]);
            if !is_walk {
                reads.insert(slot);
            }
            tests.push(Condition { test, reads });
        }
        if !is_walk {
            pattern.conditions.extend(tests);
            return Ok(());
        }
        let reads = tests.iter().flat_map(|t| t.reads.iter().copied()).collect();
        let test = Ex::And(tests.into_iter().map(|t| t.test).collect(), props.at);
        if let Some(e) = pattern.edges.iter_mut().find(|e| e.slot == slot) {
            e.each = Some((of, Condition { test, reads }));
        }
        Ok(())
    }
}

fn conflict(name: &Name, due: &str, ty: &Ty) -> Error {
    let message = format!("{due} is due here, this variable is {}", ty.name());
    Error::syntax("VariableTypeConflict", name.at, message)
}

fn conjuncts(e: &Expr) -> Vec<&Expr> {
    match &e.node {
        Node::And(all) => all.iter().flat_map(conjuncts).collect(),
        _ => vec![e],
    }
}

/// A test for labels that are known by number.
pub(crate) fn label_test(slot: Slot, labels: &[Option<Label>]) -> Ex {
    let tests = labels.iter().map(|l| LabelTest { label: *l, types: Vec::new() }).collect();
    Ex::HasLabels(Box::new(Ex::Slot(slot)), tests, Span::default())
}
