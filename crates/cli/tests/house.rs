//! The house as drawn: every arrow between crates stands in ARCHITECTURE.md, and every file opens with what it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn crates() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Our own crates that a manifest names under `[dependencies]`.
fn uses(manifest: &str, ours: &[String]) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
            && ours.iter().any(|o| o == name)
        {
            found.insert(name.to_owned());
        }
    }
    found
}

/// The arrows that ARCHITECTURE.md draws.
fn drawn(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let block = text.split("```arrows").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    block
        .lines()
        .filter_map(|line| line.split_once("->"))
        .map(|(from, to)| (from.trim().to_owned(), to.split_whitespace().map(str::to_owned).collect()))
        .collect()
}

#[test]
fn no_arrow_that_the_architecture_does_not_draw() {
    let ours = crates();
    let drawn = drawn(&std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    assert_eq!(drawn.keys().cloned().collect::<Vec<_>>(), ours, "crates in ARCHITECTURE.md and in crates/");
    for name in &ours {
        let manifest = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let undrawn: Vec<_> = uses(&manifest, &ours).difference(&drawn[name]).cloned().collect();
        assert!(undrawn.is_empty(), "{name} uses {undrawn:?}, which ARCHITECTURE.md does not draw");
    }
}

#[test]
fn an_undrawn_arrow_is_found() {
    let ours = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let manifest =
        "[dependencies]\nb.workspace = true\nserde = \"1\"\n[dev-dependencies]\nc.workspace = true\n";
    assert_eq!(uses(manifest, &ours), BTreeSet::from(["b".to_owned()]));
    assert!(drawn("```arrows\na ->\n```")["a"].is_empty());
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let mut silent = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                if !text.starts_with("//! ") {
                    silent.push(path);
                }
            }
        }
    }
    assert!(silent.is_empty(), "these files do not open with a sentence: {silent:?}");
}

#[test]
fn every_room_says_what_must_not_come_in() {
    for name in crates() {
        let lib = root().join("crates").join(&name).join("src/lib.rs");
        if let Ok(text) = std::fs::read_to_string(&lib) {
            assert!(
                text.contains("**Not here:**") && text.contains("**Next door:**"),
                "{} lacks its header",
                lib.display()
            );
        }
    }
}
