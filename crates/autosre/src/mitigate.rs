//! What may be done about a cause: actions of the ontology whose class is named and whose conditions hold as far as the graph tells.

use crate::answer::{Cause, Entity, Mitigation};
use crate::case::Case;
use crate::detect::rounded;
use crate::finding::{Condition, People};
use graph::NodeId;
use ontology::Value;
use ontology::actions::{Action, Otherwise, Proof, Trust};

/// Most mitigations proposed.
const MOST: usize = 4;

/// Actions against the first cause, those that reach fewest first.
pub(crate) fn mitigations(case: &Case<'_>, cause: &Cause, nodes: &[NodeId]) -> Vec<Mitigation> {
    let view = case.view;
    let o = view.ontology();
    let aspect = view.measure(case.measure()).map(|m| m.aspect);
    let mut found: Vec<(u64, Mitigation)> = Vec::new();
    for action in o.actions.iter().filter(|a| aspect.is_some_and(|x| a.helps.contains(&x))) {
        for target in targets(case, action, nodes) {
            if !may(case, action, target) {
                continue;
            }
            let reach = reach(case, target);
            let undo = match action.otherwise {
                Otherwise::Undo => "taken back by itself when the measure does not recover".to_owned(),
                Otherwise::HandToOwner => {
                    "cannot be taken back; the owner is called when the measure does not recover".to_owned()
                }
            };
            let within = match action.proof {
                Proof::BackToBaseline(s) | Proof::StopsGrowing(s) => s / 60,
            };
            let proof = view.measure(action.measure).map_or("the measure", |m| m.name.as_str());
            let words = action.name.replace('_', " ");
            found.push((
                reach,
                Mitigation {
                    action: action.name.clone(),
                    title: format!("{words}: {}", view.label(target)),
                    target: Entity::of(view, target),
                    why: format!(
                        "takes away {}; proven when {proof} recovers within {within} min",
                        cause.title
                    ),
                    reach_sessions: reach,
                    undo,
                    trust: match action.trust {
                        Trust::Propose => "propose",
                        Trust::Approve => "approve",
                        Trust::Automatic => "automatic",
                    }
                    .to_owned(),
                },
            ));
        }
    }
    found.sort_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| (&a.1.action, &a.1.target).cmp(&(&b.1.action, &b.1.target)))
    });
    found.into_iter().take(MOST).map(|f| f.1).collect()
}

/// What a cause names, and what is one step from it, of the class that an action acts on.
fn targets(case: &Case<'_>, action: &Action, nodes: &[NodeId]) -> Vec<NodeId> {
    let view = case.view;
    let of = |n: NodeId| view.graph.node(n).is_some_and(|x| view.ontology().is_a(x.class, action.acts_on));
    let mut found: Vec<NodeId> = nodes.iter().copied().filter(|n| of(*n)).collect();
    if found.is_empty() {
        // The rollout of a version, the flag of a variant; never what merely stands near.
        for n in nodes {
            for hop in view.graph.hops(*n) {
                let changes = view.is_case_of(hop.relation, case.vocabulary.changed);
                let owns = query::cohort::parent(view.graph, *n) == Some(hop.node)
                    && view
                        .graph
                        .node(*n)
                        .is_some_and(|x| view.ontology().is_a(x.class, case.vocabulary.treatment));
                if (changes || owns) && of(hop.node) {
                    found.push(hop.node);
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    // Several steps of one rollout are one thing to halt: the last.
    if found.len() > 1 && view.ontology().is_a(action.acts_on, case.vocabulary.change) {
        found.sort_by_key(|n| (view.started(*n), view.graph.id(*n)));
        found = found.split_off(found.len() - 1);
    }
    found
}

/// Conditions on attributes of the target itself; the others are checked again by whoever acts.
fn may(case: &Case<'_>, action: &Action, target: NodeId) -> bool {
    action.when_text.iter().all(|line| {
        let Some(rest) = line.strip_prefix("X.") else { return true };
        let (operator, parts) = [" != ", " = ", " in "]
            .iter()
            .find_map(|op| rest.split_once(op).map(|p| (*op, p)))
            .unwrap_or((" ? ", (rest, "")));
        let Some(value) = case.view.graph.attr_named(target, parts.0).map(Value::to_string) else {
            return true;
        };
        match operator {
            " != " => value != parts.1,
            " = " => value == parts.1,
            " in " => parts.1.trim_matches(['[', ']']).split(',').any(|w| w.trim() == value),
            _ => true,
        }
    })
}

/// Observations, since the onset, of people whom an action on a target touches.
fn reach(case: &Case<'_>, target: NodeId) -> u64 {
    let Some(class) = case.view.graph.node(target).map(|n| n.class) else { return 0 };
    let people = People(vec![Condition { label: String::new(), class, nodes: vec![target] }]);
    let terms = case.loss.terms_of(&people).unwrap_or_default();
    rounded(case.loss.count(&terms))
}
