//! Why a local engine could not start or had to stop.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a local engine could not start or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The data folder could not be made, read or written.
    #[error("preparing the data folder {path}", path = path.display())]
    DataFolder {
        /// The file or folder concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error("the data folder {path} is in use by another process{by}", path = path.display(), by = named(*pid))]
    Locked {
        /// The data folder.
        path: PathBuf,
        /// The process that holds the lock, where it could be read.
        pid: Option<u32>,
    },
    /// The engine's library is not where it should be.
    #[error("the engine's library {path} does not exist; `medhub-local fetch` brings it", path = path.display())]
    LibraryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The engine's library exists and cannot be used.
    #[error("loading the engine's library {path}", path = path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        source: libloading::Error,
    },
    /// The engine refused to open its data.
    #[error("opening the engine on {path}: {reason}", path = path.display())]
    Open {
        /// The data folder.
        path: PathBuf,
        /// The engine's own words.
        reason: String,
    },
    /// The address cannot be listened on.
    #[error("listening on {address}")]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The HTTP server broke.
    #[error("serving http")]
    Http(#[source] io::Error),
}

fn named(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
