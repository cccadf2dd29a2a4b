//! The six tables: what each holds, what tells its rows apart, and how long it is kept.

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Things that are kept each, by the hours they were seen in.
    Entities,
    /// Edges between such things, by the hours they were seen in.
    Relations,
    /// What went along edges, by minute, side and cohort.
    Flows,
    /// What was measured, by minute, subject and cohort.
    Measures,
    /// Changes, alerts, regressions: what began at a moment, each once.
    Events,
    /// Sessions, interactions, playbacks: each that was held, once.
    Interactions,
}

/// Who stands in a table, how long: what is about single users goes first.
const YEAR_AND_A_MONTH: u32 = 396;
const MONTH: u32 = 30;

impl Table {
    /// Every table, in the order of the documentation.
    pub const ALL: [Table; 6] = [
        Table::Entities,
        Table::Relations,
        Table::Flows,
        Table::Measures,
        Table::Events,
        Table::Interactions,
    ];

    /// Its name in SQL and of its folder.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Entities => "entities",
            Table::Relations => "relations",
            Table::Flows => "flows",
            Table::Measures => "measures",
            Table::Events => "events",
            Table::Interactions => "interactions",
        }
    }

    /// The table of a name.
    pub fn named(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|t| t.name() == name)
    }

    /// What it holds, for the table's own description.
    pub const fn about(self) -> &'static str {
        match self {
            Table::Entities => "Things by the hours they were seen in",
            Table::Relations => "Edges between things by the hours they were seen in",
            Table::Flows => "What went along edges by minute, side and cohort; durations in milliseconds",
            Table::Measures => "What was measured by minute, subject and cohort",
            Table::Events => "Changes, alerts and whatever else begins at a moment",
            Table::Interactions => "Sessions, interactions and playbacks",
        }
    }

    /// Whether a row is a node with an id of its own, which the graph may have let go since: what is written again keeps rows of nodes
    /// that the graph no longer holds.
    pub const fn keyed(self) -> bool {
        matches!(self, Table::Events | Table::Interactions)
    }

    /// Days it is kept when nothing is said.
    pub const fn days(self) -> u32 {
        match self {
            Table::Interactions => MONTH,
            _ => YEAR_AND_A_MONTH,
        }
    }
}
