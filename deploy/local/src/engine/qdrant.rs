//! Qdrant: the engine of a Python package, served over Qdrant's gRPC API by a Python program that this one carries.

mod program;

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{Choice, Launch, Site};
use crate::{
    piece::{Cache, QDRANT},
    port::{Port, Ports},
};

pub(super) fn choose(site: &Site) -> Choice {
    Choice { version: "qdrant-edge 0.9.0".to_owned(), ..Choice::package(&QDRANT, site) }
}

pub(super) fn prepare(site: &Site, ports: &Ports) -> anyhow::Result<Launch> {
    let listen = format!("127.0.0.1:{}", ports.of(Port::Qdrant)?);
    server_command(&site.cache, &listen, &site.data)
}

/// The command that serves the engine's part of a stack's data folder at `listen` (address and port), once [`QDRANT`] is
/// in the cache.
///
/// # Errors
/// Where the cache lacks the piece, or the program can be written neither there nor to the data folder.
pub fn server_command(cache: &Cache, listen: &str, data: &Path) -> anyhow::Result<Launch> {
    let piece = QDRANT.place(cache);
    let record = piece.join(crate::piece::INTERPRETER);
    let interpreter = fs::read_to_string(&record).with_context(|| format!("reading {}", record.display()))?;
    let program = program::install(cache, data)?;
    let search_path = std::env::join_paths([program, piece.join("packages")]).context("joining PYTHONPATH")?;
    let mut launch = Launch::new(interpreter)
        .args(["-m", "medhub_qdrant", "--listen", listen, "--folder"])
        .args([data.join("qdrant")]);
    let search_path = search_path.into_string().map_err(|path| anyhow::anyhow!("{} is not UTF-8", path.display()))?;
    launch.variables.insert("PYTHONPATH".to_owned(), search_path);
    // Packages of the user or a virtual environment would shadow those of the piece.
    launch.variables.insert("PYTHONNOUSERSITE".to_owned(), "1".to_owned());
    // And so would files in the folder that the program is started in.
    launch.variables.insert("PYTHONSAFEPATH".to_owned(), "1".to_owned());
    Ok(launch)
}
