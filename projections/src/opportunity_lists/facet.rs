//! Counts of the values of a dimension.

/// A dimension that opportunities are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FacetDimension {
    /// The agency's code; the label is its name in its newest notice.
    Agency,
    /// Type of the current notice, as published.
    NoticeType,
    /// Set-aside code.
    SetAside,
    /// The first two digits of the industry code.
    NaicsSector,
    /// State where the work is done.
    State,
}

/// The number of opportunities with one value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    /// The dimension.
    pub dimension: FacetDimension,
    /// The value, as a filter takes it.
    pub value: String,
    /// The value for people, where it differs.
    pub label: Option<String>,
    /// Number of opportunities with this value.
    pub count: u64,
    /// Whether `count` is exact; otherwise there are at least as many.
    pub exact: bool,
}
