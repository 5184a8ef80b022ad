//! `medhub-local fetch`: fills the cache.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::{Places, options::StackOptions};
use crate::piece::{self, Piece, Progress};

const ALL: [&Piece; 9] = [
    &piece::POSTGRES,
    &piece::REDIS,
    &piece::JAVA,
    &piece::KAFKA,
    &piece::QDRANT,
    &piece::TANSU,
    &piece::CHDB,
    &piece::WORDLLAMA,
    &piece::GRAPHIQL,
];

#[derive(Debug, Args)]
pub(super) struct Fetch {
    /// Only these: postgres, redis, java, kafka, qdrant, tansu, chdb, wordllama, graphiql [default: all that this machine lacks].
    pieces: Vec<String>,
    #[command(flatten)]
    options: StackOptions,
}

impl Fetch {
    pub(super) async fn run(self, places: &Places) -> anyhow::Result<ExitCode> {
        let options = self.options.resolve(places, true)?;
        let pieces = if self.pieces.is_empty() { options.pieces()? } else { named(&self.pieces)? };
        piece::ensure_all(&pieces, &options.site.cache, &Progress::default()).await?;
        for piece in pieces {
            println!("{:<12}{:<36}{}", piece.name, piece.holds, piece.place(&options.site.cache).display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn named(names: &[String]) -> anyhow::Result<Vec<&'static Piece>> {
    let find = |name: &String| match ALL.into_iter().find(|piece| piece.name == name) {
        Some(piece) => Ok(piece),
        None => bail!("no piece is called {name}; there are {}", ALL.map(|piece| piece.name).join(", ")),
    };
    names.iter().map(find).collect()
}
