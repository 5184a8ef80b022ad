//! Checks whether the configured providers can be reached, without asking for a text.

use std::time::Duration;

use domain::error_chain::format_error_chain;
use futures::future::join_all;
use reqwest::{Client, StatusCode, redirect::Policy};

use crate::provider_config::{LanguageModelConfig, ProviderConfig, ProviderProtocol};

/// How long a provider may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// What is known about a provider without asking it for a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderReachability {
    /// It needs no server.
    BuiltIn,
    /// Its server answers, and accepts the key as far as that can be seen.
    Reachable,
    /// Its server answers, and does not accept the key.
    KeyRefused,
    /// Its server does not answer, with the reason.
    Unreachable(String),
    /// It cannot be used as it is configured, with the reason.
    Misconfigured(String),
}

/// A configured provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// Protocol, model and address, without the key.
    pub description: String,
    /// Whether it can be reached.
    pub reachability: ProviderReachability,
}

/// Checks all providers at the same time, by the list of models that both protocols have and that costs nothing.
/// Without a provider, the built-in extractive one is reported.
pub async fn check_providers(
    config: &LanguageModelConfig,
    read_variable: impl Fn(&str) -> Option<String>,
) -> Vec<ProviderStatus> {
    if config.providers.is_empty() {
        return vec![ProviderStatus {
            name: "extractive".to_owned(),
            description: "quotations without a model; no other provider is configured".to_owned(),
            reachability: ProviderReachability::BuiltIn,
        }];
    }
    let problems = config.find_problems(&read_variable);
    let statuses = config.providers.iter().zip(problems).map(|(provider, problem)| {
        let key = provider.key_variable.as_deref().and_then(&read_variable);
        async move {
            let reachability = match problem {
                Some(problem) => ProviderReachability::Misconfigured(problem),
                None => provider.check_server_answers(key.as_deref()).await,
            };
            ProviderStatus { name: provider.name.clone(), description: provider.describe(), reachability }
        }
    });
    join_all(statuses).await
}

impl ProviderConfig {
    fn describe(&self) -> String {
        match self.protocol {
            ProviderProtocol::Extractive => "quotations without a model".to_owned(),
            ProviderProtocol::OpenAi => format!("{} over Chat Completions at {}", self.model, self.url),
            ProviderProtocol::Anthropic => format!("{} over Messages at {}", self.model, self.url),
        }
    }

    async fn check_server_answers(&self, key: Option<&str>) -> ProviderReachability {
        if self.protocol == ProviderProtocol::Extractive {
            return ProviderReachability::BuiltIn;
        }
        match self.request_models(key.map(str::trim)).await {
            Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => ProviderReachability::KeyRefused,
            // A server without a list of models, and one that is overloaded, are there.
            Ok(_) => ProviderReachability::Reachable,
            Err(error) => ProviderReachability::Unreachable(format_error_chain(&error.without_url())),
        }
    }

    async fn request_models(&self, key: Option<&str>) -> Result<StatusCode, reqwest::Error> {
        let client = Client::builder().timeout(CHECK_TIMEOUT).redirect(Policy::none()).build()?;
        let request = client.get(format!("{}/models", self.url.trim_end_matches('/')));
        let request = match (self.protocol, key) {
            (ProviderProtocol::Anthropic, Some(key)) => {
                request.header("x-api-key", key).header("anthropic-version", crate::anthropic_provider::API_VERSION)
            }
            (ProviderProtocol::OpenAi, Some(key)) => request.bearer_auth(key),
            (ProviderProtocol::OpenAi | ProviderProtocol::Anthropic | ProviderProtocol::Extractive, _) => request,
        };
        Ok(request.send().await?.status())
    }
}
