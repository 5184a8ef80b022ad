//! Page sizes, the same at every edge.

/// Entries of a page by default.
pub(crate) const DEFAULT_PAGE_SIZE: u32 = 20;
/// Most entries of a page.
pub(crate) const MAX_PAGE_SIZE: u32 = 100;

/// A page size that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not between 1 and {MAX_PAGE_SIZE}")]
pub(crate) struct InvalidPageSize;

/// Validates the size of a page; `default` if omitted.
pub(crate) fn check_page_size(first: Option<impl TryInto<u32>>, default: u32) -> Result<u32, InvalidPageSize> {
    match first.map(TryInto::try_into) {
        None => Ok(default),
        Some(Ok(first @ 1..=MAX_PAGE_SIZE)) => Ok(first),
        Some(_) => Err(InvalidPageSize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_to_a_hundred_entries() {
        assert_eq!(check_page_size(None::<i32>, DEFAULT_PAGE_SIZE), Ok(20));
        assert_eq!(check_page_size(Some(100), DEFAULT_PAGE_SIZE), Ok(100));
        for first in [0, -1, 101, i32::MIN] {
            let error = check_page_size(Some(first), DEFAULT_PAGE_SIZE).unwrap_err();
            assert_eq!(error.to_string(), "it is not between 1 and 100");
        }
    }
}
