//! Asking the graph: sums over cohorts, walks, and a text form for every question, so that each number in an answer can be
//! asked again by anyone.
//!
//! **Not here:** writing, acting, opinions about causes; no name of a class, relation or measure beyond what the caller says.
//!
//! **Next door:** `graph` below; `autosre` and `engine` above.

pub mod cohort;
pub mod compared;
pub mod cypher;
pub mod epochs;
pub mod map;
pub mod moment;
pub mod paths;
pub mod people;
pub mod picture;
pub mod question;
pub mod rdf;
pub mod rules;
pub mod run;
pub mod text;
pub mod touched;
pub mod view;
pub mod walk;

pub use cohort::{Dim, Filter};
pub use compared::Compared;
pub use epochs::{Epochs, NoEpochs};
pub use moment::Moment;
pub use rules::{Reach, What};
pub use run::{Output, QueryError};
pub use text::{NodeName, Query, Show, Term};
pub use touched::Touched;
pub use view::{Flow, View};
