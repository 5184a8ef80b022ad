//! What a page of a PDF file contains, and whether its text has to be recognized from an image.

use std::collections::HashSet;

use super::{
    column_order::{PlacedCharacter, arrange_columns},
    pdfium_ffi::{PageHandle, PageObject},
};
use crate::{ExtractionError, PageText};

/// A page with fewer letters and digits than this counts as a page without text, if it shows anything at all.
const MIN_TEXT_LETTERS: usize = 16;

/// A page that is mostly an image still has text if it has more letters and digits than a stamp or a page number.
const MIN_LETTERS_BESIDE_IMAGE: usize = 200;

/// The share of a page's area above which it is mostly an image.
const IMAGE_SHARE: f32 = 0.5;

/// The share of characters without meaning above which the text of a page is unreadable.
const UNREADABLE_SHARE: usize = 5;

/// The most objects of a page that are looked at.
const MAX_OBJECTS: usize = 20_000;

/// Stands for a hyphen at the end of a line, until all words of the document are known.
pub(super) const LINE_END_HYPHEN: char = '\u{e000}';

/// What a page contains.
#[derive(Debug, Default)]
pub(super) struct PageContent {
    /// Its text, then the values of its form fields.
    pub(super) text: String,
    /// The values of its form fields, one on each line.
    pub(super) field_values: String,
    /// The pixels of all its images.
    pub(super) image_pixels: u64,
    /// Width and height of the largest image in pixels.
    pub(super) largest_image: Option<(u64, u64)>,
    letters: usize,
    unreadable: usize,
    has_objects: bool,
    is_mostly_image: bool,
}

impl PageContent {
    /// Reads a page. `check_length` refuses a text with too many characters.
    pub(super) fn read(
        page: &PageHandle<'_>,
        check_length: impl Fn(usize) -> Result<(), ExtractionError>,
    ) -> Result<Self, ExtractionError> {
        let mut content = Self::default();
        if let Some(text) = page.open_text() {
            check_length(text.len())?;
            let mut placed = Vec::new();
            for character in text.characters() {
                let mut push = |c| {
                    placed.push(PlacedCharacter { character: c, left: character.left, right: character.right });
                };
                match char::from_u32(character.code) {
                    _ if character.is_hyphen => push(LINE_END_HYPHEN),
                    Some(c) if character.is_unmapped || is_meaningless(c) => content.unreadable += 1,
                    Some(c) => {
                        content.letters += usize::from(c.is_alphanumeric());
                        push(c);
                    }
                    None => content.unreadable += 1,
                }
            }
            content.text = arrange_columns(&placed);
        }
        for value in page.field_values() {
            check_length(content.text.len() + content.field_values.len() + value.len())?;
            content.field_values.push('\n');
            content.field_values.push_str(&value);
        }
        content.text.push_str(&content.field_values);
        content.read_objects(page);
        Ok(content)
    }

    fn read_objects(&mut self, page: &PageHandle<'_>) {
        let (width, height) = page.size();
        let mut image_area = 0.0;
        for object in page.objects().take(MAX_OBJECTS) {
            self.has_objects = true;
            match object {
                PageObject::Image { area, width, height } => {
                    image_area += area;
                    let pixels = width.saturating_mul(height);
                    self.image_pixels = self.image_pixels.saturating_add(pixels);
                    if self.largest_image.is_none_or(|(width, height)| width * height < pixels) {
                        self.largest_image = Some((width, height));
                    }
                }
                // A group may contain images.
                PageObject::Group { area } => image_area += area,
                PageObject::Other => {}
            }
        }
        self.is_mostly_image = image_area > width * height * IMAGE_SHARE;
    }

    /// Whether the text that the page contains differs from what it shows.
    pub(super) fn needs_recognition(&self) -> bool {
        self.has_objects
            && (self.letters < MIN_TEXT_LETTERS
                || self.is_unreadable()
                || (self.is_mostly_image && self.letters < MIN_LETTERS_BESIDE_IMAGE))
    }

    /// Whether the characters have no meaning, as with fonts that do not map their glyphs to characters.
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable * UNREADABLE_SHARE > self.letters + self.unreadable
    }
}

/// Characters that fonts without a mapping produce.
fn is_meaningless(c: char) -> bool {
    c == '\u{fffd}' || (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || ('\u{e000}'..='\u{f8ff}').contains(&c)
}

/// Joins words that a hyphen at the end of a line divides. The hyphen goes where the document has the word without it;
/// elsewhere it may belong to the word.
pub(super) fn join_hyphenated_words(pages: &mut [PageText]) {
    if !pages.iter().any(|page| page.text.contains(LINE_END_HYPHEN)) {
        return;
    }
    let words: HashSet<String> = pages.iter().flat_map(|page| split_words(&page.text)).map(str::to_lowercase).collect();
    for page in pages {
        let mut joined = String::with_capacity(page.text.len());
        let mut parts = page.text.split(LINE_END_HYPHEN);
        joined.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let next = part.trim_start();
            let before = joined.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let after = next.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            if before.is_empty() || after.is_empty() {
                joined.push('-');
                joined.push_str(part);
                continue;
            }
            if !words.contains(&format!("{before}{after}").to_lowercase()) {
                joined.push('-');
            }
            joined.push_str(next);
        }
        page.text = joined;
    }
}

fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != LINE_END_HYPHEN).filter(|word| !word.contains(LINE_END_HYPHEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageTextSource;

    #[test]
    fn hyphens_at_line_ends_go_where_the_word_is_known() {
        let text = "The con\u{e000}\ntractor and cost\u{e000}\nreimbursement; a contractor - \u{e000}\nend".to_owned();
        let mut pages = [PageText { number: 1, source: PageTextSource::Native, text }];
        join_hyphenated_words(&mut pages);
        assert_eq!(pages[0].text, "The contractor and cost-reimbursement; a contractor - -\nend");
    }

    #[test]
    fn stamps_on_scans_and_fonts_without_mapping_need_recognition() {
        let scan = PageContent { letters: 40, has_objects: true, is_mostly_image: true, ..PageContent::default() };
        assert!(scan.needs_recognition());
        let unmapped = PageContent { letters: 300, unreadable: 100, has_objects: true, ..PageContent::default() };
        assert!(unmapped.needs_recognition() && unmapped.is_unreadable());
        let with_logo = PageContent { letters: 300, unreadable: 3, has_objects: true, ..PageContent::default() };
        assert!(!with_logo.needs_recognition());
        assert!(!PageContent::default().needs_recognition(), "an empty page");
    }
}
