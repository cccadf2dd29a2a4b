//! Columns of some rows, each made only when it is asked for.

use super::Row;
use super::edges;
use super::look::{Group, Look, Told};
use crate::chart::{Column, What};
use crate::hour::Hour;
use crate::sketch;
use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, ListBuilder, MapBuilder, MapFieldNames, RecordBatch,
    RecordBatchOptions, StringArray, StringBuilder, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use graph::{EdgeId, NodeId, Side, Stat};
use ontology::model::ENDED;
use ontology::{Minute, Time, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Microseconds, as tables hold moments.
pub(crate) const fn micros(time: Time) -> i64 {
    time.nanos().div_euclid(1_000)
}

/// What rows are told by, looked up once for all columns.
struct Known {
    subject: Option<Arc<Told>>,
    from: Option<Arc<Told>>,
    to: Option<Arc<Told>>,
    cohort: Option<Arc<Group>>,
}

/// A batch of some columns.
pub(super) fn batch(
    look: &mut Look,
    rows: &[Row],
    columns: &[Column],
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let by_class = columns.iter().any(|c| matches!(c.what, What::Of(_) | What::Cohort | What::Components));
    let known: Vec<Known> = rows.iter().map(|row| known(look, row, by_class)).collect();
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| array(look, rows, &known, column.what, field.data_type()))
        .collect::<Result<_, ArrowError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
}

fn known(look: &mut Look, row: &Row, by_class: bool) -> Known {
    let mut known = Known { subject: None, from: None, to: None, cohort: None };
    let mut ends = |look: &mut Look, edge: EdgeId| {
        if let Some((from, to)) = look.graph.edge(edge).map(|e| (e.from, e.to)) {
            known.from = Some(look.node(from));
            known.to = Some(look.node(to));
        }
    };
    match row {
        Row::Seen(node, ..) | Row::Related(node, _) | Row::Event(node, _) => {
            known.subject = Some(look.node(*node))
        }
        Row::Sampled(node, _) => {
            known.subject = Some(look.node(*node));
            if by_class {
                known.cohort = Some(Arc::new(look.sampled(*node)));
            }
        }
        Row::Edge(edge, ..) => ends(look, *edge),
        Row::Flow(flow) => {
            ends(look, flow.edge);
            known.cohort = by_class.then(|| look.cohort(flow.cohort));
        }
        Row::Cell(series, ..) => {
            known.subject = Some(look.node(series.subject));
            known.cohort = by_class.then(|| look.cohort(series.cohort));
        }
    }
    known
}

fn stat<'r>(row: &'r Row) -> Option<&'r Stat> {
    match row {
        Row::Flow(flow) => Some(&flow.stat),
        Row::Cell(_, _, stat, _) => *stat,
        _ => None,
    }
}

pub(super) fn node(row: &Row) -> Option<NodeId> {
    match row {
        Row::Seen(node, ..) | Row::Related(node, _) | Row::Event(node, _) | Row::Sampled(node, _) => {
            Some(*node)
        }
        _ => None,
    }
}

fn time(row: &Row) -> Time {
    match row {
        Row::Seen(_, from, _) | Row::Related(_, from) | Row::Edge(_, from, _) => {
            Hour::of(*from).first().start()
        }
        Row::Flow(flow) => flow.minute.start(),
        Row::Cell(_, minute, ..) | Row::Sampled(_, minute) => minute.start(),
        Row::Event(_, at) => *at,
    }
}

fn ended(look: &Look, row: &Row) -> Option<Time> {
    match row {
        Row::Edge(edge, ..) => look.graph.edge_ended(look.graph.edge(*edge)?),
        // Of a thing only in the hour of its end: earlier ones are not written again for it.
        Row::Seen(node, from, _) | Row::Related(node, from) => {
            look.graph.node(*node)?.ended.filter(|e| *e < Hour::of(*from).end().start())
        }
        row => {
            let node = node(row)?;
            match look.graph.attr_named(node, ENDED) {
                Some(Value::Time(t)) => Some(*t),
                _ => look.graph.node(node)?.ended,
            }
        }
    }
}

/// The moment from which on a row's subject was seen.
fn seen_from(look: &Look, row: &Row) -> Option<Minute> {
    match row {
        Row::Seen(_, from, _) | Row::Edge(_, from, _) => Some(*from),
        Row::Event(node, _) => look.graph.node(*node)?.seen.first(),
        _ => None,
    }
}

/// The moment up to which a row's subject was seen.
fn seen_to(look: &Look, row: &Row) -> Option<Minute> {
    match row {
        Row::Seen(_, _, to) | Row::Edge(_, _, to) => Some(*to),
        Row::Sampled(node, _) | Row::Event(node, _) => look.graph.node(*node)?.seen.last().map(|m| m.plus(1)),
        _ => None,
    }
}

fn relation<'l>(look: &'l Look, row: &Row) -> Option<&'l str> {
    let edge = match row {
        Row::Edge(edge, ..) => *edge,
        Row::Flow(flow) => flow.edge,
        _ => return None,
    };
    Some(look.graph.ontology().relation_name(look.graph.edge(edge)?.relation))
}

fn array(
    look: &Look,
    rows: &[Row],
    known: &[Known],
    what: What,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let ontology = look.graph.ontology();
    let class = |told: &Option<Arc<Told>>| told.as_ref().map(|t| ontology.class_name(t.class));
    let both = || rows.iter().zip(known);
    let measure = |row: &Row| match row {
        Row::Cell(series, ..) => ontology.measures.get(series.measure.index()),
        _ => None,
    };
    Ok(match what {
        What::Time => moments(rows.iter().map(|r| Some(time(r)))),
        What::SeenFrom => moments(rows.iter().map(|r| seen_from(look, r).map(Minute::start))),
        What::SeenTo => moments(rows.iter().map(|r| seen_to(look, r).map(Minute::start))),
        What::Ended => moments(rows.iter().map(|r| ended(look, r))),
        What::Class => texts(known.iter().map(|k| class(&k.subject)), data_type),
        What::Id => texts(known.iter().map(|k| k.subject.as_ref().map(|t| t.id.as_str())), data_type),
        What::Name => texts(known.iter().map(|k| k.subject.as_ref().map(|t| t.name.as_str())), data_type),
        What::FromClass => texts(known.iter().map(|k| class(&k.from)), data_type),
        What::FromId => texts(known.iter().map(|k| k.from.as_ref().map(|t| t.id.as_str())), data_type),
        What::FromName => texts(known.iter().map(|k| k.from.as_ref().map(|t| t.name.as_str())), data_type),
        What::ToClass => texts(known.iter().map(|k| class(&k.to)), data_type),
        What::ToId => texts(known.iter().map(|k| k.to.as_ref().map(|t| t.id.as_str())), data_type),
        What::ToName => texts(known.iter().map(|k| k.to.as_ref().map(|t| t.name.as_str())), data_type),
        What::Relation => texts(rows.iter().map(|r| relation(look, r)), data_type),
        What::Side => texts(
            rows.iter().map(|r| match r {
                Row::Flow(f) => Some(if f.side == Side::Asked { "asked" } else { "answered" }),
                _ => None,
            }),
            data_type,
        ),
        What::Measure => texts(rows.iter().map(|r| measure(r).map(|m| m.name.as_str())), data_type),
        What::Unit => texts(rows.iter().map(|r| measure(r).map(|m| m.unit.as_str())), data_type),
        What::Cohort => texts(known.iter().map(|k| k.cohort.as_ref().map(|c| c.id.as_str())), data_type),
        What::Components => {
            texts(known.iter().map(|k| k.cohort.as_ref().map(|c| c.components.as_str())), data_type)
        }
        What::Of(class) => texts(
            known.iter().map(|k| k.cohort.as_ref().and_then(|c| c.names.get(&class)).map(String::as_str)),
            data_type,
        ),
        What::Count => numbers(rows.iter().map(|r| Some(stat(r).map_or(0.0, Stat::tries)))),
        What::Bad => numbers(rows.iter().map(|r| Some(stat(r).map_or(0.0, Stat::bad_tries)))),
        What::Sum => numbers(rows.iter().map(|r| Some(stat(r).map_or(0.0, Stat::sum)))),
        What::LogSum => numbers(rows.iter().map(|r| stat(r).filter(|s| is_valued(s)).map(Stat::log_sum))),
        What::LogSquares => {
            numbers(rows.iter().map(|r| stat(r).filter(|s| is_valued(s)).map(Stat::log_squares)))
        }
        What::Grown => numbers(rows.iter().map(|r| match r {
            Row::Cell(_, _, _, grown) => Some(*grown),
            _ => None,
        })),
        What::Sketch => sketches(rows),
        What::Attributes => attributes(look, rows),
        What::Sources => lists(rows.iter().map(|r| {
            match r {
                Row::Edge(edge, ..) => {
                    look.graph.edge_sources(*edge).into_iter().map(str::to_owned).collect()
                }
                row => node(row)
                    .map(|n| look.graph.node_sources(n).into_iter().map(str::to_owned).collect())
                    .unwrap_or_default(),
            }
        })),
        What::Concerns => lists(both().map(|(r, _)| concerns(look, r))),
        What::Seen => edges::seen(look, rows)?,
        What::LeadsTo => edges::leads_to(look, rows)?,
    })
}

/// Whether a summary has values, not only tries.
fn is_valued(stat: &Stat) -> bool {
    stat.sketch.parts().len() > 0
}

/// What an event was told with.
fn concerns(look: &Look, row: &Row) -> Vec<String> {
    let Some(node) = node(row) else { return Vec::new() };
    let ends: BTreeSet<String> = look
        .graph
        .hops(node)
        .into_iter()
        .filter(|h| !look.graph.is_sampled(h.node))
        .filter_map(|h| {
            let class = look.graph.node(h.node)?.class;
            Some(format!("{} {}", look.graph.ontology().class_name(class), look.graph.name(h.node)))
        })
        .collect();
    ends.into_iter().collect()
}

fn moments(values: impl Iterator<Item = Option<Time>>) -> ArrayRef {
    let micros = values.map(|t| t.map(micros));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>, data_type: &DataType) -> ArrayRef {
    match data_type {
        DataType::Utf8View => Arc::new(values.collect::<StringViewArray>()),
        _ => Arc::new(values.collect::<StringArray>()),
    }
}

fn numbers(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

fn sketches(rows: &[Row]) -> ArrayRef {
    let some = |row: &Row| stat(row).filter(|s| is_valued(s)).map(|s| sketch::encode(&s.sketch));
    Arc::new(rows.iter().map(some).collect::<BinaryArray>())
}

fn lists(values: impl Iterator<Item = Vec<String>>) -> ArrayRef {
    let field = arrow::datatypes::Field::new("element", DataType::Utf8, true);
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(field);
    for list in values {
        list.iter().for_each(|text| builder.values().append_value(text));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn attributes(look: &Look, rows: &[Row]) -> ArrayRef {
    let names =
        MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (attr, value) in node(row).map(|n| look.graph.attrs(n)).unwrap_or_default() {
            let Some(attr) = look.graph.ontology().attrs.get(attr.index()) else { continue };
            builder.keys().append_value(&attr.name);
            builder.values().append_value(value.to_string());
        }
        // The two are of one length.
        let _ = builder.append(true);
    }
    Arc::new(builder.finish())
}
