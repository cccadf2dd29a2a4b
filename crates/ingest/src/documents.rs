//! The documents in a feed's body, whatever their form: JSON, JSON lines, YAML, comma-separated values, lines of text.

use crate::Malformed;
use crate::wire::Form;
use serde_json::{Map, Value};

/// Reads a body.
pub(crate) fn read(form: Form, body: &[u8]) -> Result<Vec<Value>, Malformed> {
    match form {
        Form::Json => Ok(match json(body)? {
            Value::Array(all) => all,
            one => vec![one],
        }),
        Form::Lines => lines(body),
        Form::Yaml => yaml(body),
        Form::Csv => csv(body),
        Form::Text => {
            let all = text(body)?.lines().filter(|l| !l.trim().is_empty());
            let words = |l: &str| l.split_whitespace().map(Value::from).collect::<Vec<_>>();
            let document =
                |l: &str| [("line".to_owned(), l.trim_end().into()), ("words".to_owned(), words(l).into())];
            Ok(all.map(|l| document(l).into_iter().collect::<Map<_, _>>().into()).collect())
        }
    }
}

/// JSON with a limit of 128 brackets inside one another.
pub(crate) fn json(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(body).map_err(|e| Malformed { message: unreadable(&e) })
}

fn unreadable(e: &serde_json::Error) -> String {
    if e.to_string().starts_with("recursion limit") {
        format!("this JSON is nested more than 127 levels deep, at line {} column {}", e.line(), e.column())
    } else {
        format!("this is not JSON: {e}")
    }
}

/// Documents one after the other: one a line, as JSON lines want it, or over several, as `kubectl` writes what it watches.
fn lines(body: &[u8]) -> Result<Vec<Value>, Malformed> {
    let mut all = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter() {
        all.push(value.map_err(|e| Malformed { message: format!("line {}: {}", e.line(), unreadable(&e)) })?);
    }
    Ok(all)
}

/// The lines of a log, each with the document it is, or why it is none; an empty line is neither.
pub(crate) fn log_lines(body: &[u8]) -> impl Iterator<Item = (&[u8], Option<Result<Value, String>>)> {
    (1..).zip(body.split(|b| *b == b'\n')).map(|(number, line)| {
        let document = || serde_json::from_slice(line).map_err(|e| not_json(number, line, &e));
        (line, (!line.trim_ascii().is_empty()).then(document))
    })
}

fn not_json(number: u64, line: &[u8], e: &serde_json::Error) -> String {
    format!("line {number}, column {}: {}", e.column(), String::from_utf8_lossy(line.trim_ascii()))
}

fn text(body: &[u8]) -> Result<&str, Malformed> {
    simdutf8::compat::from_utf8(body)
        .map_err(|e| Malformed { message: format!("this is not UTF-8 at byte {}", e.valid_up_to()) })
}

fn yaml(body: &[u8]) -> Result<Vec<Value>, Malformed> {
    // YAML 1.1 reads `y` and `no` (a country) as truth values; 1.2 does not.
    let options = serde_saphyr::options! { strict_booleans: true };
    let all: Vec<Value> = serde_saphyr::from_multiple_with_options(text(body)?, options)
        .map_err(|e| Malformed { message: format!("this is not YAML: {e}") })?;
    // A file may be one list of documents, like JSON, and may hold empty documents.
    Ok(all
        .into_iter()
        .flat_map(|v| match v {
            Value::Array(all) => all,
            Value::Null => Vec::new(),
            one => vec![one],
        })
        .collect())
}

/// Cells are text; what reads like a number or a truth value is one where an expression compares it.
fn csv(body: &[u8]) -> Result<Vec<Value>, Malformed> {
    let wrong = |e: csv::Error| Malformed { message: format!("this is not CSV: {e}") };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
    let head = reader.headers().map_err(wrong)?.clone();
    let row = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.map_err(wrong)?;
        let cells = head.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
        Ok(Value::Object(cells.map(|(name, cell)| (name.to_owned(), cell.into())).collect()))
    };
    reader.records().map(row).collect()
}

/// Makes a list of an object whose member names are data, at a dotted path that leads through lists too: of
/// `{"a": {"yes": 1}, "b": 2}` it makes `[{"key": "a", "yes": 1}, {"key": "b", "value": 2}]`.
pub(crate) fn list_members(document: &mut Value, path: &str) {
    if let Value::Array(all) = document {
        return all.iter_mut().for_each(|v| list_members(v, path));
    }
    let Value::Object(object) = document else { return };
    // A name may hold dots of its own, so the longest that is there is meant.
    if let Some(map) = object.get_mut(path) {
        if let Value::Object(members) = map {
            *map = std::mem::take(members).into_iter().map(member).collect();
        }
        return;
    }
    if let Some((first, rest)) = path.split_once('.')
        && let Some(inner) = object.get_mut(first)
    {
        list_members(inner, rest);
    }
}

fn member((key, value): (String, Value)) -> Value {
    let mut one = match value {
        Value::Object(o) => o,
        plain => Map::from_iter([("value".to_owned(), plain)]),
    };
    one.insert("key".to_owned(), key.into());
    Value::Object(one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(form: Form, body: &str, wanted: Value) {
        assert_eq!(Value::Array(read(form, body.as_bytes()).unwrap()), wanted);
    }

    #[test]
    fn every_form_gives_documents() {
        check(Form::Json, r#"{"a": 1}"#, json!([{"a": 1}]));
        check(Form::Json, r#"[{"a": 1}, 2]"#, json!([{"a": 1}, 2]));
        check(Form::Lines, "{\"a\": 1}\n\n{\"a\": 2}\n", json!([{"a": 1}, {"a": 2}]));
        check(
            Form::Yaml,
            "a: 1\n---\nb: [x, y]\n---\n- c: 2\n- c: 3\n",
            json!([{"a": 1}, {"b": ["x", "y"]}, {"c": 2}, {"c": 3}]),
        );
        check(
            Form::Csv,
            "name, tier\nratings, high\n\"a,b\",\n",
            json!([{"name": "ratings", "tier": "high"}, {"name": "a,b"}]),
        );
        check(Form::Lines, "{\n \"a\": 1\n}\n{\n \"a\": 2\n}", json!([{"a": 1}, {"a": 2}]));
        check(
            Form::Text,
            "* @all\n\n/src\t@team  @b \n",
            json!([
                {"line": "* @all", "words": ["*", "@all"]},
                {"line": "/src\t@team  @b", "words": ["/src", "@team", "@b"]}
            ]),
        );
        for form in [Form::Lines, Form::Yaml, Form::Csv, Form::Text] {
            check(form, "", json!([]));
        }
    }

    #[test]
    fn a_line_of_a_log_that_is_no_document_does_not_hide_its_neighbours() {
        let body = b"{\"a\": 1}\r\n\n{\"a\": \n{\"b\": \"\xff\"}\n2";
        let read: Vec<_> = log_lines(body).filter_map(|(_, document)| document).collect();
        let [Ok(first), Err(cut), Err(bytes), Ok(last)] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!((first, last), (&json!({"a": 1}), &json!(2)));
        assert_eq!(cut, "line 3, column 6: {\"a\":");
        assert!(bytes.starts_with("line 4, column 8: "), "{bytes}");
    }

    #[test]
    fn objects_whose_names_are_data_become_lists() {
        let mut document =
            json!({"at": {"flags": {"a": {"on": {"x": 1, "y": {"z": 2}}}, "b": 3, "c": {"key": 4}}}});
        list_members(&mut document, "at.flags");
        list_members(&mut document, "at.flags.on");
        list_members(&mut document, "at.nothing.here");
        let flags = json!([
            {"key": "a", "on": [{"key": "x", "value": 1}, {"key": "y", "z": 2}]},
            {"key": "b", "value": 3},
            {"key": "c"}
        ]);
        assert_eq!(document, json!({"at": {"flags": flags}}));
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let said = |form, body: &[u8]| read(form, body).unwrap_err().message;
        assert!(said(Form::Lines, b"{}\n{").starts_with("line 2: this is not JSON"));
        assert!(said(Form::Yaml, b"a: [1").starts_with("this is not YAML"));
        assert!(said(Form::Csv, b"a,b\n1\n").contains("line"), "{}", said(Form::Csv, b"a,b\n1\n"));
        assert_eq!(said(Form::Text, b"ok\xff"), "this is not UTF-8 at byte 2");
        assert!(said(Form::Json, "[".repeat(200).as_bytes()).contains("127 levels"));
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n".to_owned();
        assert!(read(Form::Yaml, bomb.as_bytes()).is_ok());
    }

    #[test]
    fn a_document_that_grows_when_it_is_read_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let of = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![of; 10].join(", ")));
        }
        assert!(read(Form::Yaml, bomb.as_bytes()).is_err());
    }
}
