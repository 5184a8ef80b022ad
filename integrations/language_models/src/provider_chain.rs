//! Providers in their order of preference: when one fails, the next one is asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::error_chain::format_error_chain;
use metrics::{counter, histogram};
use tokio::time::sleep;

use crate::{
    BreakerConfig, BreakerState, CircuitBreaker, FinishReason, GenerationUpdate, ProviderError, TextProvider,
    TextRequest, TokenPrices, TokenUsage, UpdateSink,
};

/// Pause before a provider is asked a second time.
const SECOND_ATTEMPT_PAUSE: Duration = Duration::from_millis(500);

/// Providers in their order of preference.
pub struct ProviderChain {
    links: Vec<ChainLink>,
}

struct ChainLink {
    provider: Arc<dyn TextProvider>,
    prices: TokenPrices,
    breaker: CircuitBreaker,
}

/// A provider that was passed over or has failed before the one that generated a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedProvider {
    /// The provider's name.
    pub provider: String,
    /// Why, for operators.
    pub reason: String,
}

/// A generated text with what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedText {
    /// The text.
    pub text: String,
    /// Whether it is complete.
    pub finish: FinishReason,
    /// The provider that generated it.
    pub provider: String,
    /// The version of its model.
    pub model_version: String,
    /// What it used.
    pub usage: TokenUsage,
    /// Cost in micro-dollars, with that of failed attempts as far as it is known.
    pub cost_micros: u64,
    /// Time from the request to the last word, failed attempts included.
    pub latency: Duration,
    /// The providers before it, in their order.
    pub failed: Vec<FailedProvider>,
}

/// No provider has generated a text.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// None is configured.
    #[error("no provider of texts is configured")]
    NoProvider,
    /// All have failed.
    #[error("no provider has generated a text: {}", describe_failures(failed))]
    AllFailed {
        /// The providers, in their order.
        failed: Vec<FailedProvider>,
        /// Whether another attempt may succeed.
        is_temporary: bool,
    },
}

fn describe_failures(failed: &[FailedProvider]) -> String {
    failed.iter().map(|failure| failure.reason.as_str()).collect::<Vec<_>>().join("; ")
}

impl ProviderChain {
    /// A chain of providers with the prices of their models, the preferred one first.
    pub fn new(providers: Vec<(Arc<dyn TextProvider>, TokenPrices)>, breaker: BreakerConfig) -> Self {
        let link = |(provider, prices)| ChainLink { provider, prices, breaker: CircuitBreaker::new(breaker) };
        Self { links: providers.into_iter().map(link).collect() }
    }

    /// Names and states of the providers, in their order.
    pub fn provider_states(&self) -> Vec<(String, BreakerState)> {
        self.links.iter().map(|link| (link.provider.name().to_owned(), link.breaker.state(Instant::now()))).collect()
    }

    /// The most that a request can cost, in micro-dollars: with the dearest provider, and the longest text.
    pub fn max_cost_micros(&self, request: &TextRequest) -> u64 {
        let input = request.instructions.chars().count() + request.to_user_message().chars().count();
        let usage = TokenUsage {
            input_tokens: crate::estimate_tokens(input),
            output_tokens: u64::from(request.max_output_tokens),
            ..TokenUsage::NONE
        };
        self.links.iter().map(|link| link.prices.cost_micros(&usage)).max().unwrap_or_default()
    }

    /// Generates a text with the first provider that can. `preferred` names the one to ask first, e.g. that of an
    /// experiment; an unknown name changes nothing.
    ///
    /// # Errors
    /// [`ChainError`] when none can.
    pub async fn generate_text(
        &self,
        request: &TextRequest,
        preferred: Option<&str>,
        updates: UpdateSink<'_>,
    ) -> Result<GeneratedText, ChainError> {
        if self.links.is_empty() {
            return Err(ChainError::NoProvider);
        }
        let started = Instant::now();
        let (mut failed, mut is_temporary) = (vec![], false);
        let is_preferred = |link: &&ChainLink| preferred.is_some_and(|name| link.provider.name() == name);
        let (first, others): (Vec<_>, Vec<_>) = self.links.iter().partition(is_preferred);
        for link in first.into_iter().chain(others) {
            let provider = link.provider.name().to_owned();
            let Some(permit) = link.breaker.acquire_permit(Instant::now()) else {
                is_temporary = true;
                let reason = format!("{provider} is not asked for a while after its failures");
                failed.push(FailedProvider { provider, reason });
                continue;
            };
            match link.ask_provider(request, updates).await {
                Ok(output) => {
                    permit.record_success();
                    let latency = started.elapsed();
                    histogram!("medhub_text_generation_seconds", "provider" => provider.clone()).record(latency);
                    return Ok(GeneratedText {
                        text: output.text,
                        finish: output.finish,
                        provider,
                        model_version: output.model_version,
                        cost_micros: link.prices.cost_micros(&output.usage),
                        usage: output.usage,
                        latency,
                        failed,
                    });
                }
                Err(error) => {
                    counter!("medhub_text_generation_failures_total", "provider" => provider.clone(),
                        "reason" => error.label())
                    .increment(1);
                    is_temporary |= error.is_temporary();
                    if error.is_fault_of_provider() {
                        permit.record_failure(requested_pause(&error), Instant::now());
                    } else {
                        permit.record_success();
                    }
                    let reason = format_error_chain(&error);
                    tracing::warn!(provider, reason, "a provider has not generated a text");
                    failed.push(FailedProvider { provider, reason });
                }
            }
        }
        Err(ChainError::AllFailed { failed, is_temporary })
    }
}

impl ChainLink {
    /// Asks the provider; a second time when its connection or its answer broke.
    async fn ask_provider(
        &self,
        request: &TextRequest,
        updates: UpdateSink<'_>,
    ) -> Result<crate::ProviderOutput, ProviderError> {
        let provider = self.provider.name();
        updates(GenerationUpdate::Started { provider });
        match self.provider.generate_text(request, updates).await {
            Err(ProviderError::Unreachable { .. } | ProviderError::Failed { .. } | ProviderError::Malformed { .. }) => {
                sleep(SECOND_ATTEMPT_PAUSE).await;
                updates(GenerationUpdate::Started { provider });
                self.provider.generate_text(request, updates).await
            }
            outcome => outcome,
        }
    }
}

fn requested_pause(error: &ProviderError) -> Option<Duration> {
    if let ProviderError::Overloaded { retry_after, .. } = error { *retry_after } else { None }
}
