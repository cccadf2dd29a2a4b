//! Builds the graph of a scenario: CREATE clauses are carried out here, whatever stands between them is asked of the language
//! itself, row by row.

use query::cypher::memory::Memory;
use query::cypher::{Call, Limits, Map, NodeRef, Value, ask};

/// Rows of variables.
struct Rows {
    names: Vec<String>,
    rows: Vec<Vec<Value>>,
}

const CLAUSES: [&str; 9] =
    ["DELETE", "CREATE", "MATCH", "OPTIONAL", "WITH", "UNWIND", "RETURN", "CALL", "MERGE"];

/// Carries out a script of CREATE and reading clauses.
pub fn write(graph: &mut Memory, script: &str) -> Result<(), String> {
    let bare: Vec<&str> = script.lines().map(|l| l.split("//").next().unwrap_or(l)).collect();
    for statement in bare.join("\n").split(";\n") {
        let mut rows = Rows { names: Vec::new(), rows: vec![Vec::new()] };
        let mut reading = String::new();
        for (keyword, text) in clauses(statement) {
            if keyword == "DELETE" {
                rows = read(graph, &rows, &std::mem::take(&mut reading))?;
                delete(graph, &rows, text.get("DELETE".len()..).unwrap_or(""))?;
                continue;
            }
            if keyword != "CREATE" {
                reading += &text;
                reading.push('\n');
                continue;
            }
            if !reading.is_empty() {
                rows = read(graph, &rows, &std::mem::take(&mut reading))?;
            }
            create(graph, &mut rows, text.get("CREATE".len()..).unwrap_or(""))?;
        }
    }
    Ok(())
}

/// Clauses with their keyword, cut where a keyword stands outside of brackets and quotes.
fn clauses(script: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut depth, mut quote, mut word) = (0, None, String::new());
    let mut starts: Vec<(usize, String)> = Vec::new();
    for (i, c) in script.char_indices().chain([(script.len(), ' ')]) {
        if let Some(q) = quote {
            if c == q {
                quote = None;
            }
            continue;
        }
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let upper = word.to_ascii_uppercase();
        // `OPTIONAL MATCH` is one.
        let after_optional =
            starts.last().is_some_and(|s| s.1 == "OPTIONAL" && upper == "MATCH" && i - s.0 < 18);
        if depth == 0 && CLAUSES.contains(&upper.as_str()) && !after_optional {
            starts.push((i - word.len(), upper));
        }
        word.clear();
        match c {
            '\'' | '"' | '`' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    for (i, (at, keyword)) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(script.len(), |s| s.0);
        found.push((keyword.clone(), script.get(*at..end).unwrap_or("").to_owned()));
    }
    found
}

fn asked(graph: &Memory, rows: &Rows, rest: &str) -> Result<(Vec<String>, Vec<Vec<Value>>), String> {
    let row = |r: &Vec<Value>| {
        let entries = rows.names.iter().zip(r).map(|(n, v)| (n.as_str().into(), v.clone()));
        Value::map(entries.collect())
    };
    let given = Value::list(rows.rows.iter().map(row).collect());
    let names: Vec<String> = rows.names.iter().map(|n| format!("`#row`.`{n}` AS `{n}`")).collect();
    let query = format!(
        "UNWIND $rows AS `#row` WITH {} {rest}",
        [names, vec!["1 AS `#one`".to_owned()]].concat().join(", ")
    );
    let limits = Limits { rows: 1_000_000, ..Limits::default() };
    let call = Call { parameters: Map::from([("rows".into(), given)]), limits, ..Call::default() };
    let answer = ask(graph, &query, &call).map_err(|e| format!("{query}: {e}"))?;
    Ok((answer.columns, answer.rows))
}

fn read(graph: &Memory, rows: &Rows, clauses: &str) -> Result<Rows, String> {
    let (names, found) = asked(graph, rows, &format!("{clauses} RETURN *"))?;
    let kept: Vec<usize> = (0..names.len()).filter(|i| !names[*i].starts_with('#')).collect();
    Ok(Rows {
        names: kept.iter().map(|i| names[*i].clone()).collect(),
        rows: found.into_iter().map(|r| kept.iter().map(|i| r[*i].clone()).collect()).collect(),
    })
}

#[derive(Debug)]
struct Part {
    name: String,
    labels: Vec<String>,
    properties: String,
}

/// A path of CREATE: nodes, and edges with whether they lead on.
#[derive(Debug)]
struct Chain {
    nodes: Vec<Part>,
    edges: Vec<(Part, bool)>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or("");
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn take(&mut self, sign: &str) -> bool {
        let there = self.rest().starts_with(sign);
        self.at += if there { sign.len() } else { 0 };
        there
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix('`') {
            let end = quoted.find('`').unwrap_or(quoted.len());
            self.at += end + 2;
            return quoted[..end].to_owned();
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    /// A map in braces, as text.
    fn map(&mut self) -> String {
        let rest = self.rest();
        if !rest.starts_with('{') {
            return "{}".to_owned();
        }
        let (mut depth, mut quote) = (0, None);
        for (i, c) in rest.char_indices() {
            match (quote, c) {
                (Some(q), c) if c == q => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '{') => depth += 1,
                (None, '}') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at += i + 1;
                return rest[..=i].to_owned();
            }
        }
        rest.to_owned()
    }

    fn part(&mut self, end: &str) -> Part {
        let name = self.word();
        let mut labels = Vec::new();
        while self.take(":") {
            labels.push(self.word());
        }
        let properties = self.map();
        assert!(self.take(end), "`{end}` is due before: {}", self.rest());
        Part { name, labels, properties }
    }

    fn chain(&mut self) -> Chain {
        let before = self.at;
        // The name of a path is of no use to a writer.
        self.word();
        if !self.take("=") {
            self.at = before;
        }
        assert!(self.take("("), "a node is due before: {}", self.rest());
        let mut chain = Chain { nodes: vec![self.part(")")], edges: Vec::new() };
        loop {
            let left = self.take("<-");
            if !left && !self.take("-") {
                return chain;
            }
            let plain = Part { name: String::new(), labels: Vec::new(), properties: "{}".to_owned() };
            let edge = if self.take("[") { self.part("]") } else { plain };
            self.take("-");
            self.take(">");
            chain.edges.push((edge, !left));
            assert!(self.take("("), "a node is due before: {}", self.rest());
            chain.nodes.push(self.part(")"));
        }
    }
}

fn create(graph: &mut Memory, rows: &mut Rows, text: &str) -> Result<(), String> {
    let mut reader = Reader { text, at: 0 };
    let mut chains = vec![reader.chain()];
    while reader.take(",") {
        chains.push(reader.chain());
    }
    let known = rows.names.clone();
    for row in &mut rows.rows {
        // What was made before in the same clause can be read by what comes after.
        let mut all = Rows { names: known.clone(), rows: vec![row.clone()] };
        for chain in &chains {
            let mut nodes: Vec<NodeRef> = Vec::new();
            for part in &chain.nodes {
                let old = all.names.iter().position(|n| !part.name.is_empty() && *n == part.name);
                if let Some(Value::Node(n)) = old.map(|i| &all.rows[0][i]) {
                    nodes.push(*n);
                    continue;
                }
                let labels: Vec<&str> = part.labels.iter().map(String::as_str).collect();
                let node = graph.add_node(&labels, &properties(graph, &all, part)?);
                nodes.push(node);
                all.named(&part.name, Value::Node(node));
            }
            for (i, (part, forward)) in chain.edges.iter().enumerate() {
                let (a, b) = if *forward { (nodes[i], nodes[i + 1]) } else { (nodes[i + 1], nodes[i]) };
                let of = part.labels.first().ok_or("an edge without a type")?;
                let edge = graph.add_edge(a, of, b, &properties(graph, &all, part)?);
                all.named(&part.name, Value::Edge(edge));
            }
        }
        *row = all.rows.remove(0);
        rows.names = all.names;
    }
    Ok(())
}

impl Rows {
    /// Adds a variable to the only row.
    fn named(&mut self, name: &str, value: Value) {
        if !name.is_empty() {
            self.names.push(name.to_owned());
            self.rows[0].push(value);
        }
    }
}

fn properties(graph: &Memory, rows: &Rows, part: &Part) -> Result<Map, String> {
    if part.properties == "{}" {
        return Ok(Map::new());
    }
    let (_, found) = asked(graph, rows, &format!("RETURN {} AS p", part.properties))?;
    match found.first().and_then(|r| r.first()) {
        Some(Value::Map(m)) => Ok(m.as_ref().clone()),
        _ => Err(format!("no map: {}", part.properties)),
    }
}

fn delete(graph: &mut Memory, rows: &Rows, names: &str) -> Result<(), String> {
    for name in names.split(',').map(str::trim) {
        let i = rows.names.iter().position(|n| n == name).ok_or(format!("no variable {name}"))?;
        for row in &rows.rows {
            match row[i] {
                Value::Edge(e) => graph.remove_edge(e),
                _ => return Err("only relationships can be deleted here".to_owned()),
            }
        }
    }
    Ok(())
}
