//! The schema registry: this program in the role `registry`, on the stack's Postgres.

use super::{EngineProgram, LaunchSpec, ProgramOrigin};
use crate::{
    process::CURRENT_EXE,
    service_port::{AllocatedPorts, ServicePort},
};

pub(super) fn choose_program() -> EngineProgram {
    EngineProgram {
        origin: ProgramOrigin::BuiltIn,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        path: std::env::current_exe().unwrap_or_else(|_| CURRENT_EXE.into()),
        artifacts: Vec::new(),
        java: None,
    }
}

/// The registry stores its data in Postgres; the stack passes the address.
pub(super) fn prepare_launch(ports: &AllocatedPorts) -> anyhow::Result<LaunchSpec> {
    let mut launch = LaunchSpec::new(CURRENT_EXE).args(["product", "serve", "--role", "registry"]);
    let listen = format!("127.0.0.1:{}", ports.number(ServicePort::Registry)?);
    launch.variables.insert("MEDHUB__HTTP__LISTEN".to_owned(), listen);
    Ok(launch)
}
