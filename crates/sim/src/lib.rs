//! Worlds with known faults and known answers: a made-up video-streaming company that speaks only real wire formats.
//!
//! A [`Plan`] (scenario, seed, start, scale) fixes a world completely. [`World`] plays it as a stream of [`Payload`]s in the
//! order they are sent: OTLP protobuf for traces, metrics and logs, JSON for the feeds. [`truth`] holds the sealed answer and
//! [`score`] compares an answer with it. Nothing of the answer is in the payloads except through its effects.
//!
//! How it hangs together: `company` is what stands (services, hosts, stores), `audience` who watches, `script` what
//! happens and when (the fault and its decoys), `journey` what one user waits for, `backend` what answers, `stream` the clock.
//!
//! [`join`] has the same company told by many more sources, with the truth of who is who.
//!
//! **Not here:** reading wire formats (`ingest` does; sharing code would let errors cancel), the wall clock, sockets, pacing.
//!
//! **Next door:** nobody below; `cli` above plays a world into the real ports and scores the answers.

mod audience;
mod backend;
mod company;
mod encode;
mod feeds;
mod journey;
mod outbox;
mod plan;
mod prng;
mod readings;
mod script;
mod stream;
mod tables;

pub mod join;
pub mod score;
pub mod truth;

pub use plan::{Payload, Plan, Scale, Scenario, Wire};
pub use stream::World;
