//! The JSON Schemas for editors: committed as they are emitted, and true of the files that are there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ontology::Kind;
use serde_json::{Map, Value, json};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_schemas_in_the_tree_are_those_that_are_emitted() {
    const HOW: &str =
        "run `UPDATE_SCHEMAS=1 cargo nextest run -p ontology --test schema` and look at the difference";
    for (_, kind) in Kind::ALL {
        let path = root().join("schema").join(format!("{kind}.json"));
        let emitted =
            format!("{}\n", serde_json::to_string_pretty(&ontology::json_schema(kind).unwrap()).unwrap());
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &emitted).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == emitted,
            "{} is not what `e2egraph ontology schema {kind}` prints; {HOW}",
            path.display()
        );
    }
}

#[test]
fn the_files_that_come_with_the_program_and_a_site_keep_to_their_schemas() {
    let mut seen = 0;
    for folder in ["default", "tests/site"] {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(root().join(folder)).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for path in files {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // The attributes that OpenTelemetry lacks are written in its own form, not in ours.
            if name == "otel-registry.yaml" {
                continue;
            }
            let kind = Kind::of_file(&name).unwrap();
            let kind = Kind::ALL.iter().find(|(k, _)| *k == kind).unwrap().1;
            let schema = ontology::json_schema(kind).unwrap();
            let problems = check(&schema, &schema, &yaml(&path), &name);
            assert!(problems.is_empty(), "{}", problems.join("\n"));
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} files");
}

#[test]
fn a_schema_refuses_what_the_check_refuses() {
    let schema = ontology::json_schema("measures").unwrap();
    let wrong =
        |measure: Value| check(&schema, &schema, &json!({"measures": {"a.b": measure}}), "site").join("\n");
    let sound = json!({"of": "View", "aspect": "errors", "better": "lower", "kind": "ratio", "unit": "1", "care": {"change": 0.1, "samples": 9}});
    assert_eq!(wrong(sound.clone()), "");
    assert_eq!(wrong(json!({"was": "view.ttr"})), "");
    let mut misspelt = sound.clone();
    misspelt["unti"] = json!("1");
    assert!(wrong(misspelt).contains("unti"));
    let mut without = sound;
    without.as_object_mut().unwrap().remove("unit");
    assert!(wrong(without).contains("a.b"));
}

/// A file as JSON. Plain scalars that YAML 1.2 reads as numbers or booleans are those.
fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    let mut open: Vec<(Value, Option<String>)> = Vec::new();
    for event in Parser::new_from_str(&text) {
        let done = match event.unwrap().0 {
            Event::Scalar(s, ScalarStyle::Plain, ..) => plain(&s),
            Event::Scalar(s, ..) => json!(s),
            Event::SequenceStart(..) => {
                open.push((json!([]), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((json!({}), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap().0,
            _ => continue,
        };
        match open.last_mut() {
            None => return done,
            Some((Value::Array(list), _)) => list.push(done),
            Some((Value::Object(map), key)) => match key.take() {
                Some(k) => {
                    map.insert(k, done);
                }
                None => *key = Some(done.as_str().map_or_else(|| done.to_string(), str::to_owned)),
            },
            Some(_) => unreachable!(),
        }
    }
    panic!("{} is empty", path.display());
}

fn plain(s: &str) -> Value {
    match s {
        "" | "~" | "null" => Value::Null,
        "true" => json!(true),
        "false" => json!(false),
        _ => s
            .parse::<i64>()
            .map(|n| json!(n))
            .or_else(|_| s.parse::<f64>().map(|n| json!(n)))
            .unwrap_or(json!(s)),
    }
}

/// What of a value does not keep to a schema. Knows the words of JSON Schema that ours use, and panics at any other.
fn check(whole: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let Value::Object(schema) = schema else {
        return if schema == &json!(false) {
            vec![format!("{at}: nothing may stand here")]
        } else {
            Vec::new()
        };
    };
    let mut all = Vec::new();
    for (word, rule) in schema {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => {}
            "$ref" => {
                let target = whole.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap();
                all.extend(check(whole, target, value, at));
            }
            "anyOf" => {
                let tries: Vec<Vec<String>> =
                    rule.as_array().unwrap().iter().map(|s| check(whole, s, value, at)).collect();
                if tries.iter().all(|t| !t.is_empty()) {
                    all.extend(tries.into_iter().flatten());
                }
            }
            "type" => {
                let types: Vec<&str> = rule.as_array().map_or_else(
                    || rule.as_str().into_iter().collect(),
                    |a| a.iter().filter_map(Value::as_str).collect(),
                );
                if !types.iter().any(|t| is(t, value)) {
                    all.push(format!("{at}: {value} is no {}", types.join(" or ")));
                }
            }
            "properties" => {
                for (name, s) in rule.as_object().unwrap() {
                    if let Some(v) = value.get(name) {
                        all.extend(check(whole, s, v, &format!("{at}.{name}")));
                    }
                }
            }
            "additionalProperties" => {
                let known =
                    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
                for (name, v) in
                    value.as_object().into_iter().flatten().filter(|(n, _)| !known.contains_key(*n))
                {
                    all.extend(check(whole, rule, v, &format!("{at}.{name}")));
                }
            }
            "required" => {
                let missing = rule.as_array().unwrap().iter().filter_map(Value::as_str);
                let missing = missing.filter(|n| value.is_object() && value.get(n).is_none());
                all.extend(missing.map(|n| format!("{at}: `{n}` is missing")));
            }
            "items" => {
                for (i, v) in value.as_array().into_iter().flatten().enumerate() {
                    all.extend(check(whole, rule, v, &format!("{at}[{i}]")));
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|n| n < rule.as_f64().unwrap()) {
                    all.push(format!("{at}: {value} is less than {rule}"));
                }
            }
            other => panic!("the check of this test does not know `{other}`"),
        }
    }
    all
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}
