//! Rows of tables put into a graph.

use super::{Cut, PastBounds};
use crate::error::SqlError;
use crate::sketch;
use crate::table::Table;
use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, Float64Array, ListArray, MapArray, RecordBatch, StructArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use graph::{CohortId, Graph, Limits, NodeId, Past, Side, Stat};
use ontology::model::Type;
use ontology::{AttrId, ClassId, Minute, Ontology, Time, Value};
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Entities,
    Events,
    Relations,
    Flows,
    Measures,
    Interactions,
}

impl Step {
    pub(super) const fn table(self) -> Table {
        match self {
            Step::Entities => Table::Entities,
            Step::Events => Table::Events,
            Step::Relations => Table::Relations,
            Step::Flows => Table::Flows,
            Step::Measures => Table::Measures,
            Step::Interactions => Table::Interactions,
        }
    }

    pub(super) const fn columns(self) -> &'static str {
        match self {
            Step::Entities => "time, class, id, seen_from, seen_to, ended_at, attributes, sources",
            Step::Events => "time, class, id, seen, ended_at, attributes, sources",
            Step::Relations => {
                "relation, from_class, from_id, to_class, to_id, seen_from, seen_to, ended_at, sources"
            }
            Step::Flows => {
                "time, relation, side, from_class, from_id, to_class, to_id, count, errors, sum, log_sum, log_squares, sketch, components"
            }
            Step::Measures => {
                "time, measure, class, id, count, bad, sum, log_sum, log_squares, grown, sketch, components"
            }
            Step::Interactions => "time, class, id, seen, ended_at, attributes, sources, leads_to",
        }
    }
}

/// A graph that is being made.
pub(super) struct Loading {
    past: Past,
    bounds: PastBounds,
    pub(super) rows: u64,
    bytes: u64,
    pub(super) cut: Option<Cut>,
    cohorts: FxHashMap<String, CohortId>,
}

/// The columns of a batch, by name and of the type that is ours.
struct Columns<'b> {
    table: Table,
    batch: &'b RecordBatch,
}

/// A column of text.
struct Texts(ArrayRef);

impl Texts {
    fn at(&self, row: usize) -> Option<&str> {
        let texts = self.0.as_string_opt::<i32>()?;
        texts.is_valid(row).then(|| texts.value(row))
    }
}

fn text_of(array: &ArrayRef) -> Result<Texts, SqlError> {
    match array.data_type() {
        DataType::Utf8 => Ok(Texts(Arc::clone(array))),
        _ => Ok(Texts(cast(array, &DataType::Utf8)?)),
    }
}

fn moment(array: &TimestampMicrosecondArray, row: usize) -> Option<Time> {
    let micros = array.is_valid(row).then(|| array.value(row))?;
    Some(Time::EPOCH.plus_nanos(micros.saturating_mul(1_000)))
}

/// The minutes of a stretch as rows tell it: both included.
fn minutes(from: Option<Time>, to: Option<Time>) -> Option<(Minute, Minute)> {
    let (from, to) = (from?.minute(), to?.minute());
    Some((from, to.plus(-1).max(from)))
}

fn number(array: &Float64Array, row: usize) -> f64 {
    if array.is_valid(row) { array.value(row) } else { 0.0 }
}

impl<'b> Columns<'b> {
    fn column(&self, name: &str) -> Result<&'b ArrayRef, SqlError> {
        self.batch.column_by_name(name).ok_or_else(|| SqlError::column(self.table, name))
    }

    fn texts(&self, name: &str) -> Result<Texts, SqlError> {
        text_of(self.column(name)?)
    }

    fn moments(&self, name: &str) -> Result<&'b TimestampMicrosecondArray, SqlError> {
        let found = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        found.ok_or_else(|| SqlError::column(self.table, name))
    }

    fn numbers(&self, name: &str) -> Result<&'b Float64Array, SqlError> {
        self.column(name)?.as_primitive_opt::<Float64Type>().ok_or_else(|| SqlError::column(self.table, name))
    }

    fn bytes(&self, name: &str) -> Result<BinaryArray, SqlError> {
        let found = cast(self.column(name)?, &DataType::Binary)?;
        found.as_binary_opt::<i32>().cloned().ok_or_else(|| SqlError::column(self.table, name))
    }

    fn lists(&self, name: &str) -> Result<&'b ListArray, SqlError> {
        self.column(name)?.as_list_opt::<i32>().ok_or_else(|| SqlError::column(self.table, name))
    }

    fn maps(&self, name: &str) -> Result<&'b MapArray, SqlError> {
        self.column(name)?.as_map_opt().ok_or_else(|| SqlError::column(self.table, name))
    }
}

/// Columns of the elements of a list of structures.
struct Parts<'b> {
    table: Table,
    list: &'b ListArray,
    of: &'b StructArray,
}

impl<'b> Parts<'b> {
    fn new(columns: &Columns<'b>, name: &str) -> Result<Parts<'b>, SqlError> {
        let list = columns.lists(name)?;
        let of = list.values().as_struct_opt().ok_or_else(|| SqlError::column(columns.table, name))?;
        Ok(Parts { table: columns.table, list, of })
    }

    fn column(&self, name: &str) -> Result<&'b ArrayRef, SqlError> {
        self.of.column_by_name(name).ok_or_else(|| SqlError::column(self.table, name))
    }

    fn moments(&self, name: &str) -> Result<&'b TimestampMicrosecondArray, SqlError> {
        let found = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        found.ok_or_else(|| SqlError::column(self.table, name))
    }

    /// The places of a row's elements.
    fn of_row(&self, row: usize) -> std::ops::Range<usize> {
        let ends = self.list.value_offsets();
        let end = |i: usize| ends.get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
        if self.list.is_valid(row) { end(row)..end(row + 1) } else { 0..0 }
    }
}

/// What a figure of a row says.
struct Figures<'b> {
    count: &'b Float64Array,
    bad: &'b Float64Array,
    sum: &'b Float64Array,
    log_sum: &'b Float64Array,
    log_squares: &'b Float64Array,
    sketch: BinaryArray,
}

impl<'b> Figures<'b> {
    fn new(columns: &Columns<'b>, bad: &str) -> Result<Figures<'b>, SqlError> {
        Ok(Figures {
            count: columns.numbers("count")?,
            bad: columns.numbers(bad)?,
            sum: columns.numbers("sum")?,
            log_sum: columns.numbers("log_sum")?,
            log_squares: columns.numbers("log_squares")?,
            sketch: columns.bytes("sketch")?,
        })
    }

    fn at(&self, row: usize) -> Stat {
        let sketch = self.sketch.is_valid(row).then(|| sketch::decode(self.sketch.value(row))).flatten();
        Stat::of_figures(
            (number(self.count, row), number(self.bad, row)),
            number(self.sum, row),
            (number(self.log_sum, row), number(self.log_squares, row)),
            sketch.unwrap_or_default(),
        )
    }
}

/// A value as an attribute of this type holds it.
fn value(ty: &Type, text: &str) -> Value {
    let read = match ty {
        Type::Int | Type::Bytes => text.parse().ok().map(Value::Int),
        Type::Float | Type::Ratio | Type::Duration => text.parse().ok().map(Value::Float),
        Type::Bool => text.parse().ok().map(Value::Bool),
        Type::Time => Time::parse(text).ok().map(Value::Time),
        _ => None,
    };
    read.unwrap_or_else(|| Value::text(text))
}

impl Loading {
    pub(super) fn new(ontology: &Arc<Ontology>, bounds: &PastBounds) -> Loading {
        Loading {
            past: Past::new(Arc::clone(ontology), Limits::default()),
            bounds: *bounds,
            rows: 0,
            bytes: 0,
            cut: None,
            cohorts: FxHashMap::default(),
        }
    }

    pub(super) fn finish(self, latest: Time) -> Graph {
        self.past.finish(latest)
    }

    /// Puts a batch in; says when to stop.
    pub(super) fn take(&mut self, step: Step, batch: &RecordBatch) -> Result<ControlFlow<()>, SqlError> {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size() as u64;
        self.cut = if self.rows > self.bounds.rows {
            Some(Cut::Rows)
        } else if self.bytes > self.bounds.bytes {
            Some(Cut::Bytes)
        } else {
            None
        };
        if self.cut.is_some() {
            return Ok(ControlFlow::Break(()));
        }
        let columns = Columns { table: step.table(), batch };
        match step {
            Step::Entities => self.things(&columns)?,
            Step::Events => self.events(&columns)?,
            Step::Relations => self.relations(&columns)?,
            Step::Flows => self.flows(&columns)?,
            Step::Measures => self.measures(&columns)?,
            Step::Interactions => self.interactions(&columns)?,
        }
        Ok(ControlFlow::Continue(()))
    }

    fn class(&self, name: Option<&str>) -> Option<ClassId> {
        self.past.ontology().class(name?)
    }

    /// The thing of a class and id. None of a class that the ontology no longer has.
    fn node(&mut self, class: Option<&str>, id: Option<&str>) -> Option<NodeId> {
        let class = self.class(class)?;
        self.past.node(class, u64::from_str_radix(id?, 16).ok()?)
    }

    fn attributes(&mut self, node: NodeId, class: Option<&str>, (at, maps, row): (Time, &MapArray, usize)) {
        if maps.is_null(row) || self.past.is_told(node, at) {
            return;
        }
        let Some(class) = self.class(class) else { return };
        let pairs = maps.value(row);
        let ontology = Arc::clone(self.past.ontology());
        let (Some(keys), Some(values)) =
            (pairs.column(0).as_string_opt::<i32>(), pairs.column(1).as_string_opt::<i32>())
        else {
            return;
        };
        let told: Vec<(AttrId, Value)> = keys
            .iter()
            .zip(values)
            .filter_map(|(key, text)| {
                let attr = ontology.attr(class, key?)?;
                Some((attr, value(&ontology.attrs.get(attr.index())?.ty, text?)))
            })
            .collect();
        self.past.told(node, at, &told);
    }

    fn sources(lists: &ListArray, row: usize, mut each: impl FnMut(&str)) {
        if lists.is_valid(row)
            && let Some(names) = lists.value(row).as_string_opt::<i32>()
        {
            names.iter().flatten().for_each(&mut each);
        }
    }

    fn things(&mut self, columns: &Columns<'_>) -> Result<(), SqlError> {
        let (time, class, id) = (columns.moments("time")?, columns.texts("class")?, columns.texts("id")?);
        let (from, to) = (columns.moments("seen_from")?, columns.moments("seen_to")?);
        let ended = columns.moments("ended_at")?;
        let (attributes, sources) = (columns.maps("attributes")?, columns.lists("sources")?);
        for row in 0..columns.batch.num_rows() {
            let Some(node) = self.node(class.at(row), id.at(row)) else { continue };
            if let Some((first, last)) = minutes(moment(from, row), moment(to, row)) {
                self.past.seen(node, first, last);
            }
            if let Some(at) = moment(ended, row) {
                self.past.ended(node, at);
            }
            if let Some(at) = moment(time, row) {
                self.attributes(node, class.at(row), (at, attributes, row));
            }
            Loading::sources(sources, row, |name| self.past.told_by(node, name));
        }
        Ok(())
    }

    fn events(&mut self, columns: &Columns<'_>) -> Result<(), SqlError> {
        let (time, class, id) = (columns.moments("time")?, columns.texts("class")?, columns.texts("id")?);
        let (ended, attributes) = (columns.moments("ended_at")?, columns.maps("attributes")?);
        let (sources, seen) = (columns.lists("sources")?, Parts::new(columns, "seen")?);
        let (from, to) = (seen.moments("seen_from")?, seen.moments("seen_to")?);
        for row in 0..columns.batch.num_rows() {
            let Some(node) = self.node(class.at(row), id.at(row)) else { continue };
            for part in seen.of_row(row) {
                if let Some((first, last)) = minutes(moment(from, part), moment(to, part)) {
                    self.past.seen(node, first, last);
                }
            }
            if let Some(at) = moment(ended, row) {
                self.past.ended(node, at);
            }
            if let Some(at) = moment(time, row) {
                self.attributes(node, class.at(row), (at, attributes, row));
            }
            Loading::sources(sources, row, |name| self.past.told_by(node, name));
        }
        Ok(())
    }

    fn relations(&mut self, columns: &Columns<'_>) -> Result<(), SqlError> {
        let relation = columns.texts("relation")?;
        let (from_class, from_id) = (columns.texts("from_class")?, columns.texts("from_id")?);
        let (to_class, to_id) = (columns.texts("to_class")?, columns.texts("to_id")?);
        let (from, to) = (columns.moments("seen_from")?, columns.moments("seen_to")?);
        let (ended, sources) = (columns.moments("ended_at")?, columns.lists("sources")?);
        for row in 0..columns.batch.num_rows() {
            let ends = (
                relation.at(row).and_then(|r| self.past.ontology().relation(r)),
                self.node(from_class.at(row), from_id.at(row)),
                self.node(to_class.at(row), to_id.at(row)),
            );
            let (Some(relation), Some(a), Some(b)) = ends else { continue };
            let edge = self.past.edge(relation, a, b);
            if let Some((first, last)) = minutes(moment(from, row), moment(to, row)) {
                self.past.edge_seen(edge, first, last);
            }
            if let Some(at) = moment(ended, row) {
                self.past.edge_ended(edge, at);
            }
            Loading::sources(sources, row, |name| self.past.edge_told_by(edge, name));
        }
        Ok(())
    }

    fn cohort(&mut self, components: Option<&str>) -> CohortId {
        let text = components.unwrap_or_default();
        if let Some(known) = self.cohorts.get(text) {
            return *known;
        }
        let parts = text.split(", ").filter_map(|part| part.split_once(' '));
        let nodes = parts.filter_map(|(class, id)| self.node(Some(class), Some(id))).collect();
        let cohort = self.past.cohort(nodes);
        self.cohorts.insert(text.to_owned(), cohort);
        cohort
    }

    fn flows(&mut self, columns: &Columns<'_>) -> Result<(), SqlError> {
        let (time, relation, side) =
            (columns.moments("time")?, columns.texts("relation")?, columns.texts("side")?);
        let (from_class, from_id) = (columns.texts("from_class")?, columns.texts("from_id")?);
        let (to_class, to_id) = (columns.texts("to_class")?, columns.texts("to_id")?);
        let (figures, components) = (Figures::new(columns, "errors")?, columns.texts("components")?);
        for row in 0..columns.batch.num_rows() {
            let ends = (
                relation.at(row).and_then(|r| self.past.ontology().relation(r)),
                self.node(from_class.at(row), from_id.at(row)),
                self.node(to_class.at(row), to_id.at(row)),
                moment(time, row),
            );
            let (Some(relation), Some(from), Some(to), Some(at)) = ends else { continue };
            let edge = self.past.edge(relation, from, to);
            let side = if side.at(row) == Some("asked") { Side::Asked } else { Side::Answered };
            let cohort = self.cohort(components.at(row));
            self.past.flow(edge, side, cohort, at.minute(), figures.at(row));
        }
        Ok(())
    }

    fn measures(&mut self, columns: &Columns<'_>) -> Result<(), SqlError> {
        let (time, measure) = (columns.moments("time")?, columns.texts("measure")?);
        let (class, id) = (columns.texts("class")?, columns.texts("id")?);
        let (figures, components) = (Figures::new(columns, "bad")?, columns.texts("components")?);
        let grown = columns.numbers("grown")?;
        for row in 0..columns.batch.num_rows() {
            let of = (
                measure.at(row).and_then(|m| self.past.ontology().measure(m)),
                self.node(class.at(row), id.at(row)),
                moment(time, row),
            );
            let (Some(measure), Some(node), Some(at)) = of else { continue };
            let cohort = self.cohort(components.at(row));
            self.past.cell((measure, node), cohort, at.minute(), &figures.at(row), number(grown, row));
        }
        Ok(())
    }

    fn interactions(&mut self, columns: &Columns<'_>) -> Result<(), SqlError> {
        let (time, class, id) = (columns.moments("time")?, columns.texts("class")?, columns.texts("id")?);
        let (ended, attributes) = (columns.moments("ended_at")?, columns.maps("attributes")?);
        let (sources, seen) = (columns.lists("sources")?, Parts::new(columns, "seen")?);
        let leads = Parts::new(columns, "leads_to")?;
        let (seen_from, seen_to) = (seen.moments("seen_from")?, seen.moments("seen_to")?);
        let (lead_from, lead_to) = (leads.moments("seen_from")?, leads.moments("seen_to")?);
        let lead_ended = leads.moments("ended_at")?;
        let relation = text_of(leads.column("relation")?)?;
        let (to_class, to_id) = (text_of(leads.column("to_class")?)?, text_of(leads.column("to_id")?)?);
        for row in 0..columns.batch.num_rows() {
            let Some(node) = self.node(class.at(row), id.at(row)) else { continue };
            for part in seen.of_row(row) {
                if let Some((first, last)) = minutes(moment(seen_from, part), moment(seen_to, part)) {
                    self.past.seen(node, first, last);
                }
            }
            if let Some(at) = moment(ended, row) {
                self.past.ended(node, at);
            }
            if let Some(at) = moment(time, row) {
                self.attributes(node, class.at(row), (at, attributes, row));
            }
            Loading::sources(sources, row, |name| self.past.told_by(node, name));
            for part in leads.of_row(row) {
                let relation = relation.at(part).and_then(|r| self.past.ontology().relation(r));
                let target = self.node(to_class.at(part), to_id.at(part));
                let (Some(relation), Some(target)) = (relation, target) else { continue };
                let edge = self.past.edge(relation, node, target);
                // Who told of a session's relations is not kept by itself.
                Loading::sources(sources, row, |name| self.past.edge_told_by(edge, name));
                if let Some((first, last)) = minutes(moment(lead_from, part), moment(lead_to, part)) {
                    self.past.edge_seen(edge, first, last);
                }
                if let Some(at) = moment(lead_ended, part) {
                    self.past.edge_ended(edge, at);
                }
            }
        }
        Ok(())
    }
}
