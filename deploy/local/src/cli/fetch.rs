//! `medhub-local fetch`: fills the cache.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::{FolderOptions, stack_options::StackOptions};
use crate::artifact::{self, DownloadProgress, PinnedArtifact};

const ALL_ARTIFACTS: [&PinnedArtifact; 9] = [
    &artifact::POSTGRES,
    &artifact::REDIS,
    &artifact::JAVA,
    &artifact::KAFKA,
    &artifact::QDRANT,
    &artifact::TANSU,
    &artifact::CHDB,
    &artifact::WORDLLAMA,
    &artifact::GRAPHIQL,
];

#[derive(Debug, Args)]
pub(super) struct FetchCommand {
    /// Only these: postgres, redis, java, kafka, qdrant, tansu, chdb, wordllama, graphiql [default: all that this machine lacks].
    pieces: Vec<String>,
    #[command(flatten)]
    options: StackOptions,
}

impl FetchCommand {
    pub(super) async fn run(self, places: &FolderOptions) -> anyhow::Result<ExitCode> {
        let options = self.options.resolve(places, true)?;
        let pieces = if self.pieces.is_empty() { options.pieces()? } else { named(&self.pieces)? };
        artifact::ensure_all(&pieces, &options.settings.cache, &DownloadProgress::default()).await?;
        for piece in pieces {
            println!("{:<12}{:<36}{}", piece.name, piece.description, piece.place(&options.settings.cache).display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn named(names: &[String]) -> anyhow::Result<Vec<&'static PinnedArtifact>> {
    let find = |name: &String| match ALL_ARTIFACTS.into_iter().find(|piece| piece.name == name) {
        Some(piece) => Ok(piece),
        None => bail!("no piece is called {name}; there are {}", ALL_ARTIFACTS.map(|piece| piece.name).join(", ")),
    };
    names.iter().map(find).collect()
}
