//! Writes a section with the first provider that can, within the company's budget.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    error_chain::format_error_chain,
    proposal_generation::{GeneratedDraft, ModelName, ModelUse, PromptRef, ProviderName},
    value::InvalidValue,
};
use language_models::{
    ChainError, GeneratedText, PaidSection, ProviderChain, ProviderSelection, SpendingError, SpendingLedger,
    SpendingReservation, TextRequest, UpdateSink, UsageOrigin,
};
use metrics::counter;
use serde::{Deserialize, Serialize};

use crate::{
    RetrievalError, SourcedPassage, generated_draft::build_generated_draft, unstored_sections::UnstoredSections,
};

/// Pause before a store that does not answer is asked again.
const STORE_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// A written section with its provider, model and cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenSection {
    /// The text with its sources.
    pub draft: GeneratedDraft,
    /// The provider and model, and what they used. The cost is the sum of all attempts at the section that no event
    /// has.
    pub model: ModelUse,
    /// What is settled when the section is recorded; `None` if nothing was paid.
    pub payment: Option<SectionPayment>,
}

/// What a section has cost, and the reservation that it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionPayment {
    reservation: SpendingReservation,
    cost_micros: u64,
    /// Whether the ledger has the section.
    is_stored: bool,
}

/// A section that was paid for, as it is stored until the log has it. Fields are added with defaults.
#[derive(Debug, Serialize, Deserialize)]
struct StoredSection {
    draft: GeneratedDraft,
    model: ModelUse,
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
    unstored: UnstoredSections,
}

impl SectionWriter {
    /// Asks the providers of `chain`, and spends what `ledger` allows.
    pub fn new(chain: ProviderChain, ledger: SpendingLedger) -> Self {
        Self { chain, ledger, unstored: UnstoredSections::default() }
    }

    /// Whether a provider has this name.
    pub fn has_provider(&self, name: &str) -> bool {
        self.chain.provider_states().iter().any(|(known, _)| known == name)
    }

    /// The section as an earlier attempt has written it and not recorded, from memory or from the ledger; `None` if there is
    /// none.
    ///
    /// # Errors
    /// [`SectionError::Budget`] when Postgres does not answer.
    pub async fn find_written(&self, section: PaidSection<'_>) -> Result<Option<WrittenSection>, SectionError> {
        if let Some(written) = self.unstored.take(section) {
            return Ok(Some(written));
        }
        let found = self.ledger.find_answer::<StoredSection>(section).await?;
        Ok(found.map(|(reservation, StoredSection { draft, model })| {
            let payment = SectionPayment { cost_micros: reservation.max_micros(), reservation, is_stored: true };
            WrittenSection { draft, model, payment: Some(payment) }
        }))
    }

    /// Writes a section, and stores it until [`Self::settle_payment`]. When the budget of the month is used up, only
    /// providers without prices are asked.
    ///
    /// # Errors
    /// [`SectionError`] when no provider has generated a text that can be recorded.
    pub async fn write_section(
        &self,
        section: PaidSection<'_>,
        request: &TextRequest,
        task: SectionTask<'_>,
        updates: UpdateSink<'_>,
    ) -> Result<WrittenSection, SectionError> {
        let budget = self.reserve_budget(section, request, task.now).await?;
        let free_only = matches!(budget, BudgetShare::UsedUp(_));
        let selection = ProviderSelection { preferred: task.preferred, free_only };
        let outcome = self.chain.generate_text(request, selection, updates).await;
        let cost_micros = outcome.as_ref().map_or_else(ChainError::cost_micros, |generated| generated.cost_micros);
        let reservation = match budget {
            BudgetShare::Reserved(reservation) => Some(reservation),
            BudgetShare::UsedUp(error) if outcome.is_err() => return Err(error.into()),
            BudgetShare::NotNeeded | BudgetShare::UsedUp(_) => None,
        };
        match outcome.map_err(SectionError::from).and_then(|generated| to_stored_section(&generated, task)) {
            Ok(stored) => Ok(match reservation {
                Some(reservation) => self.store_section(stored, reservation, cost_micros).await,
                None => WrittenSection { draft: stored.draft, model: stored.model, payment: None },
            }),
            Err(error) => {
                if let Some(reservation) = reservation {
                    let carried = self.ledger.carry_cost(reservation, cost_micros).await;
                    log_unsettled(carried, cost_micros);
                }
                Err(error)
            }
        }
    }

    /// Stores a section that was paid for. If that fails, [`Self::keep_unstored`] keeps it for a later attempt of this
    /// program; when the program dies before the log has it, or another one makes that attempt, it is paid again.
    async fn store_section(
        &self,
        mut stored: StoredSection,
        reservation: SpendingReservation,
        cost_micros: u64,
    ) -> WrittenSection {
        stored.model.cost_micros = stored.model.cost_micros.saturating_add(reservation.earlier_micros());
        let (reservation, is_stored) = match self.ledger.store_answer(reservation.clone(), cost_micros, &stored).await {
            Ok(reservation) => (reservation, true),
            Err(error) => {
                tracing::warn!(
                    reason = format_error_chain(&error),
                    "storing a generated text before recording it failed"
                );
                (reservation, false)
            }
        };
        let StoredSection { draft, model } = stored;
        WrittenSection { draft, model, payment: Some(SectionPayment { reservation, cost_micros, is_stored }) }
    }

    /// Keeps a section that was paid for and could not be recorded, unless the ledger has it: what makes the append fail
    /// usually makes that fail as well.
    pub fn keep_unstored(&self, section: PaidSection<'_>, written: WrittenSection) {
        if written.payment.as_ref().is_some_and(|payment| !payment.is_stored) {
            self.unstored.add(section, written);
        }
    }

    /// Records what was spent on a section that is recorded. If that fails, the whole reservation counts until it ends.
    pub async fn settle_payment(&self, payment: SectionPayment) {
        let SectionPayment { reservation, cost_micros, .. } = payment;
        log_unsettled(self.ledger.settle_cost(reservation, cost_micros).await, cost_micros);
    }

    /// What attempts at a section have cost, as far as no event has it, in micro-dollars.
    ///
    /// # Errors
    /// [`SectionError::Budget`] when Postgres does not answer.
    pub async fn unrecorded_micros(&self, section: PaidSection<'_>) -> Result<u64, SectionError> {
        Ok(self.ledger.unrecorded_micros(section).await?)
    }

    /// Ends what is stored of a section that has failed for good, after its event.
    pub async fn close_section(&self, section: PaidSection<'_>) {
        log_unsettled(self.ledger.close_section(section).await, 0);
    }

    async fn reserve_budget(
        &self,
        section: PaidSection<'_>,
        request: &TextRequest,
        now: DateTime<Utc>,
    ) -> Result<BudgetShare, SectionError> {
        let max_micros = self.chain.max_cost_micros(request);
        if max_micros == 0 {
            return Ok(BudgetShare::NotNeeded);
        }
        match self.ledger.reserve_cost(section, max_micros, now).await {
            Ok(reservation) => Ok(BudgetShare::Reserved(reservation)),
            Err(error @ SpendingError::BudgetExceeded { .. }) => {
                counter!("medhub_generation_budget_exceeded_total").increment(1);
                Ok(BudgetShare::UsedUp(error))
            }
            Err(error @ SpendingError::Postgres(_)) => Err(error.into()),
        }
    }
}

/// What was not settled counts as spent, with all that is reserved, when its reservation ends.
fn log_unsettled(settled: Result<(), SpendingError>, cost_micros: u64) {
    if let Err(error) = settled {
        tracing::error!(reason = format_error_chain(&error), cost_micros, "cost of a generated text not recorded");
    }
}

fn to_stored_section(generated: &GeneratedText, task: SectionTask<'_>) -> Result<StoredSection, SectionError> {
    count_section(generated);
    let draft = build_generated_draft(&generated.text, generated.finish, task.passages)?;
    Ok(StoredSection { draft, model: to_model_use(generated, task.prompt)? })
}

/// What may be spent on a section.
enum BudgetShare {
    NotNeeded,
    Reserved(SpendingReservation),
    UsedUp(SpendingError),
}

/// Facts about a section that its request does not have.
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

/// A name of a model from any text: servers may report any string.
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
