//! The schema registry: this very program in the role `registry`, on the stack's Postgres.

use super::{Choice, Launch, Origin};
use crate::{
    port::{Port, Ports},
    process::THIS_PROGRAM,
};

pub(super) fn choose() -> Choice {
    Choice {
        origin: Origin::BuiltIn,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        place: std::env::current_exe().unwrap_or_else(|_| THIS_PROGRAM.into()),
        pieces: Vec::new(),
        java: None,
    }
}

/// Its data is in Postgres; where that is, the stack tells it.
pub(super) fn prepare(ports: &Ports) -> anyhow::Result<Launch> {
    let mut launch = Launch::new(THIS_PROGRAM).args(["product", "serve", "--role", "registry"]);
    let listen = format!("127.0.0.1:{}", ports.of(Port::Registry)?);
    launch.variables.insert("MEDHUB__HTTP__LISTEN".to_owned(), listen);
    Ok(launch)
}
