//! Answering `follows`: conclusions with their weights, rules and premises as a table.

use super::{MAX_ROWS, Output, QueryError, Runner, table};
use crate::rules::{CutOff, Followed, What};
use crate::text::NodeName;
use ontology::Time;
use serde_json::json;

impl Runner<'_> {
    pub(super) fn follows(
        &self,
        what: &str,
        from: Option<&NodeName>,
        to: Option<&NodeName>,
        at: Option<Time>,
        limit: Option<usize>,
    ) -> Result<Output, QueryError> {
        let o = self.view.ontology();
        let derived = self.view.derived(what).ok_or_else(|| {
            let relations = o.relations.iter().filter(|r| r.derived).map(|r| &r.name);
            let names = relations.chain(o.rules.predicates.iter().map(|p| &p.0));
            Self::unknown("derived relation or predicate", what, names)
        })?;
        let what = match derived {
            What::Relation(_) => o.relation_name(self.relation(what)?),
            What::Predicate(_) => what,
        };
        let mut ends =
            [from, to].iter().map(|n| n.map(|n| self.node(n)).transpose()).collect::<Result<Vec<_>, _>>()?;
        if let What::Predicate(p) = derived {
            ends.truncate(o.rules.predicates.get(p).map_or(0, |(_, classes)| classes.len()));
        }
        let at = at.unwrap_or(self.view.as_of);
        let followed = self.view.follows(derived, &ends, at, self.view.reach());
        // Both ends given: every way in which it follows, not only the strongest.
        let ways = |f: &Followed<'_>| match f.edge {
            Some(edge) if ends.iter().all(Option::is_some) => {
                let all = self.graph().why(edge, Some(at)).into_iter();
                all.map(|b| (b.rule.name.clone(), b.premises)).collect()
            }
            _ => Vec::new(),
        };
        let mut rows = Vec::new();
        for f in &followed.found {
            let mut ways: Vec<(String, Vec<graph::Evidence>)> = ways(f);
            if ways.is_empty() {
                ways.push((f.rule.unwrap_or("").to_owned(), f.premises.clone()));
            }
            for (rule, premises) in ways {
                let because: Vec<String> = premises.iter().map(|p| self.view.evidence_text(p)).collect();
                rows.push(vec![
                    json!(f.ends.first().map(|n| self.view.label(*n))),
                    json!(what),
                    json!(f.ends.get(1).map_or_else(String::new, |n| self.view.label(*n))),
                    json!((f.weight * 1_000.0).round() / 1_000.0),
                    json!(if rule.is_empty() { "told" } else { rule.as_str() }),
                    json!(because.join("; ")),
                ]);
            }
        }
        let limit = limit.unwrap_or(MAX_ROWS);
        let hidden = rows.len().saturating_sub(limit);
        rows.truncate(limit);
        let note = self.left_out(followed.cut_off);
        Ok(Output { hidden, note, ..table(&["from", "what", "to", "weight", "rule", "because"], rows) })
    }

    fn left_out(&self, cut_off: CutOff) -> String {
        let reach = self.view.reach();
        let why = [
            (cut_off.weight, format!("weights below {}", reach.weight)),
            (cut_off.hops, format!("chains of more than {} edges", reach.hops)),
            (cut_off.facts, format!("more than {} edges looked at", reach.facts)),
        ];
        let why: Vec<String> = why.into_iter().filter(|w| w.0).map(|w| w.1).collect();
        if why.is_empty() { String::new() } else { format!("not followed: {}", why.join(", ")) }
    }
}
