//! Redis: the machine's `redis-server`, or else a Python package's.

use anyhow::Context as _;

use super::{EngineProgram, EngineSettings, LaunchSpec, ProgramOrigin};
use crate::{
    artifact::REDIS,
    folder,
    process::{find_on_path, read_output},
    program_version::parse_version,
    service_port::{AllocatedPorts, ServicePort},
};

pub(super) fn choose_program(settings: &EngineSettings) -> EngineProgram {
    let system = || {
        let program = find_on_path("redis-server")?;
        let version = parse_version(&read_output(&program, &["--version"])?)?;
        Some(EngineProgram { origin: ProgramOrigin::System, version, path: program, artifacts: Vec::new(), java: None })
    };
    let package = || EngineProgram {
        path: REDIS.folder(&settings.cache).join("redis-server"),
        version: "6.2.5".to_owned(),
        ..EngineProgram::from_artifact(&REDIS, settings)
    };
    settings.cache.use_system.then(system).flatten().unwrap_or_else(package)
}

pub(super) fn prepare_launch(
    choice: &EngineProgram,
    settings: &EngineSettings,
    ports: &AllocatedPorts,
) -> anyhow::Result<LaunchSpec> {
    let data = settings.folder("redis");
    folder::create_folder(&data)?;
    let folder = data.to_str().context("the data folder's name is not UTF-8")?;
    let port = ports.number(ServicePort::Redis)?.to_string();
    // Not `everysec`: it delays writes while a sync runs, and kill -9 then loses acknowledged writes. With `no` every
    // write reaches the kernel before its answer is sent, and only a crash of the machine loses it; read models are
    // then rebuilt from the event store.
    let args = ["--bind", "127.0.0.1", "--port", &port, "--dir", folder, "--appendonly", "yes", "--appendfsync", "no"];
    let persistence_args = ["--save", "", "--aof-load-truncated", "yes", "--daemonize", "no", "--loglevel", "notice"];
    Ok(LaunchSpec::new(&choice.path).args(args).args(persistence_args))
}
