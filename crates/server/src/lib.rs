//! The rim that speaks HTTP and gRPC: telemetry in, pages and answers out.
//!
//! Requests are read within limits, decompressed and handed on as they came; nothing is decoded or kept here.
//!
//! **Not here:** opinions about causes, knowledge of wire bytes beyond framing, anything that changes the graph by itself.
//!
//! **Next door:** `engine` below, which everything is asked of; `cli` above, which starts and stops it.

mod answer;
mod api;
pub mod assets;
pub mod atlas;
mod checkpoint;
pub mod elastic;
pub mod feeds;
mod history;
mod hosts;
mod intake;
mod kubernetes;
pub mod limits;
pub mod listen;
pub mod loki;
mod metrics;
pub mod otlp_grpc;
pub mod otlp_http;
mod posted;
mod receive;
pub mod remote_write;
pub mod scrape;
mod serve;
mod signature;
mod statsd;
pub mod syslog;
pub mod zipkin;

pub use api::{Operator, SQL_ROWS, SQL_SECONDS, ask_cypher};
pub use history::{Earlier, Figure, History, SqlQuery, SqlTrouble};
pub use hosts::{Hosts, name_of};
pub use intake::{Delivery, Form, Intake, Receipt, Refusal, SetAside, Wire};
pub use kubernetes::{AccessError, Kubernetes};
pub use receive::Receiver;
pub use serve::{Addresses, Running, Settings, start};
pub use signature::{Secret, Secrets};
