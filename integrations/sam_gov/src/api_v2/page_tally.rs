//! Compares what pages promise with what they hold: whoever pages through the API by hand fetches a page twice or stops too
//! early, and nothing in the notices says so.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    mem,
};

/// Warnings that are kept.
const MAX_WARNINGS: usize = 100;

/// What a page says about itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum PageMark {
    /// How many notices there are on all pages.
    Total,
    /// Which page it is.
    Offset,
}

/// The pages of a source so far.
#[derive(Debug, Default)]
pub(super) struct PageTally {
    page: PageState,
    /// Lines of pages by what is on them.
    seen: HashMap<u64, u64>,
    query: QueryState,
    warnings: Vec<String>,
}

#[derive(Debug, Default)]
struct PageState {
    line: u64,
    total: Option<u64>,
    offset: Option<u64>,
    notices: Vec<u64>,
    has_list: bool,
}

/// Pages that belong together.
#[derive(Debug, Default)]
struct QueryState {
    line: u64,
    /// The most that any of its pages promises.
    total: u64,
    notices: HashSet<u64>,
    /// Offsets of its pages.
    offsets: HashSet<u64>,
}

impl PageTally {
    /// A page says how many or which.
    pub(super) fn record_mark(&mut self, mark: PageMark, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let number = text.trim().trim_matches('"').parse().ok();
        match mark {
            PageMark::Total => self.page.total = number,
            PageMark::Offset => self.page.offset = number,
        }
    }

    /// A page's list begins.
    pub(super) fn begin_page(&mut self, line: u64) {
        self.page.line = line;
        self.page.has_list = true;
    }

    /// A notice of the page, by its id.
    pub(super) fn add_notice(&mut self, notice_id: &str) {
        if self.page.has_list {
            self.page.notices.push(hash_value(notice_id));
        }
    }

    /// The page ends well.
    pub(super) fn end_page(&mut self) {
        let page = mem::take(&mut self.page);
        if let (Some(first), false) = (self.seen.get(&hash_value(&page.notices)), page.notices.is_empty()) {
            self.warn(format!("the page at line {} holds the same notices as the one at line {first}", page.line));
            return;
        }
        self.seen.insert(hash_value(&page.notices), page.line);
        // Another search begins where a page stands at a place that was there already.
        if page.offset.is_some_and(|offset| !self.query.offsets.insert(offset)) {
            self.end_query();
            self.query.offsets.extend(page.offset);
        }
        if self.query.line == 0 {
            self.query.line = page.line;
        }
        self.query.total = self.query.total.max(page.total.unwrap_or_default());
        self.query.notices.extend(page.notices);
    }

    /// The page breaks off: it has no end, and what it promised counts.
    pub(super) fn abandon_page(&mut self) {
        if self.page.has_list {
            self.end_page();
        }
        self.page = PageState::default();
    }

    /// What there is to say about the pages, once all were read.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.end_query();
        mem::take(&mut self.warnings)
    }

    fn end_query(&mut self) {
        let QueryState { line, total, notices, .. } = mem::take(&mut self.query);
        let found = notices.len() as u64;
        if found < total {
            self.warn(format!(
                "the pages from line {line} on promise {total} notices (totalRecords), and {found} are there; fetch the rest"
            ));
        }
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }
}

fn hash_value(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(tally: &mut PageTally, line: u64, total: u64, offset: u64, notices: &[&str]) {
        tally.record_mark(PageMark::Total, total.to_string().as_bytes());
        tally.record_mark(PageMark::Offset, offset.to_string().as_bytes());
        tally.begin_page(line);
        for notice in notices {
            tally.add_notice(notice);
        }
        tally.end_page();
    }

    #[test]
    fn whole_searches_give_no_warning() {
        let mut tally = PageTally::default();
        page(&mut tally, 1, 3, 0, &["a", "b"]);
        page(&mut tally, 2, 3, 2, &["c"]);
        page(&mut tally, 3, 1, 0, &["d"]);
        page(&mut tally, 4, 0, 0, &[]);
        assert_eq!(tally.finish(), Vec::<String>::new());
    }

    #[test]
    fn a_page_that_came_thrice_and_one_that_is_missing_are_told() {
        let mut tally = PageTally::default();
        for line in [1, 7, 9] {
            page(&mut tally, line, 4, 0, &["a", "b"]);
        }
        page(&mut tally, 12, 4, 2, &["c"]);
        assert_eq!(
            tally.finish(),
            [
                "the page at line 7 holds the same notices as the one at line 1",
                "the page at line 9 holds the same notices as the one at line 1",
                "the pages from line 1 on promise 4 notices (totalRecords), and 3 are there; fetch the rest",
            ]
        );
    }
}
