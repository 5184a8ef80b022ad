//! The seed of a run: given, fixed or drawn, and always told.

use std::env;

use anyhow::Context as _;
use uuid::Uuid;

/// Repeats a run, or all short ones.
pub const VARIABLE: &str = "FAULTS_SEED";

/// The seed that `FAULTS_SEED` names.
///
/// # Errors
/// If it is set and no number.
pub fn given() -> anyhow::Result<Option<u64>> {
    let Some(text) = env::var_os(VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seed = text.to_str().and_then(|text| text.trim().parse().ok());
    Ok(Some(seed.with_context(|| format!("{VARIABLE} is {}, not a number", text.display()))?))
}

/// [`given`], else [`fresh`].
///
/// # Errors
/// As [`given`].
pub fn given_or_fresh() -> anyhow::Result<u64> {
    Ok(given()?.unwrap_or_else(fresh))
}

/// One that nobody knows before; short enough to be typed.
pub fn fresh() -> u64 {
    u64::from(Uuid::new_v4().as_fields().0)
}
