//! Puts a hash of everything that can decide an answer (methods, arithmetic, readers of the sets, with every constant in them) into the
//! program, so that reports of two sets can be told to come from one configuration.

#![expect(clippy::panic, reason = "that is how a build script tells cargo that it failed")]

use std::path::{Path, PathBuf};

/// Rooms whose sources decide answers, from here.
const ROOMS: [&str; 3] = ["src", "../autosre/src", "../stats/src"];

fn main() {
    let mut files = Vec::new();
    for room in ROOMS {
        println!("cargo::rerun-if-changed={room}");
        sources(Path::new(room), &mut files);
    }
    files.sort();
    // FNV-1a: it is to show a difference, nobody is kept from making one.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("reading {}: {error}", file.display()));
        for byte in file.to_string_lossy().bytes().chain([0]).chain(text).chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=E2EGRAPH_METHODS={hash:016x}");
}

fn sources(dir: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("reading {}: {error}", dir.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("reading {}: {error}", dir.display())).path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}
