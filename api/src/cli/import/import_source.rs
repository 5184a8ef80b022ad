//! Where notices come from: looked at before any store is, so that a wrong path is told at once.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use commands::sam::{self, NoticeReader, SourceEncoding, SourceError};

use super::byte_meter::ByteMeter;

/// A source that was opened and whose beginning makes sense.
pub(super) struct ImportSource {
    /// For messages.
    pub(super) name: String,
    /// Its notices.
    pub(super) rows: NoticeReader,
    /// Its size, where it has one.
    pub(super) size_bytes: Option<u64>,
    /// How much of it was read.
    pub(super) meter: ByteMeter,
    file: Option<PathBuf>,
}

impl ImportSource {
    /// Opens a file, or standard input for `-`.
    pub(super) async fn open(
        path: &Path,
        format: Option<sam::SourceFormat>,
        encoding: SourceEncoding,
    ) -> anyhow::Result<Self> {
        let path = path.to_owned();
        // Standard input may take its time.
        tokio::task::spawn_blocking(move || Self::open_blocking(&path, format, encoding)).await?
    }

    fn open_blocking(path: &Path, format: Option<sam::SourceFormat>, encoding: SourceEncoding) -> anyhow::Result<Self> {
        let meter = ByteMeter::default();
        if path == Path::new("-") {
            let rows = open_rows(meter.wrap_reader(io::stdin()), format, encoding).context("reading standard input")?;
            return Ok(Self { name: "standard input".to_owned(), rows, size_bytes: None, meter, file: None });
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        let size = file.metadata().with_context(|| format!("opening {name}"))?;
        // A pipe has a path, too, but no size.
        let bytes = size.is_file().then_some(size.len());
        let rows = open_rows(meter.wrap_reader(file), format, encoding).with_context(|| format!("reading {name}"))?;
        Ok(Self { name, rows, size_bytes: bytes, meter, file: Some(path.to_owned()) })
    }

    /// Where rejected rows and values that were left out are listed if nobody says otherwise: beside the file.
    pub(super) fn default_report_path(&self) -> PathBuf {
        let mut name = self.file.clone().unwrap_or_else(|| PathBuf::from("import")).into_os_string();
        name.push(".rejected.csv");
        PathBuf::from(name)
    }
}

fn open_rows(
    source: impl Read + Send + 'static,
    format: Option<sam::SourceFormat>,
    encoding: SourceEncoding,
) -> Result<NoticeReader, SourceError> {
    let mut plain = sam::open_source(source)?;
    let format = match format {
        Some(format) => format,
        None => sam::detect_format(&mut plain)?,
    };
    sam::read_notices(plain, format, encoding)
}
