//! Why a text cannot be extracted.

use std::{io, path::PathBuf};

use crate::{ExtractionFailure, ExtractionFailureKind, FileType};

/// Why a text cannot be extracted. The texts are for the user who uploaded the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractionError {
    /// The file has no content.
    #[error("the file is empty")]
    EmptyFile,
    /// The file can be read with a password only.
    #[error("the file is encrypted with a password; remove the password and upload it again")]
    Encrypted,
    /// The content does not follow its format.
    #[error("the {file_type} is damaged or incomplete: {detail}")]
    Damaged {
        /// What the beginning of the content says.
        file_type: FileType,
        /// What is wrong, and where.
        detail: String,
    },
    /// The content is of a type that is not read.
    #[error("the file is {found}, which is not read; upload it as PDF, docx, text, PNG, JPEG or TIFF")]
    UnsupportedType {
        /// What the content is, e.g. `an Excel workbook`.
        found: String,
    },
    /// The file is too large.
    #[error("the file has {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file has too many pages.
    #[error("the file has {pages} pages, at most {limit} are read; split it")]
    TooManyPages {
        /// Its number of pages.
        pages: u64,
        /// The limit.
        limit: u32,
    },
    /// Too many pages need character recognition.
    #[error("more than {limit} pages of the file are images without text; split it, or upload it with text")]
    TooManyScannedPages {
        /// The limit.
        limit: u32,
    },
    /// The text is too long.
    #[error("the text of the file is longer than {limit} bytes; split it")]
    TooMuchText {
        /// The limit in bytes.
        limit: usize,
    },
    /// The compressed content is too large.
    #[error("the content of the file is larger than {limit} bytes when it is unpacked")]
    InflatesTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// An image has too many pixels.
    #[error("{place} has an image of {width} x {height} pixels, at most {limit} pixels are read; scan it at 300 dpi")]
    ImageTooLarge {
        /// Where the image is.
        place: String,
        /// Its width in pixels.
        width: u64,
        /// Its height in pixels.
        height: u64,
        /// The limit of width times height.
        limit: u64,
    },
    /// No page has any text.
    #[error("the file contains no readable text")]
    NoText,
    /// PDFium is not there.
    #[error(
        "the PDF reader PDFium is not installed{}: set MEDHUB__EXTRACTION__PDFIUM_DIR to a folder with libpdfium.so, \
         which the PyPI package pypdfium2 contains; `medhub-local fetch pdfium` fetches it",
        describe_path(path.as_ref())
    )]
    PdfiumMissing {
        /// Where it was expected, if configured.
        path: Option<PathBuf>,
    },
    /// PDFium cannot be loaded.
    #[error("the PDF reader {} cannot be loaded", path.display())]
    PdfiumUnusable {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        #[source]
        source: libloading::Error,
    },
    /// The program tesseract is not there.
    #[error(
        "the file has scanned pages, and the program {} that reads them is not installed: install the Debian package \
         tesseract-ocr, or set MEDHUB__EXTRACTION__TESSERACT to its path",
        program.display()
    )]
    TesseractMissing {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// tesseract cannot read a configured language.
    #[error("tesseract has no data for the language {language}: install the Debian package tesseract-ocr-{language}")]
    LanguageMissing {
        /// The language, in tesseract's notation.
        language: String,
    },
    /// The program tesseract failed.
    #[error("character recognition failed at {place}: {detail}")]
    RecognitionFailed {
        /// The page.
        place: String,
        /// What the program says.
        detail: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The limits of this process cannot be set.
    #[error("the extraction cannot be confined: {step}: {detail}")]
    Confinement {
        /// What was being done.
        step: &'static str,
        /// What the system says.
        detail: String,
    },
}

impl ExtractionError {
    /// The kind, which says whether another attempt may succeed.
    pub fn kind(&self) -> ExtractionFailureKind {
        match self {
            Self::EmptyFile => ExtractionFailureKind::EmptyFile,
            Self::Encrypted => ExtractionFailureKind::Encrypted,
            Self::Damaged { .. } | Self::RecognitionFailed { .. } => ExtractionFailureKind::Damaged,
            Self::UnsupportedType { .. } => ExtractionFailureKind::UnsupportedType,
            Self::TooLarge { .. }
            | Self::TooManyPages { .. }
            | Self::TooManyScannedPages { .. }
            | Self::TooMuchText { .. }
            | Self::InflatesTooLarge { .. }
            | Self::ImageTooLarge { .. } => ExtractionFailureKind::TooLarge,
            Self::NoText => ExtractionFailureKind::NoText,
            Self::PdfiumMissing { .. }
            | Self::PdfiumUnusable { .. }
            | Self::TesseractMissing { .. }
            | Self::LanguageMissing { .. } => ExtractionFailureKind::ToolMissing,
            Self::Io { .. } | Self::Confinement { .. } => ExtractionFailureKind::Interrupted,
        }
    }
}

impl From<ExtractionError> for ExtractionFailure {
    fn from(error: ExtractionError) -> Self {
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            reason.push_str(": ");
            reason.push_str(&source.to_string());
            cause = source.source();
        }
        Self::new(error.kind(), &reason)
    }
}

fn describe_path(path: Option<&PathBuf>) -> String {
    path.map(|path| format!(" ({} does not exist)", path.display())).unwrap_or_default()
}
