//! What makes Apache Kafka start fast, made once for each version of Kafka and Java and then kept in the cache.
//!
//! A formatted log folder, which saves each new stack the run of the format tool, and an archive of the classes that a
//! starting broker loads (Java's dynamic class data sharing, JEP 350), which halves the start. Both come from one run of
//! the tool and one of the broker, on a folder that is thrown away.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpStream, process::Command, time::sleep};

use super::{CLUSTER, JVM, server_properties};
use crate::{
    folder,
    piece::Cache,
    process::{Identity, THIS_PROGRAM},
};

const ARCHIVE: &str = "classes.jsa";
const FORMATTED: &str = "formatted";
const BROKER_LIMIT: Duration = Duration::from_mins(1);

/// The Java, the jars and the free ports that a kit is made with.
pub(super) struct Maker<'a> {
    pub(super) cache: &'a Cache,
    pub(super) java: &'a Path,
    pub(super) class_path: &'a Path,
    pub(super) version: &'a str,
    pub(super) clients_port: u16,
    pub(super) controller_port: u16,
}

/// The finished kit.
pub(super) struct StartKit {
    place: PathBuf,
}

impl StartKit {
    /// The option of the Java machine that uses the archive; a Java that cannot use it ignores it.
    pub(super) fn archive_option(&self) -> OsString {
        option("-XX:SharedArchiveFile=", &self.place.join(ARCHIVE))
    }

    /// Copies the formatted log folder to where a broker will use it.
    pub(super) fn copy_formatted(&self, logs: &Path) -> anyhow::Result<()> {
        folder::make(logs)?;
        // A broker takes a folder for formatted once this file is there, so it comes last.
        let mut files = Vec::new();
        for entry in fs::read_dir(self.place.join(FORMATTED)).context("listing the formatted folder")? {
            files.push(entry?.file_name());
        }
        files.sort_by_key(|name| name == "meta.properties");
        for name in files {
            let to = logs.join(&name);
            fs::copy(self.place.join(FORMATTED).join(&name), &to)
                .with_context(|| format!("writing {}", to.display()))?;
        }
        Ok(())
    }
}

impl Maker<'_> {
    /// The kit from the cache, made first where it is missing.
    pub(super) async fn ensure(&self) -> anyhow::Result<StartKit> {
        let place = self.cache.folder.join(format!("kafka-start-{}-{}", self.version, self.fingerprint()));
        if !place.exists() {
            folder::make(&self.cache.folder)?;
            let work = self.cache.folder.join(format!(".kafka-start.{}", uuid::Uuid::new_v4().simple()));
            let made = self.make(&work).await;
            if made.is_ok() && !place.exists() {
                // Another process may be faster, and its kit is as good.
                let _renamed_or_there = fs::rename(&work, &place);
            }
            if work.exists() {
                fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))?;
            }
            made?;
        }
        Ok(StartKit { place })
    }

    /// Names everything that an archive depends on.
    fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.java.as_os_str().as_encoded_bytes());
        digest.update(self.class_path.as_os_str().as_encoded_bytes());
        let modified = fs::metadata(self.java).and_then(|java| java.modified()).ok();
        digest.update(format!("{modified:?} {JVM:?}"));
        format!("{:x}", digest.finalize()).chars().take(12).collect()
    }

    async fn make(&self, work: &Path) -> anyhow::Result<()> {
        let (formatted, logs) = (work.join(FORMATTED), work.join("log"));
        folder::make(&formatted)?;
        let properties = work.join("server.properties");
        fs::write(&properties, server_properties(self.clients_port, self.controller_port, &logs)?)
            .with_context(|| format!("writing {}", properties.display()))?;
        self.format(&properties).await?;
        for entry in fs::read_dir(&logs).with_context(|| format!("listing {}", logs.display()))? {
            let entry = entry?;
            fs::copy(entry.path(), formatted.join(entry.file_name())).context("copying the formatted folder")?;
        }
        // Without an archive Kafka starts all the same, only slower.
        if let Err(error) = self.train(&properties, &work.join(ARCHIVE)).await {
            tracing::warn!(error = %format!("{error:#}"), "Kafka starts without an archive of classes");
        }
        for left in [logs, properties] {
            let removed = if left.is_dir() { fs::remove_dir_all(&left) } else { fs::remove_file(&left) };
            removed.with_context(|| format!("removing {}", left.display()))?;
        }
        Ok(())
    }

    async fn format(&self, properties: &Path) -> anyhow::Result<()> {
        let mut command = self.java();
        command.arg("kafka.tools.StorageTool").args(["format", "--cluster-id", CLUSTER, "--config"]).arg(properties);
        let output = command.output().await.context("running java")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("formatting Kafka's log folder ended with {}: {}", output.status, said.trim());
        }
        Ok(())
    }

    /// Runs a broker until it listens; Java writes the archive when it ends.
    async fn train(&self, properties: &Path, archive: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(THIS_PROGRAM);
        command.as_std_mut().arg0("medhub-local").process_group(0);
        command.args([
            "guard",
            "--parent",
            &std::process::id().to_string(),
            "--signal",
            Signal::SIGKILL.as_str(),
            "--",
        ]);
        command
            .arg(self.java)
            .arg(option("-XX:ArchiveClassesAtExit=", archive))
            .args(JVM)
            .arg("-cp")
            .arg(self.class_path);
        command.arg("kafka.Kafka").arg(properties).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut broker = command.kill_on_drop(true).spawn().context("running java")?;
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.clients_port)).await.is_err() {
            if let Some(status) = broker.try_wait().context("waiting for java")? {
                bail!("Kafka's first run ended with {status}");
            }
            if began.elapsed() > BROKER_LIMIT {
                bail!("Kafka's first run does not listen within {BROKER_LIMIT:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        if let Some(identity) = broker.id().and_then(Identity::of) {
            identity.send(Signal::SIGTERM);
        }
        tokio::time::timeout(BROKER_LIMIT, broker.wait()).await.context("Kafka's first run does not end")??;
        Ok(())
    }

    fn java(&self) -> Command {
        let mut command = Command::new(self.java);
        command.args(JVM).arg("-cp").arg(self.class_path).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

fn option(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}
