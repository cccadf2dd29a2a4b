//! The loop: requests in, facts logged and folded, epochs out, regressions noticed, snapshots pinned, questions answered.
//!
//! The only place where rooms meet. **Not here:** HTTP, gRPC, sockets, clocks (time is an argument), opinions about causes.
//!
//! **Next door:** every inner room below; `server` and `cli` above.

mod apart;
mod checkpoint;
mod epoch;
mod intake;
mod propose;
mod reload;
mod seen;
mod sources;
mod watch;

#[cfg(test)]
mod gate;
#[cfg(test)]
mod testing;

pub use apart::{Apart, ApartError};
pub use checkpoint::{Begun, Checkpointed, KeepLog};
pub use epoch::Epoch;
pub use intake::{
    Engine, EngineError, LostHashKey, Opening, Options, Receipt, Refusal, SetAside, Started, Understood,
    Unread,
};
pub use propose::{LOOK_AT, LOOK_AT_MOST};
pub use reload::{Reloaded, StillAside};
pub use sources::{Coverage, Example, Reason, SourceReport, Used};
pub use watch::{Event, Pin, Tick};
