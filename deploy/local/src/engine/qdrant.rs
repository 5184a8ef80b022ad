//! Qdrant: the engine is compiled into this program and served in a process of its own.

use super::{Choice, Launch, Origin, Site};
use crate::{
    port::{Port, Ports},
    process::THIS_PROGRAM,
};

pub(super) fn choose() -> Choice {
    Choice {
        origin: Origin::BuiltIn,
        version: "qdrant-edge 0.7.2".to_owned(),
        place: std::env::current_exe().unwrap_or_else(|_| THIS_PROGRAM.into()),
        pieces: Vec::new(),
        java: None,
    }
}

pub(super) fn prepare(site: &Site, ports: &Ports) -> anyhow::Result<Launch> {
    let listen = format!("127.0.0.1:{}", ports.of(Port::Qdrant)?);
    Ok(Launch::new(THIS_PROGRAM)
        .args(["engine", "qdrant", "--listen", &listen, "--folder"])
        .args([site.folder("qdrant")]))
}
