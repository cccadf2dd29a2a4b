//! Questions to the graph.

#[cfg(feature = "history")]
use super::Offline;
use super::Server;
use super::typed::{moment, stretch, surprise, url};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use ontology::Time;
use query::text::{Between, Side};

/// Options shared by questions to the graph.
#[derive(Debug, Args, Clone)]
pub struct At {
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// From what had arrived by the end of this minute; from everything when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub as_known: Option<Time>,
    /// At most this many rows.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub limit: usize,
    /// Without a server.
    #[cfg(feature = "history")]
    #[command(flatten)]
    pub offline: Offline,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// A record and the thing it was taken for.
#[derive(Debug, Args, Clone)]
pub struct Pair {
    /// Id of what has only the weaker key.
    pub stand_in: String,
    /// Id of what it counts as.
    pub node: String,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `graph origins`, `impact` and `common`.
#[derive(Debug, Args, Clone)]
pub struct Trouble {
    /// Class and name of the thing; of `common`, of each.
    #[arg(required = true, num_args = 2.., value_names = ["CLASS", "NAME"])]
    pub things: Vec<String>,
    /// Only this kind of trouble: an aspect of the ontology.
    #[arg(long, value_name = "ASPECT")]
    pub of: Option<String>,
    /// Options.
    #[command(flatten)]
    pub at: At,
}

/// Questions to the graph.
#[derive(Debug, Subcommand)]
pub enum Graph {
    /// Nodes of a class.
    #[command(after_help = "Example:\n  e2egraph graph find Service rat --limit 5")]
    Find {
        /// Class name (see `e2egraph ontology show`).
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        class: String,
        /// Part of the name.
        text: Option<String>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Everything known of a node.
    #[command(after_help = "Example:\n  e2egraph graph show Service ratings")]
    Show {
        /// Class name.
        class: String,
        /// Name.
        name: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// What is around a node.
    #[command(after_help = "Example:\n  e2egraph graph neighbours Service ratings --hops 2")]
    Neighbours {
        /// Class name.
        class: String,
        /// Name.
        name: String,
        /// How far, in edges.
        #[arg(long, default_value_t = 1, value_name = "N")]
        hops: usize,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// A shortest connection.
    #[command(after_help = "Example:\n  e2egraph graph path View tvui/lolomo Service ratings")]
    Path {
        /// Class of the first.
        from_class: String,
        /// Name of the first.
        from: String,
        /// Class of the second.
        to_class: String,
        /// Name of the second.
        to: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Why the edges from one thing to another are there: who told of them, when, how often, by which rule they follow.
    #[command(after_help = "Example:\n  e2egraph graph why Service edge/gateway Service content/ratings")]
    Why {
        /// Class of the first.
        from_class: String,
        /// Name of the first.
        from: String,
        /// Class of the second.
        to_class: String,
        /// Name of the second.
        to: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Where trouble at a thing can have come from, strongest first, with the way it would have gone.
    #[command(after_help = "Example:\n  e2egraph graph origins View tvui/lolomo --of latency --limit 10")]
    Origins(Trouble),
    /// What trouble at a thing can reach, strongest first, with the way it would go.
    #[command(
        after_help = "Example:\n  e2egraph graph impact Service content/ratings --of latency --limit 10"
    )]
    Impact(Trouble),
    /// Where trouble at several things can have come from to all of them.
    #[command(
        after_help = "Example:\n  e2egraph graph common Service content/ratings Service edge/gateway --of latency --limit 10"
    )]
    Common(Trouble),
    /// The likeliest ways by which trouble at one thing gets to another, strongest first.
    #[command(
        after_help = "Example:\n  e2egraph graph paths Service content/ratings Service edge/gateway --of latency --best 3"
    )]
    Paths {
        /// Class of the thing where trouble begins.
        from_class: String,
        /// Its name.
        from: String,
        /// Class of the thing where it is felt.
        to_class: String,
        /// Its name.
        to: String,
        /// Felt as this kind of trouble only: an aspect of the ontology.
        #[arg(long, value_name = "ASPECT")]
        of: Option<String>,
        /// At most so many edges in a row (16 at the most).
        #[arg(long, default_value_t = 8, value_name = "N")]
        hops: usize,
        /// At most so many ways (1,000 at the most).
        #[arg(long, default_value_t = 5, value_name = "N")]
        best: usize,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// What sources know by different keys and counts as one thing, with the ids that `split` takes.
    #[command(after_help = "Example:\n  e2egraph graph merges Service")]
    Merges {
        /// Of this class only.
        class: Option<String>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Undo a merge: the two ids, as `merges` shows them, are two things from now on and for all that is kept.
    #[command(after_help = "Example:\n  e2egraph graph split 4e2eacf68f1708cb 88277f1cccdc7bfc")]
    Split(Pair),
    /// Take back a `split`.
    #[command(after_help = "Example:\n  e2egraph graph rejoin 4e2eacf68f1708cb 88277f1cccdc7bfc")]
    Rejoin(Pair),
    /// What follows by the ontology's rules: `e2egraph graph follows rests_on --from View tvui/lolomo`
    Follows {
        /// A derived relation or a predicate of the ontology.
        what: String,
        /// Where the relation leads from; a predicate's first argument.
        #[arg(long, num_args = 2, value_names = ["CLASS", "NAME"])]
        from: Vec<String>,
        /// Where the relation leads to; a predicate's second argument.
        #[arg(long, num_args = 2, value_names = ["CLASS", "NAME"])]
        to: Vec<String>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// What differs between two moments, stretches of time, snapshots or cohorts, most surprising first (docs/diff.md).
    #[command(after_help = "\
Examples:
  e2egraph graph diff --before 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z --after 2026-11-24T11:00:00Z..2026-11-24T12:00:00Z
  e2egraph graph diff --before snapshot:friday --after snapshot:monday
  e2egraph graph diff --cohort 'cell = A' --cohort 'cell = B and country in (BR, AR)'
  e2egraph graph diff --before 2026-11-24T10:00:00Z --ndjson > all.ndjson")]
    Diff(Box<Diff>),
    /// What some people touched: where their sessions lead, what went along edges for them (docs/diff.md).
    #[command(after_help = "\
Examples:
  e2egraph graph cohort 'version = 8.42 and cell = B and country in (BR, AR)'
  e2egraph graph cohort 'not app version >= 8.42' --from 2026-11-24T10:00:00Z --to 2026-11-24T11:00:00Z --json")]
    Cohort(Box<Cohort>),
    /// Keep a moment by name, list what is kept, or let one go.
    #[command(after_help = "\
Examples:
  e2egraph graph snapshot friday --at 2026-11-27T12:00:00Z
  e2egraph graph snapshot
  e2egraph graph snapshot friday --delete")]
    Snapshot(Snapshot),
    /// What a competency question of the ontology finds, its rules followed.
    #[command(after_help = "Example:\n  e2egraph graph question q04 --line 1")]
    Question {
        /// Its name (see `e2egraph ontology show questions`).
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Only this line of it.
        #[arg(long, value_name = "N")]
        line: Option<usize>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Write the facts of a moment as RDF to standard output (docs/export.md).
    #[command(after_help = "\
Examples:
  e2egraph graph export > graph.nq
  e2egraph graph export --format trig --at 2026-11-24T12:05:00Z")]
    Export(Export),
    /// A query in openCypher (docs/cypher.md).
    #[command(after_help = "\
Examples:
  e2egraph graph cypher 'MATCH (a:Operation)-[c:calls]->(b) RETURN a.name, b.name, c.p95_ms ORDER BY c.p95_ms DESC LIMIT 5'
  e2egraph graph cypher 'MATCH (s:Service {name: $name})--(n) RETURN labels(n)[0] AS kind, n.name' --param name=content/ratings
  e2egraph graph cypher 'EXPLAIN MATCH (s:Service)-->(n) RETURN n'")]
    Cypher(Cypher),
    /// A question in query text, as evidence carries it (docs/questions.md).
    #[command(after_help = "Example:\n  e2egraph graph query 'find AppVersion \"8.42\" limit 3'")]
    Query {
        /// The query.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        text: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
}

/// Options of `graph diff`.
#[derive(Debug, Args, Clone)]
pub struct Diff {
    /// First side: a stretch FROM..TO, a moment, snapshot:NAME, or known:TIME; now when not said.
    #[arg(long, value_name = "SIDE", value_parser = Side::from_word)]
    pub before: Option<Side>,
    /// Second side; the first again when two cohorts are compared, else now.
    #[arg(long, value_name = "SIDE", value_parser = Side::from_word)]
    pub after: Option<Side>,
    /// Only these people, on both sides; said twice, those of each side: `version = 8.42 and cell = B`.
    #[arg(long, value_name = "WHERE")]
    pub cohort: Vec<String>,
    /// The people of the second side.
    #[arg(long, value_name = "WHERE", requires = "cohort")]
    pub versus: Option<String>,
    /// Least surprise shown.
    #[arg(long, default_value_t = 3.0, value_name = "SURPRISE", value_parser = surprise)]
    pub least: f64,
    /// Pass over so many rows.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub offset: usize,
    /// Every row, one JSON object a line, the totals first.
    #[arg(long, conflicts_with = "json")]
    pub ndjson: bool,
    /// Options.
    #[command(flatten)]
    pub at: At,
}

/// Options of `graph cohort`.
#[derive(Debug, Args, Clone)]
pub struct Cohort {
    /// Who: `version = 8.42 and cell = B and country in (BR, AR)`.
    #[arg(value_name = "WHERE", value_parser = NonEmptyStringValueParser::new())]
    pub people: String,
    /// From this moment on; without it and --to, the last quarter of an hour.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "to", conflicts_with = "when")]
    pub from: Option<Time>,
    /// Up to this moment.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "from")]
    pub to: Option<Time>,
    /// When otherwise: snapshot:NAME or known:TIME.
    #[arg(long, value_name = "SIDE", value_parser = Side::from_word)]
    pub when: Option<Side>,
    /// Pass over so many rows.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub offset: usize,
    /// Every row, one JSON object a line, the totals first.
    #[arg(long, conflicts_with = "json")]
    pub ndjson: bool,
    /// Options.
    #[command(flatten)]
    pub at: At,
}

/// Options of `graph snapshot`.
#[derive(Debug, Args, Clone)]
pub struct Snapshot {
    /// Its name; all that are kept are listed without one.
    pub name: Option<String>,
    /// Of this moment (2026-11-24T12:05:00Z); of now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "name")]
    pub at: Option<Time>,
    /// Let it go.
    #[arg(long, requires = "name", conflicts_with = "at")]
    pub delete: bool,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `graph cypher`.
#[derive(Debug, Args, Clone)]
pub struct Cypher {
    /// The query; `EXPLAIN` and `PROFILE` before it show how it is answered.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub query: String,
    /// A value for `$NAME`: JSON, or a text.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// From what had arrived by the end of this minute; from everything when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub as_known: Option<Time>,
    /// What held at any time between these: 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z.
    #[arg(long, value_name = "FROM..TO", value_parser = stretch, conflicts_with = "at")]
    pub between: Option<Between>,
    /// At most this many rows.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub limit_rows: usize,
    /// Give up after so many seconds, with the rows found until then.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    pub timeout: f64,
    /// Without a server.
    #[cfg(feature = "history")]
    #[command(flatten)]
    pub offline: Offline,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `graph export`.
#[derive(Debug, Args, Clone)]
pub struct Export {
    /// Which form.
    #[arg(long, value_enum, default_value_t = GraphFormat::NQuads)]
    pub format: GraphFormat,
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// From what had arrived by the end of this minute; from everything when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub as_known: Option<Time>,
    /// The server's web address.
    #[arg(long, env = "E2EGRAPH_SERVER", default_value = "http://127.0.0.1:4320", value_name = "URL", value_parser = url)]
    pub server: String,
}

/// Open forms of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// One quad a line.
    #[value(name = "nquads")]
    NQuads,
    /// With prefixes, grouped by thing.
    #[value(name = "trig")]
    TriG,
}

impl GraphFormat {
    /// As the server knows it.
    pub fn name(self) -> &'static str {
        match self {
            GraphFormat::NQuads => "nquads",
            GraphFormat::TriG => "trig",
        }
    }
}
