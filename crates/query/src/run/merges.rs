//! Answering `merges`: which records were taken for which thing, by which key.

use super::{MAX_ROWS, Output, QueryError, Runner, table};
use serde_json::json;

impl Runner<'_> {
    pub(super) fn merges(&self, class: Option<&str>, limit: Option<usize>) -> Result<Output, QueryError> {
        let class = class.map(|c| self.class(c)).transpose()?;
        let graph = self.graph();
        let mut rows = Vec::new();
        for (stand_in, owners) in graph.stand_ins(class) {
            let into = graph.resolve(stand_in);
            let owner = (into != stand_in).then_some(into);
            let names: Vec<String> = owners.iter().map(|o| graph.name(*o)).collect();
            rows.push(vec![
                json!(graph.member(stand_in).map_or("", |n| self.view.ontology().class_name(n.class))),
                json!(graph.key_text(stand_in)),
                json!(
                    owner.map_or_else(|| format!("nobody: it fits {}", names.join(", ")), |o| graph.name(o))
                ),
                json!(graph.own_id(stand_in)),
                json!(owner.map_or_else(String::new, |o| graph.own_id(o))),
                json!(graph.told_by(stand_in).join(", ")),
                json!(owner.map_or_else(String::new, |o| graph.told_by(o).join(", "))),
            ]);
        }
        rows.sort_by_key(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>());
        let hidden = rows.len().saturating_sub(limit.unwrap_or(MAX_ROWS));
        rows.truncate(limit.unwrap_or(MAX_ROWS));
        let columns = [
            "class",
            "known as",
            "counts as",
            "id",
            "id of what it counts as",
            "told by",
            "which is told by",
        ];
        Ok(Output { hidden, ..table(&columns, rows) })
    }
}
