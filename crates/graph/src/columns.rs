//! What nodes say of one attribute, side by side, for who asks many nodes the same: nodes, and what they say, lie wherever there was
//! room, and finding each is most of what such a question costs.
//!
//! Values are written down by page of nodes, once many nodes of the page were asked, and are shared by the readers of all epochs. They
//! are good where a graph has the very page that they were read from; whoever changes a node meanwhile changes a copy of its page.

use crate::pages::{AsItWas, PAGE};
use crate::topology::{Graph, Marks, Node, NodeId};
use ontology::Value;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Attributes that are kept; the one that was first kept of them makes room. 24 bytes a node each.
pub(crate) const ATTRIBUTES: usize = 8;
/// Nodes of a page that a reader asks before it writes down all of them: a quarter.
const ASKED: u8 = 32;
/// Texts of an attribute that are held once for all nodes: more are names, not kinds.
const TEXTS: usize = 64;

type Row = Option<Arc<Node>>;

/// The values of a page of nodes.
#[derive(Debug)]
struct Values {
    read_from: AsItWas<Row>,
    values: Vec<Option<Value>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    pages: Vec<Option<Arc<Values>>>,
    texts: FxHashSet<Arc<str>>,
}

/// What readers of all epochs share: attributes by name.
#[derive(Debug, Default)]
pub(crate) struct Columns(Mutex<VecDeque<(String, Arc<Known>)>>);

impl Columns {
    /// How many attributes are kept.
    pub(crate) fn held(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// One attribute, by name, as a reader uses it.
#[derive(Debug)]
pub struct Column {
    name: String,
    known: Arc<Known>,
    /// How many nodes of each page were asked that nothing is written down of.
    asked: Vec<u8>,
    /// Whether there is more in it than when it was begun.
    grown: bool,
}

impl Graph {
    /// Begins to read an attribute of many nodes.
    pub fn column(&self, name: &str) -> Column {
        let kept = self.columns.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().find(|k| k.0 == name).map(|k| Arc::clone(&k.1)).unwrap_or_default();
        Column { name: name.to_owned(), known, asked: Vec::new(), grown: false }
    }

    /// Keeps what was written down for those who ask next.
    pub fn keep_column(&self, column: Column) {
        if !column.grown {
            return;
        }
        let mut kept = self.columns.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|k| k.0 != column.name);
        kept.truncate(ATTRIBUTES - 1);
        kept.push_front((column.name, column.known));
    }
}

impl Column {
    /// Says that a node will be asked.
    pub fn ask(&mut self, graph: &Graph, node: NodeId) {
        let page = node.0 as usize / PAGE;
        if self.values(graph, page).is_some() {
            return;
        }
        if self.asked.len() <= page {
            self.asked.resize(page + 1, 0);
        }
        let Some(asked) = self.asked.get_mut(page) else { return };
        *asked = asked.saturating_add(1);
        if *asked >= ASKED {
            self.write_down(graph, page);
        }
    }

    /// The value that a node has, if that is written down: `Some(None)` says that it has none.
    pub fn value(&self, graph: &Graph, node: NodeId) -> Option<Option<&Value>> {
        // What is known by several keys says what the most trusted of them says.
        if graph.has_mark(node, Marks::SHARED) {
            return None;
        }
        let values = self.values(graph, node.0 as usize / PAGE)?;
        values.values.get(node.0 as usize % PAGE).map(Option::as_ref)
    }

    fn values(&self, graph: &Graph, page: usize) -> Option<&Values> {
        let values = self.known.pages.get(page)?.as_deref()?;
        graph.nodes.is_as_it_was(page, &values.read_from).then_some(values)
    }

    fn write_down(&mut self, graph: &Graph, page: usize) {
        let Some((read_from, rows)) = graph.nodes.page(page) else { return };
        let known = Arc::make_mut(&mut self.known);
        let texts = &mut known.texts;
        let mut once = |value: &Value| match value {
            Value::Text(text) => Value::Text(match texts.get(text) {
                Some(text) => Arc::clone(text),
                None => {
                    if texts.len() < TEXTS {
                        texts.insert(Arc::clone(text));
                    }
                    Arc::clone(text)
                }
            }),
            other => other.clone(),
        };
        let of = |node: &Row| {
            let node = node.as_ref()?;
            let attr = graph.ontology.attr(node.class, &self.name)?;
            node.attrs.iter().find(|(a, _)| *a == attr).map(|(_, said)| once(&said.value))
        };
        let values = Values { read_from, values: rows.iter().map(of).collect() };
        if known.pages.len() <= page {
            known.pages.resize(page + 1, None);
        }
        if let Some(place) = known.pages.get_mut(page) {
            *place = Some(Arc::new(values));
            self.grown = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fold, Graph, Limits, NodeId};
    use ontology::fact::{Batch, Draft, Fact, Key, Ref};
    use ontology::{Ontology, Time, Value};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn says(fold: &mut Fold, thing: u64, tier: &str, ns: u64) {
        let o = Arc::clone(fold.graph().ontology());
        let class = o.class("Service").unwrap();
        let at = Time::from_nanos(1_790_000_000_000_000_000 + ns).unwrap();
        let attrs = vec![(o.attr(class, "tier").unwrap(), Value::Text(tier.into()))];
        let key = Key { slot: 0, hash: u128::from(thing) << 64 };
        let draft = Draft { class, keys: vec![key], attrs };
        let seen = Fact::Seen { entity: Ref(0), at };
        let batch =
            Batch { source: "test".to_owned(), drafts: vec![draft], facts: vec![seen], ..Batch::default() };
        fold.fold(&batch, at);
    }

    fn agrees(graph: &Graph, column: &super::Column) -> Result<usize, TestCaseError> {
        let mut known = 0;
        for node in graph.nodes() {
            if let Some(value) = column.value(graph, node) {
                prop_assert_eq!(value, graph.attr_named(node, "tier"));
                known += 1;
            }
        }
        Ok(known)
    }

    fn asked(graph: &Graph) -> super::Column {
        let mut column = graph.column("tier");
        (0..300).for_each(|n| column.ask(graph, NodeId(n)));
        column
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever was said, and whichever epochs were kept or let go, since something was written down.
        #[test]
        fn what_is_written_down_is_what_nodes_say(
            changes in proptest::collection::vec((0u64..300, 0usize..4, any::<bool>()), 1..60)
        ) {
            let mut fold = Fold::new(Arc::new(Ontology::builtin()), Vec::new(), Limits::default());
            (0..300).for_each(|thing| says(&mut fold, thing, "low", 0));
            let mut epochs = Vec::new();
            for (ns, (thing, tier, keep)) in (1..).zip(changes) {
                let graph = fold.graph();
                let column = asked(&graph);
                prop_assert!(agrees(&graph, &column)? >= 128);
                graph.keep_column(column);
                if keep {
                    epochs.push(graph);
                }
                says(&mut fold, thing, ["low", "medium", "high", "critical"][tier], ns);
                // Nothing is asked: what is still good is read, and nothing else.
                let now = fold.graph();
                agrees(&now, &now.column("tier"))?;
            }
            for graph in epochs {
                agrees(&graph, &graph.column("tier"))?;
            }
        }
    }
}
