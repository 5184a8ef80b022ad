//! `medhub flags`: lists, defines, switches and changes feature flags.

mod flag_change;
mod flag_history;
mod flag_json;
mod flag_text;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use clap::{ArgAction, Args, Subcommand};
use commands::feature_flags::{FeatureFlags, FlagRecord};
use domain::{
    feature_flag::{FlagDescription, FlagKey, FlagReason, FlagVariant, VariantName},
    value::TenantId,
};
use eventstore::log::PgLogReader;
use sqlx::PgPool;

use self::flag_change::FlagChange;
use super::{event_selection::open_log, output};
use crate::config::MedhubConfig;

/// Lists, defines, switches and changes feature flags. A flag says which variant of a behaviour each company gets: by an
/// override, else by weights if the flag is enabled, else the first variant, the control. Running programs follow a
/// change within a second, and each change is recorded with who made it. Needs Postgres only.
#[derive(Debug, Args)]
pub(super) struct FlagsArgs {
    /// Print JSON: one object per flag or change
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: FlagSubcommand,
}

#[derive(Debug, Subcommand)]
enum FlagSubcommand {
    /// List all flags, and the experiments that are not defined
    List,
    /// Show a flag with its overrides, and the variant of a company
    Show(ShowArgs),
    /// Define a flag, or define an archived one again. Without variants: a plain flag with `off` and `on`
    Define(DefineArgs),
    /// Enable or disable a flag
    Switch(SwitchArgs),
    /// Change weights of variants, add variants or remove some
    Weights(WeightsArgs),
    /// Give a company a variant, regardless of the weights
    Override(OverrideArgs),
    /// Archive a flag: every company has the control
    Archive(ArchiveArgs),
    /// Show who changed a flag, when and why
    History(HistoryArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Key of the flag, e.g. `search.ranking`
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    key: FlagKey,
    /// Also show the variant of this company, and why it has it
    #[arg(long, value_name = "TENANT", value_parser = TenantId::try_new)]
    tenant: Option<TenantId>,
}

#[derive(Debug, Args)]
struct DefineArgs {
    /// Key of the flag: lower-case letters, digits, hyphens and dots
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    key: FlagKey,
    /// What it is for
    #[arg(long, value_name = "TEXT", value_parser = FlagDescription::try_new)]
    description: FlagDescription,
    /// A variant with its weight, 0 to 10,000; can be repeated, the control first
    #[arg(long = "variant", value_name = "NAME=WEIGHT", value_parser = parse_variant)]
    variants: Vec<FlagVariant>,
    /// Assign companies by the weights at once
    #[arg(long)]
    enabled: bool,
}

#[derive(Debug, Args)]
struct SwitchArgs {
    /// Key of the flag
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    key: FlagKey,
    /// `on`: companies are assigned by the weights; `off`: all have the control
    #[arg(value_name = "STATE", value_parser = ["on", "off"])]
    state: String,
    /// Reason, kept on record
    #[arg(long, value_name = "TEXT", value_parser = FlagReason::try_new)]
    reason: FlagReason,
}

#[derive(Debug, Args)]
struct WeightsArgs {
    /// Key of the flag
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    key: FlagKey,
    /// Variants with their new weights, 0 to 10,000; a new name adds a variant, and others stay as they are
    #[arg(value_name = "NAME=WEIGHT", value_parser = parse_variant, required_unless_present = "remove")]
    weights: Vec<FlagVariant>,
    /// Remove this variant; can be repeated
    #[arg(long, value_name = "NAME", value_parser = VariantName::try_new, action = ArgAction::Append)]
    remove: Vec<VariantName>,
    /// Reason, kept on record
    #[arg(long, value_name = "TEXT", value_parser = FlagReason::try_new)]
    reason: FlagReason,
}

#[derive(Debug, Args)]
struct OverrideArgs {
    /// Key of the flag
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    key: FlagKey,
    /// Id of the company
    #[arg(value_name = "TENANT", value_parser = TenantId::try_new)]
    tenant: TenantId,
    /// Name of the variant
    #[arg(value_name = "VARIANT", value_parser = VariantName::try_new, required_unless_present = "remove")]
    variant: Option<VariantName>,
    /// Remove the override: assign the company by the weights again
    #[arg(long, conflicts_with = "variant")]
    remove: bool,
    /// Reason, kept on record
    #[arg(long, value_name = "TEXT", value_parser = FlagReason::try_new)]
    reason: FlagReason,
}

#[derive(Debug, Args)]
struct ArchiveArgs {
    /// Key of the flag
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    key: FlagKey,
    /// Reason, kept on record
    #[arg(long, value_name = "TEXT", value_parser = FlagReason::try_new)]
    reason: FlagReason,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    /// Key of the flag
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    key: FlagKey,
    /// Maximum number of changes; the latest ones are shown
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
}

impl FlagsArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let pool = open_log(config).await?;
        let outcome = self.run_action(config, &pool).await;
        pool.close().await;
        output::print_result(&outcome?)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn run_action(self, config: &MedhubConfig, pool: &PgPool) -> anyhow::Result<String> {
        let json = self.json;
        let change = || FlagChange::new(config, pool, json);
        match self.action {
            FlagSubcommand::List => {
                let flags = load_flags(config, pool).await?;
                let format = if json { flag_json::format_flag } else { flag_text::format_line };
                let lines: Vec<_> = flags.list().iter().map(|record| format(record, &flags)).collect();
                Ok(lines.join("\n"))
            }
            FlagSubcommand::Show(args) => args.run(config, pool, json).await,
            FlagSubcommand::Define(args) => change().define(args).await,
            FlagSubcommand::Switch(args) => change().switch(args).await,
            FlagSubcommand::Weights(args) => change().change_weights(args).await,
            FlagSubcommand::Override(args) => change().change_override(args).await,
            FlagSubcommand::Archive(args) => change().archive(args).await,
            FlagSubcommand::History(HistoryArgs { key, limit }) => {
                flag_history::format_history(pool, &key, usize::from(limit), json).await
            }
        }
    }
}

impl ShowArgs {
    async fn run(self, config: &MedhubConfig, pool: &PgPool, json: bool) -> anyhow::Result<String> {
        let flags = load_flags(config, pool).await?;
        let record = find_flag(&flags, &self.key)?;
        let tenant = self.tenant.as_ref();
        Ok(if json {
            flag_json::format_details(&record, &flags, tenant)
        } else {
            flag_text::format_details(&record, &flags, tenant)
        })
    }
}

/// Reads all flags, with the pins of the settings.
async fn load_flags(config: &MedhubConfig, pool: &PgPool) -> anyhow::Result<FeatureFlags> {
    let flags = FeatureFlags::new(Arc::new(PgLogReader::new(pool.clone())), config.engines.flags.clone());
    flags.refresh().await.context("reading the feature flags")?;
    Ok(flags)
}

fn find_flag(flags: &FeatureFlags, key: &FlagKey) -> anyhow::Result<FlagRecord> {
    match flags.list().into_iter().find(|record| record.key == *key) {
        Some(record) => Ok(record),
        None => bail!("there is no flag {key}; `medhub flags list` lists all, `medhub flags define` defines one"),
    }
}

/// Parses a variant with its weight.
fn parse_variant(text: &str) -> Result<FlagVariant, String> {
    let expected = || format!("give a variant and its weight, e.g. control=50, instead of {text:?}");
    let (name, weight) = text.split_once('=').ok_or_else(expected)?;
    let name = VariantName::try_new(name).map_err(|error| error.to_string())?;
    Ok(FlagVariant { name, weight: weight.trim().parse().map_err(|_| expected())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_a_name_with_a_weight() {
        let parsed = parse_variant("words-first=50").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.weight), ("words-first", 50));
        for bad in ["control", "control=", "control=-1", "control=1.5"] {
            assert!(parse_variant(bad).unwrap_err().contains("e.g. control=50"), "{bad}");
        }
        assert!(parse_variant("Control=1").unwrap_err().contains("lower-case"));
    }
}
