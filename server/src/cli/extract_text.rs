//! `medhub extract-text`: the child process that reads the file of a document for a worker.

use std::process::ExitCode;

use clap::Args;

/// Extracts the text of one file under limits of memory and time, without network, and prints it as JSON.
#[derive(Debug, Args)]
pub(super) struct ExtractTextArgs {
    /// The file, the settings and the limits, as JSON
    request: String,
}

impl ExtractTextArgs {
    pub(super) fn run(self) -> ExitCode {
        documents::run_extraction_child(&self.request)
    }
}
