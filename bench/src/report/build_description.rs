//! The measuring program: its version, commit and build profile.

use std::{process::Stdio, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

/// Profiles that measure the program that people install.
const INSTALLED_PROFILES: [&str; 2] = ["release", "dist"];

/// How long `git` may take.
const GIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The program that measures, which is also the one that is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildDescription {
    /// Version of the product.
    pub version: String,
    /// Commit of the checkout that the benchmark was run in, with `-dirty` if it was changed; `None` outside of one.
    pub commit: Option<String>,
    /// Cargo's build profile.
    pub profile: String,
    /// Optimisation level of the profile.
    pub opt_level: String,
}

impl BuildDescription {
    /// Cargo's build profile of this program.
    pub const PROFILE: &'static str = env!("BENCH_BUILD_PROFILE");

    /// Describes this program. `commit` overrides what `git` reports for the current folder.
    pub async fn detect(commit: Option<String>) -> Self {
        let commit = match commit {
            Some(commit) => Some(commit),
            None => describe_checkout().await,
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            profile: Self::PROFILE.to_owned(),
            opt_level: env!("BENCH_OPT_LEVEL").to_owned(),
        }
    }

    /// Whether people install programs of this profile.
    pub fn is_installed_profile(profile: &str) -> bool {
        INSTALLED_PROFILES.contains(&profile)
    }
}

/// Returns the commit of the current folder; `None` if it is no checkout, or there is no `git`.
async fn describe_checkout() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]);
    git.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(GIT_TIMEOUT, git.output()).await.ok()?.ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    let commit = commit.trim();
    (output.status.success() && !commit.is_empty()).then(|| commit.to_owned())
}
