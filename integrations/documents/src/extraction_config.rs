//! The settings of text extraction.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `extraction.pdfium_dir` | none | folder with PDFium's `libpdfium.so` |
//! | `extraction.tesseract` | `tesseract` | the program tesseract: a path, or a name on PATH |
//! | `extraction.ocr_languages` | `eng` | languages of scanned pages in tesseract's notation, e.g. `eng+spa` |
//! | `extraction.folder` | `medhub-extraction-<user id>` in the temporary folder | folder for copies of files while they are read; it belongs to the user that runs the program |
//! | `extraction.require_confinement` | `false` | refuses to read files where the kernel has no Landlock, without which the child process could read other files of its user |
//! | `extraction.limits` | see [`ExtractionLimits`] | what one file may cost |

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ExtractionError, ExtractionLimits};

/// The settings of text extraction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExtractionConfig {
    /// The folder with PDFium's library; without it PDF files cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdfium_dir: Option<PathBuf>,
    /// The program tesseract, which reads scanned pages: a path, or a name on PATH.
    pub tesseract: PathBuf,
    /// The languages that scanned pages are read in, in tesseract's notation.
    pub ocr_languages: String,
    /// The folder for copies of files while they are read; without it one in the temporary folder of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Whether files are read only where the child process can be confined completely.
    pub require_confinement: bool,
    /// What one file may cost.
    pub limits: ExtractionLimits,
}

impl Default for ExtractionConfig {
    fn default() -> Self {
        Self {
            pdfium_dir: None,
            tesseract: "tesseract".into(),
            ocr_languages: "eng".to_owned(),
            folder: None,
            require_confinement: false,
            limits: ExtractionLimits::default(),
        }
    }
}

impl ExtractionConfig {
    /// The path of PDFium's library.
    ///
    /// # Errors
    /// [`ExtractionError::PdfiumMissing`] if it is not configured or not there.
    pub(crate) fn pdfium_library(&self) -> Result<PathBuf, ExtractionError> {
        let path = self.pdfium_dir.as_ref().map(|folder| folder.join("libpdfium.so"));
        match path {
            Some(path) if path.is_file() => Ok(path),
            path => Err(ExtractionError::PdfiumMissing { path }),
        }
    }

    /// The path of the program tesseract.
    ///
    /// # Errors
    /// [`ExtractionError::TesseractMissing`] if there is none.
    pub(crate) fn tesseract_program(&self) -> Result<PathBuf, ExtractionError> {
        let missing = || ExtractionError::TesseractMissing { program: self.tesseract.clone() };
        if self.tesseract.components().count() > 1 {
            return self.tesseract.is_file().then(|| self.tesseract.clone()).ok_or_else(missing);
        }
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let mut programs = std::env::split_paths(&folders).map(|folder| folder.join(&self.tesseract));
        programs.find(|program| Path::is_file(program)).ok_or_else(missing)
    }
}
