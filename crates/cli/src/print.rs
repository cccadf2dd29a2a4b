//! What people read in a terminal: tables and answers.

use serde_json::Value as Json;
use std::fmt::Write as _;

/// A table with aligned columns.
pub fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = columns.iter().map(|c| c.chars().count()).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let mut line = |cells: &[String]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    };
    line(columns);
    line(&widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
    out
}

/// A JSON value as a cell.
pub fn cell(value: &Json) -> String {
    match value {
        Json::Null => "–".to_owned(),
        Json::String(s) => s.clone(),
        Json::Number(n) => n.as_f64().filter(|x| x.fract() != 0.0).map_or_else(|| n.to_string(), number),
        other => other.to_string(),
    }
}

/// A number with about four significant digits.
pub fn number(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    let digits = (3 - x.abs().log10().floor() as i64).clamp(0, 9) as usize;
    format!("{x:.digits$}")
}

/// The output of a query.
pub fn output(answer: &Json) -> String {
    let list = |key: &str| answer.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut out = String::new();
    let text = |key: &str| answer.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    match text("kind").as_str() {
        "number" => {
            let value = answer.get("value").unwrap_or(&Json::Null);
            let _ = writeln!(out, "{} {}", cell(value), text("unit"));
        }
        "series" => {
            for line in list("series") {
                let _ = writeln!(out, "{}", line.get("name").and_then(Json::as_str).unwrap_or_default());
                for point in line.get("points").and_then(Json::as_array).into_iter().flatten() {
                    let at = point.get(0).and_then(Json::as_i64).unwrap_or(0);
                    let value = point.get(1).unwrap_or(&Json::Null);
                    let _ = writeln!(
                        out,
                        "  {}  {} {}",
                        ontology::Time::from_millis(at),
                        cell(value),
                        text("unit")
                    );
                }
            }
        }
        _ => {
            let columns: Vec<String> = list("columns").iter().map(cell).collect();
            let rows: Vec<Vec<String>> =
                list("rows").iter().map(|r| r.as_array().into_iter().flatten().map(cell).collect()).collect();
            if rows.is_empty() {
                let _ = writeln!(out, "nothing found");
            } else {
                out.push_str(&table(&columns, &rows));
            }
        }
    }
    if let Some(hidden) = answer.get("hidden").and_then(Json::as_u64).filter(|h| *h > 0) {
        let _ = writeln!(out, "… and {hidden} more; raise --limit to see them");
    }
    if !text("note").is_empty() {
        let _ = writeln!(out, "{}", text("note"));
    }
    out
}

/// Rows of a query in openCypher.
pub fn rows(answer: &Json) -> String {
    let list = |key: &str| answer.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let columns: Vec<String> = list("columns").iter().map(cell).collect();
    let rows: Vec<Vec<String>> =
        list("rows").iter().map(|r| r.as_array().into_iter().flatten().map(graph_cell).collect()).collect();
    let mut out = if rows.is_empty() { "nothing found\n".to_owned() } else { table(&columns, &rows) };
    let hint = match answer.get("truncated").and_then(Json::as_str) {
        Some("rows") => "… and more; raise --limit-rows to see them",
        Some("time") => "… ended by --timeout; there may be more",
        Some(_) => "… ended because it needs too much memory; there may be more",
        None => "",
    };
    for line in [hint, answer.get("note").and_then(Json::as_str).unwrap_or_default()] {
        if !line.is_empty() {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// A value of a query: nodes and relationships as patterns show them, `(:Service ratings)`, `[:calls]`.
fn graph_cell(value: &Json) -> String {
    let text = |v: &Json, path: &str| v.pointer(path).and_then(Json::as_str).map(str::to_owned);
    if let Some(label) = text(value, "/labels/0") {
        return format!("(:{label} {})", text(value, "/properties/name").unwrap_or_default());
    }
    if let (Some(of), Some(_)) = (text(value, "/type"), value.get("from")) {
        return format!("[:{of}]");
    }
    let parts = |key: &str| value.get(key).and_then(Json::as_array);
    if let (Some(nodes), Some(edges)) = (parts("nodes"), parts("relationships")) {
        let mut out = nodes.first().map(graph_cell).unwrap_or_default();
        for (i, edge) in edges.iter().enumerate() {
            let (Some(before), Some(after)) = (nodes.get(i), nodes.get(i + 1)) else { break };
            let on = edge.get("from") == before.get("id");
            let (left, right) = if on { ("-", "->") } else { ("<-", "-") };
            let _ = write!(out, "{left}{}{right}{}", graph_cell(edge), graph_cell(after));
        }
        return out;
    }
    match value {
        Json::Array(all) => format!("[{}]", all.iter().map(graph_cell).collect::<Vec<_>>().join(", ")),
        other => cell(other),
    }
}

/// An answer to "why", as an SRE would want it at night: the sentence first.
pub fn answer(a: &Json) -> String {
    let mut out = String::new();
    let text = |v: &Json, key: &str| v.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let list = |v: &Json, key: &str| v.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let _ = writeln!(out, "{}\n", text(a, "headline"));
    for w in list(a, "not_understood") {
        let near: Vec<String> = list(&w, "nearest").iter().map(cell).collect();
        let near =
            if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
        let _ = writeln!(out, "  not understood: “{}”{near}", text(&w, "word"));
    }
    let reply = list(a, "reply");
    for e in &reply {
        let figure =
            |key: &str| e.get(key).and_then(Json::as_f64).filter(|_| text(e, "unit") != "rows").map(number);
        let unit = text(e, "unit");
        let against = figure("baseline").map_or_else(String::new, |b| format!(" against {b}"));
        let value = figure("value").map_or_else(String::new, |v| format!(": {v} {unit}{against}"));
        let _ = writeln!(out, "  {}{}", text(e, "claim"), value.trim_end());
        let _ = writeln!(out, "       {}", text(e, "query"));
    }
    if !reply.is_empty() {
        out.push('\n');
    }
    let percent = |v: &Json| {
        v.get("probability")
            .and_then(Json::as_f64)
            .map_or_else(String::new, |p| format!("{:.0} %", p * 100.0))
    };
    for c in list(a, "causes") {
        let rank = c.get("rank").and_then(Json::as_u64).unwrap_or(0);
        let _ = writeln!(out, "{rank}. {}  ({}, {})", text(&c, "title"), text(&c, "kind"), percent(&c));
        let summary = text(&c, "summary");
        if !summary.is_empty() {
            let _ = writeln!(out, "   {summary}");
        }
        for step in list(&c, "path") {
            let node = |key: &str| {
                step.get(key)
                    .map_or_else(String::new, |n| format!("{} {}", text(n, "class"), text(n, "name")))
            };
            let _ = writeln!(out, "     {} -{}-> {}", node("from"), text(&step, "relation"), node("to"));
        }
        for e in list(&c, "evidence") {
            let sign = if e.get("supports").and_then(Json::as_bool).unwrap_or(true) { "+" } else { "−" };
            let _ = writeln!(out, "   {sign} {}  [{}]", text(&e, "claim"), text(&e, "expert"));
            let _ = writeln!(out, "       {}", text(&e, "query"));
        }
    }
    let section = |out: &mut String, title: &str, key: &str, line: &dyn Fn(&Json) -> String| {
        let items = list(a, key);
        if !items.is_empty() {
            let _ = writeln!(out, "\n{title}");
            for i in &items {
                let _ = writeln!(out, "  {}", line(i));
            }
        }
    };
    section(&mut out, "Ruled out", "ruled_out", &|r| format!("{}: {}", text(r, "title"), text(r, "why")));
    section(&mut out, "Missing", "missing", &|m| format!("{}: {}", text(m, "what"), text(m, "why")));
    section(&mut out, "What could be done", "mitigations", &|m| {
        format!("{}: {}", text(m, "title"), text(m, "why"))
    });
    if let Some(tier) = a.get("tier") {
        let why = text(tier, "why");
        let _ = writeln!(
            out,
            "\nTier: {}{}",
            text(tier, "verdict"),
            if why.is_empty() { why } else { format!(" ({why})") }
        );
    }
    let impact = a.get("impact").map(|i| text(i, "text")).unwrap_or_default();
    if !impact.is_empty() {
        let _ = writeln!(out, "Impact: {impact}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_about_four_digits() {
        assert_eq!(
            (number(1234.56), number(0.012_345), number(12.3456)),
            ("1235".into(), "0.01235".into(), "12.35".into())
        );
    }

    #[test]
    fn columns_are_aligned() {
        let t = table(&["a".into(), "bb".into()], &[vec!["xxx".into(), "y".into()]]);
        assert_eq!(t, "a    bb\n───  ──\nxxx  y\n");
    }
}
