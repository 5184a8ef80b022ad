//! The seed of a run: given in an environment variable, or drawn at random.

use std::env;

use anyhow::Context as _;
use uuid::Uuid;

/// The variable whose seed repeats a run, or all short runs.
pub const SEED_VARIABLE: &str = "FAULTS_SEED";

/// The seed that `FAULTS_SEED` names, if it is set.
///
/// # Errors
/// If it is set and not a number.
pub fn read_seed() -> anyhow::Result<Option<u64>> {
    let Some(text) = env::var_os(SEED_VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seed = text.to_str().and_then(|text| text.trim().parse().ok());
    Ok(Some(seed.with_context(|| format!("{SEED_VARIABLE} is {}, not a number", text.display()))?))
}

/// Returns the seed of [`read_seed`], or that of [`draw_seed`] if there is none.
///
/// # Errors
/// As [`read_seed`].
pub fn read_or_draw_seed() -> anyhow::Result<u64> {
    Ok(read_seed()?.unwrap_or_else(draw_seed))
}

/// Draws a random seed that is short enough to type.
pub fn draw_seed() -> u64 {
    u64::from(Uuid::new_v4().as_fields().0)
}
