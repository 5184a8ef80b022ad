//! The source of an import. It is opened before any engine is connected to, so that a wrong path fails at once.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use sam_gov::{NoticeReader, SourceEncoding, SourceError};

use super::byte_meter::ByteMeter;

/// A source that is open and whose format is known.
pub(super) struct ImportSource {
    /// Its path or `standard input`, for messages.
    pub(super) name: String,
    pub(super) rows: NoticeReader,
    /// Size of the file before decompression; `None` for pipes and standard input.
    pub(super) size_bytes: Option<u64>,
    pub(super) meter: ByteMeter,
    file: Option<PathBuf>,
}

impl ImportSource {
    /// Opens a file, or standard input for `-`.
    pub(super) async fn open(
        path: &Path,
        format: Option<sam_gov::SourceFormat>,
        encoding: SourceEncoding,
    ) -> anyhow::Result<Self> {
        let path = path.to_owned();
        // Reading standard input blocks until the writer sends data.
        tokio::task::spawn_blocking(move || Self::open_blocking(&path, format, encoding)).await?
    }

    fn open_blocking(
        path: &Path,
        format: Option<sam_gov::SourceFormat>,
        encoding: SourceEncoding,
    ) -> anyhow::Result<Self> {
        let meter = ByteMeter::default();
        if path == Path::new("-") {
            let rows = open_rows(meter.wrap_reader(io::stdin()), format, encoding).context("reading standard input")?;
            return Ok(Self { name: "standard input".to_owned(), rows, size_bytes: None, meter, file: None });
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        let metadata = file.metadata().with_context(|| format!("opening {name}"))?;
        // A named pipe has a path but no size.
        let size_bytes = metadata.is_file().then_some(metadata.len());
        let rows = open_rows(meter.wrap_reader(file), format, encoding).with_context(|| format!("reading {name}"))?;
        Ok(Self { name, rows, size_bytes, meter, file: Some(path.to_owned()) })
    }

    /// Default path of the rejection report: beside the file, or `import.rejected.csv` for standard input.
    pub(super) fn default_report_path(&self) -> PathBuf {
        let mut name = self.file.clone().unwrap_or_else(|| PathBuf::from("import")).into_os_string();
        name.push(".rejected.csv");
        PathBuf::from(name)
    }
}

fn open_rows(
    source: impl Read + Send + 'static,
    format: Option<sam_gov::SourceFormat>,
    encoding: SourceEncoding,
) -> Result<NoticeReader, SourceError> {
    let mut decompressed = sam_gov::open_source(source)?;
    let format = match format {
        Some(format) => format,
        None => sam_gov::detect_format(&mut decompressed)?,
    };
    sam_gov::read_notices(decompressed, format, encoding)
}
