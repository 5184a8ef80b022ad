//! Writes a section with the first provider that can, within the company's budget.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    error_chain::format_error_chain,
    proposal_generation::{GeneratedDraft, ModelName, ModelUse, PromptRef, ProviderName},
    value::{InvalidValue, TenantId},
};
use language_models::{
    ChainError, GeneratedText, ProviderChain, ProviderSelection, SpendingError, SpendingLedger, SpendingReservation,
    TextRequest, UpdateSink, UsageOrigin,
};
use metrics::counter;

use crate::{RetrievalError, SourcedPassage, generated_draft::build_generated_draft};

/// Pause before a store that does not answer is asked again.
const STORE_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// A section with what it took to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenSection {
    /// The text with its sources.
    pub draft: GeneratedDraft,
    /// The provider and model, and what they used.
    pub model: ModelUse,
}

/// Why a section was not written.
#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    /// No provider has generated a text.
    #[error(transparent)]
    Providers(#[from] ChainError),
    /// The budgets cannot be used.
    #[error(transparent)]
    Budget(#[from] SpendingError),
    /// The company's texts cannot be searched.
    #[error("the company's texts cannot be searched")]
    Passages(#[source] RetrievalError),
    /// The text, or the name of its provider, cannot be recorded.
    #[error("the generated text cannot be recorded")]
    Text(#[from] InvalidValue),
}

impl SectionError {
    /// Whether another attempt may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Providers(ChainError::AllFailed { is_temporary, .. }) => *is_temporary,
            Self::Budget(SpendingError::Postgres(_)) | Self::Passages(_) => true,
            // Each further text costs as much.
            Self::Text(_)
            | Self::Providers(ChainError::NoProvider)
            | Self::Budget(SpendingError::BudgetExceeded { .. }) => false,
        }
    }

    /// When a temporary one can be tried again.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Providers(ChainError::AllFailed { retry_after, .. }) => *retry_after,
            Self::Providers(ChainError::NoProvider) | Self::Budget(_) | Self::Passages(_) | Self::Text(_) => {
                STORE_RETRY_PAUSE
            }
        }
    }

    /// What the requests have cost, in micro-dollars.
    pub fn cost_micros(&self) -> u64 {
        match self {
            Self::Providers(error) => error.cost_micros(),
            Self::Budget(_) | Self::Passages(_) | Self::Text(_) => 0,
        }
    }

    /// The reason for the user. Details of providers concern operators.
    pub fn user_reason(&self) -> &'static str {
        match self {
            Self::Providers(ChainError::NoProvider) => "no provider of generated texts is configured",
            Self::Providers(ChainError::AllFailed { is_temporary: true, .. }) => {
                "the providers of generated texts do not answer at present"
            }
            Self::Providers(ChainError::AllFailed { is_temporary: false, .. }) => {
                "nothing in the documents, resources and past proposals of the company fits this section, or the \
                 providers of generated texts refuse the request"
            }
            Self::Budget(SpendingError::BudgetExceeded { .. }) => {
                "the company's budget for generated texts of this month is used up"
            }
            Self::Budget(SpendingError::Postgres(_)) => "the budgets for generated texts cannot be read at present",
            Self::Passages(_) => "the company's texts cannot be searched at present",
            Self::Text(_) => "the provider has sent a text without a sentence",
        }
    }
}

/// Writes sections.
pub struct SectionWriter {
    chain: ProviderChain,
    ledger: SpendingLedger,
}

impl SectionWriter {
    /// Asks the providers of `chain`, and spends what `ledger` allows.
    pub fn new(chain: ProviderChain, ledger: SpendingLedger) -> Self {
        Self { chain, ledger }
    }

    /// Whether a provider has this name.
    pub fn has_provider(&self, name: &str) -> bool {
        self.chain.provider_states().iter().any(|(known, _)| known == name)
    }

    /// Writes a section. When the budget of the month is used up, only providers without prices are asked.
    ///
    /// # Errors
    /// [`SectionError`] when no provider has generated a text that can be recorded.
    pub async fn write_section(
        &self,
        tenant: &TenantId,
        request: &TextRequest,
        task: SectionTask<'_>,
        updates: UpdateSink<'_>,
    ) -> Result<WrittenSection, SectionError> {
        let budget = self.reserve_budget(tenant, request, task.now).await?;
        let free_only = matches!(budget, BudgetShare::UsedUp(_));
        let selection = ProviderSelection { preferred: task.preferred, free_only };
        let outcome = self.chain.generate_text(request, selection, updates).await;
        let cost_micros = outcome.as_ref().map_or_else(ChainError::cost_micros, |generated| generated.cost_micros);
        if let BudgetShare::Reserved(reservation) = budget {
            self.settle_budget(reservation, cost_micros).await;
        } else if let (BudgetShare::UsedUp(error), Err(_)) = (budget, &outcome) {
            return Err(error.into());
        }
        let generated = outcome?;
        count_section(&generated);
        let draft = build_generated_draft(&generated.text, generated.finish, task.passages)?;
        Ok(WrittenSection { draft, model: to_model_use(&generated, task.prompt)? })
    }

    async fn reserve_budget(
        &self,
        tenant: &TenantId,
        request: &TextRequest,
        now: DateTime<Utc>,
    ) -> Result<BudgetShare, SectionError> {
        let max_micros = self.chain.max_cost_micros(request);
        if max_micros == 0 {
            return Ok(BudgetShare::NotNeeded);
        }
        match self.ledger.reserve_cost(tenant, max_micros, now).await {
            Ok(reservation) => Ok(BudgetShare::Reserved(reservation)),
            Err(error @ SpendingError::BudgetExceeded { .. }) => {
                counter!("medhub_generation_budget_exceeded_total").increment(1);
                Ok(BudgetShare::UsedUp(error))
            }
            Err(error @ SpendingError::Postgres(_)) => Err(error.into()),
        }
    }

    /// Records what was spent. If that fails, the whole reservation counts until it ends.
    async fn settle_budget(&self, reservation: SpendingReservation, cost_micros: u64) {
        if let Err(error) = self.ledger.settle_cost(reservation, cost_micros).await {
            tracing::error!(reason = format_error_chain(&error), cost_micros, "cost of a generated text not recorded");
        }
    }
}

/// What may be spent on a section.
enum BudgetShare {
    NotNeeded,
    Reserved(SpendingReservation),
    UsedUp(SpendingError),
}

/// What is known about a section beside its request.
#[derive(Debug, Clone, Copy)]
pub struct SectionTask<'a> {
    /// The passages of the request.
    pub passages: &'a [SourcedPassage],
    /// The prompt of the request.
    pub prompt: &'a PromptRef,
    /// The provider to ask first.
    pub preferred: Option<&'a str>,
    /// The current time.
    pub now: DateTime<Utc>,
}

fn count_section(generated: &GeneratedText) {
    let provider = || generated.provider.clone();
    counter!("medhub_generated_sections_total", "provider" => provider()).increment(1);
    let usage = &generated.usage;
    for (direction, tokens) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
        counter!("medhub_generation_tokens_total", "provider" => provider(), "direction" => direction)
            .increment(tokens);
    }
    counter!("medhub_generation_cost_micros_total", "provider" => provider()).increment(generated.cost_micros);
}

fn to_model_use(generated: &GeneratedText, prompt: &PromptRef) -> Result<ModelUse, InvalidValue> {
    let failed_providers = generated.failed.iter().map(|failure| ProviderName::try_new(&failure.provider));
    Ok(ModelUse {
        provider: ProviderName::try_new(&generated.provider)?,
        model: model_name(&generated.model)?,
        model_version: model_name(&generated.model_version)?,
        prompt: prompt.clone(),
        input_tokens: generated.usage.input_tokens,
        output_tokens: generated.usage.output_tokens,
        tokens_estimated: generated.usage.origin == UsageOrigin::Estimated,
        cost_micros: generated.cost_micros,
        latency_ms: to_milliseconds(generated.latency),
        failed_providers: failed_providers.collect::<Result<_, _>>()?,
    })
}

/// A name of a model from any text: servers may report whatever they like.
fn model_name(text: &str) -> Result<ModelName, InvalidValue> {
    const MAX_NAME_CHARACTERS: usize = 200;
    let cleaned: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARACTERS).collect();
    ModelName::try_new(if cleaned.trim().is_empty() { "unknown" } else { &cleaned })
}

fn to_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_report_any_version() {
        assert_eq!(model_name("gpt-x\n2026").unwrap().as_str(), "gpt-x2026");
        assert_eq!(model_name(" \u{7} ").unwrap().as_str(), "unknown");
        assert_eq!(model_name(&"v".repeat(9_999)).unwrap().as_str().len(), 200);
    }
}
