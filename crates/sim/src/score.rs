//! Compares answers with sealed truths.
//!
//! Rules:
//! - An answer *blames* only when its `status` is `explained`; suspects of an answer that is `not_proven` or `nothing_wrong`
//!   count neither for it nor against it.
//! - A cause is *right* when each required group of the truth has a member among the cause's entities: naming only the
//!   version, or only the cell, of an interaction is wrong. Naming more is not punished.
//! - An entity matches by class (case does not matter) and by name: names are split at `/`, and one must be the end of the
//!   other, so `8.42.0`, `tvui/8.42.0` and `app/tvui/8.42.0` agree and `ios/8.42.0` does not. `AS64501` is `64501`.
//! - `top1`, `top3`, `tier` are shares of the worlds with a fault; `healthy_silent` is the share of worlds without one in
//!   which nothing is blamed.
//! - `ece` is the expected calibration error over ten equal bins of the first cause's probability against its being right,
//!   over every answer that blames, healthy worlds included (there every blame is wrong).

use crate::truth::{Cause, Entity, Truth};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Bins of the calibration error.
const BINS: usize = 10;

/// How one answer did.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseScore {
    /// Which world it was.
    pub scenario: &'static str,
    /// Whether nothing was wrong in it.
    pub healthy: bool,
    /// The answer blames nothing.
    pub silent: bool,
    /// The first cause is right.
    pub top1: bool,
    /// One of the first three is.
    pub top3: bool,
    /// The tier is right.
    pub tier: bool,
    /// Probability the answer gave its first cause, when it blames.
    pub probability: Option<f64>,
}

/// Compares one answer (the document of `ask --json`) with the truth of its world.
pub fn score(truth: &Truth, answer: &Value) -> CaseScore {
    let explained = answer.get("status").and_then(Value::as_str) == Some("explained");
    let named = answer.get("causes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut causes: Vec<&Value> = if explained { named.iter().collect() } else { Vec::new() };
    causes.sort_by_key(|c| c.get("rank").and_then(Value::as_u64).unwrap_or(u64::MAX));
    let right = |cause: &&Value| truth.causes.iter().any(|t| names(cause, t));
    CaseScore {
        scenario: truth.scenario,
        healthy: truth.healthy,
        silent: causes.is_empty(),
        top1: causes.first().is_some_and(right),
        top3: causes.iter().take(3).any(right),
        tier: tier_word(answer).eq_ignore_ascii_case(truth.tier.name()),
        probability: causes.first().map(|c| c.get("probability").and_then(Value::as_f64).unwrap_or(1.0)),
    }
}

/// The tier an answer gives: a word, or an object that holds it.
fn tier_word(answer: &Value) -> &str {
    let tier = answer.get("tier");
    let inner = tier.and_then(|t| ["verdict", "tier", "name"].iter().find_map(|k| t.get(k)));
    inner.or(tier).and_then(Value::as_str).unwrap_or("none")
}

/// Whether a cause of an answer names everything the truth asks for.
fn names(cause: &Value, truth: &Cause) -> bool {
    let entities = cause.get("entities").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    truth.required.iter().all(|group| group.iter().any(|wanted| entities.iter().any(|e| is(e, wanted))))
}

fn is(entity: &Value, wanted: &Entity) -> bool {
    let class = entity.get("class").and_then(Value::as_str).unwrap_or_default();
    let words = ["name", "key", "label", "id"].iter().filter_map(|k| entity.get(k)).filter_map(Value::as_str);
    class.eq_ignore_ascii_case(&wanted.class) && words.into_iter().any(|word| same_name(word, &wanted.name))
}

fn same_name(said: &str, wanted: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        let lower = text.trim().to_lowercase();
        let lower = match lower.strip_prefix("as") {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.to_string()
            }
            _ => lower,
        };
        lower.split('/').filter(|p| !p.is_empty()).map(str::to_string).collect()
    };
    let (said, wanted) = (parts(said), parts(wanted));
    !said.is_empty() && (said.ends_with(&wanted) || wanted.ends_with(&said))
}

/// All scores together, as the document of `sim score --json`.
pub fn aggregate(scores: &[CaseScore]) -> Value {
    let mut scenarios: BTreeMap<&str, Vec<&CaseScore>> = BTreeMap::new();
    for case in scores {
        scenarios.entry(case.scenario).or_default().push(case);
    }
    let per_scenario: BTreeMap<&str, Value> =
        scenarios.iter().map(|(name, cases)| (*name, summary(cases))).collect();
    let all: Vec<&CaseScore> = scores.iter().collect();
    let mut document = summary(&all);
    if let Some(object) = document.as_object_mut() {
        object.insert("ece".to_string(), json!(calibration_error(&all)));
        object.insert("per_scenario".to_string(), json!(per_scenario));
    }
    document
}

/// Shares of one set of cases; `null` where there is nothing to take a share of.
fn summary(cases: &[&CaseScore]) -> Value {
    let share = |healthy: bool, test: fn(&CaseScore) -> bool| -> Option<f64> {
        let chosen: Vec<&&CaseScore> = cases.iter().filter(|c| c.healthy == healthy).collect();
        let good = chosen.iter().filter(|c| test(c)).count();
        (!chosen.is_empty()).then(|| good as f64 / chosen.len() as f64)
    };
    json!({
        "cases": cases.len(),
        "top1": share(false, |c| c.top1),
        "top3": share(false, |c| c.top3),
        "tier": share(false, |c| c.tier),
        "healthy_silent": share(true, |c| c.silent),
    })
}

/// Expected calibration error of the first causes; `None` when nothing was blamed.
fn calibration_error(cases: &[&CaseScore]) -> Option<f64> {
    let mut bins = [(0.0, 0.0, 0.0); BINS];
    for (case, probability) in cases.iter().filter_map(|c| c.probability.map(|p| (c, p.clamp(0.0, 1.0)))) {
        let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += 1.0;
        bin.1 += probability;
        bin.2 += f64::from(u8::from(case.top1));
    }
    let total: f64 = bins.iter().map(|b| b.0).sum();
    (total > 0.0).then(|| bins.iter().map(|b| (b.1 - b.2).abs()).sum::<f64>() / total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Scale, Scenario};
    use crate::truth::truth;

    fn sealed(scenario: Scenario) -> Truth {
        truth(&Plan { scenario, seed: 1, start_ns: 0, scale: Scale::SCORE })
    }

    /// An explained answer that blames these, each `class name, class name`, with falling probability.
    fn answer(tier: &str, causes: &[&str]) -> Value {
        let cause = |(rank, text): (usize, &&str)| {
            let entity =
                |e: &str| e.split_once(' ').map(|(class, name)| json!({"class": class, "name": name}));
            let entities: Vec<Value> = text.split(", ").filter_map(entity).collect();
            json!({"rank": rank + 1, "probability": 0.8 / (rank + 1) as f64, "entities": entities})
        };
        json!({"status": "explained", "tier": tier, "causes": causes.iter().enumerate().map(cause).collect::<Vec<_>>()})
    }

    #[test]
    fn an_interaction_needs_both_the_version_and_the_cell() {
        let truth = sealed(Scenario::VersionCell);
        let top1 = |causes: &[&str]| score(&truth, &answer("client", causes)).top1;
        assert!(top1(&["AppVersion tvui/8.42.0, Cell lolomo_rows/B"]));
        assert!(top1(&["Cell B, appversion 8.42.0, View tvui/lolomo"]));
        assert!(!top1(&["AppVersion tvui/8.42.0"]));
        assert!(!top1(&["Cell lolomo_rows/B"]));
        assert!(!top1(&["AppVersion tvui/8.42.0, Cell search_blend/B"]));
        assert!(!top1(&["AppVersion ios/8.42.0, Cell lolomo_rows/B"]));
        assert!(
            !top1(&["AppVersion tvui/8.42.0", "Cell lolomo_rows/B"]),
            "two causes are not one interaction"
        );
    }

    #[test]
    fn a_right_cause_in_second_place_counts_for_the_first_three_only() {
        let given = answer("client", &["Service gateway", "AppVersion tvui/8.42.0, Cell lolomo_rows/B"]);
        let case = score(&sealed(Scenario::VersionCell), &given);
        assert!(!case.top1 && case.top3 && case.tier && !case.silent);
        assert_eq!(case.probability, Some(0.8));
    }

    #[test]
    fn a_deployment_may_be_named_by_service_version_or_itself() {
        let truth = sealed(Scenario::BackendDependency);
        for wanted in truth.causes[0].required[0].clone() {
            let text = format!("{} {}", wanted.class, wanted.name);
            assert!(score(&truth, &answer("backend", &[&text])).top1, "{text}");
        }
        let namespaced = format!("Service rec/{}", truth.causes[0].required[0][1].name);
        assert!(score(&truth, &answer("backend", &[&namespaced])).top1);
        assert!(!score(&truth, &answer("backend", &["Service gateway"])).top1);
    }

    #[test]
    fn a_network_may_be_named_by_number_or_by_name() {
        let truth = sealed(Scenario::NetworkProvider);
        let [number, name] = [0, 1].map(|i| truth.causes[0].required[0][i].name.clone());
        for text in
            [format!("Isp {number}"), format!("Isp AS{number}"), format!("Isp {}", name.to_uppercase())]
        {
            assert!(score(&truth, &answer("network", &[&text])).top1, "{text}");
        }
        assert!(!score(&truth, &answer("network", &["Isp 64999"])).top1);
    }

    #[test]
    fn suspects_of_an_answer_that_proves_nothing_are_not_blame() {
        let mut given = answer("none", &["Service gateway"]);
        given["status"] = json!("not_proven");
        let case = score(&sealed(Scenario::Healthy), &given);
        assert!(case.silent && case.probability.is_none());
        assert!(!score(&sealed(Scenario::Healthy), &answer("backend", &["Service gateway"])).silent);
    }

    #[test]
    fn shares_are_taken_where_they_mean_something() {
        let right = answer("client", &["AppVersion 8.42.0, Cell B"]);
        let silent = json!({"status": "nothing_wrong", "causes": [], "tier": null});
        let scores = [
            score(&sealed(Scenario::VersionCell), &right),
            score(&sealed(Scenario::VersionCell), &silent),
            score(&sealed(Scenario::Healthy), &silent),
            score(&sealed(Scenario::SurgeAndMix), &right),
        ];
        let all = aggregate(&scores);
        assert_eq!(
            (&all["top1"], &all["healthy_silent"], &all["tier"]),
            (&json!(0.5), &json!(0.5), &json!(0.5))
        );
        // two blamed at 0.8, one of them rightly
        assert!((all["ece"].as_f64().unwrap() - 0.3).abs() < 1e-9, "{all}");
        assert_eq!(all["per_scenario"]["version_cell"]["healthy_silent"], Value::Null);
        assert_eq!(all["per_scenario"]["healthy"]["healthy_silent"], json!(1.0));
    }

    #[test]
    fn an_answer_of_any_shape_gets_a_score() {
        for odd in
            [json!(null), json!([]), json!({"status": "explained"}), json!({"status": 1, "causes": {"a": 1}})]
        {
            assert!(score(&sealed(Scenario::Healthy), &odd).silent);
        }
    }
}
