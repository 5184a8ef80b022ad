//! Page numbers, which would stand within sentences that go on on the next page.

use std::collections::HashMap;

use crate::PageText;

/// Minimum number of pages for numbers to be recognised as page numbers.
const MIN_PAGES: usize = 3;

/// Removes the first or last line of pages where it is a number that grows with the pages.
pub(super) fn remove_page_numbers(pages: &mut [PageText]) {
    for end in [LineEnd::Last, LineEnd::First] {
        // By how much the printed number is larger than the page's, and on how many pages.
        let mut offsets: HashMap<i64, usize> = HashMap::new();
        for page in pages.iter() {
            if let Some((number, _)) = end.split_number(&page.text) {
                *offsets.entry(number - i64::from(page.number)).or_default() += 1;
            }
        }
        let most = offsets.into_iter().max_by_key(|(offset, count)| (*count, -offset.abs()));
        let Some((offset, count)) = most else { continue };
        if count < MIN_PAGES || count * 2 < pages.len() {
            continue;
        }
        for page in pages.iter_mut() {
            if let Some((number, rest)) = end.split_number(&page.text)
                && number - i64::from(page.number) == offset
            {
                page.text = rest.to_owned();
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    First,
    Last,
}

impl LineEnd {
    /// Returns the number in the first or last line, and the text without it: `12`, `- 12 -`, `Page 12`, `Page 12 of 40`.
    fn split_number(self, text: &str) -> Option<(i64, &str)> {
        let (line, rest) = match self {
            Self::First => text.split_once('\n').unwrap_or((text, "")),
            Self::Last => text.rsplit_once('\n').map_or((text, ""), |(rest, line)| (line, rest)),
        };
        let line = line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | '—' | '|'));
        let number = line.strip_prefix("Page ").or_else(|| line.strip_prefix("PAGE ")).unwrap_or(line);
        let number = number.split_once(" of ").map_or(number, |(number, _total)| number);
        let is_number = (1..=5).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit());
        let number = if is_number { number.parse().ok()? } else { return None };
        Some((number, rest.trim_matches('\n')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageTextSource;

    fn remove(texts: &[&str]) -> Vec<String> {
        let page = |(index, text): (usize, &&str)| PageText {
            number: u32::try_from(index + 1).unwrap(),
            source: PageTextSource::Native,
            text: (*text).to_owned(),
        };
        let mut pages: Vec<PageText> = texts.iter().enumerate().map(page).collect();
        remove_page_numbers(&mut pages);
        pages.into_iter().map(|page| page.text).collect()
    }

    #[test]
    fn page_numbers_go_and_other_numbers_stay() {
        assert_eq!(
            remove(&["Cover", "shall\n- 1 -", "deliver\n2", "2026\n\nPage 3 of 4"]),
            ["Cover", "shall", "deliver", "2026"]
        );
        assert_eq!(remove(&["Page 1\na", "Page 2\nb", "Page 3"]), ["a", "b", ""]);
        let figures = ["Total\n10", "Total\n25", "Total\n3", "Total\n9"];
        assert_eq!(remove(&figures), figures);
        assert_eq!(remove(&["a\n1", "b\n2"]), ["a\n1", "b\n2"]);
    }
}
