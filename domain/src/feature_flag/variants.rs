//! The variants of a flag with their weights.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};

use super::value::VariantName;
use crate::value::InvalidValue;

/// Maximum number of variants of one flag.
pub const MAX_VARIANTS: usize = 20;

/// Maximum weight of a variant.
pub const MAX_WEIGHT: u32 = 10_000;

/// A variant and its share of the tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagVariant {
    /// The variant's name.
    pub name: VariantName,
    /// Its share is this weight out of the sum of all weights; 0 for no tenant but those with an override.
    pub weight: u32,
}

/// At least two variants with different names. The first is the control, and at least one has a weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlagVariants(Vec<FlagVariant>);

impl FlagVariants {
    /// Creates the list; the first variant is the control.
    ///
    /// # Errors
    /// [`InvalidValue`] for fewer than two variants, more than [`MAX_VARIANTS`], a repeated name, a weight above
    /// [`MAX_WEIGHT`], and when all weights are 0.
    pub fn try_new(variants: Vec<FlagVariant>) -> Result<Self, InvalidValue> {
        let variants = Self(variants);
        let malformed = |expected| InvalidValue::malformed("list of variants", &variants.to_string(), expected);
        if variants.0.len() > MAX_VARIANTS {
            return Err(InvalidValue::TooMany { what: "variants", max: MAX_VARIANTS });
        }
        if variants.0.len() < 2 {
            return Err(malformed("a list of at least two"));
        }
        let names: HashSet<_> = variants.0.iter().map(|variant| &variant.name).collect();
        if names.len() < variants.0.len() {
            return Err(malformed("a list of different names"));
        }
        if variants.0.iter().any(|variant| variant.weight > MAX_WEIGHT) {
            return Err(malformed("a list of weights from 0 to 10000"));
        }
        if variants.0.iter().all(|variant| variant.weight == 0) {
            return Err(malformed("a list with at least one weight above 0"));
        }
        Ok(variants)
    }

    /// The variants of a plain flag: `off`, the control, and `on` for every tenant once the flag is enabled.
    pub fn plain() -> Self {
        let (off, on) = (VariantName::off(), VariantName::on());
        Self(vec![FlagVariant { name: off, weight: 0 }, FlagVariant { name: on, weight: 1 }])
    }

    /// The first variant, which tenants get when the flag is disabled or archived.
    pub fn control(&self) -> VariantName {
        self.0.first().map_or_else(VariantName::control, |variant| variant.name.clone())
    }

    /// The variants, the control first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &FlagVariant> {
        self.0.iter()
    }

    /// Whether there is a variant with that name.
    pub fn contains(&self, name: &VariantName) -> bool {
        self.0.iter().any(|variant| variant.name == *name)
    }
}

impl fmt::Display for FlagVariants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, FlagVariant { name, weight }) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{name}={weight}")?;
        }
        Ok(())
    }
}
