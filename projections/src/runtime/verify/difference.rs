//! Differences between a store and the log.

use std::{fmt, iter::Peekable, vec};

use domain::envelope::RawEnvelope;

use crate::runtime::{ReadModelRow, RowKey};

/// Kind of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The row follows from the log, but is not in the store.
    Missing,
    /// The row is in the store, but does not follow from the log.
    Unexpected,
    /// Both have the row, with different content.
    Differs,
    /// The fold cannot interpret an event of the log.
    Unreadable,
}

impl DifferenceKind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Differs => "differs",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The table, collection or kind of key; `log` for an unreadable event.
    pub table: String,
    /// Key of the row.
    pub key: String,
    /// The kind of difference.
    pub kind: DifferenceKind,
}

impl Difference {
    pub(super) fn unreadable(event: &RawEnvelope, reason: &str) -> Self {
        let key = format!("position {}: {reason}", event.position);
        Self { table: "log".to_owned(), key, kind: DifferenceKind::Unreadable }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.table, self.key, self.kind.name())
    }
}

/// A row that differs.
pub(super) struct DifferingRow {
    kind: DifferenceKind,
    row: ReadModelRow,
}

impl DifferingRow {
    pub(super) fn into_key(self) -> RowKey {
        self.row.into()
    }
}

impl From<DifferingRow> for Difference {
    fn from(DifferingRow { kind, row }: DifferingRow) -> Self {
        Self { table: row.table.to_owned(), key: row.key, kind }
    }
}

/// The differences between both sets of rows, ordered by table and key.
pub(super) fn compare_rows(
    expected: Vec<ReadModelRow>,
    found: Vec<ReadModelRow>,
) -> impl Iterator<Item = DifferingRow> {
    let sorted = |mut rows: Vec<ReadModelRow>| {
        rows.sort_unstable();
        rows.into_iter().peekable()
    };
    RowMerge { expected: sorted(expected), found: sorted(found) }
}

/// Merges both sorted sides.
struct RowMerge {
    expected: Peekable<vec::IntoIter<ReadModelRow>>,
    found: Peekable<vec::IntoIter<ReadModelRow>>,
}

impl Iterator for RowMerge {
    type Item = DifferingRow;

    fn next(&mut self) -> Option<DifferingRow> {
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
            return Some(DifferingRow { kind, row });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(expected: Vec<ReadModelRow>, found: Vec<ReadModelRow>) -> Vec<String> {
        compare_rows(expected, found).map(|differing| Difference::from(differing).to_string()).collect()
    }

    #[test]
    fn the_same_rows_in_any_order_do_not_differ() {
        let (a, b) = (ReadModelRow::new("t", "a", 1), ReadModelRow::new("t", "b", 2));
        assert_eq!(describe(vec![a.clone(), b.clone()], vec![b, a]), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let expected =
            vec![ReadModelRow::new("t", "a", 1), ReadModelRow::new("t", "b", 1), ReadModelRow::new("u", "a", 1)];
        let found =
            vec![ReadModelRow::new("t", "b", 2), ReadModelRow::new("t", "c", 1), ReadModelRow::new("u", "a", 1)];
        assert_eq!(describe(expected, found), ["t a missing", "t b differs", "t c unexpected"]);
    }

    #[test]
    fn a_duplicate_row_is_unexpected() {
        let row = ReadModelRow::new("t", "a", 1);
        assert_eq!(describe(vec![row.clone()], vec![row.clone(), row]), ["t a unexpected"]);
    }
}
