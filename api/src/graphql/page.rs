//! How much of a list one request may ask for.

use async_graphql::Result;

use super::error::invalid_field;

/// Entries of a page where nothing is said.
pub(super) const DEFAULT: u32 = 20;
/// Most entries of a page.
const MAX: u32 = 100;

/// The size of a page, `default` where nothing is said.
pub(super) fn size(first: Option<i32>, default: u32) -> Result<u32> {
    match first.map(u32::try_from) {
        None => Ok(default),
        Some(Ok(first @ 1..=MAX)) => Ok(first),
        Some(_) => Err(invalid_field("first", format!("first is not between 1 and {MAX}"))),
    }
}

/// What a page costs: one for the question, and its fields for each entry. A size that will be refused costs a page.
pub(super) fn complexity(first: Option<i32>, default: u32, child_complexity: usize) -> usize {
    let entries = size(first, default).unwrap_or(MAX);
    1 + child_complexity.saturating_mul(usize::try_from(entries).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_to_a_hundred_entries() {
        assert_eq!(size(None, DEFAULT).unwrap(), 20);
        assert_eq!(size(Some(100), DEFAULT).unwrap(), 100);
        for first in [0, -1, 101, i32::MIN] {
            assert_eq!(size(Some(first), DEFAULT).unwrap_err().message, "first is not between 1 and 100");
        }
    }
}
