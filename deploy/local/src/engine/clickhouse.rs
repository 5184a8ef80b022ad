//! ClickHouse: the engine's library from an npm package, served by this program in a process of its own.

use super::{Choice, Launch, Origin, Site};
use crate::{
    piece::CHDB,
    port::{Port, Ports},
    process::THIS_PROGRAM,
};

pub(super) fn choose(site: &Site) -> Choice {
    Choice {
        origin: Origin::Package,
        place: CHDB.place(&site.cache).join("libchdb.so"),
        ..Choice::package(&CHDB, site)
    }
}

pub(super) fn prepare(choice: &Choice, site: &Site, ports: &Ports) -> anyhow::Result<Launch> {
    let listen = format!("127.0.0.1:{}", ports.of(Port::ClickHouse)?);
    let mut launch = Launch::new(THIS_PROGRAM)
        .args(["engine", "clickhouse", "--listen", &listen, "--folder"])
        .args([site.folder("clickhouse")])
        .args(["--library".into(), choice.place.clone().into_os_string()]);
    // The engine takes the server's time zone from here.
    launch.variables.insert("TZ".to_owned(), "UTC".to_owned());
    Ok(launch)
}
