//! Errors of a local engine.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a local engine could not start or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The data folder could not be created, read or written.
    #[error("preparing the data folder {path}", path = path.display())]
    DataFolder {
        /// The file or folder concerned.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error("the data folder {path} is in use by another process{by}", path = path.display(), by = format_pid(*pid))]
    Locked {
        /// The data folder.
        path: PathBuf,
        /// The process that holds the lock, if its pid could be read.
        pid: Option<u32>,
    },
    /// The engine's library does not exist.
    #[error("the engine's library {path} does not exist; `medhub-local fetch` fetches it", path = path.display())]
    LibraryMissing {
        /// The expected path of the library.
        path: PathBuf,
    },
    /// The engine's library exists, but cannot be loaded.
    #[error("loading the engine's library {path}", path = path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// The loader's error.
        source: libloading::Error,
    },
    /// The engine refused to open its data.
    #[error("opening the engine on {path}: {reason}", path = path.display())]
    Open {
        /// The data folder.
        path: PathBuf,
        /// The engine's error text.
        reason: String,
    },
    /// The server cannot listen on the address.
    #[error("listening on {address}")]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The HTTP server failed.
    #[error("serving http")]
    Http(#[source] io::Error),
}

fn format_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
