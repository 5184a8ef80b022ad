//! The list of rejected rows and of values that were left out: one line each, in CSV; written only when there are any.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

/// A report that comes into being with its first row.
pub(super) struct RejectionReport {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl RejectionReport {
    /// A report that would be written to `path`.
    pub(super) fn with_path(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Adds what became of a row or a value: the line on which the row starts, `rejected` or `left out`, the column if it is
    /// about one, and why.
    pub(super) fn add_entry(&mut self, line: u64, outcome: &str, column: &str, reason: &str) -> io::Result<()> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let mut file = BufWriter::new(File::create(&self.path)?);
            writeln!(file, "line,outcome,column,reason")?;
            file
        };
        let file = self.file.insert(file);
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        writeln!(file, "{line},{outcome},{},{}", quoted(column), quoted(reason))
    }

    /// Writes out what is left; the path, if there is a report.
    pub(super) fn finish(mut self) -> io::Result<Option<PathBuf>> {
        match self.file.take() {
            None => Ok(None),
            Some(mut file) => file.flush().map(|()| Some(self.path)),
        }
    }
}
