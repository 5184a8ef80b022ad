//! Extracts the text of a file in this process.

use std::{fs, io::Read as _, path::Path};

use crate::{
    ExtractedText, ExtractionConfig, ExtractionError, FileType, PageTextSource, docx::read_docx, html::read_html,
    image_header::check_image, ocr::TextRecognizer, page_collector::PageCollector, pdf::read_pdf,
    plain_text::read_plain_text,
};

/// A file and what its sender says about it.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'a> {
    /// The content.
    pub content: &'a [u8],
    /// Its name, which only errors use.
    pub file_name: &'a str,
}

/// Extracts the text of a file in this process, with the limits of `config` that need no other process: pages, pixels
/// and lengths. [`crate::ExtractionProcess`] adds the limits of memory and time. `folder` holds images for a moment.
///
/// # Errors
/// [`ExtractionError`], whose kind says whether the file is the cause.
pub fn extract_text(
    file: SourceFile<'_>,
    config: &ExtractionConfig,
    folder: &Path,
) -> Result<ExtractedText, ExtractionError> {
    let limits = &config.limits;
    let bytes = file.content.len() as u64;
    if bytes > limits.max_file_bytes {
        return Err(ExtractionError::TooLarge { bytes, limit: limits.max_file_bytes });
    }
    let file_type = FileType::detect(file.content, file.file_name)?;
    let mut recognizer = TextRecognizer::new(config, folder);
    let mut unreadable_pages = vec![];
    let pages = match file_type {
        FileType::Pdf => {
            let read = read_pdf(file.content, config, &mut recognizer)?;
            unreadable_pages = read.unreadable_pages;
            read.pages
        }
        FileType::Docx => read_docx(file.content, limits)?,
        FileType::PlainText => read_plain_text(file.content, limits)?,
        FileType::Html => read_html(file.content, limits)?,
        FileType::Png | FileType::Jpeg | FileType::Tiff => {
            let images = check_image(file_type, file.content, limits)?;
            let text = recognizer.read_image_file(file.content, images)?;
            let mut pages = PageCollector::new(limits);
            for page in text.strip_suffix('\u{c}').unwrap_or(&text).split('\u{c}') {
                pages.add_page(PageTextSource::Ocr, page)?;
            }
            pages.into_pages()?
        }
    };
    Ok(ExtractedText::from_pages(file_type, pages, unreadable_pages))
}

/// Reads a file that is not larger than the limit.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, ExtractionError> {
    let io = |source| ExtractionError::Io { action: "read the file", source };
    let file = fs::File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    if bytes > limit {
        return Err(ExtractionError::TooLarge { bytes, limit });
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content).map_err(io)?;
    Ok(content)
}
