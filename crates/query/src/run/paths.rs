//! Answering `paths`: the likeliest ways of trouble from one thing to another.

use super::{Output, QueryError, Runner, table};
use crate::paths::{BEST, CausalPath, MOST_BEST, MOST_EDGES, MOST_LOOKED, Stopped, Wanted};
use crate::text::NodeName;
use crate::walk::{Bounds, Towards};
use ontology::Time;
use serde_json::{Value as Json, json};

impl Runner<'_> {
    pub(super) fn paths(
        &self,
        [from, to]: [&NodeName; 2],
        aspect: Option<&str>,
        (hops, best): (Option<usize>, Option<usize>),
        at: Option<Time>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Output, QueryError> {
        let (from, to) = (self.node(from)?, self.node(to)?);
        let usual = Bounds::default();
        let bounds = Bounds { hops: hops.unwrap_or(usual.hops).min(MOST_EDGES), nodes: MOST_LOOKED, ..usual };
        let wanted = Wanted {
            from,
            to,
            aspects: self.aspects(aspect)?,
            at: at.unwrap_or(self.view.as_of),
            best: best.unwrap_or(BEST).min(MOST_BEST),
            bounds,
        };
        let paths = self.view.causal_paths(&wanted, stop);
        let mut notes = vec![format!(
            "not followed: weights below {}, more than {} edges in a row",
            bounds.weight, bounds.hops
        )];
        let so_far = "what was found by then is the best, but there may be more";
        notes.extend(match paths.stopped {
            Some(Stopped::Work) => Some(format!("stopped after looking at {MOST_LOOKED} edges: {so_far}")),
            Some(Stopped::Time) => Some(format!("stopped because it took too long: {so_far}")),
            None if wanted.best > 0 && paths.found.len() == wanted.best => {
                Some(format!("these are the best {}, there may be more", wanted.best))
            }
            None => None,
        });
        if paths.found.is_empty() && paths.stopped.is_none() {
            let back = Wanted { from: to, to: from, best: 1, ..wanted };
            if !self.view.causal_paths(&back, stop).found.is_empty() {
                notes.push(
                    "trouble travels the other way round: write the two ends in the other order".to_owned(),
                );
            }
        }
        let rows = paths.found.iter().map(|p| self.told(p)).collect();
        Ok(Output { note: notes.join("; "), ..table(&["weight", "as", "edges", "way"], rows) })
    }

    fn told(&self, path: &CausalPath) -> Vec<Json> {
        let o = self.view.ontology();
        let mut kinds = path.kinds.clone();
        kinds.dedup();
        let name = |a: &ontology::model::AspectId| {
            o.aspects.get(usize::from(a.0)).map_or("?", |a| a.name.as_str()).to_owned()
        };
        let kinds: Vec<String> = kinds.iter().map(name).collect();
        vec![
            json!((path.weight * 1_000.0).round() / 1_000.0),
            json!(kinds.join(" → ")),
            json!(path.path.len()),
            json!(self.path_text(&path.path, Towards::Origins)),
        ]
    }
}
