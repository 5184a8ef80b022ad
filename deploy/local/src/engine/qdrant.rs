//! Qdrant: the engine of a Python package, served over Qdrant's gRPC API by a Python program that is embedded in this
//! one.

mod program_sources;

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{EngineProgram, EngineSettings, LaunchSpec};
use crate::{
    artifact::{ArtifactCache, QDRANT},
    service_port::{AllocatedPorts, ServicePort},
};

pub(super) fn choose_program(settings: &EngineSettings) -> EngineProgram {
    EngineProgram { version: "qdrant-edge 0.9.0".to_owned(), ..EngineProgram::from_artifact(&QDRANT, settings) }
}

pub(super) fn prepare_launch(settings: &EngineSettings, ports: &AllocatedPorts) -> anyhow::Result<LaunchSpec> {
    let listen = format!("127.0.0.1:{}", ports.number(ServicePort::Qdrant)?);
    server_command(&settings.cache, &listen, &settings.data_folder)
}

/// The command that serves the engine's part of a stack's data folder at `listen` (address and port), once [`QDRANT`]
/// is in the cache.
///
/// # Errors
/// If the cache lacks the artifact, or the program can be written neither there nor to the data folder.
pub fn server_command(cache: &ArtifactCache, listen: &str, data: &Path) -> anyhow::Result<LaunchSpec> {
    let artifact_folder = QDRANT.folder(cache);
    let record = artifact_folder.join(crate::artifact::INTERPRETER_FILE);
    let interpreter = fs::read_to_string(&record).with_context(|| format!("reading {}", record.display()))?;
    let program = program_sources::install_program(cache, data)?;
    let search_path =
        std::env::join_paths([program, artifact_folder.join("packages")]).context("joining PYTHONPATH")?;
    let mut launch = LaunchSpec::new(interpreter)
        .args(["-m", "medhub_qdrant", "--listen", listen, "--folder"])
        .args([data.join("qdrant")]);
    let search_path = search_path.into_string().map_err(|path| anyhow::anyhow!("{} is not UTF-8", path.display()))?;
    launch.variables.insert("PYTHONPATH".to_owned(), search_path);
    // Packages of the user or a virtual environment would shadow the artifact's packages.
    launch.variables.insert("PYTHONNOUSERSITE".to_owned(), "1".to_owned());
    // Files in the program's working directory would too.
    launch.variables.insert("PYTHONSAFEPATH".to_owned(), "1".to_owned());
    Ok(launch)
}
