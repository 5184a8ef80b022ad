//! Numbers as tables and pictures show them.

/// Formats a number with three digits or two decimals, and a large one as a whole number.
pub(super) fn format_number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
