//! Collects pages, and ends when their text is longer than the limit.

use crate::{ExtractionError, ExtractionLimits, PageText, PageTextSource};

/// The pages so far, and how much text is still allowed.
pub(crate) struct PageCollector<'a> {
    limits: &'a ExtractionLimits,
    pages: Vec<PageText>,
    bytes: usize,
}

impl<'a> PageCollector<'a> {
    pub(crate) fn new(limits: &'a ExtractionLimits) -> Self {
        Self { limits, pages: Vec::new(), bytes: 0 }
    }

    /// Appends a page with its text in the stored form.
    pub(crate) fn add_page(&mut self, source: PageTextSource, text: &str) -> Result<(), ExtractionError> {
        self.check_length(text.len())?;
        if self.pages.len() >= self.limits.max_pages as usize {
            let pages = self.pages.len() as u64 + 1;
            return Err(ExtractionError::TooManyPages { pages, limit: self.limits.max_pages });
        }
        let text = clean_text(text);
        self.bytes += text.len();
        let number = u32::try_from(self.pages.len() + 1).unwrap_or(u32::MAX);
        self.pages.push(PageText { number, source, text });
        Ok(())
    }

    /// Checks that this number of further bytes is allowed.
    pub(crate) fn check_length(&self, additional: usize) -> Result<(), ExtractionError> {
        let limit = self.limits.max_text_bytes;
        if self.bytes.saturating_add(additional) > limit { Err(ExtractionError::TooMuchText { limit }) } else { Ok(()) }
    }

    pub(crate) fn into_pages(self) -> Result<Vec<PageText>, ExtractionError> {
        if self.bytes == 0 { Err(ExtractionError::NoText) } else { Ok(self.pages) }
    }
}

/// Removes control characters and spaces at the ends of lines, and leaves at most one empty line between others.
fn clean_text(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut empty_lines = 0;
    for line in text.replace("\r\n", "\n").split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}', '\u{b}', '\u{c}']) {
        let line: String = line.chars().filter(|c| !is_invisible(*c)).map(blank_as_space).collect();
        let line = line.trim_end();
        if line.trim_start().is_empty() {
            empty_lines += 1;
            continue;
        }
        if !cleaned.is_empty() {
            cleaned.push_str(if empty_lines > 0 { "\n\n" } else { "\n" });
        }
        empty_lines = 0;
        cleaned.push_str(line);
    }
    cleaned
}

/// Invisible characters, which would keep a search for the visible text from finding it.
fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fffe}')
}

fn blank_as_space(c: char) -> char {
    if c == '\u{a0}' || c == '\u{202f}' || ('\u{2000}'..='\u{200a}').contains(&c) { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cleaned_and_its_words_stay() {
        assert_eq!(
            clean_text(" \r\n\r\n1)\r\n1.\u{a0}Sco\u{ad}pe \u{0}\r\n\r\n\r\n\r\nThe\tend\u{c}"),
            "1)\n1. Scope\n\nThe\tend"
        );
    }

    #[test]
    fn too_much_text_and_too_many_pages_are_refused() {
        let limits = ExtractionLimits { max_text_bytes: 10, max_pages: 2, ..ExtractionLimits::default() };
        let mut pages = PageCollector::new(&limits);
        assert!(pages.add_page(PageTextSource::Native, "12345").is_ok());
        assert!(matches!(pages.add_page(PageTextSource::Native, "123456"), Err(ExtractionError::TooMuchText { .. })));
        assert!(pages.add_page(PageTextSource::Native, "").is_ok());
        assert!(matches!(pages.add_page(PageTextSource::Ocr, ""), Err(ExtractionError::TooManyPages { pages: 3, .. })));
        assert!(matches!(PageCollector::new(&limits).into_pages(), Err(ExtractionError::NoText)));
    }
}
