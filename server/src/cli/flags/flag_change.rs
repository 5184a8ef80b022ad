//! Changes of a feature flag.

use std::sync::Arc;

use anyhow::{Context, bail};
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    clock::SystemClock,
    feature_flag::{
        ConfiguredVariants, FeatureFlag, FeatureFlagCommand, FlagKey, FlagVariant, FlagVariants, KnownExperiment,
        VariantName,
    },
    value::{AuditStamp, TenantId, UserId},
};
use eventstore::store::PgEventStore;
use serde_json::json;
use sqlx::PgPool;

use super::{ArchiveArgs, DefineArgs, OverrideArgs, SwitchArgs, WeightsArgs};
use crate::{cli::whoami, config::MedhubConfig};

/// Sends commands to feature flags as the user of the command line.
pub(super) struct FlagChange<'a> {
    dispatcher: CommandDispatcher<PgEventStore<()>>,
    config: &'a MedhubConfig,
    json: bool,
}

impl<'a> FlagChange<'a> {
    pub(super) fn new(config: &'a MedhubConfig, pool: &PgPool, json: bool) -> Self {
        let store = PgEventStore::new(pool.clone(), &config.engines.postgres);
        Self { dispatcher: CommandDispatcher::new(store, Arc::new(SystemClock)), config, json }
    }

    /// Returns what the variants of experiments may name. Only changes of variants need it: a flag can be disabled while
    /// the prompts cannot be loaded.
    fn load_configured_variants(&self) -> anyhow::Result<ConfiguredVariants> {
        let prompts = self.config.engines.proposal_generation.load_prompts()?;
        Ok(ConfiguredVariants {
            prompt_versions: prompts.versions(),
            providers: self.config.language_models.provider_names(),
        })
    }

    pub(super) async fn define(self, args: DefineArgs) -> anyhow::Result<String> {
        let DefineArgs { key, description, variants, enabled } = args;
        let variants = if variants.is_empty() { FlagVariants::plain() } else { FlagVariants::try_new(variants)? };
        KnownExperiment::check_variants(&key, &variants, &self.load_configured_variants()?)?;
        let define = |stamp| FeatureFlagCommand::Define { description, variants, enabled, stamp };
        self.dispatch(&key, CommandPreconditions::default(), "is defined", define).await
    }

    pub(super) async fn switch(self, SwitchArgs { key, state, reason }: SwitchArgs) -> anyhow::Result<String> {
        let enabled = state == "on";
        let effect = if enabled { "is enabled" } else { "is disabled" };
        let switch = |stamp| FeatureFlagCommand::Switch { enabled, reason, stamp };
        self.dispatch(&key, CommandPreconditions::default(), effect, switch).await
    }

    pub(super) async fn change_weights(self, args: WeightsArgs) -> anyhow::Result<String> {
        let WeightsArgs { key, weights, remove, reason } = args;
        let loaded = self.dispatcher.load_aggregate::<FeatureFlag>(&TenantId::public(), key.as_str()).await;
        let loaded = loaded.with_context(|| format!("reading the flag {key}"))?;
        let Some(definition) = loaded.state.definition() else {
            bail!("the flag {key} is not defined; `medhub flags define` defines it");
        };
        let variants = merge_variants(&definition.variants, weights, &remove)?;
        KnownExperiment::check_variants(&key, &variants, &self.load_configured_variants()?)?;
        // The variants that stay are those that were read.
        let conditions = CommandPreconditions::with_version(Some(loaded.version));
        let effect = format!("has the variants {variants}");
        let change = |stamp| FeatureFlagCommand::ChangeVariants { variants, reason, stamp };
        self.dispatch(&key, conditions, &effect, change).await
    }

    pub(super) async fn change_override(self, args: OverrideArgs) -> anyhow::Result<String> {
        let OverrideArgs { key, tenant, variant, remove: _, reason } = args;
        let conditions = CommandPreconditions::default();
        if let Some(variant) = variant {
            let effect = format!("has the variant {variant} for {tenant}");
            let set = |stamp| FeatureFlagCommand::SetOverride { tenant, variant, reason, stamp };
            return self.dispatch(&key, conditions, &effect, set).await;
        }
        let effect = format!("has no override for {tenant}");
        let remove = |stamp| FeatureFlagCommand::RemoveOverride { tenant, reason, stamp };
        self.dispatch(&key, conditions, &effect, remove).await
    }

    pub(super) async fn archive(self, ArchiveArgs { key, reason }: ArchiveArgs) -> anyhow::Result<String> {
        let archive = |stamp| FeatureFlagCommand::Archive { reason, stamp };
        self.dispatch(&key, CommandPreconditions::default(), "is archived", archive).await
    }

    async fn dispatch(
        &self,
        key: &FlagKey,
        conditions: CommandPreconditions,
        effect: &str,
        command: impl FnOnce(AuditStamp) -> FeatureFlagCommand,
    ) -> anyhow::Result<String> {
        let user = UserId::try_new(&whoami::user_at_host()).context("reading the name of the user")?;
        let sender =
            CommandSender { caller: Caller::new(user, TenantId::public()), authority: CallerAuthority::System };
        let command = command(self.dispatcher.stamp(&sender));
        let outcome = self.dispatcher.dispatch::<FeatureFlag>(&sender, key.as_str(), &conditions, command).await;
        let outcome = outcome.with_context(|| format!("changing the flag {key}"))?;
        let changed = outcome.events > 0;
        if self.json {
            return Ok(json!({ "key": key, "version": outcome.version, "changed": changed }).to_string());
        }
        let note = if changed { "" } else { " already" };
        Ok(format!("{key} {effect}{note}, version {}", outcome.version))
    }
}

/// The present variants in their order with the new weights, then the new variants, without those that are removed.
fn merge_variants(
    present: &FlagVariants,
    mut weights: Vec<FlagVariant>,
    remove: &[VariantName],
) -> anyhow::Result<FlagVariants> {
    if let Some(unknown) = remove.iter().find(|name| !present.contains(name)) {
        bail!("the flag has no variant {unknown} to remove; its variants are {present}");
    }
    let mut merged = vec![];
    for variant in present.iter().filter(|variant| !remove.contains(&variant.name)) {
        match weights.iter().position(|new| new.name == variant.name) {
            Some(place) => merged.push(weights.remove(place)),
            None => merged.push(variant.clone()),
        }
    }
    merged.append(&mut weights);
    Ok(FlagVariants::try_new(merged)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str, weight: u32) -> FlagVariant {
        FlagVariant { name: VariantName::try_new(name).unwrap(), weight }
    }

    #[test]
    fn named_weights_change_new_names_are_added_and_others_stay() {
        let present = FlagVariants::try_new(vec![variant("control", 50), variant("b", 30), variant("c", 20)]).unwrap();
        let merge = |weights, remove: &[&str]| {
            let remove: Vec<_> = remove.iter().map(|name| VariantName::try_new(name).unwrap()).collect();
            merge_variants(&present, weights, &remove).map(|merged| merged.to_string())
        };
        assert_eq!(merge(vec![variant("b", 5)], &[]).unwrap(), "control=50 b=5 c=20");
        assert_eq!(merge(vec![variant("d", 1)], &["b"]).unwrap(), "control=50 c=20 d=1");
        assert!(merge(vec![], &["x"]).unwrap_err().to_string().contains("control=50 b=30 c=20"));
        assert!(merge(vec![variant("b", 1), variant("b", 2)], &[]).unwrap_err().to_string().contains("different"));
    }
}
