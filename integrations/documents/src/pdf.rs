//! Reads PDF files: the text that a page contains, or an image of a page that contains none.

mod broken_words;
mod column_order;
mod page_content;
mod page_numbers;
mod pdfium_ffi;
#[cfg(test)]
mod tests;

use crate::{
    ExtractionConfig, ExtractionError, ExtractionLimits, FileType, PageText, PageTextSource,
    ocr::{GreyImage, TextRecognizer},
    page_collector::PageCollector,
};

use self::{
    page_content::PageContent,
    pdfium_ffi::{PageHandle, PdfiumError},
};

pub(crate) use self::pdfium_ffi::PdfiumSession;

/// The resolution of rendered pages: at 150 the recognition of small print suffers, at 300 it takes twice as long and
/// is no better on pages that were scanned at 150.
const RENDER_DOTS_PER_INCH: f32 = 200.0;

/// Points per inch, the unit of lengths in PDF.
const POINTS_PER_INCH: f32 = 72.0;

/// The pages of a PDF file.
pub(crate) struct PdfText {
    /// All pages in their order.
    pub(crate) pages: Vec<PageText>,
    /// The numbers of those that cannot be read; they are less than half of all.
    pub(crate) unreadable_pages: Vec<u32>,
}

/// Reads the text of all pages.
pub(crate) fn read_pdf(
    content: &[u8],
    config: &ExtractionConfig,
    text_recognizer: &mut TextRecognizer<'_>,
) -> Result<PdfText, ExtractionError> {
    let session = PdfiumSession::open(&config.pdfium_library()?)?;
    let document = session.open_document(content).map_err(|error| describe_error(error, content))?;
    let limits = &config.limits;
    let count = document.page_count();
    if count == 0 {
        return Err(damaged("it has no pages".to_owned()));
    }
    if count > limits.max_pages {
        return Err(ExtractionError::TooManyPages { pages: u64::from(count), limit: limits.max_pages });
    }
    let mut pages = PageCollector::new(limits);
    let mut unreadable_pages = vec![];
    for index in 0..count {
        let place = format!("page {}", index + 1);
        let Some(page) = document.open_page(index) else {
            // The other pages may be readable.
            unreadable_pages.push(index + 1);
            pages.add_page(PageTextSource::Native, "")?;
            continue;
        };
        let (source, text) = read_page(&page, limits, &pages, text_recognizer, &place)?;
        pages.add_page(source, &text)?;
    }
    let pages = pages.into_pages();
    if let Some(first) = unreadable_pages.first()
        && (unreadable_pages.len() * 2 >= count as usize || matches!(pages, Err(ExtractionError::NoText)))
    {
        return Err(damaged(format!(
            "{} of its {count} pages cannot be read, first page {first}",
            unreadable_pages.len()
        )));
    }
    let mut pages = pages?;
    page_content::join_hyphenated_words(&mut pages);
    broken_words::join_broken_words(&mut pages);
    page_numbers::remove_page_numbers(&mut pages);
    Ok(PdfText { pages, unreadable_pages })
}

fn read_page(
    page: &PageHandle<'_>,
    limits: &ExtractionLimits,
    pages: &PageCollector<'_>,
    text_recognizer: &mut TextRecognizer<'_>,
    place: &str,
) -> Result<(PageTextSource, String), ExtractionError> {
    let allowed = |characters: usize| pages.check_length(characters);
    let content = PageContent::read(page, allowed)?;
    if !content.needs_recognition() {
        return Ok((PageTextSource::Native, content.text));
    }
    if let Some((width, height)) = content.largest_image
        && content.image_pixels > limits.max_image_pixels
    {
        let place = place.to_owned();
        return Err(ExtractionError::ImageTooLarge { place, width, height, limit: limits.max_image_pixels });
    }
    let image = render_page(page, limits).ok_or_else(|| damaged(format!("{place} cannot be rendered")))?;
    if image.pixels.iter().all(|pixel| *pixel == u8::MAX) {
        return Ok((PageTextSource::Native, content.text));
    }
    let found = text_recognizer.read_page(&image, place)?;
    if !content.is_unreadable() && count_letters(&found) <= count_letters(&content.text) {
        return Ok((PageTextSource::Native, content.text));
    }
    Ok((PageTextSource::Ocr, found + &content.field_values))
}

fn count_letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Renders a page at the usual resolution, or lower if it is large.
fn render_page(page: &PageHandle<'_>, limits: &ExtractionLimits) -> Option<GreyImage> {
    let (width, height) = page.size();
    let area = width * height / (POINTS_PER_INCH * POINTS_PER_INCH);
    if !(area.is_finite() && width > 0.0 && height > 0.0) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a limit of this size is exact enough")]
    let limit = limits.max_render_pixels as f32;
    let dots = RENDER_DOTS_PER_INCH.min((limit / area).sqrt());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; bounded again below")]
    let pixels = |length: f32| (length * dots / POINTS_PER_INCH).round().max(1.0) as usize;
    let (width, height) = (pixels(width), pixels(height));
    // A page of one point by a mile has few pixels in all, but more in one row than is meant.
    if width.saturating_mul(height) as u64 > limits.max_render_pixels.saturating_mul(2) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 200")]
    let dots_per_inch = (dots as u32).max(70);
    Some(GreyImage { width, height, pixels: page.render(width, height)?, dots_per_inch })
}

fn damaged(detail: String) -> ExtractionError {
    ExtractionError::Damaged { file_type: FileType::Pdf, detail }
}

fn describe_error(error: PdfiumError, content: &[u8]) -> ExtractionError {
    match error {
        PdfiumError::Password | PdfiumError::Security => ExtractionError::Encrypted,
        PdfiumError::Format | PdfiumError::Other(_) => {
            let end = content.get(content.len().saturating_sub(2048)..).unwrap_or(content);
            let has_end = memchr::memmem::find(end, b"%%EOF").is_some();
            damaged(if has_end { "its structure is invalid" } else { "its end is missing" }.to_owned())
        }
    }
}
