//! Where the program touches the machine: files of the ontology, chance, signals.

use crate::args::OntologyFrom;
use anyhow::Context as _;
use ontology::Ontology;
use ontology::SourceFile;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};

/// The built-in ontology with a site's folders.
pub fn ontology(from: &OntologyFrom) -> anyhow::Result<Ontology> {
    let files = files(from)?;
    ontology::load(&files).map_err(|problems| anyhow::anyhow!("{problems}"))
}

/// The YAML files of a site's folders.
pub fn files(from: &OntologyFrom) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for folder in &from.folders {
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("reading the ontology folder {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
            if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                let text =
                    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                files.push(SourceFile { name: path.display().to_string(), text });
            }
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

/// Waits for Ctrl-C or SIGTERM.
pub async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler SIGTERM ends the process at once, which the log survives.
        Err(_) => drop(interrupt.await),
    }
}

/// The address itself when nothing stands there, else one with a free port.
pub fn free(wanted: SocketAddr) -> SocketAddr {
    let bound = TcpListener::bind(wanted).or_else(|_| TcpListener::bind((wanted.ip(), 0)));
    bound.and_then(|l| l.local_addr()).unwrap_or(wanted)
}
