//! `e2egraph demo`: a whole server, a world played into its real ports, and the regression in it explained.

use crate::args::{Demo, Listen, Ports};
use crate::exit::Exit;
use crate::rim::{Stop, Temporary};
use crate::{out, play, print, rim};
use anyhow::Context as _;
use serde_json::Value as Json;
use sim::{Plan, Scale, World};
use std::time::Duration;

/// Simulated seconds per second: two hours in less than half a minute.
const SPEED: f64 = 420.0;

/// Plays, explains, and runs on unless told to end.
pub async fn run(args: Demo) -> anyhow::Result<Exit> {
    // First of all, so that Ctrl-C never leaves the temporary folder behind.
    let stop = Stop::listen()?;
    rim::guard(&args.listen)?;
    let temporary = if args.data.is_none() { Some(Temporary::new()?) } else { None };
    let data =
        args.data.clone().or_else(|| temporary.as_ref().map(|t| t.0.clone())).context("no data folder")?;
    let listen = Listen { ports: rim::free(&args.listen.ports), ..args.listen.clone() };
    let running = super::serve::start(&data, &listen, &args.ontology).await?;
    let ended = show(&args, &running, &stop).await;
    // However it ended: the server first, then the folder under it.
    running.stop().await;
    drop(temporary);
    ended
}

async fn show(args: &Demo, running: &server::Running, stop: &Stop) -> anyhow::Result<Exit> {
    let plan = Plan {
        scenario: args.scenario,
        seed: args.seed,
        start_ns: play::ending_now(Scale::DEMO),
        scale: Scale::DEMO,
    };
    let a = running.addresses();
    let ports = Ports { http: a.http, otlp_grpc: a.otlp_grpc, otlp_http: a.otlp_http };
    let address = format!("http://{}", ports.http);
    let say = |text: &str| if args.json { Ok(()) } else { out::line(text) };
    say(&format!("E2EGraph at {address}"))?;
    say(&format!(
        "Playing {} minutes of a video-streaming company into OTLP/gRPC {}, OTLP/HTTP {} and the feeds of {address} …",
        plan.scale.minutes, ports.otlp_grpc, ports.otlp_http
    ))?;
    // Ctrl-C works at any time, also while playing.
    let outcome = tokio::select! {
        () = stop.came() => None,
        done = explain(plan, &ports, running) => Some(done?),
    };
    let Some(answer) = outcome else {
        // Who asked for an answer and nothing else must not take this for one.
        anyhow::ensure!(!args.once, "ended before the answer was there");
        return Ok(Exit::Done);
    };
    let text = |key: &str| answer.get(key).and_then(Json::as_str).unwrap_or_default();
    if args.json {
        out::json(&answer)?;
    } else {
        out::print(&format!("\n{}\n\n{}", text("question"), print::answer(&answer)))?;
    }
    if args.once {
        return Ok(Exit::of_status(text("status")));
    }
    say(&format!("\nSee it at {address}/#/investigations/{}\nCtrl-C ends it.", text("id")))?;
    stop.came().await;
    Ok(Exit::Done)
}

/// Plays the world to its end and asks its question.
async fn explain(plan: Plan, ports: &Ports, running: &server::Running) -> anyhow::Result<Json> {
    play::play(plan, ports, SPEED).await?;
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
