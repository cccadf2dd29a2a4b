//! Questions in people's words, and what each is taken to ask, in one simulated world.

use std::sync::{Arc, LazyLock};

use autosre::{Options, Question, Status, Vocabulary};
use graph::{Fold, Graph, Limits};
use ingest::{Normaliser, Wire};
use ontology::{Ontology, Time};
use query::View;
use sim::{Plan, Scale, Scenario, World};

/// A regression of TV UI 8.42 in cell B.
static TROUBLED: LazyLock<Graph> = LazyLock::new(|| world(Scenario::VersionCell));
static HEALTHY: LazyLock<Graph> = LazyLock::new(|| world(Scenario::Healthy));

fn world(scenario: Scenario) -> Graph {
    let ontology = Arc::new(Ontology::builtin());
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
    let mut fold = Fold::new(Arc::clone(&ontology), ontology.mapping.trust.clone(), Limits::default());
    let plan = Plan { scenario, seed: 1, start_ns: 1_795_500_000_000_000_000, scale: Scale::SCORE };
    for payload in World::new(plan) {
        let wire = match payload.wire {
            sim::Wire::Traces => Wire::TracesProto,
            sim::Wire::Metrics => Wire::MetricsProto,
            sim::Wire::Logs => Wire::LogsProto,
            sim::Wire::Feed(name) => Wire::feed(name),
        };
        let at = Time::from_nanos(u64::try_from(payload.at_ns).unwrap()).unwrap();
        fold.fold(&normaliser.normalise(&wire, &payload.body, at).unwrap(), at);
    }
    fold.graph()
}

fn read(text: &str) -> (Question, autosre::answer::Understood) {
    let view = View::latest(&TROUBLED);
    let question = autosre::ground(&view, &Vocabulary::new(view.ontology()).unwrap(), text);
    let understood = question.understood(&view);
    (question, understood)
}

/// The question, its intent, its measure, part of its subject, of its people, and of its suspects or of who is compared; "" for none.
const ASKED: &[(&str, &str, &str, &str, &str, &str)] = &[
    // why
    (
        "Why is TV UI lolomo TTR regressing in the latest version?",
        "why",
        "view.ttr",
        "tvui/lolomo",
        "8.42.0",
        "",
    ),
    ("why is tv ui lolomo slow", "why", "view.ttr", "tvui/lolomo", "", ""),
    ("What caused the slow lolomo on TV UI?", "why", "view.ttr", "tvui/lolomo", "", ""),
    ("root cause of TV UI lolomo TTR in 8.42", "why", "view.ttr", "tvui/lolomo", "8.42", ""),
    ("Why is it slow?", "why", "view.ttr", "", "", ""),
    ("What is wrong?", "why", "", "", "", ""),
    ("Why did time to render get worse in cell B?", "why", "view.ttr", "", "cell B", ""),
    ("lolomo regressed", "why", "", "lolomo", "", ""),
    // slips and forms
    ("Why is TV UI lolomo regresing?", "why", "", "tvui/lolomo", "", ""),
    ("WHY IS LOLOMO SLOW", "why", "view.ttr", "lolomo", "", ""),
    ("Why has TTI regressed in the previous version of TV UI?", "why", "view.tti", "View tvui/", "8.41", ""),
    ("Why are errors of lolomo up?", "why", "view.error_ratio", "lolomo", "", ""),
    // is it
    ("Is it cell B?", "is_it", "", "", "", "cell B"),
    ("Was it cell B?", "is_it", "", "", "", "cell B"),
    ("Could it be cell B?", "is_it", "", "", "", "cell B"),
    ("Is it the network?", "is_it", "", "", "", "network"),
    ("Is it the CDN?", "is_it", "", "", "", "CDN"),
    ("Is it the latest version?", "is_it", "", "", "", "8.42.0"),
    ("Is lolomo slow because of 8.42?", "is_it", "view.ttr", "lolomo", "", "8.42"),
    ("Is cell B to blame for slow lolomo?", "is_it", "view.ttr", "lolomo", "", "cell B"),
    ("Is TV UI lolomo TTR worse due to cell B in 8.42?", "is_it", "view.ttr", "tvui/lolomo", "", "cell B"),
    ("Is the recommender service at fault?", "is_it", "", "", "", "recommender"),
    ("Is a deployment responsible for slow lolomo?", "is_it", "view.ttr", "lolomo", "", "deployment"),
    // "is it" that asks nothing of anyone
    ("Is it slow?", "why", "view.ttr", "", "", ""),
    ("Why is it slow in cell B?", "why", "view.ttr", "", "cell B", ""),
    // what changed
    ("What changed?", "what_changed", "", "", "", ""),
    ("What changed today?", "what_changed", "", "", "", ""),
    ("What was deployed before lolomo got slow?", "what_changed", "view.ttr", "lolomo", "", ""),
    ("Which changes hit TV UI lolomo?", "what_changed", "", "tvui/lolomo", "", ""),
    ("What was rolled out?", "what_changed", "", "", "", ""),
    // who is hit
    ("Who is hit?", "who_is_hit", "", "", "", ""),
    ("Who is affected?", "who_is_hit", "", "", "", ""),
    ("How many users suffer from slow lolomo?", "who_is_hit", "view.ttr", "lolomo", "", ""),
    ("Which sessions are slow?", "who_is_hit", "view.ttr", "", "", ""),
    (
        "How many sessions of TV UI lolomo are slow in cell B?",
        "who_is_hit",
        "view.ttr",
        "tvui/lolomo",
        "cell B",
        "",
    ),
    // what else
    ("What breaks?", "what_else", "", "", "", ""),
    ("What else is affected?", "what_else", "", "", "", ""),
    ("What is the impact?", "what_else", "", "", "", ""),
    ("blast radius of 8.42", "what_else", "", "", "8.42", ""),
    // who owns
    ("Who owns it?", "who_owns", "", "", "", ""),
    ("Which team is it?", "who_owns", "", "", "", ""),
    ("Who is the owner of slow lolomo?", "who_owns", "view.ttr", "lolomo", "", ""),
    // what to do
    ("What should we do?", "what_to_do", "", "", "", ""),
    ("What can we do about slow lolomo?", "what_to_do", "view.ttr", "lolomo", "", ""),
    ("How do we mitigate it?", "what_to_do", "", "", "", ""),
    ("fix lolomo", "what_to_do", "", "lolomo", "", ""),
    // compare
    ("Compare cell A with cell B", "compare", "", "", "", "cell A, cell B"),
    ("cell A vs cell B", "compare", "", "", "", "cell A, cell B"),
    ("Compare 8.42 with 8.41 on TV UI lolomo", "compare", "", "tvui/lolomo", "", "8.41, 8.42"),
    ("How does cell B differ?", "compare", "", "", "", "cell B"),
    ("Compare TTR of cell A and cell B in 8.42", "compare", "view.ttr", "", "8.42", "cell A, cell B"),
    ("lolomo TTR in 8.42 versus 8.41", "compare", "view.ttr", "lolomo", "", "8.41, 8.42"),
    // is it safe
    ("Is the rollout of 8.42 safe?", "is_it_safe", "", "", "8.42", ""),
    ("Is 8.42 safe?", "is_it_safe", "", "", "8.42", ""),
    ("Can we continue the rollout of 8.42?", "is_it_safe", "", "", "8.42", ""),
    ("Should we roll back 8.42?", "is_it_safe", "", "", "8.42", ""),
    ("Is cell B safe for TV UI lolomo?", "is_it_safe", "", "tvui/lolomo", "cell B", ""),
    // will it recur
    ("Will it recur?", "will_it_recur", "", "", "", ""),
    ("Has this happened before?", "will_it_recur", "", "", "", ""),
    ("Will slow lolomo come back?", "will_it_recur", "view.ttr", "lolomo", "", ""),
];

#[test]
fn each_phrasing_is_taken_for_what_it_asks() {
    let mut wrong = Vec::new();
    for (text, intent, measure, subject, people, named) in ASKED {
        let (question, read) = read(text);
        let said = |known: &Option<String>, part: &str| match known {
            Some(known) => !part.is_empty() && known.contains(part),
            None => part.is_empty(),
        };
        let about = [read.suspects.join(", "), read.compared.join(", ")].concat();
        let right = read.intent == *intent
            && read.measure.as_deref().unwrap_or("") == *measure
            && said(&read.entity, subject)
            && said(&read.cohort, people)
            && (about == *named || (!named.is_empty() && about.contains(named)))
            && question.unknown.is_empty()
            && question.is_grounded();
        if !right {
            wrong.push(format!("{text}\n  {read:?}\n  unknown {:?}", question.unknown));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ASKED.len(), wrong.join("\n"));
}

fn ask(graph: &Graph, text: &str) -> autosre::Answer {
    autosre::ask(&View::latest(graph), text, &Options::default()).unwrap()
}

#[test]
fn who_is_named_is_judged_by_what_was_found() {
    let yes = ask(&TROUBLED, "Is TV UI lolomo slow because of cell B?");
    assert!(yes.headline.starts_with("Yes, probably"), "{}", yes.headline);
    assert!(!yes.reply.is_empty() && yes.status == Status::Explained);
    let no = ask(&TROUBLED, "Is TV UI lolomo slow because of the network?");
    assert!(!no.headline.starts_with("Yes"), "{}", no.headline);
    assert!(no.headline.contains("is the likeliest cause"), "{}", no.headline);
}

#[test]
fn those_compared_differ_where_one_suffers_and_not_where_nobody_does() {
    let troubled = ask(&TROUBLED, "Compare TV UI lolomo TTR of cell A with cell B");
    assert!(troubled.headline.contains("cell A and cell B differ in view.ttr"), "{}", troubled.headline);
    assert_eq!(troubled.reply.len(), 2);
    let healthy = ask(&HEALTHY, "Compare TV UI lolomo TTR of cell A with cell B");
    assert!(healthy.headline.contains("do not differ provably"), "{}", healthy.headline);
}

#[test]
fn a_rollout_is_safe_until_something_speaks_against_it() {
    let no = ask(&TROUBLED, "Is the rollout of 8.42 safe?");
    assert!(no.headline.starts_with("No: "), "{}", no.headline);
    let yes = ask(&HEALTHY, "Is the rollout of 8.42 safe?");
    assert!(yes.headline.starts_with("Nothing speaks against it so far."), "{}", yes.headline);
}

#[test]
fn every_figure_of_a_reply_comes_out_of_its_query_again() {
    let view = View::latest(&TROUBLED);
    let mut figures = 0;
    for text in [
        "What changed?",
        "Who is hit?",
        "What else is affected?",
        "Who owns it?",
        "Is it cell B?",
        "Compare cell A with cell B",
        "How does cell B differ?",
        "Is the rollout of 8.42 safe?",
    ] {
        let answer = ask(&TROUBLED, text);
        assert!(!answer.reply.is_empty(), "{text}: {}", answer.headline);
        for row in &answer.reply {
            let query: query::Query = row.query.parse().unwrap_or_else(|e| panic!("{}: {e:?}", row.query));
            let output = query::run::run(&view, &query).unwrap();
            let again = output.value.or_else(|| (output.kind == "table").then_some(output.rows.len() as f64));
            assert_eq!(again, row.value, "{text}: {}", row.query);
            figures += usize::from(row.value.is_some());
        }
    }
    assert!(figures >= 20, "{figures}");
}
