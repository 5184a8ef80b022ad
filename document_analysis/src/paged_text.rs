//! The text of a document, by page.

use std::collections::HashMap;

use crate::AnalysisError;

/// The character between two pages of a plain text.
const PAGE_SEPARATOR: char = '\u{c}';
/// Lines at the top and at the bottom of a page among which running headers and footers are looked for.
const MARGIN_LINES: usize = 2;
/// Minimum number of pages with the same line for it to be a running header or footer.
const REPEATED_PAGES: usize = 3;
/// Most lines of a text that is analysed: the memory of an analysis grows with them. 2,000 pages, which a document may
/// have, have fewer.
const MAX_LINES: usize = 250_000;

/// The text of a page of a file that is damaged and was not read: the reader of the text sees it, and the analysis
/// names it as a risk. The label separates it from a sentence that the previous page leaves unfinished.
pub(crate) const UNREAD_PAGE_NOTICE: &str = "Damaged page: this page of the file was not read.";

/// The text of a document, by page. As plain text, its pages are separated by form feeds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PagedText {
    pages: Vec<String>,
}

impl PagedText {
    /// Creates a text from its pages. A form feed in a page becomes a line break.
    pub fn from_pages(pages: impl IntoIterator<Item = String>) -> Self {
        let is_clean = |page: &String| !page.contains(PAGE_SEPARATOR);
        let clean = |page: String| if is_clean(&page) { page } else { page.replace(PAGE_SEPARATOR, "\n") };
        Self { pages: pages.into_iter().map(clean).collect() }
    }

    /// Splits a plain text at its form feeds.
    pub fn from_plain_text(text: &str) -> Self {
        Self { pages: text.split(PAGE_SEPARATOR).map(str::to_owned).collect() }
    }

    /// The text with form feeds between its pages.
    pub fn to_plain_text(&self) -> String {
        self.pages.join("\u{c}")
    }

    /// The parts of the text with form feeds between its pages. No part is copied.
    pub(crate) fn into_plain_text_parts(self) -> impl Iterator<Item = String> {
        let pages = self.pages.into_iter().enumerate();
        pages.flat_map(|(index, page)| (index > 0).then(|| PAGE_SEPARATOR.to_string()).into_iter().chain([page]))
    }

    /// The pages in order.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = &str> {
        self.pages.iter().map(String::as_str)
    }

    /// Refuses a plain text that has too many lines, before memory is taken for its pages.
    ///
    /// # Errors
    /// [`AnalysisError::TooManyLines`].
    pub(crate) fn check_plain_text(text: &str) -> Result<(), AnalysisError> {
        check_line_count(text.split(PAGE_SEPARATOR))
    }

    /// The pages with their numbers, from 1, and their lines without running headers, footers and page numbers.
    ///
    /// # Errors
    /// [`AnalysisError::TooManyLines`].
    pub(crate) fn body_lines(&self) -> Result<Vec<(u32, Vec<&str>)>, AnalysisError> {
        check_line_count(self.pages())?;
        let margins = self.repeated_margins();
        let pages = self.pages().zip(1..);
        let body = |(page, number): (_, u32)| {
            let lines: Vec<_> = trim_lines(page).collect();
            let margin = PageMargin::find(&lines);
            let is_body = |(index, line): &(usize, &str)| {
                !margin.contains(*index) || !(margins.contains_key(&mask_digits(line)) || is_page_number(line))
            };
            (number, lines.iter().copied().enumerate().filter(is_body).map(|(_, line)| line).collect())
        };
        Ok(pages.map(body).collect())
    }

    /// The lines that are in the margins of many pages, with digits masked.
    fn repeated_margins(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for page in self.pages() {
            let lines: Vec<_> = trim_lines(page).collect();
            let margin = PageMargin::find(&lines);
            for (index, line) in lines.iter().enumerate() {
                if !line.is_empty() && margin.contains(index) {
                    *counts.entry(mask_digits(line)).or_insert(0) += 1;
                }
            }
        }
        let needed = (self.pages.len() / 2).max(REPEATED_PAGES);
        counts.retain(|_, count| *count >= needed);
        counts
    }
}

fn trim_lines(page: &str) -> impl Iterator<Item = &str> {
    page.lines().map(str::trim)
}

/// Refuses a text that has too many lines. A page has one at least.
fn check_line_count<'a>(pages: impl Iterator<Item = &'a str>) -> Result<(), AnalysisError> {
    let mut count: usize = 0;
    for page in pages {
        count = count.saturating_add(page.lines().count().max(1));
        if count > MAX_LINES {
            return Err(AnalysisError::TooManyLines { max: MAX_LINES });
        }
    }
    Ok(())
}

/// The lines of a page in its margins: its first and its last ones that are not empty.
#[derive(Debug, Clone, Copy)]
struct PageMargin {
    /// Index of the last line of the margin at the top; `None` on a page that is nothing but margins.
    top: Option<usize>,
    /// Index of the first line of the margin at the bottom.
    bottom: Option<usize>,
}

impl PageMargin {
    fn find(lines: &[&str]) -> Self {
        let filled = || lines.iter().enumerate().filter(|(_, line)| !line.is_empty()).map(|(index, _)| index);
        Self { top: filled().nth(MARGIN_LINES - 1), bottom: filled().rev().nth(MARGIN_LINES - 1) }
    }

    fn contains(self, index: usize) -> bool {
        self.top.is_none_or(|top| index <= top) || self.bottom.is_none_or(|bottom| index >= bottom)
    }
}

fn mask_digits(line: &str) -> String {
    line.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect()
}

/// Whether a line is nothing but the number of its page, as `12`, `- 12 -` or `Page 12 of 30`.
fn is_page_number(line: &str) -> bool {
    let rest = line.trim_matches(|character: char| character == '-' || character.is_whitespace());
    let rest = rest.strip_prefix("Page ").or_else(|| rest.strip_prefix("page ")).unwrap_or(rest);
    let is_number = |text: &str| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match rest.split_once(" of ") {
        Some((page, pages)) => is_number(page) && is_number(pages),
        None => is_number(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_survive_as_plain_text() {
        let text = PagedText::from_pages(["one\u{c}more", "two"].map(str::to_owned));
        assert_eq!(text.to_plain_text(), "one\nmore\u{c}two");
        assert_eq!(text.clone().into_plain_text_parts().collect::<String>(), text.to_plain_text());
        assert_eq!(PagedText::from_plain_text(&text.to_plain_text()), text);
    }

    #[test]
    fn running_headers_and_page_numbers_are_left_out() {
        const WORDS: [&str; 5] = ["zero", "one", "two", "three", "four"];
        let page = |number: u32| {
            format!(
                "RFQ 12-{number}\n\nText {} begins.\n12 pumps.\nIt {}.\nPage {number} of 4\n",
                WORDS[number as usize], WORDS[number as usize]
            )
        };
        let text = PagedText::from_pages((1..=4).map(page));
        let lines = text.body_lines().unwrap();
        assert_eq!(lines[2].0, 3);
        let filled: Vec<_> = lines[2].1.iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(filled, [&"Text three begins.", &"12 pumps.", &"It three."]);
    }

    #[test]
    fn a_text_of_one_page_keeps_its_lines() {
        let text = PagedText::from_plain_text("1\nA heading\n");
        assert_eq!(text.body_lines().unwrap(), [(1, vec!["A heading"])]);
    }

    #[test]
    fn lines_are_read_in_linear_time_and_too_many_are_refused() {
        // A quadratic search for the margins of one page takes 3e10 steps.
        let most = (0..MAX_LINES).map(|number| format!("x{number}\n")).collect::<Vec<_>>().concat();
        let text = PagedText::from_plain_text(&most);
        let start = std::time::Instant::now();
        assert_eq!(text.body_lines().unwrap()[0].1.len(), MAX_LINES);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
        PagedText::check_plain_text(&most).unwrap();
        for many in [format!("{most}x"), "\u{c}".repeat(MAX_LINES)] {
            let refused = PagedText::check_plain_text(&many).unwrap_err().to_string();
            assert_eq!(refused, "the text has more than 250000 lines; split the document");
            assert!(PagedText::from_plain_text(&many).body_lines().is_err());
        }
    }
}
