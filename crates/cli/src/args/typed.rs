//! What values may be typed, and what is said when they may not.

use crate::client::Client;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ontology::Time;
use query::text::Between;
use sim::Scenario;
use std::path::PathBuf;

/// A moment on the command line.
pub(super) fn moment(text: &str) -> Result<Time, String> {
    Time::parse(text).map_err(|e| e.to_string())
}

/// A stretch of time on the command line.
pub(super) fn stretch(text: &str) -> Result<Between, String> {
    let Some((from, to)) = text.split_once("..") else {
        return Err("write it like 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z".to_owned());
    };
    let between = Between { from: moment(from)?, to: moment(to)? };
    if between.from >= between.to {
        return Err("it must begin before it ends".to_owned());
    }
    Ok(between)
}

/// A server's address on the command line.
pub(super) fn url(text: &str) -> Result<String, String> {
    Client::new(text).map(|_| text.to_owned()).map_err(|e| e.to_string())
}

/// A name that a server answers to.
pub(super) fn host(text: &str) -> Result<String, String> {
    let name = server::name_of(text);
    if name.is_empty() || text.contains(['/', ' ', '@']) || (name.contains('*') && name != "*") {
        return Err("write a name as browsers ask for it, such as graph.example, or `*` for any".to_owned());
    }
    Ok(name)
}

/// A feed and a file.
pub(super) fn feed_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((feed, file)) if !feed.is_empty() && !file.is_empty() => {
            Ok((feed.to_owned(), PathBuf::from(file)))
        }
        _ => Err("write it like github=/etc/e2egraph/github".to_owned()),
    }
}

/// A parameter of an address.
pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like service=ratings".to_owned()),
    }
}

/// How often time goes on faster than it did; 0 for as fast as can be.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err("write a number of 0 or more".to_owned()),
    }
}

/// A least surprise.
pub(super) fn surprise(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err("write a number, such as 3".to_owned()),
    }
}

/// A scenario by name (with `_` or `-`) or by its number.
pub(super) fn scenario() -> impl TypedValueParser<Value = Scenario> {
    let names = Scenario::all().into_iter().enumerate().map(|(i, s)| {
        PossibleValue::new(s.name())
            .aliases([s.name().replace('_', "-"), (i + 1).to_string()])
            .help(s.describe())
    });
    PossibleValuesParser::new(names).try_map(|name| match name.parse::<usize>() {
        Ok(_) => name.parse(),
        Err(_) => name.replace('-', "_").parse(),
    })
}

/// One of the exam's sets.
pub(super) fn set() -> PossibleValuesParser {
    let sets = exam::SETS.iter().map(|s| PossibleValue::new(s.name()).help(s.about()));
    PossibleValuesParser::new(
        sets.chain(
            [PossibleValue::new(crate::command::eval::ALL_SETS).help("every set of a folder of sets")],
        ),
    )
}

/// One of the benchmarks.
pub(super) fn bench() -> PossibleValuesParser {
    let all = crate::command::bench::BENCHES.iter();
    PossibleValuesParser::new(all.map(|(name, what, _)| PossibleValue::new(name).help(*what)))
}

/// One kind of file of the ontology.
pub(super) fn kind() -> PossibleValuesParser {
    PossibleValuesParser::new(ontology::Kind::ALL.map(|(_, name)| name))
}
