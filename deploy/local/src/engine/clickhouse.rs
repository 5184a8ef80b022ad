//! ClickHouse: the engine's library from an npm package, served by this program in a separate process.

use super::{EngineProgram, EngineSettings, LaunchSpec, ProgramOrigin};
use crate::{
    artifact::CHDB,
    process::CURRENT_EXE,
    service_port::{AllocatedPorts, ServicePort},
};

pub(super) fn choose_program(settings: &EngineSettings) -> EngineProgram {
    EngineProgram {
        origin: ProgramOrigin::Package,
        path: CHDB.folder(&settings.cache).join("libchdb.so"),
        ..EngineProgram::from_artifact(&CHDB, settings)
    }
}

pub(super) fn prepare_launch(
    choice: &EngineProgram,
    settings: &EngineSettings,
    ports: &AllocatedPorts,
) -> anyhow::Result<LaunchSpec> {
    let listen = format!("127.0.0.1:{}", ports.number(ServicePort::ClickHouse)?);
    let mut launch = LaunchSpec::new(CURRENT_EXE)
        .args(["engine", "clickhouse", "--listen", &listen, "--folder"])
        .args([settings.folder("clickhouse")])
        .args(["--library".into(), choice.path.clone().into_os_string()]);
    // The engine reads the server's time zone from this variable.
    launch.variables.insert("TZ".to_owned(), "UTC".to_owned());
    Ok(launch)
}
