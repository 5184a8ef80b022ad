//! A build of an earlier release, and what it does not know.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::Context as _;
use tokio::process::Command;

use super::FleetRole;

/// A build of `medhub-local` of an earlier release.
#[derive(Debug, Clone)]
pub struct OlderProgram {
    path: PathBuf,
    unknown_settings: BTreeSet<String>,
    roles: Vec<FleetRole>,
}

impl OlderProgram {
    /// Asks the program which roles it has and which of the settings it refuses: it would not start with them, as it would
    /// not in a deployment, where settings are changed together with the image.
    ///
    /// # Errors
    /// If it cannot be run, or is no build of `medhub-local`.
    pub async fn inspect(path: &Path, settings: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let help = run(path, &["serve", "--help"], None).await?;
        anyhow::ensure!(help.status.success(), "{} has no `medhub serve`", path.display());
        let text = String::from_utf8_lossy(&help.stdout);
        let has_role = |role: &FleetRole| text.contains(&format!("- {}:", role.name()));
        let roles = FleetRole::ALL.into_iter().filter(has_role).collect();
        let mut unknown_settings = BTreeSet::new();
        for (name, value) in settings.iter().filter(|(name, _)| name.starts_with("MEDHUB__")) {
            if !run(path, &["config"], Some((name.as_str(), value.as_str()))).await?.status.success() {
                unknown_settings.insert(name.clone());
            }
        }
        Ok(Self { path: path.to_owned(), unknown_settings, roles })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(super) fn has_role(&self, role: FleetRole) -> bool {
        self.roles.contains(&role)
    }

    /// The settings that it knows.
    pub(super) fn filter_settings(&self, settings: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let known = settings.iter().filter(|(name, _)| !self.unknown_settings.contains(*name));
        known.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Prepares the engines with it.
    pub(super) async fn migrate(&self, settings: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let mut command = Command::new(&self.path);
        command.args(["product", "migrate"]).envs(self.filter_settings(settings)).stdin(Stdio::null());
        let migrated = command.output().await.with_context(|| format!("running {}", self.path.display()))?;
        anyhow::ensure!(migrated.status.success(), "migrating: {}", String::from_utf8_lossy(&migrated.stderr));
        Ok(())
    }

    /// What it lacks, for reports.
    pub(super) fn describe(&self) -> String {
        let missing: Vec<_> =
            FleetRole::ALL.into_iter().filter(|role| !self.has_role(*role)).map(FleetRole::name).collect();
        format!(
            "{}: without the roles [{}] and the settings {:?}",
            self.path.display(),
            missing.join(", "),
            self.unknown_settings
        )
    }
}

/// Runs a command of the product without any setting but this one.
async fn run(path: &Path, args: &[&str], setting: Option<(&str, &str)>) -> anyhow::Result<Output> {
    let mut command = Command::new(path);
    command.arg("product").args(args).stdin(Stdio::null()).env_clear();
    command.envs(env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME")).envs(setting);
    command.output().await.with_context(|| format!("running {}", path.display()))
}
