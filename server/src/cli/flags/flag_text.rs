//! Feature flags as text.

use chrono::SecondsFormat;
use commands::feature_flags::{FeatureFlags, FlagRecord};
use domain::{
    feature_flag::{CONTROL, FeatureFlag, FlagAssignment, FlagDefinition, KnownExperiment},
    value::TenantId,
};

/// Overrides that are printed; JSON has all of them.
const MAX_OVERRIDES: usize = 50;

/// A flag on one line.
pub(super) fn format_line(record: &FlagRecord, flags: &FeatureFlags) -> String {
    let mut parts = vec![format!("{}: {}", record.key, format_state(&record.state))];
    if let Some(FlagDefinition { variants, overrides, .. }) = record.state.definition() {
        parts.push(variants.to_string());
        match overrides.len() {
            0 => {}
            1 => parts.push("1 override".to_owned()),
            several => parts.push(format!("{several} overrides")),
        }
    }
    parts.extend(flags.pins().find(record.key.as_str()).map(|pin| format!("pinned to {pin} by the settings")));
    parts.extend(format_last_change(record));
    parts.join(", ")
}

/// A flag with its overrides, and the variant of a tenant.
pub(super) fn format_details(record: &FlagRecord, flags: &FeatureFlags, tenant: Option<&TenantId>) -> String {
    let mut lines = vec![format_line(record, flags)];
    let experiment = KnownExperiment::parse(record.key.as_str()).ok();
    match (record.state.definition(), experiment) {
        (Some(definition), _) => lines.push(format!("  {}", definition.description)),
        (None, Some(experiment)) => lines.push(format!("  {}", experiment.description())),
        (None, None) => {}
    }
    let overrides = record.state.definition().map(|definition| &definition.overrides);
    for (tenant, variant) in overrides.into_iter().flatten().take(MAX_OVERRIDES) {
        lines.push(format!("  override of {tenant}: {variant}"));
    }
    if let Some(more) = overrides.and_then(|all| all.len().checked_sub(MAX_OVERRIDES)).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more overrides; --json prints all"));
    }
    if let Some(tenant) = tenant {
        let FlagAssignment { variant, reason } = flags.assignment(record.key.as_str(), tenant);
        lines.push(format!("  variant of {tenant}: {variant} ({reason})"));
    }
    lines.join("\n")
}

fn format_state(state: &FeatureFlag) -> String {
    match state {
        FeatureFlag::Absent => format!("not defined, everybody has {CONTROL}"),
        FeatureFlag::Archived(definition) => {
            format!("archived, everybody has {}", definition.variants.control())
        }
        FeatureFlag::Active(definition) if definition.enabled => "enabled".to_owned(),
        FeatureFlag::Active(_) => "disabled".to_owned(),
    }
}

fn format_last_change(record: &FlagRecord) -> Option<String> {
    let at = record.changed_at?.to_rfc3339_opts(SecondsFormat::Secs, true);
    Some(format!("version {} of {at} by {}", record.version, record.changed_by))
}
