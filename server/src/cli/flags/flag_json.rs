//! Feature flags as JSON.

use commands::feature_flags::{FeatureFlags, FlagRecord};
use domain::{feature_flag::FeatureFlag, value::TenantId};
use serde_json::{Value, json};

/// A flag as an object on one line.
pub(super) fn format_flag(record: &FlagRecord, flags: &FeatureFlags) -> String {
    flag_object(record, flags).to_string()
}

/// A flag as an object, with the variant of a tenant.
pub(super) fn format_details(record: &FlagRecord, flags: &FeatureFlags, tenant: Option<&TenantId>) -> String {
    let mut object = flag_object(record, flags);
    if let Some(tenant) = tenant {
        let assignment = flags.assignment(record.key.as_str(), tenant);
        object["assignment"] =
            json!({ "tenant": tenant, "variant": assignment.variant, "reason": assignment.reason.name() });
    }
    object.to_string()
}

fn flag_object(record: &FlagRecord, flags: &FeatureFlags) -> Value {
    let definition = record.state.definition();
    json!({
        "key": record.key,
        "description": definition.map(|definition| &definition.description),
        "state": match &record.state {
            FeatureFlag::Absent => "undefined",
            FeatureFlag::Archived(_) => "archived",
            FeatureFlag::Active(definition) if definition.enabled => "enabled",
            FeatureFlag::Active(_) => "disabled",
        },
        "variants": definition.map(|definition| &definition.variants),
        "overrides": definition.map(|definition| &definition.overrides),
        "pinned": flags.pins().find(record.key.as_str()),
        "version": record.version,
        "changedAt": record.changed_at,
        "changedBy": Some(&record.changed_by).filter(|by| !by.is_empty()),
    })
}
