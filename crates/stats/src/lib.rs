//! Arithmetic on series and samples: sketches, sequential tests, change points, localisation, calibration.
//!
//! **Not here:** the ontology, the graph, files, clocks, unseeded randomness.
//!
//! **Next door:** nobody below; `graph`, `query`, `autosre` and `exam` count with it.

pub mod calibrate;
pub mod changepoint;
pub mod choice;
pub mod did;
pub mod localise;
pub mod mix;
pub mod placebo;
pub mod sequential;
pub mod sketch;
pub mod special;
pub mod srm;
pub mod tail;
#[cfg(test)]
mod testing;
