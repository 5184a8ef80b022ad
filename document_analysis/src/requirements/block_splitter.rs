//! Splits texts into headings, paragraphs and list items.

use std::sync::Arc;

use regex::Regex;

use super::{BlockForm, TextBlock};
use crate::{AnalysisBudget, AnalysisError, PagedText};

/// Longest heading in characters.
const MAX_HEADING_CHARS: usize = 110;
/// Longest heading without a number, in words.
const MAX_TITLE_WORDS: usize = 10;
/// Longest number of a section in bytes.
const MAX_NUMBER_BYTES: usize = 40;
/// Longest line in bytes, and length at which a block takes no more lines. A longer paragraph is continued in another
/// block, so that no block has more than twice as many bytes.
const MAX_BLOCK_BYTES: usize = 8_000;

/// Splits texts into blocks.
pub(crate) struct BlockSplitter {
    section_number: Regex,
    clause_number: Regex,
    item_mark: Regex,
    label: Regex,
}

/// What a line is by its own form.
enum LineForm<'a> {
    Empty,
    Heading {
        number: Option<Arc<str>>,
        title: &'a str,
    },
    /// A line that is worded as a title.
    Title,
    /// A numbered paragraph.
    Numbered {
        number: Arc<str>,
        text: &'a str,
    },
    Item,
    /// A line such as `Set-aside: Total Small Business`.
    Labelled,
    Text,
}

impl BlockSplitter {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(crate) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            section_number: Regex::new(
                r"(?x)^(?P<number> (?:(?:(?i:section|sec\.|article|part|appendix|attachment|paragraph)\s+)?
                    (?: \d{1,3}(?:\.\d{1,3})+ | [A-M]\.\d{1,3}(?:\.\d{1,3})* ))
                  | (?i:section|article|part|appendix|attachment)\s+[A-Z\d]{1,3}
                  | \d{1,2} | [A-Z] )\.?(?:\s+[-–—:])?\s+(?P<title>\S.*)$",
            )?,
            clause_number: Regex::new(
                r"^(?P<number>(?:(?:FAR|DFARS|GSAR|VAAR|HHSAR|HSAR)\s+(?:clause\s+)?)?\d{2,4}\.\d{3}-\d{1,4})\s*[-–—:.]*\s+(?P<title>\S.*)$",
            )?,
            item_mark: Regex::new(r"^(?:[-•●▪◦○■□*–—\u{f0b7}\u{f0a7}]|o|\(?(?:[a-z]|[ivx]{1,4}|\d{1,2})[.)])\s+\S")?,
            label: Regex::new(r"^[A-Z][A-Za-z/&() -]{2,34}:\s+\S")?,
        })
    }

    /// The blocks of a text in order: at most one for each line, plus the continuations of long lines.
    ///
    /// # Errors
    /// [`AnalysisError`] when the text is too large, or the budget ends.
    pub(crate) fn split(&self, text: &PagedText, budget: &AnalysisBudget) -> Result<Vec<TextBlock>, AnalysisError> {
        let mut collector = BlockCollector::default();
        for (page, lines) in text.body_lines()? {
            let cleaned: Vec<String> = lines.iter().map(|line| clean_line(line)).collect();
            for (index, line) in cleaned.iter().enumerate() {
                budget.check()?;
                if line.is_empty() {
                    collector.add_line(page, line, LineForm::Empty);
                    continue;
                }
                let next = cleaned.iter().skip(index + 1).find(|line| !line.is_empty()).map_or("", String::as_str);
                let (first, mut rest) = split_long_line(line);
                collector.add_line(page, first, self.classify(first, next, collector.is_between_sentences()));
                while !rest.is_empty() {
                    let (part, later) = split_long_line(rest);
                    collector.add_line(page, part, LineForm::Text);
                    rest = later;
                }
            }
        }
        collector.end_block();
        Ok(collector.blocks)
    }

    fn classify<'a>(&self, line: &'a str, next: &str, is_between_sentences: bool) -> LineForm<'a> {
        let title = line.trim_start_matches('#');
        if title.len() < line.len() {
            let title = title.trim();
            let (number, title) = self.numbered(title).map_or((None, title), |(number, rest)| (Some(number), rest));
            // A longer one is a paragraph that begins with this character.
            let is_title = title.chars().count() <= MAX_HEADING_CHARS;
            return if is_title { LineForm::Heading { number, title } } else { LineForm::Text };
        }
        if let Some((number, rest)) = self.numbered(line) {
            if is_title(rest) {
                return LineForm::Heading { number: Some(number), title: rest };
            }
            if number.contains('.') {
                return LineForm::Numbered { number, text: rest };
            }
        }
        if self.item_mark.is_match(line) {
            return LineForm::Item;
        }
        if self.label.is_match(line) {
            return LineForm::Labelled;
        }
        let begins_anew = next.chars().next().is_some_and(|first| !first.is_lowercase());
        if is_between_sentences && begins_anew && line.split(' ').count() <= MAX_TITLE_WORDS && is_title(line) {
            return LineForm::Title;
        }
        LineForm::Text
    }

    fn numbered<'a>(&self, line: &'a str) -> Option<(Arc<str>, &'a str)> {
        let found = self.clause_number.captures(line).or_else(|| self.section_number.captures(line))?;
        let number = found.name("number")?.as_str();
        (number.len() <= MAX_NUMBER_BYTES).then_some(())?;
        Some((number.into(), found.name("title")?.as_str()))
    }
}

/// Collects lines into blocks.
#[derive(Default)]
struct BlockCollector {
    blocks: Vec<TextBlock>,
    open: Option<TextBlock>,
    number: Option<Arc<str>>,
    heading: Arc<str>,
}

impl BlockCollector {
    /// Whether what was read so far ends with a complete sentence, a heading or an empty line.
    fn is_between_sentences(&self) -> bool {
        self.open.as_ref().is_none_or(|open| ends_sentence(&open.text))
    }

    fn add_line(&mut self, page: u32, line: &str, form: LineForm<'_>) {
        match form {
            LineForm::Empty => {
                // An empty line at a page break does not end a sentence that continues in lower case.
                let is_next_page = self.open.as_ref().is_some_and(|open| open.last_page() < page);
                let continues = is_next_page && !self.is_between_sentences();
                if !continues {
                    self.end_block();
                }
            }
            LineForm::Heading { number, title } => {
                self.end_block();
                self.heading = title.into();
                if number.is_some() {
                    self.number = number;
                }
                self.open_block(page, BlockForm::Heading, title);
                self.end_block();
            }
            LineForm::Title => {
                self.end_block();
                self.heading = line.into();
                self.open_block(page, BlockForm::Title, line);
                self.end_block();
            }
            LineForm::Numbered { number, text } => {
                self.end_block();
                self.number = Some(number);
                self.open_block(page, BlockForm::Paragraph, text);
            }
            LineForm::Item => {
                self.end_block();
                self.open_block(page, BlockForm::Item, line);
            }
            LineForm::Labelled => {
                self.end_block();
                self.open_block(page, BlockForm::Paragraph, line);
            }
            LineForm::Text => match &mut self.open {
                Some(open)
                    if open.text.len() < MAX_BLOCK_BYTES
                        && (open.last_page() == page || !ends_sentence(&open.text)) =>
                {
                    open.text.push(' ');
                    if open.last_page() < page {
                        open.later_pages.push((open.text.len(), page));
                    }
                    open.text.push_str(line);
                }
                Some(_) | None => {
                    self.end_block();
                    self.open_block(page, BlockForm::Paragraph, line);
                }
            },
        }
    }

    fn open_block(&mut self, page: u32, form: BlockForm, text: &str) {
        let (number, heading) = (self.number.clone(), Arc::clone(&self.heading));
        self.open = Some(TextBlock { page, number, heading, form, text: text.to_owned(), later_pages: vec![] });
    }

    fn end_block(&mut self) {
        self.blocks.extend(self.open.take());
    }
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '”', ')']).ends_with(['.', '!', '?', ':', ';'])
}

/// A line with single spaces, without control characters.
fn clean_line(line: &str) -> String {
    let mut cleaned = String::new();
    for word in line.split_whitespace() {
        if !(cleaned.is_empty() || cleaned.ends_with(' ')) {
            cleaned.push(' ');
        }
        cleaned.extend(word.chars().filter(|character| !character.is_control()));
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// A line up to a length that a block may have, and its rest. It is cut after a sentence or else after a word.
fn split_long_line(line: &str) -> (&str, &str) {
    if line.len() <= MAX_BLOCK_BYTES {
        return (line, "");
    }
    let longest = line.get(..line.floor_char_boundary(MAX_BLOCK_BYTES)).unwrap_or(line);
    let cut = longest.rfind(". ").map(|stop| stop + 1).or_else(|| longest.rfind(' ').filter(|space| *space > 0));
    let (part, rest) = line.split_at_checked(cut.unwrap_or(longest.len())).unwrap_or((line, ""));
    (part, rest.trim_start())
}

/// Whether a text is worded as a title: short, without a full stop, its long words capitalised.
fn is_title(text: &str) -> bool {
    if text.chars().count() > MAX_HEADING_CHARS || text.ends_with(['.', ';', ',', ':', '?']) || text.contains(": ") {
        return false;
    }
    let words: Vec<&str> =
        text.split(' ').filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 3).collect();
    let capitalised =
        words.iter().filter(|word| word.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_uppercase));
    text.chars().next().is_some_and(|first| first.is_uppercase() || !first.is_alphabetic())
        && !words.is_empty()
        && capitalised.count() * 5 >= words.len() * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(BlockForm, Option<String>, String)> {
        let blocks = split_blocks(text);
        blocks
            .into_iter()
            .map(|block| (block.form, block.number.map(|number| number.to_string()), block.text))
            .collect()
    }

    fn split_blocks(text: &str) -> Vec<TextBlock> {
        let splitter = BlockSplitter::new().unwrap();
        splitter.split(&PagedText::from_plain_text(text), &AnalysisBudget::for_tests()).unwrap()
    }

    #[test]
    fn sections_are_numbered_paragraphs_joined_and_items_separate() {
        let text = "L.3.2 Page Limits\nThe volume shall not\nexceed 5 pages.\n• Use 12-point\ntype\n• Use PDF\n7.2.5 The contractor shall\npay.";
        let (item, paragraph) = (BlockForm::Item, BlockForm::Paragraph);
        let number = |text: &str| Some(text.to_owned());
        let expected = [
            (BlockForm::Heading, number("L.3.2"), "Page Limits".to_owned()),
            (paragraph, number("L.3.2"), "The volume shall not exceed 5 pages.".to_owned()),
            (item, number("L.3.2"), "• Use 12-point type".to_owned()),
            (item, number("L.3.2"), "• Use PDF".to_owned()),
            (paragraph, number("7.2.5"), "The contractor shall pay.".to_owned()),
        ];
        assert_eq!(split(text), expected);
    }

    #[test]
    fn a_heading_without_number_is_not_joined_to_its_paragraph() {
        let blocks = split(
            "It ends.\nSystem Requirements\nThe System must run.\nSet-aside: Total Small Business\nNAICS Code: 541512",
        );
        let texts: Vec<_> = blocks.iter().map(|block| block.2.as_str()).collect();
        let expected = [
            "It ends.",
            "System Requirements",
            "The System must run.",
            "Set-aside: Total Small Business",
            "NAICS Code: 541512",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_sentence_continues_on_the_next_page() {
        let text = "The contractor\u{c}shall deliver the\n\nreport.";
        let blocks = split(text);
        assert_eq!(blocks[0].2, "The contractor shall deliver the");
        let blocks =
            split_blocks("It ends. The contractor\u{c}shall pay. The rest\u{c}is later. It ends.\u{c}A new one.");
        let sentences: Vec<_> = blocks.iter().flat_map(TextBlock::sentences).collect();
        let pages: Vec<_> = sentences.iter().map(|sentence| sentence.page).collect();
        assert_eq!(pages, [1, 1, 2, 3, 4], "{sentences:?}");
        let clause = split("FAR 52.217-8 - Option to Extend Services (Nov 1999)");
        assert_eq!(clause[0].1.as_deref(), Some("FAR 52.217-8"));
    }

    /// Memory of blocks: of the records and of what they own. Titles and numbers are shared, and bounded.
    fn memory_of(blocks: &[TextBlock]) -> usize {
        let owned =
            |block: &TextBlock| block.text.capacity() + block.later_pages.capacity() * size_of::<(usize, u32)>();
        blocks.iter().map(|block| size_of::<TextBlock>() + owned(block)).sum()
    }

    #[test]
    fn an_overlong_heading_or_number_is_text_and_copied_to_no_block() {
        let items = "- x\n".repeat(10_000);
        let heading = format!("# {}\n{items}", "long title ".repeat(100_000));
        let number = format!("1{} Title\n{items}", ".1".repeat(500_000));
        for text in [heading, number] {
            let blocks = split_blocks(&text);
            assert!(blocks.len() > 10_000);
            assert!(blocks.iter().all(|block| block.heading.is_empty() && block.number.is_none()));
            assert!(memory_of(&blocks) < 4 << 20, "{}", memory_of(&blocks));
        }
        assert_eq!(split("# 1.2 Scope")[0], (BlockForm::Heading, Some("1.2".to_owned()), "Scope".to_owned()));
    }

    /// Most memory of the records of blocks, besides their text.
    const MAX_RECORD_BYTES: usize = 32 << 20;

    #[test]
    fn the_memory_of_blocks_is_bounded() {
        // As many blocks as a text may have lines: the most records.
        let items: Vec<_> = (0..250_000).map(|number| format!("- x{number}\n")).collect();
        let blocks = split_blocks(&items.concat());
        assert_eq!(blocks.len(), 250_000);
        assert!(memory_of(&blocks) < MAX_RECORD_BYTES, "{}", memory_of(&blocks));
        let shared = blocks.iter().all(|block| Arc::ptr_eq(&block.heading, &blocks[0].heading));
        assert!(shared, "a section has one copy of its title");
    }

    #[test]
    fn a_long_line_is_split_after_a_sentence_or_a_word() {
        for (line, end) in [("It is so. ", "so."), ("word ", "word"), ("\u{e9}", "\u{e9}")] {
            let blocks = split_blocks(&line.repeat(20_000));
            assert!(blocks.len() > 2 && blocks.iter().all(|block| block.text.len() <= 2 * MAX_BLOCK_BYTES));
            assert!(blocks.iter().all(|block| block.text.ends_with(end)));
            let length: usize = blocks.iter().map(|block| block.text.replace(' ', "").len()).sum();
            assert_eq!(length, 20_000 * line.replace(' ', "").len(), "nothing is lost");
        }
    }
}
