//! Providers in their order of preference: when one fails, the next one is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use domain::error_chain::format_error_chain;
use metrics::{counter, histogram};
use tokio::time::sleep;

use crate::{
    BreakerConfig, BreakerState, CircuitBreaker, FinishReason, GenerationUpdate, ProviderError, ProviderOutput,
    TextProvider, TextRequest, TokenPrices, TokenUsage, UpdateSink, UsageOrigin, estimate_tokens,
};

/// Most times that one provider is asked for a text.
const MAX_ATTEMPTS: u64 = 2;
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

/// A generated text with its provider and cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedText {
    /// The text.
    pub text: String,
    /// Whether it is complete.
    pub finish: FinishReason,
    /// The provider that generated it.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The version of the model that answered.
    pub model_version: String,
    /// What it used.
    pub usage: TokenUsage,
    /// Cost in micro-dollars, including failed attempts.
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
        /// When the first of those that may succeed can be asked again; zero when it can be asked at once.
        retry_after: Duration,
        /// The cost of the attempts, as far as providers bill them, in micro-dollars.
        cost_micros: u64,
    },
}

impl ChainError {
    /// What the failed attempts have cost, in micro-dollars.
    pub fn cost_micros(&self) -> u64 {
        match self {
            Self::NoProvider => 0,
            Self::AllFailed { cost_micros, .. } => *cost_micros,
        }
    }
}

/// The providers to ask, and their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProviderSelection<'a> {
    /// The name of the one to ask first, e.g. that of an experiment; an unknown name changes nothing.
    pub preferred: Option<&'a str>,
    /// Whether only providers without prices are asked, because nothing may be spent.
    pub free_only: bool,
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

    /// The most that a request is expected to cost, in micro-dollars: if every provider breaks off at the end of the
    /// longest text each time that it is asked.
    pub fn max_cost_micros(&self, request: &TextRequest) -> u64 {
        let usage = TokenUsage {
            input_tokens: estimate_input_tokens(request),
            output_tokens: u64::from(request.max_output_tokens),
            ..TokenUsage::NONE
        };
        let costs = self.links.iter().map(|link| link.prices.cost_micros(&usage).saturating_mul(MAX_ATTEMPTS));
        costs.fold(0, u64::saturating_add)
    }

    /// Generates a text with the first provider that can.
    ///
    /// # Errors
    /// [`ChainError`] when none can.
    pub async fn generate_text(
        &self,
        request: &TextRequest,
        selection: ProviderSelection<'_>,
        updates: UpdateSink<'_>,
    ) -> Result<GeneratedText, ChainError> {
        if self.links.is_empty() {
            return Err(ChainError::NoProvider);
        }
        let started = Instant::now();
        let (mut failed, mut retry_after, mut cost_micros) = (vec![], None::<Duration>, 0_u64);
        let is_preferred = |link: &&ChainLink| selection.preferred.is_some_and(|name| link.provider.name() == name);
        let (first, others): (Vec<_>, Vec<_>) = self.links.iter().partition(is_preferred);
        for link in first.into_iter().chain(others) {
            let provider = link.provider.name().to_owned();
            if selection.free_only && link.prices != TokenPrices::default() {
                let reason = format!("{provider} is not asked: the budget of the month is used up");
                failed.push(FailedProvider { provider, reason });
                continue;
            }
            let Some(permit) = link.breaker.acquire_permit(Instant::now()) else {
                retry_after = Some(earlier_time(retry_after, link.breaker.remaining_pause(Instant::now())));
                let reason = format!("{provider} is not asked for a while after its failures");
                failed.push(FailedProvider { provider, reason });
                continue;
            };
            let answer = link.ask_provider(request, updates).await;
            cost_micros = cost_micros.saturating_add(answer.failed_micros);
            match answer.outcome {
                Ok(output) => {
                    permit.record_success();
                    let latency = started.elapsed();
                    histogram!("medhub_text_generation_seconds", "provider" => provider.clone()).record(latency);
                    return Ok(GeneratedText {
                        text: output.text,
                        finish: output.finish,
                        provider,
                        model: link.provider.model().to_owned(),
                        model_version: output.model_version,
                        cost_micros: cost_micros.saturating_add(link.prices.cost_micros(&output.usage)),
                        usage: output.usage,
                        latency,
                        failed,
                    });
                }
                Err(error) => {
                    counter!("medhub_text_generation_failures_total", "provider" => provider.clone(),
                        "reason" => error.label())
                    .increment(1);
                    if error.is_provider_fault() {
                        permit.record_failure(requested_pause(&error), Instant::now());
                    } else {
                        permit.record_success();
                    }
                    if error.is_temporary() {
                        retry_after = Some(earlier_time(retry_after, link.breaker.remaining_pause(Instant::now())));
                    }
                    let reason = format_error_chain(&error);
                    tracing::warn!(provider, reason, "a provider has not generated a text");
                    failed.push(FailedProvider { provider, reason });
                }
            }
        }
        let (is_temporary, retry_after) = (retry_after.is_some(), retry_after.unwrap_or_default());
        Err(ChainError::AllFailed { failed, is_temporary, retry_after, cost_micros })
    }
}

fn earlier_time(known: Option<Duration>, other: Duration) -> Duration {
    known.map_or(other, |known| known.min(other))
}

/// The outcome of one or two requests to a provider.
struct ProviderAnswer {
    outcome: Result<ProviderOutput, ProviderError>,
    /// The cost of requests that failed.
    failed_micros: u64,
}

impl ChainLink {
    /// Asks the provider, and a second time if its connection or its answer breaks off.
    async fn ask_provider(&self, request: &TextRequest, updates: UpdateSink<'_>) -> ProviderAnswer {
        let first = self.ask_provider_once(request, updates).await;
        if !matches!(
            first.outcome,
            Err(ProviderError::Unreachable { .. } | ProviderError::Failed { .. } | ProviderError::Malformed { .. })
        ) {
            return first;
        }
        sleep(SECOND_ATTEMPT_PAUSE).await;
        let second = self.ask_provider_once(request, updates).await;
        let failed_micros = first.failed_micros.saturating_add(second.failed_micros);
        ProviderAnswer { failed_micros, ..second }
    }

    async fn ask_provider_once(&self, request: &TextRequest, updates: UpdateSink<'_>) -> ProviderAnswer {
        updates(GenerationUpdate::Started { provider: self.provider.name() });
        let received = AtomicUsize::new(0);
        let count_received = |update: GenerationUpdate<'_>| {
            if let GenerationUpdate::Text(text) = update {
                received.fetch_add(text.chars().count(), Ordering::Relaxed);
            }
            updates(update);
        };
        let outcome = self.provider.generate_text(request, &count_received).await;
        let failed_usage = outcome.as_ref().err().map(|error| billed_usage(error, request, received.into_inner()));
        let failed_micros = failed_usage.map_or(0, |usage| self.prices.cost_micros(&usage));
        ProviderAnswer { outcome, failed_micros }
    }
}

/// The tokens that a provider bills for a request that failed after `received` characters: the reported number, or else
/// an estimate from what was received. If an answer has begun and nothing was received, this is the longest text,
/// because tokens of hidden reasoning are billed, too.
fn billed_usage(error: &ProviderError, request: &TextRequest, received: usize) -> TokenUsage {
    let estimate = |output_tokens| TokenUsage {
        input_tokens: estimate_input_tokens(request),
        output_tokens,
        origin: UsageOrigin::Estimated,
    };
    match error {
        ProviderError::Declined { usage: Some(usage), .. } => *usage,
        _ if received > 0 => estimate(estimate_tokens(received)),
        ProviderError::Declined { .. }
        | ProviderError::Malformed { .. }
        | ProviderError::Failed { status: 200, .. } => estimate(u64::from(request.max_output_tokens)),
        ProviderError::TimedOut { .. } => estimate(0),
        ProviderError::Unreachable { .. }
        | ProviderError::Overloaded { .. }
        | ProviderError::Unauthorized { .. }
        | ProviderError::Rejected { .. }
        | ProviderError::Failed { .. }
        | ProviderError::NoContent { .. } => TokenUsage::NONE,
    }
}

fn estimate_input_tokens(request: &TextRequest) -> u64 {
    estimate_tokens(request.instructions.chars().count() + request.to_user_message().chars().count())
}

fn requested_pause(error: &ProviderError) -> Option<Duration> {
    if let ProviderError::Overloaded { retry_after, .. } = error { *retry_after } else { None }
}
