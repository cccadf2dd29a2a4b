//! The way from a fault to the user, edge by edge, each with the query that shows it.

use crate::answer::{Entity, Step};
use crate::backend::entries;
use crate::case::Case;
use crate::finding::{Ask, Hypothesis, People, between, node_name};
use crate::vocabulary::Tier;
use graph::{Direction, NodeId};
use ontology::RelationId;
use ontology::model::Holds;
use query::Query;
use query::text::Show;
use std::collections::{BTreeMap, VecDeque};

/// Edges followed at most between a fault and an operation that users enter by.
const FARTHEST: usize = 12;

/// The steps of a hypothesis, from the fault to what the user waits for.
pub(crate) fn route(case: &Case<'_>, hypothesis: &Hypothesis, tier: Option<Tier>) -> Vec<Step> {
    let Some(view_node) = case.subjects.first().copied() else { return Vec::new() };
    match tier {
        Some(Tier::Backend) => served(case, hypothesis, view_node),
        _ => direct(case, hypothesis, view_node),
    }
}

/// What people run or are connected by acts on the view itself.
fn direct(case: &Case<'_>, hypothesis: &Hypothesis, view_node: NodeId) -> Vec<Step> {
    let view = case.view;
    let mut steps = Vec::new();
    for entity in &hypothesis.entities {
        let Some(class) = view.graph.node(*entity).map(|n| n.class) else { continue };
        if view.ontology().is_a(class, case.vocabulary.change)
            || view.ontology().is_a(class, case.vocabulary.switch)
        {
            continue;
        }
        // Sessions reach everything they ran, received or went over by one relation each.
        let relation = view
            .ontology()
            .relations
            .iter()
            .find(|r| {
                r.arrows.iter().any(|(a, b)| *a == case.vocabulary.session && view.ontology().is_a(class, *b))
            })
            .map_or("felt_by", |r| r.name.as_str());
        let people = People(case.people.0.iter().filter(|c| c.nodes.contains(entity)).cloned().collect());
        let query = case.ask(&people, case.windows.degraded).query(view);
        steps.push(Step {
            from: Entity::of(view, *entity),
            relation: relation.to_owned(),
            to: Entity::of(view, view_node),
            text: format!("sessions with {} wait for {}", view.label(*entity), view.label(view_node)),
            query: query.to_string(),
        });
    }
    steps
}

/// Up the calls, from the fault to an operation that users enter by, and on to the view.
fn served(case: &Case<'_>, hypothesis: &Hypothesis, view_node: NodeId) -> Vec<Step> {
    let view = case.view;
    let doors = entries(view, case.vocabulary, case.subjects);
    let mut came: BTreeMap<NodeId, (NodeId, RelationId, Direction)> = BTreeMap::new();
    let mut queue: VecDeque<(NodeId, usize)> = VecDeque::new();
    let operation = case.vocabulary.operation;
    let is_operation = |n: NodeId| view.graph.node(n).is_some_and(|x| x.class == operation);
    // The change, its version and its service stand for one another: the search starts at the last of them.
    let starts: Vec<NodeId> = hypothesis.entities.iter().rev().take(1).copied().collect();
    let mut seen: std::collections::BTreeSet<NodeId> = hypothesis.entities.iter().copied().collect();
    queue.extend(starts.iter().map(|s| (*s, 0)));
    let mut door = None;
    while let Some((at, depth)) = queue.pop_front() {
        if doors.contains(&at) {
            door = Some(at);
            break;
        }
        if depth >= FARTHEST {
            continue;
        }
        for hop in view.graph.hops(at) {
            let Some(relation) = view.ontology().relations.get(hop.relation.index()) else { continue };
            let calls = relation.holds == Holds::Flow && hop.direction == Direction::In;
            // From a machine to its instances, from instances to their service, from a service to its operations.
            let up = relation.holds != Holds::Flow && !is_operation(at) && part_of_backend(case, hop.node);
            if (calls || up) && !view.is_sampled(hop.node) && seen.insert(hop.node) {
                came.insert(hop.node, (at, hop.relation, hop.direction));
                queue.push_back((hop.node, depth + 1));
            }
        }
    }
    let Some(door) = door else { return Vec::new() };
    let mut steps = Vec::new();
    let mut at = door;
    while let Some((before, relation, direction)) = came.get(&at).copied() {
        let name =
            view.ontology().relations.get(relation.index()).map_or("?", |r| r.name.as_str()).to_owned();
        let flow = view.ontology().relations.get(relation.index()).is_some_and(|r| r.holds == Holds::Flow);
        let query = if flow && direction == Direction::In {
            Query::Flow {
                relation: name.clone(),
                from: node_name(view, at),
                to: node_name(view, before),
                terms: query::text::Predicate::default(),
                between: between(case.windows.degraded),
                every: None,
                show: if case.loss.table.ratio { Show::Ratio } else { Show::Mean },
                asked: false,
            }
        } else {
            Query::Path { from: node_name(view, before), to: node_name(view, at), at: None }
        };
        let text = if flow {
            format!("{} waits for {}", view.label(at), view.label(before))
        } else {
            format!("{} rests on {}", view.label(at), view.label(before))
        };
        steps.push(Step {
            from: Entity::of(view, before),
            relation: name,
            to: Entity::of(view, at),
            text,
            query: query.to_string(),
        });
        at = before;
    }
    steps.reverse();
    let enters = case.vocabulary.enters(view.ontology(), operation);
    let relation = enters
        .first()
        .and_then(|r| view.ontology().relations.get(r.index()))
        .map_or("called", |r| r.name.as_str());
    let everyone = People::default();
    let ask = Ask {
        measure: case.measure(),
        subject: Some(view_node),
        people: &everyone,
        except: None,
        during: case.windows.degraded,
        show: Some(case.show()),
    };
    steps.push(Step {
        from: Entity::of(view, door),
        relation: relation.to_owned(),
        to: Entity::of(view, view_node),
        text: format!("{} waits for {}", view.label(view_node), view.label(door)),
        query: ask.query(view).to_string(),
    });
    steps
}

fn part_of_backend(case: &Case<'_>, node: NodeId) -> bool {
    let v = case.vocabulary;
    case.view.graph.node(node).is_some_and(|n| [v.instance, v.service, v.operation].contains(&n.class))
}
