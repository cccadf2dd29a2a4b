//! The columns of each table under an ontology: fixed ones, and one for each class that may describe a cohort or a session.

use crate::table::Table;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use ontology::model::Grain;
use ontology::{ClassId, Ontology};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The partition column: the day of `time`, UTC. Last in every table, and in no file.
pub(crate) const DAY: &str = "day";
/// The column that says when.
pub(crate) const TIME: &str = "time";

/// What a column tells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Time,
    Class,
    Id,
    Name,
    SeenFrom,
    SeenTo,
    Ended,
    Attributes,
    Sources,
    Concerns,
    /// The stretches in which a sampled node was seen.
    Seen,
    /// What a sampled node leads to.
    LeadsTo,
    Relation,
    Side,
    FromClass,
    FromId,
    FromName,
    ToClass,
    ToId,
    ToName,
    /// The id of a cohort.
    Cohort,
    /// What it consists of.
    Components,
    Count,
    Bad,
    Sum,
    LogSum,
    LogSquares,
    Grown,
    Sketch,
    Measure,
    Unit,
    /// Names of the components of a class, or ids of sampled nodes.
    Of(ClassId),
}

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Moment,
    Text,
    Texts,
    Pairs,
    Number,
    Bytes,
    /// A list of stretches of time.
    Stretches,
    /// A list of edges from the row's node.
    Edges,
}

/// Whether text is laid out as files hold it or as queries read it fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    File,
    Query,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) what: What,
    kind: Kind,
}

impl Column {
    pub(crate) fn field(&self, layout: Layout) -> Field {
        Field::new(&self.name, data_type(self.kind, layout), true)
    }
}

/// What an element of a list of stretches consists of.
pub(crate) fn stretch_fields() -> Fields {
    let moment = |name: &str| Field::new(name, data_type(Kind::Moment, Layout::File), true);
    Fields::from(vec![moment("seen_from"), moment("seen_to")])
}

/// What an element of a list of edges consists of.
pub(crate) fn edge_fields() -> Fields {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let moment = |name: &str| Field::new(name, data_type(Kind::Moment, Layout::File), true);
    let mut fields = vec![text("relation"), text("to_class"), text("to_id")];
    fields.extend(["seen_from", "seen_to", "ended_at"].map(moment));
    Fields::from(fields)
}

fn list_of(fields: Fields) -> DataType {
    DataType::List(Arc::new(Field::new("element", DataType::Struct(fields), true)))
}

fn data_type(kind: Kind, layout: Layout) -> DataType {
    match (kind, layout) {
        (Kind::Moment, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        (Kind::Text, Layout::File) => DataType::Utf8,
        (Kind::Text, Layout::Query) => DataType::Utf8View,
        (Kind::Bytes, _) => DataType::Binary,
        (Kind::Number, _) => DataType::Float64,
        (Kind::Stretches, _) => list_of(stretch_fields()),
        (Kind::Edges, _) => list_of(edge_fields()),
        // Within lists and maps text stays as files hold it.
        (Kind::Texts, _) => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
        (Kind::Pairs, _) => {
            let pair = Fields::from(vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Utf8, true),
            ]);
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair), false)), false)
        }
    }
}

/// A text column that an earlier or later ontology gave a table.
pub(crate) fn text_field(name: &str, layout: Layout) -> Field {
    Field::new(name, data_type(Kind::Text, layout), true)
}

/// The columns of all tables.
#[derive(Clone, Debug)]
pub struct Chart {
    tables: BTreeMap<Table, Arc<[Column]>>,
    events: Vec<bool>,
}

/// `AppVersion` is the column `app_version`.
fn snake(class: &str) -> String {
    let mut name = String::new();
    let mut before = '_';
    for c in class.chars() {
        if c.is_uppercase() && !before.is_uppercase() && before != '_' {
            name.push('_');
        }
        before = c;
        name.extend(c.to_lowercase());
    }
    name
}

const FLOWS: &[(&str, What, Kind)] = &[
    (TIME, What::Time, Kind::Moment),
    ("relation", What::Relation, Kind::Text),
    ("side", What::Side, Kind::Text),
    ("from_class", What::FromClass, Kind::Text),
    ("from_id", What::FromId, Kind::Text),
    ("from_name", What::FromName, Kind::Text),
    ("to_class", What::ToClass, Kind::Text),
    ("to_id", What::ToId, Kind::Text),
    ("to_name", What::ToName, Kind::Text),
    ("count", What::Count, Kind::Number),
    ("errors", What::Bad, Kind::Number),
    ("sum", What::Sum, Kind::Number),
    ("log_sum", What::LogSum, Kind::Number),
    ("log_squares", What::LogSquares, Kind::Number),
    ("sketch", What::Sketch, Kind::Bytes),
    ("cohort_id", What::Cohort, Kind::Text),
    ("components", What::Components, Kind::Text),
];

const MEASURES: &[(&str, What, Kind)] = &[
    (TIME, What::Time, Kind::Moment),
    ("measure", What::Measure, Kind::Text),
    ("unit", What::Unit, Kind::Text),
    ("class", What::Class, Kind::Text),
    ("id", What::Id, Kind::Text),
    ("name", What::Name, Kind::Text),
    ("count", What::Count, Kind::Number),
    ("bad", What::Bad, Kind::Number),
    ("sum", What::Sum, Kind::Number),
    ("log_sum", What::LogSum, Kind::Number),
    ("log_squares", What::LogSquares, Kind::Number),
    ("grown", What::Grown, Kind::Number),
    ("sketch", What::Sketch, Kind::Bytes),
    ("cohort_id", What::Cohort, Kind::Text),
    ("components", What::Components, Kind::Text),
];

const ENTITIES: &[(&str, What, Kind)] = &[
    (TIME, What::Time, Kind::Moment),
    ("class", What::Class, Kind::Text),
    ("id", What::Id, Kind::Text),
    ("name", What::Name, Kind::Text),
    ("seen_from", What::SeenFrom, Kind::Moment),
    ("seen_to", What::SeenTo, Kind::Moment),
    ("ended_at", What::Ended, Kind::Moment),
    ("attributes", What::Attributes, Kind::Pairs),
    ("sources", What::Sources, Kind::Texts),
];

const RELATIONS: &[(&str, What, Kind)] = &[
    (TIME, What::Time, Kind::Moment),
    ("relation", What::Relation, Kind::Text),
    ("from_class", What::FromClass, Kind::Text),
    ("from_id", What::FromId, Kind::Text),
    ("from_name", What::FromName, Kind::Text),
    ("to_class", What::ToClass, Kind::Text),
    ("to_id", What::ToId, Kind::Text),
    ("to_name", What::ToName, Kind::Text),
    ("seen_from", What::SeenFrom, Kind::Moment),
    ("seen_to", What::SeenTo, Kind::Moment),
    ("ended_at", What::Ended, Kind::Moment),
    ("sources", What::Sources, Kind::Texts),
];

const EVENTS: &[(&str, What, Kind)] = &[
    (TIME, What::Time, Kind::Moment),
    ("class", What::Class, Kind::Text),
    ("id", What::Id, Kind::Text),
    ("name", What::Name, Kind::Text),
    ("seen_from", What::SeenFrom, Kind::Moment),
    ("seen_to", What::SeenTo, Kind::Moment),
    ("ended_at", What::Ended, Kind::Moment),
    ("concerns", What::Concerns, Kind::Texts),
    ("attributes", What::Attributes, Kind::Pairs),
    ("sources", What::Sources, Kind::Texts),
    ("seen", What::Seen, Kind::Stretches),
];

const INTERACTIONS: &[(&str, What, Kind)] = &[
    (TIME, What::Time, Kind::Moment),
    ("class", What::Class, Kind::Text),
    ("id", What::Id, Kind::Text),
    ("seen_to", What::SeenTo, Kind::Moment),
    ("ended_at", What::Ended, Kind::Moment),
    ("attributes", What::Attributes, Kind::Pairs),
    ("sources", What::Sources, Kind::Texts),
    ("seen", What::Seen, Kind::Stretches),
    ("leads_to", What::LeadsTo, Kind::Edges),
];

impl Chart {
    /// The columns under an ontology.
    pub fn new(ontology: &Ontology) -> Chart {
        let classes = || (0..).map(ClassId).zip(&ontology.classes);
        let events: Vec<bool> = classes().map(|(id, _)| ontology.is_event(id)).collect();
        let describes = |id: ClassId| !events.get(id.index()).copied().unwrap_or(false);
        let of = |table: Table| -> Arc<[Column]> {
            let fixed = match table {
                Table::Entities => ENTITIES,
                Table::Relations => RELATIONS,
                Table::Flows => FLOWS,
                Table::Measures => MEASURES,
                Table::Events => EVENTS,
                Table::Interactions => INTERACTIONS,
            };
            let mut columns: Vec<Column> = fixed
                .iter()
                .map(|(name, what, kind)| Column { name: (*name).to_owned(), what: *what, kind: *kind })
                .collect();
            let by_class = matches!(table, Table::Flows | Table::Measures | Table::Interactions);
            for (id, class) in classes().filter(|(id, c)| by_class && !c.is_abstract && describes(*id)) {
                if class.grain == Grain::Sampled && table != Table::Interactions {
                    continue;
                }
                let mut name = snake(&class.name);
                while name == DAY || columns.iter().any(|c| c.name == name) {
                    name.push('_');
                }
                columns.push(Column { name, what: What::Of(id), kind: Kind::Text });
            }
            columns.into()
        };
        Chart { tables: Table::ALL.into_iter().map(|t| (t, of(t))).collect(), events }
    }

    /// Whether nodes of a class are events: they say when they began.
    pub(crate) fn is_event(&self, class: ClassId) -> bool {
        self.events.get(class.index()).copied().unwrap_or(false)
    }

    /// The columns of a table, the day left out.
    pub(crate) fn columns(&self, table: Table) -> &[Column] {
        self.tables.get(&table).map_or(&[], |c| c)
    }

    /// What its files hold: every column but the day.
    pub(crate) fn file_schema(&self, table: Table, layout: Layout) -> SchemaRef {
        let fields: Vec<Field> = self.columns(table).iter().map(|c| c.field(layout)).collect();
        Arc::new(Schema::new(fields))
    }

    /// Every column of a table, by name.
    pub fn names(&self, table: Table) -> impl Iterator<Item = &str> + '_ {
        self.columns(table).iter().map(|c| c.name.as_str()).chain([DAY])
    }
}

/// The day as a column.
pub(crate) fn day_field() -> Field {
    Field::new(DAY, DataType::Date32, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_columns_in_small_letters() {
        for (class, column) in
            [("AppVersion", "app_version"), ("Isp", "isp"), ("CdnSite", "cdn_site"), ("URL", "url")]
        {
            assert_eq!(snake(class), column);
        }
    }

    #[test]
    fn a_class_that_is_called_like_a_column_is_told_apart() {
        let mut ontology = Ontology::builtin();
        let place = ontology.class("Place").unwrap();
        ontology.classes[place.index()].name = "Side".to_owned();
        let chart = Chart::new(&ontology);
        let names: Vec<&str> = chart.names(Table::Flows).collect();
        assert!(names.contains(&"side") && names.contains(&"side_"), "{names:?}");
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn sessions_stand_in_their_own_table_only() {
        let chart = Chart::new(&Ontology::builtin());
        assert!(chart.names(Table::Interactions).any(|n| n == "session"));
        assert!(!chart.names(Table::Measures).any(|n| n == "session"));
        assert!(chart.names(Table::Measures).any(|n| n == "app_version"));
        assert!(!chart.names(Table::Measures).any(|n| n == "deployment"));
    }
}
