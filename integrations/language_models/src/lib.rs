//! Generated text from language models, and without one.
//!
//! ```text
//! TextRequest ──▶ ProviderChain ──▶ CircuitBreaker ──▶ TextProvider ──▶ GeneratedText
//!                    │ next provider when one fails        ├ OpenAiProvider     (chat completions, streamed)
//!                    │                                     ├ AnthropicProvider  (messages, streamed)
//!                    └ SpendingLedger: budget of a month   └ ExtractiveProvider (quotations, offline)
//! ```
//!
//! A request has instructions, a prompt, and numbered passages. A provider marks what it takes from a passage with its
//! number in brackets; [`CitedText`] splits the answer into sentences with their sources, so that a sentence without a
//! source can be marked.

mod anthropic_provider;
mod circuit_breaker;
mod cited_text;
mod extractive_provider;
mod openai_provider;
mod provider_chain;
mod provider_config;
mod provider_endpoint;
mod provider_error;
mod provider_status;
mod server_sent_events;
mod spending_ledger;
mod streaming_provider;
mod streaming_request;
mod text_provider;
mod token_usage;

pub use self::{
    anthropic_provider::AnthropicProvider,
    circuit_breaker::{BreakerConfig, BreakerState, CircuitBreaker},
    cited_text::{CitedSentence, CitedText},
    extractive_provider::ExtractiveProvider,
    openai_provider::OpenAiProvider,
    provider_chain::{ChainError, FailedProvider, GeneratedText, ProviderChain, ProviderSelection},
    provider_config::{LanguageModelConfig, ProviderConfig, ProviderConfigError, ProviderProtocol},
    provider_error::ProviderError,
    provider_status::{ProviderReachability, ProviderStatus, check_providers},
    spending_ledger::{PaidSection, SpendingError, SpendingLedger, SpendingReservation},
    streaming_request::RequestTimeouts,
    text_provider::{
        FinishReason, GenerationUpdate, ProviderOutput, SourcePassage, TextProvider, TextRequest, UpdateSink,
    },
    token_usage::{TokenPrices, TokenUsage, UsageOrigin, estimate_tokens},
};
