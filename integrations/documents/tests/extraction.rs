//! Files of all kinds through the child process, hostile ones included.
#![expect(clippy::unwrap_used, reason = "a failed step of a test panics")]

#[path = "extraction/confinement.rs"]
mod confinement;
#[path = "extraction/docx_builder.rs"]
mod docx_builder;
#[path = "extraction/hostile_docx.rs"]
mod hostile_docx;
#[path = "extraction/hostile_pdf.rs"]
mod hostile_pdf;
#[path = "extraction/pdf_builder.rs"]
mod pdf_builder;
#[path = "extraction/real_documents.rs"]
mod real_documents;
#[path = "extraction/resource_limits.rs"]
mod resource_limits;
#[path = "extraction/test_tools.rs"]
mod test_tools;
#[path = "extraction/usual_files.rs"]
mod usual_files;

use std::{fs, path::PathBuf};

use documents::{
    ExtractedText, ExtractionConfig, ExtractionFailure, ExtractionLimits, ExtractionProcess, ExtractionProgram,
    check_tools,
};
use tempfile::TempDir;

/// The program that only extracts.
fn extraction_program() -> ExtractionProgram {
    ExtractionProgram::new(PathBuf::from(env!("CARGO_BIN_EXE_extract_text")), [])
}

fn config_with(limits: ExtractionLimits) -> ExtractionConfig {
    ExtractionConfig { limits, ..test_tools::extraction_config() }
}

/// Writes a file and extracts its text with the default limits.
async fn extract(content: &[u8], name: &str) -> Result<ExtractedText, ExtractionFailure> {
    extract_within(content, name, ExtractionLimits::default()).await
}

async fn extract_within(
    content: &[u8],
    name: &str,
    limits: ExtractionLimits,
) -> Result<ExtractedText, ExtractionFailure> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("upload");
    fs::write(&file, content).unwrap();
    ExtractionProcess::new(extraction_program(), config_with(limits)).extract(&file, name).await
}

fn page_texts(text: &ExtractedText) -> Vec<&str> {
    text.pages.iter().map(|page| page.text.as_str()).collect()
}
