//! Whether the programs and libraries that read files are there, for `medhub doctor`.

use std::process::{Command, Stdio};

use crate::{ExtractionConfig, ExtractionError, pdf::PdfiumSession};

/// Whether a program or library is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolStatus {
    /// Its name.
    pub name: &'static str,
    /// Where it is, if it can be used.
    pub found: Option<String>,
    /// Why it cannot be used, and how to get it.
    pub problem: Option<String>,
}

/// Loads PDFium and runs tesseract; takes some 100 ms.
pub fn check_tools(config: &ExtractionConfig) -> Vec<ToolStatus> {
    let pdfium = config.pdfium_library().and_then(|path| {
        let found = path.display().to_string();
        PdfiumSession::open(&path).map(|_loaded| found)
    });
    vec![ToolStatus::new("pdfium", pdfium), ToolStatus::new("tesseract", find_languages(config))]
}

impl ToolStatus {
    fn new(name: &'static str, outcome: Result<String, ExtractionError>) -> Self {
        Self::from_outcome(name, outcome.map_err(|error| crate::ExtractionFailure::from(error).reason))
    }

    pub(crate) fn from_outcome(name: &'static str, outcome: Result<String, String>) -> Self {
        let (found, problem) = match outcome {
            Ok(found) => (Some(found), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { name, found, problem }
    }
}

/// Checks that tesseract runs and has all configured languages.
fn find_languages(config: &ExtractionConfig) -> Result<String, ExtractionError> {
    let program = config.tesseract_program()?;
    let output = Command::new(&program)
        .arg("--list-langs")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ExtractionError::Io { action: "run tesseract", source })?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let lacks = |language: &&str| !listed.lines().any(|line| line.trim() == *language);
    match config.ocr_languages.split('+').find(lacks) {
        None => Ok(format!("{} ({})", program.display(), config.ocr_languages)),
        Some(language) => Err(ExtractionError::LanguageMissing { language: language.to_owned() }),
    }
}
