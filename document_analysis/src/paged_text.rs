//! The text of a document, by page.

use std::collections::HashMap;

/// The character between two pages of a plain text.
const PAGE_SEPARATOR: char = '\u{c}';
/// Lines at the top and at the bottom of a page among which running headers and footers are looked for.
const MARGIN_LINES: usize = 2;
/// Fewest pages on which a line has to be repeated to be a running header or footer.
const REPEATED_PAGES: usize = 3;

/// The text of a document, by page. As plain text, its pages are separated by form feeds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PagedText {
    pages: Vec<String>,
}

impl PagedText {
    /// Creates a text from its pages. A form feed in a page becomes a line break.
    pub fn from_pages<S: AsRef<str>>(pages: impl IntoIterator<Item = S>) -> Self {
        Self { pages: pages.into_iter().map(|page| page.as_ref().replace(PAGE_SEPARATOR, "\n")).collect() }
    }

    /// Splits a plain text at its form feeds.
    pub fn from_plain_text(text: &str) -> Self {
        Self { pages: text.split(PAGE_SEPARATOR).map(str::to_owned).collect() }
    }

    /// The text with form feeds between its pages.
    pub fn to_plain_text(&self) -> String {
        self.pages.join("\u{c}")
    }

    /// The pages in order.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = &str> {
        self.pages.iter().map(String::as_str)
    }

    /// The pages with their numbers, from 1, and their lines without running headers, footers and page numbers.
    pub(crate) fn body_lines(&self) -> Vec<(u32, Vec<&str>)> {
        let margins = self.repeated_margins();
        let pages = self.pages().zip(1..);
        let body = |(page, number): (_, u32)| {
            let lines: Vec<_> = lines_of(page).collect();
            let last = last_filled_lines(&lines);
            let is_body = |(index, line): &(usize, &str)| {
                let in_margin = is_margin(*index, &lines, &last);
                !in_margin || !(margins.contains_key(&mask_digits(line)) || is_page_number(line))
            };
            (number, lines.iter().copied().enumerate().filter(is_body).map(|(_, line)| line).collect())
        };
        pages.map(body).collect()
    }

    /// The lines that stand in the margins of many pages, with digits masked.
    fn repeated_margins(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for page in self.pages() {
            let lines: Vec<_> = lines_of(page).collect();
            let last = last_filled_lines(&lines);
            for (index, line) in lines.iter().enumerate() {
                if !line.is_empty() && is_margin(index, &lines, &last) {
                    *counts.entry(mask_digits(line)).or_insert(0) += 1;
                }
            }
        }
        let needed = (self.pages.len() / 2).max(REPEATED_PAGES);
        counts.retain(|_, count| *count >= needed);
        counts
    }
}

fn lines_of(page: &str) -> impl Iterator<Item = &str> {
    page.lines().map(str::trim)
}

/// The indexes of the last lines that are not empty.
fn last_filled_lines(lines: &[&str]) -> Vec<usize> {
    let filled = lines.iter().enumerate().rev().filter(|(_, line)| !line.is_empty());
    filled.take(MARGIN_LINES).map(|(index, _)| index).collect()
}

fn is_margin(index: usize, lines: &[&str], last: &[usize]) -> bool {
    let filled_before = || lines.iter().take(index).filter(|line| !line.is_empty()).count();
    last.contains(&index) || filled_before() < MARGIN_LINES
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
        let text = PagedText::from_pages(["one\u{c}more", "two"]);
        assert_eq!(text.to_plain_text(), "one\nmore\u{c}two");
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
        let lines = text.body_lines();
        assert_eq!(lines[2].0, 3);
        let filled: Vec<_> = lines[2].1.iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(filled, [&"Text three begins.", &"12 pumps.", &"It three."]);
    }

    #[test]
    fn a_text_of_one_page_keeps_its_lines() {
        let text = PagedText::from_plain_text("1\nA heading\n");
        assert_eq!(text.body_lines(), [(1, vec!["A heading"])]);
    }
}
