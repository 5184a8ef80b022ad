//! The text of uploaded files, page by page.
//!
//! ```text
//! ExtractionProcess ──starts──▶ child process: limits, no network, no secrets
//!        ▲                          │ extract_text
//!        │                          ├─ PDF: PDFium ──page without text──▶ image ──▶ tesseract
//!        │                          ├─ docx: zip and XML
//!        │                          ├─ PNG, JPEG, TIFF: tesseract
//!        └──────── JSON ────────────┴─ plain text, HTML
//! ```
//!
//! The content of a file decides how it is read, not its name. Files come from strangers, and the libraries that read
//! them are large: a harmful file costs at most one child process within the limits of [`ExtractionLimits`].

mod confinement;
mod confinement_check;
mod docx;
mod extract_text;
mod extracted_text;
mod extraction_child;
mod extraction_config;
mod extraction_error;
mod extraction_failure;
mod extraction_folder;
mod extraction_limits;
mod extraction_process;
mod extraction_watch;
mod file_type;
mod html;
mod image_header;
mod language;
mod ocr;
mod page_collector;
mod pdf;
mod plain_text;
#[cfg(test)]
#[path = "../tests/extraction/test_tools.rs"]
mod test_tools;
mod tool_check;

pub use self::{
    confinement_check::check_confinement,
    extract_text::{SourceFile, extract_text},
    extracted_text::{ExtractedText, PageText, PageTextSource, TextMethod},
    extraction_child::{ExtractionRequest, run_extraction_child},
    extraction_config::ExtractionConfig,
    extraction_error::ExtractionError,
    extraction_failure::{ExtractionFailure, ExtractionFailureKind, FaultOrigin},
    extraction_folder::{ExtractionFolder, ExtractionFolderError},
    extraction_limits::{ExtractionLimits, MAX_EXTRACTION_MEMORY_BYTES},
    extraction_process::{ExtractionProcess, ExtractionProgram},
    file_type::FileType,
    tool_check::{ToolStatus, check_tools},
};
