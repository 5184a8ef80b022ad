//! Pinned artifacts: what package clients fetch into the cache, once per pinned version.
//!
//! An artifact is complete or absent: under a lock, it is assembled in a temporary folder and renamed to its own, so
//! that an interrupted or parallel fetch never leaves an incomplete one.

mod download_progress;
mod package_client;
mod pinned_artifacts;

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use futures::future::join_all;

pub use self::{
    download_progress::DownloadProgress,
    pinned_artifacts::{
        CHDB, GRAPHIQL, HADOLINT, JAVA, KAFKA, KUBECTL, MANIFEST_CHECKER, PDFIUM, POSTGRES, PROMTOOL, QDRANT, REDIS,
        S3PROXY, WORDLLAMA,
    },
};
use crate::folder::{self, ProcessLock};

/// The cache of artifacts, and what may be used to fill it.
#[derive(Debug, Clone)]
pub struct ArtifactCache {
    /// The folder with one folder per artifact.
    pub folder: PathBuf,
    /// Whether an installed Java and Maven may be used.
    pub use_system: bool,
}

/// An artifact that a package client can fetch, in one exact version.
#[derive(Debug)]
pub struct PinnedArtifact {
    /// Name, and folder within the cache.
    pub name: &'static str,
    /// What it is, with its version.
    pub description: &'static str,
    /// The package that carries it, as its registry names it.
    pub package: &'static str,
    /// Changes whenever the content does.
    pub version: &'static str,
    /// Approximate size of the download, in bytes.
    pub download_bytes: u64,
    /// Another way to get it, as advice to the user.
    pub alternative: &'static str,
    method: FetchMethod,
}

#[derive(Debug)]
enum FetchMethod {
    /// `npm pack` of each, then only the named files of it.
    Npm(&'static [PackageSpec]),
    /// `npm ci` of a lock file: all of its packages, as `node_modules`.
    NpmProject { manifest: &'static str, lock: &'static str },
    /// `pip download` of a wheel for this Python version, independent of the Python that runs pip.
    Wheel { python: &'static str, package: PackageSpec },
    /// `pip install` of pinned wheels into a folder, for the Python that runs pip.
    PythonPackages { requirements: &'static str, files: &'static [(&'static str, &'static str)] },
    /// Some files of a package of this machine's Debian or Ubuntu, in the version of that release.
    Debian(PackageSpec),
    /// Jars with their dependencies: by Maven, else by `jgo` if that can resolve them.
    Jars(JarSpec),
}

/// Jars that Maven and `jgo` resolve with their dependencies.
#[derive(Debug)]
struct JarSpec {
    /// Maven's project that depends on the jars.
    pom: &'static str,
    /// The same jars in `jgo`'s notation; `None` if it cannot resolve them, and Maven is needed.
    jgo_coordinates: Option<&'static str>,
}

/// A package and the files to take from it.
#[derive(Debug)]
struct PackageSpec {
    /// Name and version in the client's notation.
    spec: &'static str,
    /// Pairs of a path in the package and its path in the artifact.
    files: &'static [(&'static str, &'static str)],
    /// Files of the artifact to make executable: wheels do not preserve that permission.
    programs: &'static [&'static str],
}

const VERSION_FILE: &str = ".version";

/// The file that names the interpreter which an artifact of Python packages was installed for.
pub(crate) const INTERPRETER_FILE: &str = "interpreter";

impl PinnedArtifact {
    /// The artifact's folder, whether it exists or not.
    pub fn folder(&self, cache: &ArtifactCache) -> PathBuf {
        cache.folder.join(self.name)
    }

    /// Whether the pinned version is in the cache, and still usable.
    pub fn is_cached(&self, cache: &ArtifactCache) -> bool {
        let folder = self.folder(cache);
        let is_pinned_version =
            fs::read_to_string(folder.join(VERSION_FILE)).is_ok_and(|version| version == self.version);
        // Compiled packages work only with the Python version that they were installed for.
        let lacks_interpreter = matches!(self.method, FetchMethod::PythonPackages { .. })
            && !fs::read_to_string(folder.join(INTERPRETER_FILE)).is_ok_and(|path| Path::new(&path).exists());
        is_pinned_version && !lacks_interpreter
    }

    /// Returns why no package client of this machine can fetch the artifact; `None` if one can.
    pub fn missing_client(&self, cache: &ArtifactCache) -> Option<String> {
        package_client::describe_missing_client(&self.method, cache.use_system)
    }

    /// Fetches the artifact into the cache unless it is there, and returns its folder.
    ///
    /// # Errors
    /// If the artifact cannot be fetched; the error names what was tried and how else to get it.
    pub async fn ensure_cached(&self, cache: &ArtifactCache, progress: &DownloadProgress) -> anyhow::Result<PathBuf> {
        if !self.is_cached(cache) {
            let fetched = self.fetch(cache, progress).await;
            fetched.with_context(|| self.describe_missing(cache))?;
        }
        Ok(self.folder(cache))
    }

    fn describe_missing(&self, cache: &ArtifactCache) -> String {
        format!(
            "missing: {} ({}), not in the cache at {}. To get it: `medhub-local fetch {}` while the registry can be \
             reached (package {}), or {}",
            self.name,
            self.description,
            self.folder(cache).display(),
            self.name,
            self.package,
            self.alternative
        )
    }

    async fn fetch(&self, cache: &ArtifactCache, progress: &DownloadProgress) -> anyhow::Result<()> {
        folder::create_folder(&cache.folder)?;
        let _lock = self.lock(cache, progress).await?;
        if self.is_cached(cache) {
            return Ok(());
        }
        if let Some(reason) = self.missing_client(cache) {
            return Err(anyhow!(reason));
        }
        let started = Instant::now();
        let work = cache.folder.join(format!(".{}.partial-{}", self.name, process::id()));
        remove_matching(&cache.folder, &format!(".{}.", self.name))?;
        let meter = progress.watch_folder(self, work.join("client"));
        let outcome = self.assemble(&work, cache).await;
        drop(meter);
        let removed = remove_if_exists(&work);
        outcome?;
        removed?;
        progress.print_line(&format!(
            "fetched {} ({}) in {:.1} s",
            self.name,
            self.description,
            started.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Waits until no other process fetches this artifact, and locks it.
    async fn lock(&self, cache: &ArtifactCache, progress: &DownloadProgress) -> anyhow::Result<ProcessLock> {
        let lock_file = cache.folder.join(format!("{}.lock", self.name));
        let mut is_announced = false;
        loop {
            match ProcessLock::acquire(&lock_file) {
                Ok(lock) => return Ok(lock),
                Err(_) if ProcessLock::is_held(&lock_file) => {
                    if !is_announced {
                        progress.print_line(&format!("waiting for another process that fetches {}", self.name));
                        is_announced = true;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn assemble(&self, work: &Path, cache: &ArtifactCache) -> anyhow::Result<()> {
        let staging = work.join("artifact");
        fs::create_dir_all(work.join("client")).with_context(|| format!("making {}", work.display()))?;
        folder::create_folder(&staging)?;
        package_client::fetch_packages(&self.method, cache.use_system, work, &staging).await?;
        fs::write(staging.join(VERSION_FILE), self.version).context("writing the version file")?;
        let target = self.folder(cache);
        if target.exists() {
            // Programs that run from the older version keep their open files.
            fs::rename(&target, work.join("old")).context("moving the old version away")?;
        }
        fs::rename(&staging, &target).context("moving the new version into place")
    }
}

/// Fetches all `artifacts` in parallel.
///
/// # Errors
/// If any cannot be fetched; the error names every one that failed.
pub async fn ensure_all_cached(
    artifacts: &[&'static PinnedArtifact],
    cache: &ArtifactCache,
    progress: &DownloadProgress,
) -> anyhow::Result<()> {
    let outcomes = join_all(artifacts.iter().map(|artifact| artifact.ensure_cached(cache, progress))).await;
    let failures: Vec<String> =
        outcomes.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if failures.is_empty() { Ok(()) } else { Err(anyhow!(failures.join("\n\n"))) }
}

fn remove_if_exists(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes what an interrupted run left behind.
fn remove_matching(folder: &Path, prefix: &str) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            remove_if_exists(&entry.path())?;
        }
    }
    Ok(())
}
