//! What differs between a store and the log.

use std::{fmt, iter::Peekable, vec};

use domain::envelope::RawRecorded;

use crate::runtime::Row;

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The log says it should be there, the store does not have it.
    Missing,
    /// The store has it, the log does not say so.
    Unexpected,
    /// Both have it, with other contents.
    Differs,
    /// An event of the log that the comparison itself cannot read.
    Unreadable,
}

impl DifferenceKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Differs => "differs",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The table, collection or kind of key.
    pub table: String,
    /// What the row is about.
    pub key: String,
    /// How it differs.
    pub kind: DifferenceKind,
}

impl Difference {
    pub(super) fn unreadable(event: &RawRecorded, reason: &str) -> Self {
        let key = format!("position {}: {reason}", event.position);
        Self { table: "log".to_owned(), key, kind: DifferenceKind::Unreadable }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.table, self.key, self.kind.name())
    }
}

/// What differs, in the order of tables and keys.
pub(super) fn compare(expected: Vec<Row>, found: Vec<Row>) -> impl Iterator<Item = Difference> {
    let sorted = |mut rows: Vec<Row>| {
        rows.sort_unstable();
        rows.into_iter().peekable()
    };
    Merge { expected: sorted(expected), found: sorted(found) }
}

/// Walks through both sides at once.
struct Merge {
    expected: Peekable<vec::IntoIter<Row>>,
    found: Peekable<vec::IntoIter<Row>>,
}

impl Iterator for Merge {
    type Item = Difference;

    fn next(&mut self) -> Option<Difference> {
        loop {
            let (kind, row) = match (self.expected.peek(), self.found.peek()) {
                (None, None) => return None,
                (Some(_), None) => (DifferenceKind::Missing, self.expected.next()?),
                (None, Some(_)) => (DifferenceKind::Unexpected, self.found.next()?),
                (Some(expected), Some(found)) => {
                    match (expected.table, &expected.key).cmp(&(found.table, &found.key)) {
                        std::cmp::Ordering::Less => (DifferenceKind::Missing, self.expected.next()?),
                        std::cmp::Ordering::Greater => (DifferenceKind::Unexpected, self.found.next()?),
                        std::cmp::Ordering::Equal => {
                            let (expected, found) = (self.expected.next()?, self.found.next()?);
                            if expected.content == found.content {
                                continue;
                            }
                            (DifferenceKind::Differs, found)
                        }
                    }
                }
            };
            return Some(Difference { table: row.table.to_owned(), key: row.key, kind });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(expected: Vec<Row>, found: Vec<Row>) -> Vec<String> {
        compare(expected, found).map(|difference| difference.to_string()).collect()
    }

    #[test]
    fn the_same_rows_in_any_order_do_not_differ() {
        let (a, b) = (Row::new("t", "a", 1), Row::new("t", "b", 2));
        assert_eq!(told(vec![a.clone(), b.clone()], vec![b, a]), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let expected = vec![Row::new("t", "a", 1), Row::new("t", "b", 1), Row::new("u", "a", 1)];
        let found = vec![Row::new("t", "b", 2), Row::new("t", "c", 1), Row::new("u", "a", 1)];
        assert_eq!(told(expected, found), ["t a missing", "t b differs", "t c unexpected"]);
    }

    #[test]
    fn a_row_that_is_there_twice_is_once_too_often() {
        let row = Row::new("t", "a", 1);
        assert_eq!(told(vec![row.clone()], vec![row.clone(), row]), ["t a unexpected"]);
    }
}
