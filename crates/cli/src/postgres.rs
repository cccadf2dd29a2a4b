//! SQL by PostgreSQL's protocol, wired to a server's history.

use crate::args::PostgresAt;
use crate::history::Kept;
use crate::rim;
use ::history::{Bounds, Password, Postgres};
use anyhow::Context as _;
use server::listen::bind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What was asked for.
pub struct Wanted {
    addr: SocketAddr,
    password: Option<Password>,
}

/// A port that is served.
pub struct Listening {
    /// Its address; with the port that was given when port 0 was asked for.
    pub addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What the command line asks for, with the password read.
pub fn wanted(at: &PostgresAt) -> anyhow::Result<Option<Wanted>> {
    let Some(addr) = at.postgres else { return Ok(None) };
    let password = at.postgres_password.as_ref().map(|file| -> anyhow::Result<Password> {
        let line = rim::secret("the password of --postgres", file)?;
        let text = String::from_utf8(line).with_context(|| format!("the password in {}", file.display()))?;
        Ok(Password::new(text))
    });
    Ok(Some(Wanted { addr, password: password.transpose()? }))
}

impl Wanted {
    /// Opens the port and serves it.
    pub async fn open(self, kept: &Kept) -> anyhow::Result<Listening> {
        let listener = bind(self.addr, "PostgreSQL's protocol", "--postgres").await?;
        let addr = listener.local_addr().unwrap_or(self.addr);
        let bounds = Bounds {
            rows: server::SQL_ROWS,
            time: Duration::from_secs(server::SQL_SECONDS),
            ..Bounds::default()
        };
        let (sql, threads, now) = (kept.sql(), kept.threads(), kept.now());
        let postgres = Postgres { sql, threads, now, bounds, password: self.password };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(postgres.serve(listener, kept.postgres(), stopped)?);
        Ok(Listening { addr, stop, task })
    }
}

impl Listening {
    /// Ends what runs, tells clients, and waits for them a little.
    pub async fn stop(self) {
        // It may have ended already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}
