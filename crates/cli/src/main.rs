//! The one binary: reads the command line and calls the command.
//!
//! **Not here:** anything a library user would want; that is in the rooms below.
//!
//! **Next door:** every room below, nobody above.
#![expect(clippy::disallowed_methods, reason = "a rim crate: this is where the clock is read")]
#![expect(unreachable_pub, reason = "a binary has no outside")]

mod args;
mod client;
mod command {
    pub(crate) mod ask;
    pub(crate) mod bench;
    pub(crate) mod demo;
    pub(crate) mod eval;
    pub(crate) mod graph;
    #[cfg(feature = "history")]
    pub(crate) mod history;
    pub(crate) mod ontology;
    pub(crate) mod operate;
    pub(crate) mod received;
    pub(crate) mod send;
    pub(crate) mod serve;
    pub(crate) mod sim;
    pub(crate) mod sources;
    pub(crate) mod sql;
    pub(crate) mod store;
}
mod exit;
#[cfg(feature = "history")]
mod history;
mod join;
mod opening;
mod out;
mod play;
#[cfg(feature = "history")]
mod postgres;
mod print;
mod progress;
mod rim;
mod vocabulary;
mod world;

/// The graph is made of very many small things: glibc's allocator took 40 % of the processor time of a replay.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use args::{Cli, Command};
use clap::{CommandFactory as _, Parser as _};
use exit::Exit;
use std::process::ExitCode;

/// Stack of each thread; memory is taken as it is used. Statements in SQL may be as deep as they are long (`sql_words`), and are
/// copied and dropped by functions that call themselves.
const STACK: usize = 32 << 20;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    match runtime {
        Ok(runtime) => runtime.block_on(answer()),
        Err(e) => {
            out::note(&format!("starting threads: {e}"));
            ExitCode::FAILURE
        }
    }
}

async fn answer() -> ExitCode {
    let exit = match run(Cli::parse()).await {
        Ok(exit) => exit,
        // Whoever read the output has what they wanted.
        Err(error) if out::is_closed(&error) => Exit::Done,
        Err(error) => {
            out::note(&out::told(&error));
            Exit::of_error(&error)
        }
    };
    ExitCode::from(exit.code())
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Ask(args) => command::ask::run(args).await,
        Command::Graph(args) => command::graph::run(args).await,
        Command::Send(args) => command::send::run(args).await,
        Command::Sources(args) => command::sources::run(args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "e2egraph", &mut script);
            out::print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
        Command::Serve(args) => command::serve::run(*args).await,
        Command::Demo(args) => command::demo::run(args).await,
        Command::Ontology(command) => command::ontology::run(command).await,
        Command::Store(command) => command::store::run(command).await,
        #[cfg(feature = "history")]
        Command::History(command) => command::history::run(command).await,
        Command::Sql(args) => command::sql::run(args).await,
        Command::RotateKey(server) => command::operate::rotate_key(server).await,
        Command::Eval(args) => command::eval::run(args).await,
        Command::Bench(args) => command::bench::run(args).await,
        Command::Sim(command) => command::sim::run(command).await,
    }
}
