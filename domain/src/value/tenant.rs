//! The tenant that owns data.

use std::fmt;

use super::text_value;

/// The tenant of public data, such as federal notices.
pub const PUBLIC_TENANT: &str = "public";

text_value!(
    /// A company on the platform, by a short name that never changes. Its data is not visible to other tenants.
    TenantId, "tenant id", max 60, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "lower-case letters, digits and hyphens"
);

impl TenantId {
    /// The tenant of public data.
    pub fn public() -> Self {
        Self(PUBLIC_TENANT.to_owned())
    }

    /// The stream of this tenant's aggregate `id`.
    ///
    /// The tenant is part of the stream's name, so that no caller can name a stream of another tenant: an id of another
    /// tenant is answered like an unknown one.
    pub fn stream_id(&self, id: impl fmt::Display) -> String {
        format!("{self}:{id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_has_only_lower_case_letters_digits_and_hyphens() {
        assert_eq!(TenantId::try_new("acme-medical").unwrap().stream_id(7), "acme-medical:7");
        for bad in ["Acme", "acme:other", "acme medical", ""] {
            assert!(TenantId::try_new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn streams_of_different_tenants_have_different_ids() {
        let streams = ["a", "a-b"].map(|tenant| TenantId::try_new(tenant).unwrap().stream_id("b:c"));
        assert_ne!(streams[0], streams[1]);
    }
}
