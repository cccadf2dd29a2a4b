//! Questions about the ontology.

use super::Server;
use super::typed::kind;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Which ontology.
#[derive(Debug, Args, Clone, Default)]
pub struct OntologyFrom {
    /// A folder of YAML files that extend the built-in ontology. May be given several times.
    #[arg(long = "ontology", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
}

/// Questions about the ontology.
#[derive(Debug, Subcommand)]
pub enum OntologyCommand {
    /// Load it and say everything that is wrong with it.
    #[command(after_help = "Example:\n  e2egraph ontology check --ontology site")]
    Check {
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print classes, relations, measures, rules, actions, sources, questions or words, or all that concerns one of them.
    #[command(
        after_help = "Examples:\n  e2egraph ontology show relations\n  e2egraph ontology show Service\n  e2egraph ontology show view.ttr"
    )]
    Show {
        /// What to print: classes, relations, measures, rules, actions, sources, questions, words, or one thing's name.
        #[arg(default_value = "classes")]
        what: String,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List what differs between two ontologies and whom it breaks; ends with 1 when it breaks anybody.
    #[command(
        after_help = "Examples:\n  e2egraph ontology diff site-before site\n  e2egraph ontology diff --ontology site  (from the built-in one)"
    )]
    Diff {
        /// The folders of the older and the newer one; each extends the built-in ontology.
        #[arg(num_args = 2, value_names = ["OLD_DIR", "NEW_DIR"])]
        sides: Vec<PathBuf>,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Have a running server read its ontology files again; with problems in them it keeps the old one. SIGHUP does the same.
    #[command(after_help = "Example:\n  e2egraph ontology reload")]
    Reload {
        /// Server.
        #[command(flatten)]
        server: Server,
    },
    /// The same, telling by source and reason what went in of what had been set aside.
    #[command(after_help = "Example:\n  e2egraph ontology replay-refused")]
    ReplayRefused {
        /// Server.
        #[command(flatten)]
        server: Server,
    },
    /// Print what a site could add, from attributes that nothing reads and from what was set aside in the newest requests of a
    /// running server, with the evidence. Nothing is applied.
    #[command(after_help = "Example:\n  e2egraph ontology propose --least 0.05")]
    Propose {
        /// Server.
        #[command(flatten)]
        server: Server,
        /// Look at so many of the newest requests.
        #[arg(long, value_name = "N", default_value_t = engine::LOOK_AT, value_parser = clap::value_parser!(u64).range(1..=engine::LOOK_AT_MOST))]
        requests: u64,
        /// Leave out what a smaller share of the records carries.
        #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
        least: f64,
    },
    /// Write it in an open form to standard output: `e2egraph ontology export --format owl`
    Export {
        /// Which form.
        #[arg(long, value_enum)]
        format: OntologyFormat,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
    },
    /// Print the JSON Schema of an ontology file, for editors.
    #[command(after_help = "Example:\n  e2egraph ontology schema classes > classes.schema.json")]
    Schema {
        /// Kind of file.
        #[arg(value_parser = kind())]
        kind: String,
    },
}

/// Open forms of the ontology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OntologyFormat {
    /// Classes and properties as OWL 2 DL, in Turtle.
    Owl,
    /// What must hold of facts at a moment, as SHACL shapes in Turtle.
    Shacl,
    /// Names as IRIs, as a JSON-LD context.
    JsonldContext,
    /// How the files are written, as one JSON Schema document.
    JsonSchema,
    /// Its questions over an exported snapshot, as SPARQL queries.
    Sparql,
}
