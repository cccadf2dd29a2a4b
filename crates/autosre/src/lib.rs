//! Answers: which component, change or treatment is to blame for what a person feels, with the evidence for it.
//!
//! **Not here:** I/O, clocks, wire formats, language models, any power to act.
//!
//! **Next door:** `query`, `graph`, `ontology` and `stats` below; `engine` above carries answers out; `exam` measures the
//! same methods on labelled failures.

pub mod alarms;
pub mod answer;
mod arith;
mod backend;
pub mod calm;
mod case;
pub mod change;
pub mod commit;
mod coordinator;
mod detect;
mod divergence;
mod edges;
mod expect;
pub mod experts;
pub mod finding;
mod flow;
mod gaps;
pub mod gate;
mod ground;
mod investigate;
pub mod kubernetes;
mod loss;
mod mitigate;
mod pool;
pub mod question;
pub mod rank;
mod reply;
mod route;
mod scan;
pub mod scene;
mod spread;
mod synthesis;
mod table;
pub mod template;
pub mod trace_evidence;
mod vocabulary;
mod windows;

pub use answer::{Answer, Regression, Status};
pub use case::Case;
pub use detect::{Known, detect};
pub use ground::ground;
pub use investigate::{Options, ask, investigate};
pub use question::Question;
pub use vocabulary::{Lacking, Tier, Vocabulary};
