//! Plays simulated worlds through the real wire forms into a graph, asks, and prints the answer or the score:
//! `cargo run --release -p autosre --example world -- [scenario|all] [seed|from..to] [--json|--brief]`.

use anyhow::Context as _;
use graph::{Fold, Limits};
use ingest::{Normaliser, Options, Wire};
use ontology::{Ontology, Time};
use query::View;
use sim::{Plan, Scale, Scenario, World};
use std::sync::Arc;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let which = args.first().map_or("all", String::as_str);
    let seeds = args.get(1).map_or("1", String::as_str);
    let brief = args.iter().any(|a| a == "--brief");
    let json = args.iter().any(|a| a == "--json");
    let scenarios: Vec<Scenario> = if which == "all" {
        Scenario::all().to_vec()
    } else {
        vec![which.parse().map_err(anyhow::Error::msg)?]
    };
    let (from, to) = match seeds.split_once("..") {
        Some((a, b)) => (a.parse()?, b.parse()?),
        None => (seeds.parse::<u64>()?, seeds.parse::<u64>()? + 1),
    };
    let mut scores = Vec::new();
    for scenario in scenarios {
        for seed in from..to {
            let plan = Plan { scenario, seed, start_ns: 1_795_500_000_000_000_000, scale: Scale::SCORE };
            let (mut fold, world) = play(plan)?;
            let graph = fold.graph();
            let view = View::latest(&graph);
            #[expect(
                clippy::disallowed_methods,
                reason = "a harness may look at the clock to say how long an answer took"
            )]
            let begun = std::time::Instant::now();
            let question = std::env::var("QUESTION").unwrap_or_else(|_| world.question());
            let answer = autosre::ask(&view, &question, &autosre::Options::default())?;
            let took = begun.elapsed();
            let document = serde_json::to_value(&answer)?;
            let truth = sim::truth::truth(&plan);
            let score = sim::score::score(&truth, &document);
            let right = if truth.healthy { score.silent } else { score.top1 && score.tier };
            println!(
                "{} {scenario} seed {seed} · {} ms · top1 {} top3 {} tier {} silent {} · {} [{}] ({:?})",
                if right { "ok  " } else { "BAD " },
                took.as_millis(),
                score.top1,
                score.top3,
                score.tier,
                score.silent,
                answer.headline,
                answer.tier.verdict,
                answer.status,
            );
            if !right {
                println!("     truth: {:?} {:?}", truth.tier, truth.causes.first().map(|c| &c.required));
            }
            if json {
                println!("{}", serde_json::to_string_pretty(&answer)?);
            } else if !brief {
                tell(&answer);
            }
            scores.push(score);
        }
    }
    println!("{}", serde_json::to_string_pretty(&sim::score::aggregate(&scores))?);
    Ok(())
}

fn play(plan: Plan) -> anyhow::Result<(Fold, World)> {
    let ontology = Arc::new(Ontology::builtin());
    let options = Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
    let mut fold = Fold::new(Arc::clone(&ontology), ontology.mapping.trust.clone(), Limits::default());
    let mut world = World::new(plan);
    for payload in world.by_ref() {
        let wire = match payload.wire {
            sim::Wire::Traces => Wire::TracesProto,
            sim::Wire::Metrics => Wire::MetricsProto,
            sim::Wire::Logs => Wire::LogsProto,
            sim::Wire::Feed(name) => Wire::feed(name),
        };
        let at = Time::from_nanos(u64::try_from(payload.at_ns)?).context("time")?;
        let batch = normaliser.normalise(&wire, &payload.body, at)?;
        fold.fold(&batch, at);
    }
    Ok((fold, world))
}

fn tell(a: &autosre::Answer) {
    println!("  {}", a.question);
    for w in &a.understood.words {
        println!("    «{}» {}", w.text, w.meaning);
    }
    for w in &a.not_understood {
        println!("    ? {} near {:?}", w.word, w.nearest);
    }
    if let Some(r) = &a.regression {
        println!(
            "  regression {} of {} {} for {}: {:?} -> {:?} ({:+.3}) since {} p {:.2e} n {}",
            r.measure,
            r.subject.class,
            r.subject.name,
            r.cohort,
            r.baseline,
            r.observed,
            r.change,
            r.onset,
            r.p_value,
            r.sessions
        );
    }
    println!("  tier {:?}", a.tier);
    for c in &a.causes {
        println!("  {}. {:.3} {:?} {}", c.rank, c.probability, c.kind, c.title);
        for e in &c.evidence {
            println!(
                "       {}{:.1} {}: {} = {:?} against {:?} {}",
                if e.supports { '+' } else { '-' },
                e.strength,
                e.expert,
                e.claim,
                e.value,
                e.baseline,
                e.unit
            );
        }
        for s in &c.path {
            println!("       path: {} -{}-> {}", s.from.name, s.relation, s.to.name);
        }
        println!("       {}", c.counterfactual);
    }
    for r in &a.ruled_out {
        println!("  not {:.3} {:?} {}: {}", r.probability, r.kind, r.title, r.why);
    }
    for r in &a.cohort_split.rows {
        println!(
            "  split {:?} n {} {:?} -> {:?} {:+.3} [{:+.3?} {:+.3?}]",
            r.values, r.sessions, r.healthy, r.degraded, r.change, r.low, r.high
        );
    }
    println!("  impact: {}", a.impact.text);
    for m in &a.mitigations {
        println!("  do {} [{}] reach {}: {}", m.title, m.trust, m.reach_sessions, m.why);
    }
    for m in &a.missing {
        println!("  missing {}: {}", m.what, m.why);
    }
    for p in &a.plan {
        println!("  plan {} · {} · looked at {} · findings {}", p.expert, p.task, p.looked_at, p.findings);
    }
}
