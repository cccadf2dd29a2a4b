//! The words: what may exist, how it relates, what is measured, how trouble travels, what may be done, and what a fact is.
//!
//! **Not here:** any source, store, network, clock or statistic; nothing about a particular company or domain is written in
//! Rust, it is read from YAML.
//!
//! **Next door:** nobody below; every other room reads this one.

pub mod actions;
mod alignments;
mod compile;
mod dictionary;
pub mod diff;
pub mod export;
pub mod expr;
pub mod fact;
mod functions;
mod gives;
pub mod lexicon;
mod load;
pub mod mapping;
pub mod model;
pub mod paths;
pub mod premise;
mod problems;
mod raw;
mod resolve;
pub mod rules;
pub mod scalar;
mod schema;
mod syntax;
pub mod template;
pub mod time;
pub mod unit;
pub mod value;
mod yaml;

pub use diff::diff;
pub use expr::{Context, Expr, FieldId, Fields, Hasher, Record};
pub use fact::{Batch, Draft, Fact, ItemId, Key, Observation, Ref, Refused, Side, Step, StreamId};
pub use functions::Func;
pub use gives::Gives;
pub use load::{Kind, load};
pub use mapping::{Mapping, Reads};
pub use model::{AttrId, ClassId, MeasureId, Ontology, RelationId};
pub use problems::{Problem, Problems, SourceFile};
pub use scalar::Scalar;
pub use schema::json_schema;
pub use time::{Minute, Stretch, Time};
pub use value::Value;

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_ontology_is_sound() {
        if let Err(problems) = crate::load(&[]) {
            panic!("{problems}");
        }
    }
}
