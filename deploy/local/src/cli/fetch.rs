//! `medhub-local fetch`: fetches artifacts into the cache.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::{FolderOptions, stack_options::StackOptions};
use crate::artifact::{self, DownloadProgress, PinnedArtifact};

const ALL_ARTIFACTS: [&PinnedArtifact; 14] = [
    &artifact::POSTGRES,
    &artifact::REDIS,
    &artifact::JAVA,
    &artifact::KAFKA,
    &artifact::QDRANT,
    &artifact::CHDB,
    &artifact::WORDLLAMA,
    &artifact::GRAPHIQL,
    &artifact::PDFIUM,
    &artifact::S3PROXY,
    &artifact::KUBECTL,
    &artifact::HADOLINT,
    &artifact::MANIFEST_CHECKER,
    &artifact::PROMTOOL,
];

#[derive(Debug, Args)]
pub(super) struct FetchCommand {
    /// Only these: postgres, redis, java, kafka, qdrant, chdb, wordllama, graphiql, pdfium, s3proxy,
    /// kubectl, hadolint, manifest-checker, promtool
    /// [default: all that the stack needs and this machine lacks].
    artifacts: Vec<String>,
    #[command(flatten)]
    options: StackOptions,
}

impl FetchCommand {
    pub(super) async fn run(self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        let options = self.options.into_stack_config(folders, true)?;
        let artifacts =
            if self.artifacts.is_empty() { options.needed_artifacts()? } else { find_artifacts(&self.artifacts)? };
        artifact::ensure_all_cached(&artifacts, &options.settings.cache, &DownloadProgress::default()).await?;
        for artifact in artifacts {
            println!(
                "{:<18}{:<38}{}",
                artifact.name,
                artifact.description,
                artifact.folder(&options.settings.cache).display()
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn find_artifacts(names: &[String]) -> anyhow::Result<Vec<&'static PinnedArtifact>> {
    let find = |name: &String| match ALL_ARTIFACTS.into_iter().find(|artifact| artifact.name == name) {
        Some(artifact) => Ok(artifact),
        None => {
            bail!("no artifact is called {name}; there are {}", ALL_ARTIFACTS.map(|artifact| artifact.name).join(", "))
        }
    };
    names.iter().map(find).collect()
}
