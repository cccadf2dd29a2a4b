//! TVDiag (TOSEM 2025): failures of three systems as alarms on their instances, to the instance that was the cause.
//!
//! Detection was upstream's; there are no times and no values. Ranking is learned, so cases are sat in folds: a case is only ever ranked by
//! what the other folds of its system and the other two systems taught. Keys with `loso` are of rankers that know no cause of the system itself
//! (leave one system out). `hr1` and `hr3` are the unweighted means of the systems' figures.

use std::collections::BTreeMap;
use std::path::Path;

use autosre::alarms::{AlarmGraph, AlarmRanker, Complaint, Direction, PastFailure, Weights};
use serde::Deserialize;

use crate::learned::{Lesson, Lists, Solved, sit_learned};
use crate::{Error, Progress, Report, Set, Standing};

/// The set.
pub struct TvDiag;

/// A system and the keys of its figures.
struct System {
    name: &'static str,
    keys: [&'static str; 8],
}

/// The systems of the set.
const SYSTEMS: [System; 3] = [
    System {
        name: "gaia",
        keys: [
            "gaia_hr1",
            "gaia_hr2",
            "gaia_hr3",
            "gaia_hr4",
            "gaia_hr5",
            "gaia_mrr3",
            "gaia_loso_hr1",
            "gaia_loso_hr3",
        ],
    },
    System {
        name: "sockshop",
        keys: [
            "sockshop_hr1",
            "sockshop_hr2",
            "sockshop_hr3",
            "sockshop_hr4",
            "sockshop_hr5",
            "sockshop_mrr3",
            "sockshop_loso_hr1",
            "sockshop_loso_hr3",
        ],
    },
    System {
        name: "hotel",
        keys: [
            "hotel_hr1",
            "hotel_hr2",
            "hotel_hr3",
            "hotel_hr4",
            "hotel_hr5",
            "hotel_mrr3",
            "hotel_loso_hr1",
            "hotel_loso_hr3",
        ],
    },
];

#[derive(Debug, Deserialize)]
struct Case {
    nodes: Vec<String>,
    /// Instance, perhaps its host's address, metric, `up` or `down`.
    metrics: Vec<Vec<String>>,
    /// Caller, callee, operation, kind.
    traces: Vec<[String; 4]>,
    /// Instance, template.
    logs: Vec<[String; 2]>,
}

#[derive(Debug, Deserialize)]
struct Label {
    root_cause_instance: String,
}

/// What the set calls a call that got slower; other kinds are errors.
const SLOW: &str = "PD";

/// A ranking by what the system's own failures taught, and one by other systems alone.
struct Ranked {
    own: Vec<(String, f64)>,
    loso: Vec<(String, f64)>,
}

impl crate::Lines for Ranked {
    fn lines(&self) -> Vec<String> {
        self.own.lines()
    }
}

impl Set for TvDiag {
    fn name(&self) -> &'static str {
        "tvdiag"
    }

    fn about(&self) -> &'static str {
        "which instance was the cause, from metric, trace and log alarms; learned on the other cases"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let metrics: Vec<&'static str> = SYSTEMS.iter().flat_map(|system| system.keys).collect();
        let lists: Vec<Lists> = SYSTEMS
            .iter()
            .map(|system| Lists {
                cases: format!("inputs/{}.jsonl", system.name),
                labels: format!("labels_{}.jsonl", system.name),
            })
            .collect();
        let mut report = sit_learned(
            self.name(),
            &metrics,
            dir,
            &lists,
            progress,
            |case: &Case| graph(case),
            |elsewhere: &[Vec<Solved<'_, AlarmGraph, Label>>]| {
                let past: Vec<Vec<PastFailure<'_>>> = elsewhere.iter().map(|s| failures(s)).collect();
                Weights::learn(&past)
            },
            |start: &Weights, lesson: &Lesson<'_, AlarmGraph, Label>| {
                let unlabelled = AlarmRanker::unlabelled(start, lesson.solved.iter().map(|s| s.case));
                (AlarmRanker::learn(start, &failures(&lesson.solved)), unlabelled)
            },
            |(own, unlabelled), graph| Ranked { own: ranked(own, graph), loso: ranked(unlabelled, graph) },
            |list, label: &Label, answer: &Ranked| {
                let standing = |ranked| Standing::of(ranked, |name| *name == label.root_cause_instance);
                let (own, loso) = (standing(&answer.own), standing(&answer.loso));
                let hit = |standing: Option<Standing>, k| standing.map_or(0.0, |s| s.hit_at(k));
                let marks = [
                    hit(own, 1),
                    hit(own, 2),
                    hit(own, 3),
                    hit(own, 4),
                    hit(own, 5),
                    own.map_or(0.0, |s| s.reciprocal_rank_at(3)),
                    hit(loso, 1),
                    hit(loso, 3),
                ];
                SYSTEMS.get(list).into_iter().flat_map(|system| system.keys.into_iter().zip(marks)).collect()
            },
        )?;
        for (mean, place) in [("hr1", 0), ("hr3", 2)] {
            let figures = SYSTEMS.iter().filter_map(|s| s.keys.get(place).and_then(|k| report.metric(k)));
            report.metrics.push((mean, figures.sum::<f64>() / SYSTEMS.len() as f64));
        }
        Ok(report)
    }
}

/// The failures whose cause is an instance of the graph.
fn failures<'a>(solved: &[Solved<'a, AlarmGraph, Label>]) -> Vec<PastFailure<'a>> {
    let cause = |s: &Solved<'a, AlarmGraph, Label>| {
        s.case.components().iter().position(|c| c.name == s.label.root_cause_instance)
    };
    solved.iter().filter_map(|s| cause(s).map(|cause| PastFailure { graph: s.case, cause })).collect()
}

fn ranked(ranker: &AlarmRanker, graph: &AlarmGraph) -> Vec<(String, f64)> {
    let name = |i: usize| graph.components().get(i).map(|c| c.name.clone()).unwrap_or_default();
    ranker.rank(graph).into_iter().map(|suspect| (name(suspect.component), suspect.score)).collect()
}

/// The alarms of a case. Those of what is no node of it (the hosts of one system) are left out: the set asks for nodes.
fn graph(case: &Case) -> AlarmGraph {
    let mut graph = AlarmGraph::default();
    let places: BTreeMap<&str, usize> =
        case.nodes.iter().map(|node| (node.as_str(), graph.add(node, workload(node)))).collect();
    let place = |name: &str| places.get(name).copied();
    for row in &case.metrics {
        if let ([instance, ..], [.., metric, direction]) = (row.as_slice(), row.as_slice())
            && let Some(component) = place(instance)
        {
            graph.metric(component, metric, if direction == "up" { Direction::Up } else { Direction::Down });
        }
    }
    for [caller, callee, operation, kind] in &case.traces {
        let complaint = if kind == SLOW { Complaint::Slow } else { Complaint::Failed };
        graph.call(place(caller), place(callee), operation, complaint);
    }
    for [instance, template] in &case.logs {
        if let Some(component) = place(instance) {
            // two systems write the instance before its template
            let own = template.strip_prefix(instance.as_str()).map(|rest| rest.trim_start_matches('-'));
            graph.log(component, own.unwrap_or(template));
        }
    }
    graph
}

/// Instances are their service's name and an ordinal.
fn workload(instance: &str) -> &str {
    instance.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve failures of a shop, alternately of its two workers; the sick one's memory rises, and both workers' processors always do.
    fn write(dir: &Path, system: &str, swapped: Option<usize>) {
        let (mut cases, mut labels) = (String::new(), String::new());
        for i in 0..12 {
            let (sick, well) = if i % 2 == 0 { ("worker-0", "worker-1") } else { ("worker-1", "worker-0") };
            cases += &format!(
                r#"{{"case":"{system}-{i}","nodes":["front-0","worker-0","worker-1"],"edges":[[0,1],[0,2]],"metrics":[["{sick}","mem_usage","up"],["{sick}","0.0.0.1","cpu_usage","up"],["{well}","cpu_usage","up"],["a-host","node_cpu","up"]],"traces":[["-1","front-0","GET /","PD"],["front-0","{sick}","http://0.0.0.1/work","500"]],"logs":[["{well}","{well}-7"]]}}"#
            );
            cases.push('\n');
            let told = if swapped == Some(i) { well } else { sick };
            labels += &format!(
                "{{\"case\":\"{system}-{i}\",\"fault_type\":\"memory\",\"root_cause_instance\":\"{told}\"}}\n"
            );
        }
        std::fs::create_dir_all(dir.join("inputs")).unwrap();
        std::fs::write(dir.join(format!("inputs/{system}.jsonl")), cases).unwrap();
        std::fs::write(dir.join(format!("labels_{system}.jsonl")), labels).unwrap();
    }

    fn sat(name: &str, swapped: Option<usize>) -> Report {
        let dir = std::env::temp_dir().join(format!("exam-tvdiag-{name}-{}", std::process::id()));
        for system in SYSTEMS {
            write(&dir, system.name, swapped.filter(|_| system.name == "hotel"));
        }
        let report = TvDiag.run(&dir, &mut |_, _, _| {});
        std::fs::remove_dir_all(&dir).unwrap();
        report.unwrap()
    }

    #[test]
    fn what_other_failures_taught_finds_the_sick_instance() {
        let report = sat("plain", None);
        for key in ["gaia_hr1", "sockshop_mrr3", "hotel_loso_hr1", "hr1", "hr3"] {
            assert_eq!(report.metric(key), Some(1.0), "{key}: {:?}", report.metrics);
        }
        assert_eq!(report.cases, 36);
    }

    #[test]
    fn the_label_of_a_case_does_not_reach_its_own_answer() {
        let answer = |report: &Report| {
            report.per_case.iter().find(|c| c.case == "hotel-4").map(|c| c.answer.clone()).unwrap()
        };
        let (told, mistold) = (sat("told", None), sat("mistold", Some(4)));
        assert_eq!(answer(&told), answer(&mistold));
        assert!(mistold.metric("hotel_hr1").unwrap() < 1.0);
    }
}
