//! Numbers the builds of a read model: queries read one, another may be built beside it.

use std::{fmt, num::NonZeroU32, str::FromStr};

/// Number of one build of a read model, from 1. Its text form, `g1`, is part of every name in the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadModelGeneration(NonZeroU32);

/// A text or number that is not a valid generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a generation: expected a number from 1, such as g1")]
pub struct InvalidGeneration(String);

impl ReadModelGeneration {
    /// The generation that `medhub migrate` registers.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The generation with this number.
    ///
    /// # Errors
    /// [`InvalidGeneration`] for numbers below 1.
    pub fn try_new(number: i32) -> Result<Self, InvalidGeneration> {
        let positive = u32::try_from(number).ok().and_then(NonZeroU32::new);
        positive.map(Self).ok_or_else(|| InvalidGeneration(number.to_string()))
    }

    /// The number, from 1.
    pub fn number(self) -> i32 {
        i32::try_from(self.0.get()).unwrap_or(i32::MAX)
    }
}

impl fmt::Display for ReadModelGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

impl FromStr for ReadModelGeneration {
    type Err = InvalidGeneration;

    fn from_str(text: &str) -> Result<Self, InvalidGeneration> {
        let digits = text.strip_prefix('g').unwrap_or(text);
        let number = digits.parse().map_err(|_| InvalidGeneration(text.to_owned()))?;
        Self::try_new(number).map_err(|_| InvalidGeneration(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_parsed_from_its_text() {
        let third = ReadModelGeneration::try_new(3).unwrap();
        assert_eq!((third.to_string().as_str(), third.number()), ("g3", 3));
        assert_eq!(["g3", "3"].map(str::parse), [Ok(third), Ok(third)]);
    }

    #[test]
    fn malformed_generations_are_rejected() {
        for text in ["", "g", "0", "-1", "g0", "one", "3000000000"] {
            assert_eq!(text.parse::<ReadModelGeneration>(), Err(InvalidGeneration(text.to_owned())));
        }
    }
}
