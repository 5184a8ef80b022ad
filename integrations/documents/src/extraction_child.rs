//! The child process: confines itself, extracts the text of one file, and prints the outcome.

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::{
    ExtractedText, ExtractionConfig, ExtractionError, ExtractionFailure, SourceFile, confinement,
    extract_text::{extract_text, read_file},
};

/// What a child process is asked to do; its argument, as JSON. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtractionRequest {
    /// The file.
    pub file: PathBuf,
    /// The name that the user knows it by.
    pub file_name: String,
    /// A folder for temporary files, which belongs to this extraction.
    pub folder: PathBuf,
    /// Settings and limits.
    pub config: ExtractionConfig,
}

/// What a child process prints, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExtractionReport {
    /// The text.
    Extracted(ExtractedText),
    /// Why there is none.
    Failed(ExtractionFailure),
}

/// Extracts the text of one file in this process and prints it as JSON. Ends the process group when standard input is
/// closed: then the process that wants the text is gone.
///
/// The limits of this process are lowered for good, so it must do nothing else.
pub fn run_extraction_child(request: &str) -> ExitCode {
    let report = match extract(request) {
        Ok(text) => ExtractionReport::Extracted(text),
        Err(error) => ExtractionReport::Failed(error.into()),
    };
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let printed = serde_json::to_writer(&mut output, &report).is_ok() && output.flush().is_ok();
    if printed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn extract(request: &str) -> Result<ExtractedText, ExtractionError> {
    let request: ExtractionRequest = serde_json::from_str(request)
        .map_err(|error| ExtractionError::Confinement { step: "reading the request", detail: error.to_string() })?;
    confinement::confine_process(&request)?;
    thread::Builder::new()
        .name("watch-parent".to_owned())
        .stack_size(64 << 10)
        .spawn(end_with_parent)
        .map_err(|source| ExtractionError::Io { action: "watch the process that wants the text", source })?;
    let content = read_file(&request.file, request.config.limits.max_file_bytes)?;
    let file = SourceFile { content: &content, file_name: &request.file_name };
    extract_text(file, &request.config, &request.folder)
}

/// Nothing is ever written to standard input: it only ends.
fn end_with_parent() {
    let mut buffer = [0; 64];
    while std::io::stdin().read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
    let own_group = Pid::from_raw(0);
    // It cannot fail: the group exists, and signals to it are allowed.
    let _ended = kill(own_group, Signal::SIGKILL);
}
