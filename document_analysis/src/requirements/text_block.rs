//! Headings, paragraphs and list items of a text, with the section that they are in.

use std::sync::Arc;

use super::split_sentences;

/// The form of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockForm {
    /// The title of a section, with a number or marked as a heading.
    Heading,
    /// A line that is worded as the title of a section, or as a cell of a table.
    Title,
    /// A paragraph.
    Paragraph,
    /// An item of a list.
    Item,
}

/// A part of a text: a heading, a paragraph or an item of a list. White space in it is normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextBlock {
    /// The page that it begins on.
    pub(crate) page: u32,
    /// The number of its section, as in `L.3.2`.
    pub(crate) number: Option<Arc<str>>,
    /// The title of its section. Shared, because a section may have very many blocks.
    pub(crate) heading: Arc<str>,
    pub(crate) form: BlockForm,
    pub(crate) text: String,
    /// Where later pages begin in the text, in bytes.
    pub(super) later_pages: Vec<(usize, u32)>,
}

/// A sentence with the page that it begins on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PagedSentence<'a> {
    pub(crate) page: u32,
    pub(crate) text: &'a str,
}

impl TextBlock {
    /// The sentences of the block.
    pub(crate) fn sentences(&self) -> Vec<PagedSentence<'_>> {
        let (mut cursor, mut sentences) = (0, Vec::new());
        for text in split_sentences(&self.text) {
            let rest = self.text.get(cursor..).unwrap_or_default();
            let start = cursor + rest.find(text).unwrap_or(0);
            sentences.push(PagedSentence { page: self.page_at(start), text });
            cursor = start + text.len();
        }
        sentences
    }

    /// The first sentence.
    pub(crate) fn first_sentence(&self) -> PagedSentence<'_> {
        let text = split_sentences(&self.text).first().copied().unwrap_or_default();
        PagedSentence { page: self.page, text }
    }

    fn page_at(&self, position: usize) -> u32 {
        let begun = self.later_pages.partition_point(|(start, _)| *start <= position);
        let later = begun.checked_sub(1).and_then(|last| self.later_pages.get(last));
        later.map_or(self.page, |(_, page)| *page)
    }

    /// The page that the block ends on so far.
    pub(super) fn last_page(&self) -> u32 {
        self.later_pages.last().map_or(self.page, |(_, page)| *page)
    }
}
