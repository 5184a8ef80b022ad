//! Files that make Apache Kafka start fast. They are made once for each version of Kafka and Java and stored in the
//! cache, or in the stack's data folder if the cache cannot be written.
//!
//! They are a formatted log folder, so that a new stack does not run the format tool, and an archive of the classes
//! that a starting broker loads (Java's dynamic class data sharing, JEP 350), which halves the start time. Both come
//! from one run of the tool and one of the broker, on a temporary folder.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use sha2::{Digest as _, Sha256};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

use super::{CLUSTER_ID, JVM_OPTIONS, server_properties};
use crate::{
    artifact::ArtifactCache,
    folder,
    prepared_folder::PreparedFolder,
    process::{CURRENT_EXE, ProcessIdentity},
};

const ARCHIVE_FILE: &str = "classes.jsa";
const LOG_FOLDER: &str = "formatted";
const BROKER_TIMEOUT: Duration = Duration::from_mins(1);

/// The Java, the jars and the free ports that a kit is made with.
pub(super) struct StartKitBuilder<'a> {
    pub(super) cache: &'a ArtifactCache,
    pub(super) data: &'a Path,
    pub(super) java: &'a Path,
    pub(super) jars: &'a Path,
    pub(super) version: &'a str,
    pub(super) clients_port: u16,
    pub(super) controller_port: u16,
}

/// The finished kit.
pub(super) struct StartKit {
    path: PathBuf,
}

impl StartKit {
    /// The JVM option that loads the archive; a JVM that cannot use the archive ignores it.
    pub(super) fn archive_option(&self) -> OsString {
        path_option("-XX:SharedArchiveFile=", &self.path.join(ARCHIVE_FILE))
    }

    /// Copies the formatted log folder to where a broker will use it.
    pub(super) fn copy_formatted(&self, logs: &Path) -> anyhow::Result<()> {
        folder::create_folder(logs)?;
        // A broker considers a folder formatted once `meta.properties` exists, so that file is copied last.
        let mut files = Vec::new();
        for entry in fs::read_dir(self.path.join(LOG_FOLDER)).context("listing the formatted folder")? {
            files.push(entry?.file_name());
        }
        files.sort_by_key(|name| name == "meta.properties");
        for name in files {
            let to = logs.join(&name);
            fs::copy(self.path.join(LOG_FOLDER).join(&name), &to)
                .with_context(|| format!("writing {}", to.display()))?;
        }
        Ok(())
    }
}

impl StartKitBuilder<'_> {
    /// Returns the existing kit, else builds one.
    pub(super) async fn ensure_kit(&self) -> anyhow::Result<StartKit> {
        let key = format!("{}-{}", self.version, self.fingerprint()?);
        let prepared = PreparedFolder::new(self.cache, self.data, "kafka-start", &key);
        if let Some(path) = prepared.find() {
            return Ok(StartKit { path });
        }
        let draft = prepared.begin_draft()?;
        match self.build_files(draft.path()).await {
            Ok(()) => draft.publish().map(|path| StartKit { path }),
            // Another process may have finished one meanwhile.
            Err(error) => prepared.find().map(|path| StartKit { path }).ok_or(error),
        }
    }

    /// A digest of everything that the archive depends on: Java ignores one whose jars have changed.
    fn fingerprint(&self) -> anyhow::Result<String> {
        let mut digest = Sha256::new();
        digest.update(self.java.as_os_str().as_encoded_bytes());
        digest.update(self.jars.as_os_str().as_encoded_bytes());
        let modified = fs::metadata(self.java).and_then(|java| java.modified()).ok();
        digest.update(format!("{modified:?} {JVM_OPTIONS:?} {:?}", self.list_jars()?));
        Ok(format!("{:x}", digest.finalize()).chars().take(12).collect())
    }

    /// Returns names, sizes and modification times.
    fn list_jars(&self) -> anyhow::Result<Vec<(OsString, u64, SystemTime)>> {
        let describe = |entry: std::io::Result<fs::DirEntry>| {
            // Follows a symbolic link to the jar.
            let entry = entry?;
            let metadata = fs::metadata(entry.path())?;
            Ok((entry.file_name(), metadata.len(), metadata.modified()?))
        };
        let listed = fs::read_dir(self.jars).and_then(|entries| entries.map(describe).collect::<std::io::Result<_>>());
        let mut jars: Vec<_> = listed.with_context(|| format!("listing {}", self.jars.display()))?;
        jars.sort();
        Ok(jars)
    }

    async fn build_files(&self, work: &Path) -> anyhow::Result<()> {
        let (formatted, logs, archive) = (work.join(LOG_FOLDER), work.join("log"), work.join(ARCHIVE_FILE));
        folder::create_folder(&formatted)?;
        let properties = work.join("server.properties");
        fs::write(&properties, server_properties(self.clients_port, self.controller_port, &logs)?)
            .with_context(|| format!("writing {}", properties.display()))?;
        self.format_log_folder(&properties).await?;
        for entry in fs::read_dir(&logs).with_context(|| format!("listing {}", logs.display()))? {
            let entry = entry?;
            fs::copy(entry.path(), formatted.join(entry.file_name())).context("copying the formatted folder")?;
        }
        // Kafka also starts without the archive, only slower.
        if let Err(error) = self.write_archive(&properties, &archive).await {
            tracing::warn!(error = %format!("{error:#}"), "Kafka starts without a class archive");
            remove_if_exists(&archive)?;
        }
        fs::remove_dir_all(&logs).with_context(|| format!("removing {}", logs.display()))?;
        remove_if_exists(&properties)
    }

    async fn format_log_folder(&self, properties: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(self.java);
        command.args(JVM_OPTIONS).arg("-cp").arg(class_path(self.jars)).stdin(Stdio::null()).kill_on_drop(true);
        command.arg("kafka.tools.StorageTool").args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(properties);
        let output = command.output().await.context("running java")?;
        if !output.status.success() {
            let printed = String::from_utf8_lossy(&output.stderr);
            bail!("formatting Kafka's log folder ended with {}: {}", output.status, printed.trim());
        }
        Ok(())
    }

    /// Runs a broker until it listens; Java writes the archive when the broker ends.
    async fn write_archive(&self, properties: &Path, archive: &Path) -> anyhow::Result<()> {
        let mut broker = self.spawn_broker(properties, archive)?;
        let outcome = self.stop_when_listening(&mut broker).await;
        // A running broker must end before its files are removed; without an id it has already ended.
        if broker.id().is_some() {
            broker.kill().await.context("killing Kafka's first run")?;
        }
        outcome
    }

    fn spawn_broker(&self, properties: &Path, archive: &Path) -> anyhow::Result<Child> {
        let mut command = Command::new(CURRENT_EXE);
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
            .arg(path_option("-XX:ArchiveClassesAtExit=", archive))
            .args(JVM_OPTIONS)
            .arg("-cp")
            .arg(class_path(self.jars));
        command.arg("kafka.Kafka").arg(properties).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true).spawn().context("running java")
    }

    async fn stop_when_listening(&self, broker: &mut Child) -> anyhow::Result<()> {
        let started_at = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.clients_port)).await.is_err() {
            if let Some(status) = broker.try_wait().context("waiting for java")? {
                bail!("Kafka's first run ended with {status}");
            }
            if started_at.elapsed() > BROKER_TIMEOUT {
                bail!("Kafka's first run did not listen within {BROKER_TIMEOUT:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        if let Some(identity) = broker.id().and_then(ProcessIdentity::from_pid) {
            identity.send_signal(Signal::SIGTERM);
        }
        tokio::time::timeout(BROKER_TIMEOUT, broker.wait()).await.context("Kafka's first run does not end")??;
        Ok(())
    }
}

/// The Java class path of all jars in a folder.
pub(super) fn class_path(jars: &Path) -> PathBuf {
    jars.join("*")
}

fn path_option(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}

fn remove_if_exists(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_jar_changes_the_fingerprint() {
        let jars = tempfile::tempdir().unwrap();
        let cache = ArtifactCache { folder: jars.path().to_owned(), use_system: false };
        let builder = StartKitBuilder {
            cache: &cache,
            data: jars.path(),
            java: Path::new("java"),
            jars: jars.path(),
            version: "4",
            clients_port: 1,
            controller_port: 2,
        };
        let (jar, time) = (jars.path().join("kafka.jar"), SystemTime::UNIX_EPOCH);
        let write_jar = |name: &str, content: &str, time: SystemTime| {
            fs::write(jars.path().join(name), content).unwrap();
            fs::File::options().append(true).open(jars.path().join(name)).unwrap().set_modified(time).unwrap();
            builder.fingerprint().unwrap()
        };

        let first = write_jar("kafka.jar", "one", time);
        assert_eq!(builder.fingerprint().unwrap(), first);
        let resized = write_jar("kafka.jar", "three", time);
        let newer = write_jar("kafka.jar", "three", time + Duration::from_secs(1));
        fs::rename(&jar, jars.path().join("other.jar")).unwrap();
        let renamed = builder.fingerprint().unwrap();

        let different: std::collections::BTreeSet<_> = [first, resized, newer, renamed].into();
        assert_eq!(different.len(), 4);
    }
}
