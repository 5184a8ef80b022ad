//! CSV report of rejected rows and omitted values, one line each; not written if there are none.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

/// A report whose file is created with the first entry.
pub(in crate::cli) struct RejectionReport {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl RejectionReport {
    /// Creates a report for `path`; nothing is written yet.
    pub(in crate::cli) fn with_path(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Adds an entry: the line on which the row starts, `rejected` or `left out`, the column or an empty string, and
    /// the reason.
    pub(in crate::cli) fn add_entry(&mut self, line: u64, outcome: &str, column: &str, reason: &str) -> io::Result<()> {
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

    /// Flushes the file and returns its path, if there is a report.
    pub(in crate::cli) fn finish(mut self) -> io::Result<Option<PathBuf>> {
        match self.file.take() {
            None => Ok(None),
            Some(mut file) => file.flush().map(|()| Some(self.path)),
        }
    }
}
