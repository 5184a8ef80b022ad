//! Redis: `redis-server` of the machine, else that of a Python package.

use anyhow::Context as _;

use super::{Choice, Launch, Origin, Site, version_in};
use crate::{
    folder,
    piece::REDIS,
    port::{Port, Ports},
    process::{on_path, output_of},
};

pub(super) fn choose(site: &Site) -> Choice {
    let system = || {
        let program = on_path("redis-server")?;
        let version = version_in(&output_of(&program, &["--version"])?)?;
        Some(Choice { origin: Origin::System, version, place: program, pieces: Vec::new(), java: None })
    };
    let package = || Choice {
        place: REDIS.place(&site.cache).join("redis-server"),
        version: "6.2.5".to_owned(),
        ..Choice::package(&REDIS, site)
    };
    site.cache.use_system.then(system).flatten().unwrap_or_else(package)
}

pub(super) fn prepare(choice: &Choice, site: &Site, ports: &Ports) -> anyhow::Result<Launch> {
    let data = site.folder("redis");
    folder::make(&data)?;
    let folder = data.to_str().context("the data folder's name is not UTF-8")?;
    let port = ports.of(Port::Redis)?.to_string();
    // Not `everysec`: that one puts a write off while a sync runs, and kill -9 loses what was acknowledged meanwhile.
    // With `no` every write reaches the kernel before its answer is sent, and only a crash of the machine loses it;
    // read models are rebuilt from the event store then.
    let args = ["--bind", "127.0.0.1", "--port", &port, "--dir", folder, "--appendonly", "yes", "--appendfsync", "no"];
    let more = ["--save", "", "--aof-load-truncated", "yes", "--daemonize", "no", "--loglevel", "notice"];
    Ok(Launch::new(&choice.place).args(args).args(more))
}
