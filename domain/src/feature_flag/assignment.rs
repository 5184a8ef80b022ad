//! The assignment of tenants to variants.
//!
//! Each variant draws a number for the tenant, from a digest of flag, tenant and variant, and the smallest number in
//! proportion to the weight wins (weighted rendezvous hashing). So a tenant keeps its variant as long as the weights stay,
//! in every program and after every restart; a raised weight moves tenants to that variant only, and a lowered one only
//! away from it. Integers only, so that all machines compute the same.

use sha2::{Digest, Sha256};

use super::{FeatureFlag, FlagDefinition, FlagKey, FlagVariant, FlagVariants, VariantName};
use crate::value::{TenantId, vocabulary};

/// Fraction bits of a logarithm.
const FRACTION_BITS: u32 = 48;

vocabulary!(
    /// Why a tenant has a variant.
    AssignmentReason, "reason of an assignment" {
        /// The settings of the program name the variant.
        Pinned = "pinned",
        /// The flag has an override for the tenant.
        Override = "override",
        /// By the weights of the variants.
        Weights = "weights",
        /// The flag is disabled, so that it is the control.
        Disabled = "disabled",
        /// The flag is not defined or archived, so that it is the control.
        Undefined = "undefined",
    }
);

/// The variant of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagAssignment {
    /// The variant.
    pub variant: VariantName,
    /// Why the tenant has it.
    pub reason: AssignmentReason,
}

impl FeatureFlag {
    /// The variant of a tenant, by the flag with this key.
    pub fn compute_assignment(&self, key: &FlagKey, tenant: &TenantId) -> FlagAssignment {
        match self {
            Self::Absent => FlagAssignment { variant: VariantName::control(), reason: AssignmentReason::Undefined },
            Self::Archived(definition) => {
                FlagAssignment { variant: definition.variants.control(), reason: AssignmentReason::Undefined }
            }
            Self::Active(definition) => definition.compute_active_assignment(key, tenant),
        }
    }
}

impl FlagDefinition {
    fn compute_active_assignment(&self, key: &FlagKey, tenant: &TenantId) -> FlagAssignment {
        if let Some(variant) = self.overrides.get(tenant) {
            FlagAssignment { variant: variant.clone(), reason: AssignmentReason::Override }
        } else if self.enabled {
            FlagAssignment { variant: self.variants.draw(key, tenant), reason: AssignmentReason::Weights }
        } else {
            FlagAssignment { variant: self.variants.control(), reason: AssignmentReason::Disabled }
        }
    }
}

impl FlagVariants {
    /// The variant that a tenant has by the weights.
    pub(super) fn draw(&self, key: &FlagKey, tenant: &TenantId) -> VariantName {
        let draw_number = |variant: &FlagVariant| negative_log2(tenant_digest(key, tenant, &variant.name));
        let candidates =
            self.iter().filter(|variant| variant.weight > 0).map(|variant| (draw_number(variant), variant));
        let winner = candidates.reduce(|best, next| {
            // next.0 / next.weight < best.0 / best.weight, without a division; the first of equals stays.
            let is_smaller = next.0 * u128::from(best.1.weight) < best.0 * u128::from(next.1.weight);
            if is_smaller { next } else { best }
        });
        winner.map_or_else(|| self.control(), |(_, variant)| variant.name.clone())
    }
}

/// A number that is evenly distributed over tenants, and independent for each flag and variant.
fn tenant_digest(key: &FlagKey, tenant: &TenantId, variant: &VariantName) -> u64 {
    // None of the parts contains a line break.
    let digest: [u8; 32] = Sha256::digest(format!("{key}\n{tenant}\n{variant}")).into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// `-log2(number / 2^64)` with [`FRACTION_BITS`]: exponentially distributed if the number is evenly distributed.
fn negative_log2(number: u64) -> u128 {
    let number = number.max(1);
    let whole_bits = number.ilog2();
    // The number as 1.x with 63 fraction bits; squaring it shows the next bit of its logarithm.
    let mut mantissa = u128::from(number) << number.leading_zeros();
    let mut logarithm = u128::from(whole_bits);
    for _ in 0..FRACTION_BITS {
        mantissa = (mantissa * mantissa) >> 63;
        logarithm <<= 1;
        if mantissa >> 64 > 0 {
            logarithm |= 1;
            mantissa >>= 1;
        }
    }
    (64 << FRACTION_BITS) - logarithm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "compared with the precision of the computation")]
    fn the_logarithm_equals_floating_point() {
        for number in [1, 2, 3, 1_000, u64::MAX / 3, u64::MAX - 1, u64::MAX] {
            let computed = negative_log2(number) as f64 / (1_u64 << FRACTION_BITS) as f64;
            let expected = 64.0 - (number as f64).log2();
            assert!((computed - expected).abs() < 1e-9, "{number}: {computed} {expected}");
        }
    }
}
