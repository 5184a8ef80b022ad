//! The list of rejected rows: one line each, in CSV; written only when there are any.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

/// A report that comes into being with its first row.
pub(super) struct Report {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Report {
    /// A report that would be written to `path`.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Adds a row: the line on which it starts, and why it was rejected.
    pub(super) fn add(&mut self, line: u64, reason: &str) -> io::Result<()> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let mut file = BufWriter::new(File::create(&self.path)?);
            writeln!(file, "line,reason")?;
            file
        };
        let file = self.file.insert(file);
        writeln!(file, "{line},\"{}\"", reason.replace('"', "\"\""))
    }

    /// Writes out what is left; the path, if there is a report.
    pub(super) fn finish(mut self) -> io::Result<Option<PathBuf>> {
        match self.file.take() {
            None => Ok(None),
            Some(mut file) => file.flush().map(|()| Some(self.path)),
        }
    }
}
