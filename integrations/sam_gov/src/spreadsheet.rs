//! Reverts changes that spreadsheets make to values when they open a file and save it again.

use std::borrow::Cow;

/// Amounts with more decimals than this have the rounding error of a binary fraction: `36000.00000000004`.
const MAX_DECIMALS: usize = 6;

/// `339113.0` as `339113`; anything else as it is.
pub(super) fn strip_zero_decimals(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if is_digits(whole) && !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            whole
        }
        _ => text,
    }
}

/// Rewrites an amount with a decimal point, without rounding error and exponent; `None` if nothing is to be rewritten.
pub(super) fn parse_amount(text: &str) -> Option<String> {
    let with_point = with_decimal_point(text);
    if let Some(rounded) = round_to_cents(&with_point) {
        return Some(rounded);
    }
    if let Some(number) = expand_exponent(&with_point) {
        return Some(number);
    }
    matches!(with_point, Cow::Owned(_)).then(|| with_point.into_owned())
}

/// Rewrites `36000,50` and `1.234.567,50` with a decimal point. A comma before three digits separates thousands.
fn with_decimal_point(text: &str) -> Cow<'_, str> {
    match text.rsplit_once(',') {
        Some((whole, decimals)) if (1..=2).contains(&decimals.len()) && is_digits(decimals) && !whole.contains(',') => {
            Cow::Owned(format!("{}.{decimals}", whole.replace('.', "")))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Rounds a number with more than [`MAX_DECIMALS`] to cents, if the difference is no more than a rounding error.
fn round_to_cents(text: &str) -> Option<String> {
    let (_, decimals) = text.split_once('.')?;
    let plain: String = text.trim_start_matches('$').chars().filter(|c| *c != ',').collect();
    let value: f64 = (decimals.len() > MAX_DECIMALS && is_digits(decimals)).then(|| plain.parse().ok())??;
    let rounded = format!("{value:.2}");
    let nearest: f64 = rounded.parse().ok()?;
    ((value - nearest).abs() < 1e-6 * value.abs().max(1.0)).then_some(rounded)
}

/// Rewrites `3.6E+04` as `36000.00`, for exponents from -2 to 12.
fn expand_exponent(text: &str) -> Option<String> {
    let (mantissa, power) = text.split_once(['e', 'E'])?;
    let is_number = !mantissa.is_empty() && mantissa.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let power: i32 = power.parse().ok().filter(|power| (-2..=12).contains(power))?;
    let value: f64 = is_number.then(|| format!("{mantissa}e{power}").parse().ok())??;
    Some(format!("{value:.2}"))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_decimals_are_removed_from_codes() {
        for (text, expected) in [
            ("339113.0", "339113"),
            ("6515.00", "6515"),
            ("339113", "339113"),
            ("1.5", "1.5"),
            ("A.0", "A.0"),
            ("5.", "5."),
        ] {
            assert_eq!(strip_zero_decimals(text), expected);
        }
    }

    #[test]
    fn amounts_that_spreadsheets_changed_are_restored() {
        for (text, expected) in [
            ("36000.00000000004", Some("36000.00")),
            ("819300.4999999999", Some("819300.50")),
            ("36000,50", Some("36000.50")),
            ("1.234.567,5", Some("1234567.5")),
            ("3.6E+04", Some("36000.00")),
            ("1e6", Some("1000000.00")),
            ("36,000", None),
            ("$1,234,567.50", None),
            ("12.345", None),
            ("12.3456789", None),
            ("1e99", None),
            ("Multiple Award", None),
            ("", None),
        ] {
            assert_eq!(parse_amount(text).as_deref(), expected, "{text}");
        }
    }
}
