//! `e2egraph demo`: a whole server, a world played into its real ports, and the regression in it explained.

use crate::args::{Demo, Listen};
use crate::command::sim::named;
use crate::exit::Exit;
use crate::{play, print, rim};
use anyhow::Context as _;
use sim::{Plan, Scale, World};
use std::time::Duration;

/// Simulated seconds per second: two hours in less than half a minute.
const SPEED: f64 = 420.0;

/// Plays, explains, and runs on unless told to end.
pub async fn run(args: Demo) -> anyhow::Result<Exit> {
    let plan = Plan {
        scenario: named(&args.scenario)?,
        seed: args.seed,
        start_ns: play::ending_now(Scale::DEMO),
        scale: Scale::DEMO,
    };
    let temporary = if args.data.is_none() { Some(Temporary::new()?) } else { None };
    let data =
        args.data.clone().or_else(|| temporary.as_ref().map(|t| t.0.clone())).context("no data folder")?;
    let listen = Listen {
        http: rim::free(args.listen.http),
        otlp_grpc: rim::free(args.listen.otlp_grpc),
        otlp_http: rim::free(args.listen.otlp_http),
    };
    let running = super::serve::start(&data, &listen, &args.ontology).await?;
    let listen = {
        let a = running.addresses();
        Listen { http: a.http, otlp_grpc: a.otlp_grpc, otlp_http: a.otlp_http }
    };
    let address = format!("http://{}", listen.http);
    let say = |text: &str| {
        if !args.json {
            println!("{text}");
        }
    };
    say(&format!("E2EGraph at {address}"));
    say(&format!(
        "Playing {} minutes of a video-streaming company into OTLP/gRPC {}, OTLP/HTTP {} and the feeds of {address} …",
        plan.scale.minutes, listen.otlp_grpc, listen.otlp_http
    ));
    // Ctrl-C works at any time, also while playing.
    let outcome = tokio::select! {
        () = rim::stopped() => None,
        done = explain(plan, &listen, &running) => Some(done?),
    };
    let Some(answer) = outcome else {
        running.stop().await;
        return Ok(Exit::Done);
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("\n{}\n", answer.get("question").and_then(|q| q.as_str()).unwrap_or_default());
        print!("{}", print::answer(&answer));
        println!(
            "\nSee it at {address}/#/investigations/{}",
            answer.get("id").and_then(|i| i.as_str()).unwrap_or_default()
        );
    }
    if !args.once {
        say("Ctrl-C ends it.");
        rim::stopped().await;
    }
    running.stop().await;
    drop(temporary);
    Ok(Exit::of_status(answer.get("status").and_then(|s| s.as_str()).unwrap_or_default()))
}

/// Plays the world to its end and asks its question.
async fn explain(
    plan: Plan,
    listen: &Listen,
    running: &server::Running,
) -> anyhow::Result<serde_json::Value> {
    play::play(plan, listen, SPEED).await?;
    let engine = running.engine();
    let question = World::new(plan).question();
    let answer = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        engine.tick(true)?;
        Ok(engine.ask(&question, None)?)
    });
    let answer = tokio::time::timeout(Duration::from_secs(120), answer)
        .await
        .context("the answer took more than two minutes")???;
    Ok(serde_json::to_value(answer)?)
}

/// A folder that goes when it is dropped.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new() -> anyhow::Result<Temporary> {
        let path = std::env::temp_dir().join(format!("e2egraph-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Temporary(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary folder, which is emptied by the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
