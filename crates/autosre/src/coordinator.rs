//! The plan of an investigation: who looks at what, what follows from it, and when it is enough.

use crate::answer::PlanRow;
use crate::case::Case;
use crate::experts;
use crate::finding::{Finding, Findings, Missing, Side, Task};

/// Rounds of follow-up tasks after the first: a follow-up of a follow-up is the last that has ever said anything new.
const DEPTH: usize = 2;
/// Most follow-up tasks in one investigation.
const MOST_TASKS: usize = 12;

/// Everything that was found, and the plan that led there.
pub(crate) struct Collected {
    /// In the order of the experts, then of the rounds.
    pub findings: Vec<Finding>,
    /// What speaks for or against whole sides.
    pub sides: Vec<Side>,
    /// What was missing, each once.
    pub missing: Vec<Missing>,
    /// Who looked at what.
    pub plan: Vec<PlanRow>,
}

/// Runs the plan. Tasks of one round run at once; their findings are read in the order of the plan, whoever is done first.
pub(crate) fn run(case: &Case<'_>) -> Collected {
    let mut round: Vec<Task> = experts::ALL
        .iter()
        .map(|e| Task { expert: e.name(), text: e.duty().to_owned(), about: Vec::new() })
        .collect();
    let mut done: Vec<Task> = Vec::new();
    let mut out =
        Collected { findings: Vec::new(), sides: Vec::new(), missing: Vec::new(), plan: Vec::new() };
    for depth in 0..=DEPTH {
        let found = at_once(case, &round);
        let mut next: Vec<Task> = Vec::new();
        for (task, found) in round.iter().zip(found) {
            out.plan.push(PlanRow {
                expert: task.expert.to_owned(),
                task: task.text.clone(),
                looked_at: found.looked_at,
                findings: found.findings.len(),
                missing: found.missing.iter().map(|m| m.what.clone()).collect(),
            });
            out.missing.extend(found.missing);
            // A follow-up looks closer at what its first round saw; what it repeats is not counted twice.
            for finding in found.findings {
                let known = out.findings.iter().any(|f| {
                    f.hypothesis == finding.hypothesis
                        && f.channel == finding.channel
                        && f.llr.to_bits() == finding.llr.to_bits()
                });
                if !known {
                    out.findings.push(finding);
                }
            }
            if depth == 0 {
                out.sides.extend(found.sides);
            }
            next.extend(found.tasks);
        }
        done.append(&mut round);
        next.retain(|t| !done.iter().any(|d| d.expert == t.expert && d.about == t.about));
        next.sort();
        next.dedup();
        next.truncate(MOST_TASKS.saturating_sub(done.len().saturating_sub(experts::ALL.len())));
        // Experts look at the whole case in the first round; only those whose look depends on the task are asked again.
        next.retain(|t| experts::ALL.iter().any(|e| e.name() == t.expert && e.looks_closer()));
        if next.is_empty() {
            break;
        }
        round = next;
    }
    out.missing.sort();
    out.missing.dedup();
    out
}

fn at_once(case: &Case<'_>, tasks: &[Task]) -> Vec<Findings> {
    std::thread::scope(|scope| {
        let running: Vec<_> = tasks
            .iter()
            .map(|task| {
                let expert = experts::ALL.iter().find(|e| e.name() == task.expert);
                let case = Case { task: task.clone(), ..case.clone() };
                scope.spawn(move || expert.map(|e| e.look(&case)).unwrap_or_default())
            })
            .collect();
        running
            .into_iter()
            .map(|r| {
                r.join().unwrap_or_else(|_| {
                    Findings::lacking(
                        "an expert",
                        "it failed; this is a fault of ours, the others' findings stand",
                    )
                })
            })
            .collect()
    })
}
