//! Scenarios in the layout of the openCypher kit: our own, and the kit itself where `E2EGRAPH_TCK` names its folder.

mod support;

use std::path::Path;
use support::{Score, run_folder};

/// Scenarios of the kit that read and pass.
const FLOOR: usize = 3_579;

fn failures(score: &Score) -> String {
    score.failures.iter().map(|(f, s, why)| format!("{f}: {s}\n  {why}\n")).collect()
}

#[test]
fn every_scenario_of_ours_passes() {
    let score = run_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")).unwrap();
    assert!(score.failures.is_empty(), "{}", failures(&score));
    assert!(score.passed() >= 65, "only {} ran", score.passed());
    assert_eq!(score.errors.0, score.errors.1, "errors have the detail that is due");
}

#[test]
fn a_scenario_that_is_wrong_fails() {
    let feature = "
        Scenario: wrong
          Given any graph
          When executing query:
            \"\"\"
            RETURN 1 AS x
            \"\"\"
          Then the result should be, in any order:
            | x |
            | 2 |
    ";
    let mut score = Score::default();
    support::run_text("wrong", feature, &mut score);
    assert_eq!((score.passed(), score.failed()), (0, 1));
}

#[test]
fn the_kit_passes_where_it_is_at_hand() {
    let Ok(folder) = std::env::var("E2EGRAPH_TCK") else { return };
    let score = run_folder(Path::new(&folder)).unwrap();
    assert!(score.passed() >= FLOOR, "{} passed, {FLOOR} are due\n{}", score.passed(), failures(&score));
}
