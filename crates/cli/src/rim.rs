//! Where the program touches the machine: files of the ontology, the clock, chance, signals.

use crate::args::{Listen, OntologyFrom, Ports};
use crate::exit::Wrong;
use crate::out;
use anyhow::Context as _;
use engine::Engine;
use ontology::Ontology;
use ontology::SourceFile;
use ontology::Time;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Now, by the clock of this machine.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::EPOCH.plus_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The built-in ontology with a site's folders.
pub fn ontology(from: &OntologyFrom) -> anyhow::Result<Ontology> {
    let files = files(from)?;
    let ontology = ontology::load(&files).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    for note in &ontology.notes {
        out::note(&note.to_string());
    }
    Ok(ontology)
}

/// The YAML files of a site's folders.
pub fn files(from: &OntologyFrom) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for folder in &from.folders {
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("reading the ontology folder {}", folder.display()))?;
        let mut paths = entries
            .map(|entry| Ok(entry.with_context(|| format!("reading {}", folder.display()))?.path()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        // A folder lists its files in any order; the same files must give the same ontology.
        paths.sort();
        let before = files.len();
        for path in paths {
            if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                let text =
                    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                files.push(SourceFile { name: path.display().to_string(), text });
            }
        }
        if files.len() == before {
            out::note(&format!("{} holds no .yaml files and adds nothing to the ontology", folder.display()));
        }
    }
    Ok(files)
}

/// A key nobody can guess.
pub fn random_key() -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut key))
        .context("reading a random key from /dev/urandom")?;
    Ok(key)
}

/// Ctrl-C and SIGTERM, listened to from the moment this is made: none that comes later is missed or ends the process on
/// the spot.
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the operating system does not let us.
    pub fn listen() -> anyhow::Result<Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let (send, receive) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Nobody may be waiting any more.
            let _ = send.send(true);
        });
        Ok(Stop(receive))
    }

    /// Waits until one came; at once when one has come already.
    pub async fn came(&self) {
        // A listener that is gone cannot tell: better to stop than to be unstoppable.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}

/// Reads the ontology again at every SIGHUP; with problems in it, the old one stays and the problems are told.
///
/// # Errors
/// When the operating system does not let us listen.
pub fn on_hangup(engine: Arc<Engine>, from: OntologyFrom) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let (engine, from) = (Arc::clone(&engine), from.clone());
            let done =
                tokio::task::spawn_blocking(move || ontology(&from).map(|o| engine.reload(Arc::new(o))));
            match done.await {
                Ok(Ok(r)) => out::note(&format!(
                    "SIGHUP: ontology {} is in use; {} requests read again, {} items that were set aside went in",
                    r.now,
                    r.requests,
                    r.went_in.max(0)
                )),
                Ok(Err(problems)) => {
                    out::note(&format!("SIGHUP: the ontology stays as it was\n{problems:#}"))
                }
                Err(e) => out::note(&format!("SIGHUP: reading the ontology again ended in a panic: {e}")),
            }
        }
    });
    Ok(())
}

/// Refuses addresses that other machines can reach, unless that was asked for: there is no sign-in yet.
///
/// # Errors
/// When one is not loopback and `--unprotected` was not said.
pub fn guard(listen: &Listen) -> Result<(), Wrong> {
    let Ports { http, otlp_grpc, otlp_http } = &listen.ports;
    let mut all = vec![("--http", http), ("--otlp-grpc", otlp_grpc), ("--otlp-http", otlp_http)];
    all.extend(listen.syslog.as_ref().map(|addr| ("--syslog", addr)));
    guard_these(listen, &all)
}

/// The same of the UDP port for StatsD, where one is asked for.
///
/// # Errors
/// As [`guard`].
pub fn guard_statsd(wanted: Option<SocketAddr>, listen: &Listen) -> Result<(), Wrong> {
    wanted.map_or(Ok(()), |addr| guard_these(listen, &[("--statsd", &addr)]))
}

/// The same of the port for PostgreSQL's protocol. A password does not lift it: without TLS it can be read on the way.
///
/// # Errors
/// As [`guard`].
#[cfg(feature = "history")]
pub fn guard_postgres(wanted: Option<SocketAddr>, listen: &Listen) -> Result<(), Wrong> {
    wanted.map_or(Ok(()), |addr| guard_these(listen, &[("--postgres", &addr)]))
}

/// The first line of a file: a secret.
///
/// # Errors
/// When it cannot be read or is empty.
pub fn secret(what: &str, file: &Path) -> anyhow::Result<Vec<u8>> {
    let text = std::fs::read(file).with_context(|| format!("{what}, {}", file.display()))?;
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii();
    anyhow::ensure!(!line.is_empty(), "{what}, {}: the first line is empty", file.display());
    Ok(line.to_vec())
}

fn guard_these(listen: &Listen, all: &[(&str, &SocketAddr)]) -> Result<(), Wrong> {
    match all.iter().find(|(_, addr)| !addr.ip().to_canonical().is_loopback()) {
        Some((flag, addr)) if !listen.unprotected => Err(Wrong(format!(
            "{flag} {addr} can be reached from other machines, and there is no sign-in and no TLS yet: whoever reaches it reads and \
             writes everything. Listen on 127.0.0.1 behind a proxy that authenticates, or add --unprotected if only people you trust \
             reach it"
        ))),
        _ => Ok(()),
    }
}

/// The addresses themselves where nothing stands, free ports elsewhere; each replacement is told.
pub fn free(wanted: &Ports) -> Ports {
    let mut taken = Vec::new();
    let mut one = |flag: &str, wanted: SocketAddr| {
        // Held until all three are known, or two of them could be given the same free port.
        let bound = TcpListener::bind(wanted).or_else(|_| TcpListener::bind((wanted.ip(), 0)));
        let Some(got) = bound.as_ref().ok().and_then(|l| l.local_addr().ok()) else { return wanted };
        if wanted.port() != 0 && got != wanted {
            out::note(&format!("{wanted} ({flag}) is taken; using {got} instead"));
        }
        taken.extend(bound);
        got
    };
    Ports {
        http: one("--http", wanted.http),
        otlp_grpc: one("--otlp-grpc", wanted.otlp_grpc),
        otlp_http: one("--otlp-http", wanted.otlp_http),
    }
}

/// A folder of our own that goes when it is dropped.
pub struct Temporary(pub PathBuf);

impl Temporary {
    /// Makes one that only this user can read, with a name nobody has taken before.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> anyhow::Result<Temporary> {
        use std::os::unix::fs::DirBuilderExt as _;
        let unique = random_key()?.iter().take(4).map(|b| format!("{b:02x}")).collect::<String>();
        let path = std::env::temp_dir().join(format!("e2egraph-demo-{}-{unique}", std::process::id()));
        // Not `recursive`: a folder that is there already is somebody else's.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("making the temporary folder {}", path.display()))?;
        Ok(Temporary(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary folder, which is emptied by the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(http: &str, unprotected: bool) -> Listen {
        let addr = |text: &str| text.parse().unwrap();
        Listen {
            ports: Ports { http: addr(http), otlp_grpc: addr("127.0.0.1:1"), otlp_http: addr("[::1]:2") },
            syslog: None,
            unprotected,
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            feed_secrets: Vec::new(),
            unsigned_feeds: Vec::new(),
        }
    }

    #[test]
    fn only_loopback_needs_no_protection() {
        for addr in ["127.0.0.1:3", "127.9.9.9:3", "[::1]:3", "[::ffff:127.0.0.1]:3"] {
            assert!(guard(&listen(addr, false)).is_ok(), "{addr}");
        }
        for addr in ["0.0.0.0:3", "[::]:3", "192.0.2.1:3", "[::ffff:192.0.2.1]:3"] {
            let refused = guard(&listen(addr, false)).unwrap_err().to_string();
            assert!(refused.contains(addr) && refused.contains("--unprotected"), "{refused}");
            assert!(guard(&listen(addr, true)).is_ok(), "{addr}");
        }
    }

    #[test]
    fn a_taken_port_is_replaced_and_no_port_is_given_twice() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = taken.local_addr().unwrap();
        let got = free(&Ports { http: wanted, otlp_grpc: wanted, otlp_http: wanted });
        let ports = [wanted, got.http, got.otlp_grpc, got.otlp_http].map(|a| a.port());
        let distinct: std::collections::BTreeSet<u16> = ports.into_iter().collect();
        assert_eq!(distinct.len(), 4, "{ports:?}");
    }

    #[test]
    fn a_temporary_folder_is_private_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Temporary::new().unwrap();
        let path = folder.0.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
