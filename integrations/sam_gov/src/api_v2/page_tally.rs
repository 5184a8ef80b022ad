//! Compares the totals that pages announce with the notices that they have. A user who fetches pages by hand may fetch
//! one twice or stop too early, which the notices themselves do not show.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    mem,
};

/// Maximum number of warnings.
const MAX_WARNINGS: usize = 100;

/// A value that a page states about itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum PageMark {
    /// Number of notices on all pages of the query.
    Total,
    /// Position of the page among the pages of the query.
    Offset,
}

/// Tallies the pages of a source.
#[derive(Debug, Default)]
pub(super) struct PageTally {
    page: PageState,
    /// The lines of pages by the digest of their notices.
    page_lines: HashMap<u64, u64>,
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

/// The pages of one query.
#[derive(Debug, Default)]
struct QueryState {
    line: u64,
    /// The largest total of its pages.
    total: u64,
    notices: HashSet<u64>,
    offsets: HashSet<u64>,
}

impl PageTally {
    /// Records the total or the offset of the current page.
    pub(super) fn record_mark(&mut self, mark: PageMark, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let number = text.trim().trim_matches('"').parse().ok();
        match mark {
            PageMark::Total => self.page.total = number,
            PageMark::Offset => self.page.offset = number,
        }
    }

    /// Records that the list of notices of a page begins.
    pub(super) fn begin_page(&mut self, line: u64) {
        self.page.line = line;
        self.page.has_list = true;
    }

    /// Records a notice of the current page.
    pub(super) fn add_notice(&mut self, notice_id: &str) {
        if self.page.has_list {
            self.page.notices.push(hash_value(notice_id));
        }
    }

    /// Records that the current page is complete.
    pub(super) fn end_page(&mut self) {
        let page = mem::take(&mut self.page);
        if let (Some(first), false) = (self.page_lines.get(&hash_value(&page.notices)), page.notices.is_empty()) {
            self.add_warning(format!("the page at line {} has the same notices as the one at line {first}", page.line));
            return;
        }
        self.page_lines.insert(hash_value(&page.notices), page.line);
        // An offset that occurs a second time shows that another query begins.
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

    /// Records that the current page is truncated. Its total counts nevertheless.
    pub(super) fn abandon_page(&mut self) {
        if self.page.has_list {
            self.end_page();
        }
        self.page = PageState::default();
    }

    /// The warnings about the pages, to be called when all were read.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.end_query();
        mem::take(&mut self.warnings)
    }

    fn end_query(&mut self) {
        let QueryState { line, total, notices, .. } = mem::take(&mut self.query);
        let found = notices.len() as u64;
        if found < total {
            self.add_warning(format!(
                "the pages from line {line} on announce {total} notices (totalRecords) and have {found}; fetch the rest"
            ));
        }
    }

    fn add_warning(&mut self, warning: String) {
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

    fn add_page(tally: &mut PageTally, line: u64, total: u64, offset: u64, notices: &[&str]) {
        tally.record_mark(PageMark::Total, total.to_string().as_bytes());
        tally.record_mark(PageMark::Offset, offset.to_string().as_bytes());
        tally.begin_page(line);
        for notice in notices {
            tally.add_notice(notice);
        }
        tally.end_page();
    }

    #[test]
    fn complete_queries_give_no_warning() {
        let mut tally = PageTally::default();
        add_page(&mut tally, 1, 3, 0, &["a", "b"]);
        add_page(&mut tally, 2, 3, 2, &["c"]);
        add_page(&mut tally, 3, 1, 0, &["d"]);
        add_page(&mut tally, 4, 0, 0, &[]);
        assert_eq!(tally.finish(), Vec::<String>::new());
    }

    #[test]
    fn a_page_that_occurs_three_times_and_a_missing_page_give_warnings() {
        let mut tally = PageTally::default();
        for line in [1, 7, 9] {
            add_page(&mut tally, line, 4, 0, &["a", "b"]);
        }
        add_page(&mut tally, 12, 4, 2, &["c"]);
        assert_eq!(
            tally.finish(),
            [
                "the page at line 7 has the same notices as the one at line 1",
                "the page at line 9 has the same notices as the one at line 1",
                "the pages from line 1 on announce 4 notices (totalRecords) and have 3; fetch the rest",
            ]
        );
    }
}
