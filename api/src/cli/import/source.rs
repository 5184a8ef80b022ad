//! Where notices come from: looked at before any store is, so that a wrong path is told at once.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use commands::sam::{self, Encoding, Rows, SourceError};

use super::meter::Meter;

/// A source that was opened and whose beginning makes sense.
pub(super) struct Source {
    /// For messages.
    pub(super) name: String,
    /// Its notices.
    pub(super) rows: Rows,
    /// Its size, where it has one.
    pub(super) bytes: Option<u64>,
    /// How much of it was read.
    pub(super) meter: Meter,
    file: Option<PathBuf>,
}

impl Source {
    /// Opens a file, or standard input for `-`.
    pub(super) async fn open(path: &Path, format: Option<sam::Format>, encoding: Encoding) -> anyhow::Result<Self> {
        let path = path.to_owned();
        // Standard input may take its time.
        tokio::task::spawn_blocking(move || Self::open_blocking(&path, format, encoding)).await?
    }

    fn open_blocking(path: &Path, format: Option<sam::Format>, encoding: Encoding) -> anyhow::Result<Self> {
        let meter = Meter::default();
        if path == Path::new("-") {
            let rows = rows(meter.count(io::stdin()), format, encoding).context("reading standard input")?;
            return Ok(Self { name: "standard input".to_owned(), rows, bytes: None, meter, file: None });
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        let size = file.metadata().with_context(|| format!("opening {name}"))?;
        // A pipe has a path, too, but no size.
        let bytes = size.is_file().then_some(size.len());
        let rows = rows(meter.count(file), format, encoding).with_context(|| format!("reading {name}"))?;
        Ok(Self { name, rows, bytes, meter, file: Some(path.to_owned()) })
    }

    /// Where rejected rows and values that were left out are listed if nobody says otherwise: beside the file.
    pub(super) fn default_report(&self) -> PathBuf {
        let mut name = self.file.clone().unwrap_or_else(|| PathBuf::from("import")).into_os_string();
        name.push(".rejected.csv");
        PathBuf::from(name)
    }
}

fn rows(
    source: impl Read + Send + 'static,
    format: Option<sam::Format>,
    encoding: Encoding,
) -> Result<Rows, SourceError> {
    let mut plain = sam::open(source)?;
    let format = match format {
        Some(format) => format,
        None => sam::detect(&mut plain)?,
    };
    sam::rows(plain, format, encoding)
}
