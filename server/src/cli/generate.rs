//! `medhub generate`: generates notices, the same for the same seed.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use synthetic::notice_generator;

use super::progress_display::{ProgressDisplay, ProgressUnit};

/// Generates notices in the 47 columns of SAM.gov's CSV extract, with its typical flaws: the same rows for the same
/// seed.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// Number of notices
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: u64,
    /// Seed of the generator: another seed gives other notices
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Output file; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

impl GenerateArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.out == Path::new("-") {
            self.write_notices(io::stdout().lock())?;
        } else {
            let context = || format!("writing {}", self.out.display());
            let file = File::create(&self.out).with_context(context)?;
            self.write_notices(file).with_context(context)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn write_notices(&self, out: impl Write) -> anyhow::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let mut progress = ProgressDisplay::start(ProgressUnit::Rows, Some(self.rows));
        notice_generator::write_csv(&mut out, self.rows, self.seed, |done| progress.update(done, String::new))?;
        progress.finish();
        out.flush()?;
        Ok(())
    }
}
