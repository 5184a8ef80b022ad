//! Splits the text of a document into chunks. No chunk extends over two pages.

use super::passage::{find_cut, index_back};

/// The character between two pages of a text.
const PAGE_SEPARATOR: char = '\u{c}';

/// Longest chunk, in characters.
const CHUNK_CHARS: usize = 1_000;

/// How far before the limit a place to split is searched for, in characters.
const MAX_LOOK_BACK: usize = 200;

/// How many characters of a chunk its successor repeats at most: whole sentences or lines, so that those that belong
/// together are in one chunk.
const MAX_OVERLAP: usize = 200;

/// A part of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextChunk<'a> {
    /// Number of the page, from 1.
    pub(super) page: u32,
    pub(super) text: &'a str,
}

/// The chunks of a text, in order; blank pages have none.
pub(super) fn split_chunks(text: &str) -> impl Iterator<Item = TextChunk<'_>> {
    let pages = text.split(PAGE_SEPARATOR).zip(1..);
    pages.flat_map(|(rest, page)| PageChunks { rest }.map(move |text| TextChunk { page, text }))
}

/// The chunks of a page.
struct PageChunks<'a> {
    rest: &'a str,
}

impl<'a> Iterator for PageChunks<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let Some((limit, _)) = rest.char_indices().nth(CHUNK_CHARS) else {
            self.rest = "";
            return Some(rest.trim_end());
        };
        let end = find_cut(rest, index_back(rest, limit, MAX_LOOK_BACK), limit);
        let (chunk, after) = rest.split_at(end);
        self.rest = if after.trim_start().is_empty() { "" } else { &rest[overlap_start(rest, end)..] };
        Some(chunk.trim_end())
    }
}

/// Where the chunk after one that ends at `end` begins: with a sentence or line that ends the former, if it has a short
/// one.
fn overlap_start(text: &str, end: usize) -> usize {
    let from = index_back(text, end, MAX_OVERLAP);
    let window = text[from..end].trim_end();
    let after_first = |mark: &str| window.find(mark).map(|index| from + index + mark.len());
    after_first(". ").or_else(|| after_first("\n")).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(text: &str) -> Vec<(u32, &str)> {
        split_chunks(text).map(|chunk| (chunk.page, chunk.text)).collect()
    }

    #[test]
    fn chunks_have_the_number_of_their_page_and_blank_pages_have_none() {
        assert_eq!(chunks("One.\u{c} \n\u{c}\n Three. \n"), [(1, "One."), (3, "Three.")]);
        assert_eq!(chunks(" \u{c}"), []);
    }

    #[test]
    fn a_long_page_is_split_after_sentences_and_repeats_the_last_ones() {
        let sentences: Vec<_> = (0..60).map(|number| format!("Sentence {number} has several words in it.")).collect();
        let text = sentences.join(" ");
        let found = chunks(&text);
        assert!(found.len() > 2 && found.iter().all(|(page, text)| *page == 1 && text.ends_with('.')), "{found:?}");
        for pair in found.windows(2) {
            let last = pair[0].1.rsplit(". ").next().unwrap();
            assert!(pair[1].1.contains(last), "{pair:?}");
            assert!(pair[1].1.starts_with("Sentence "), "{pair:?}");
        }
        for sentence in &sentences {
            assert!(found.iter().any(|(_, text)| text.contains(sentence.as_str())), "{sentence}");
        }
    }

    #[test]
    fn any_text_is_split_completely_into_short_chunks() {
        for text in
            ["ß€".repeat(4_000), "word ".repeat(2_000), "line\n".repeat(1_501), format!("{}   ", "x".repeat(1_000))]
        {
            let found = chunks(&text);
            assert!(found.iter().all(|(_, text)| (1..=CHUNK_CHARS).contains(&text.chars().count())), "{found:?}");
            let length: usize = found.iter().map(|(_, text)| text.chars().count()).sum();
            let letters = text.chars().filter(|letter| !letter.is_whitespace()).count();
            assert!(length >= letters && found.len() <= 1 + text.chars().count() / (CHUNK_CHARS - 400), "{found:?}");
        }
    }
}
