//! Reads Word documents in the Office Open XML format: a zip archive with parts in XML.

mod body_reader;
mod document_package;
mod list_numbering;
mod part_events;

use crate::{ExtractionError, ExtractionLimits, FileType, PageText, PageTextSource, page_collector::PageCollector};

use self::{body_reader::BodyReader, document_package::DocumentPackage, list_numbering::ListNumbering};

/// Reads the text of a document: its body by pages where the file says where they begin, page headers and footers with
/// the first page, and footnotes with the last.
pub(crate) fn read_docx(content: &[u8], limits: &ExtractionLimits) -> Result<Vec<PageText>, ExtractionError> {
    let mut package = DocumentPackage::open(content, limits.max_inflated_bytes)?;
    let main_part = package.find_main_part()?;
    let numbering = match package.read_optional("word/numbering.xml")? {
        Some(numbering) => ListNumbering::read(&numbering, package.read_optional("word/styles.xml")?.as_deref())?,
        None => ListNumbering::default(),
    };
    let body = package.read_part(&main_part)?;
    let mut body_pages = BodyReader::new(limits, numbering).read(&body, &main_part)?;
    drop(body);

    let headers = package.read_repeated("header", limits)?;
    let footers = package.read_repeated("footer", limits)?;
    if let Some(first) = body_pages.first_mut() {
        first.insert_str(0, &headers);
        first.push_str(&footers);
    }
    if let (Some(footnotes), Some(last)) = (package.read_optional("word/footnotes.xml")?, body_pages.last_mut()) {
        let notes = BodyReader::new(limits, ListNumbering::default()).read(&footnotes, "word/footnotes.xml")?;
        last.push_str(&notes.concat());
    }
    let mut pages = PageCollector::new(limits);
    for page in &body_pages {
        pages.add_page(PageTextSource::Native, page)?;
    }
    pages.into_pages()
}

fn damaged(detail: impl Into<String>) -> ExtractionError {
    ExtractionError::Damaged { file_type: FileType::Docx, detail: detail.into() }
}
