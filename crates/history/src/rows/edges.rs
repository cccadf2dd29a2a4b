//! Lists of rows of sampled nodes: when each was seen, and what it leads to. Their edges are told here and nowhere else, so that they go
//! when the rows go.

use super::Row;
use super::build::{micros, node};
use super::look::Look;
use crate::chart::{edge_fields, stretch_fields};
use arrow::array::{ArrayRef, ListArray, StringArray, StructArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use graph::{Direction, Runs};
use ontology::{Minute, Time};
use std::sync::Arc;

/// A list for each row, of elements that stand in columns one behind the other.
fn lists(fields: Fields, columns: Vec<ArrayRef>, lengths: Vec<usize>) -> Result<ArrayRef, ArrowError> {
    let elements = StructArray::try_new(fields.clone(), columns, None)?;
    let field = Arc::new(Field::new("element", DataType::Struct(fields), true));
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(elements), None)?;
    Ok(Arc::new(list))
}

fn moments(all: Vec<Option<Time>>) -> ArrayRef {
    let all = all.into_iter().map(|t| t.map(micros));
    Arc::new(all.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn stretch(run: (Minute, Minute)) -> (Option<Time>, Option<Time>) {
    (Some(run.0.start()), Some(run.1.plus(1).start()))
}

/// The stretches in which each row's node was seen.
pub(super) fn seen(look: &Look, rows: &[Row]) -> Result<ArrayRef, ArrowError> {
    let (mut from, mut to, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let before = from.len();
        let members = node(row).map(|n| look.graph.members(n)).unwrap_or_default();
        let runs = members.iter().filter_map(|m| look.graph.member(*m)).map(|n| &n.seen);
        let mut parts: Vec<_> = runs.flat_map(Runs::iter).collect();
        parts.sort_unstable();
        for (a, b) in parts.into_iter().map(stretch) {
            from.push(a);
            to.push(b);
        }
        lengths.push(from.len() - before);
    }
    lists(stretch_fields(), vec![moments(from), moments(to)], lengths)
}

/// What each row's node leads to, once for each stretch in which that was seen.
pub(super) fn leads_to(look: &Look, rows: &[Row]) -> Result<ArrayRef, ArrowError> {
    let graph = look.graph;
    let (mut relations, mut classes, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut from, mut to, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    let mut lengths = Vec::with_capacity(rows.len());
    for row in rows {
        let before = ids.len();
        let hops = node(row).map(|n| graph.hops(n)).unwrap_or_default();
        for hop in hops.into_iter().filter(|h| h.direction == Direction::Out) {
            let Some((edge, target)) = graph.edge(hop.edge).zip(graph.node(hop.node)) else { continue };
            for (a, b) in edge.seen.iter().map(stretch) {
                relations.push(graph.ontology().relation_name(edge.relation));
                classes.push(graph.ontology().class_name(target.class));
                ids.push(graph.id(hop.node));
                from.push(a);
                to.push(b);
                ended.push(graph.edge_ended(edge));
            }
        }
        lengths.push(ids.len() - before);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(relations)),
        Arc::new(StringArray::from_iter_values(classes)),
        Arc::new(StringArray::from_iter_values(ids)),
        moments(from),
        moments(to),
        moments(ended),
    ];
    lists(edge_fields(), columns, lengths)
}
