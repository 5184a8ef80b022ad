//! The settings of the providers: the section `language_models`.
//!
//! | key | default | |
//! | --- | --- | --- |
//! | `providers` | none | the providers in their order of preference (`[[language_models.providers]]`, or `MEDHUB__LANGUAGE_MODELS__PROVIDERS__0__NAME` and so on); without one, texts are extractive |
//! | `providers.N.name` | | its name in events and metrics |
//! | `providers.N.protocol` | | `openai`, `anthropic` or `extractive` |
//! | `providers.N.url` | | the base URL, e.g. `https://api.openai.com/v1` |
//! | `providers.N.model` | | the model |
//! | `providers.N.key_variable` | none | the environment variable that has the API key |
//! | `providers.N.prices` | 0 | micro-dollars per million tokens of input and output |
//! | `timeouts` | 5, 30, 180 s | for the connection, between two parts of an answer, for all of it |
//! | `breaker` | 3, 30 s | failures in a row after which a provider is not asked, and for how long |
//! | `monthly_budget_micros` | 50,000,000 | what a company may cost in a calendar month (UTC), in micro-dollars |

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use domain::error_chain::format_error_chain;
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use crate::{
    AnthropicProvider, BreakerConfig, ExtractiveProvider, OpenAiProvider, ProviderChain, RequestTimeouts, TextProvider,
    TokenPrices,
};

/// The protocol of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderProtocol {
    /// OpenAI's Chat Completions API.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Quotations, without a model.
    Extractive,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name in events and metrics.
    pub name: String,
    /// Its protocol.
    pub protocol: ProviderProtocol,
    /// The base URL.
    #[serde(default)]
    pub url: String,
    /// The model.
    #[serde(default)]
    pub model: String,
    /// The environment variable that has the API key.
    #[serde(default)]
    pub key_variable: Option<String>,
    /// The prices of the model.
    #[serde(default)]
    pub prices: TokenPrices,
}

/// The settings of the providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageModelConfig {
    /// The providers in their order of preference.
    #[serde(deserialize_with = "deserialize_providers")]
    pub providers: Vec<ProviderConfig>,
    /// Time limits of a request.
    pub timeouts: RequestTimeouts,
    /// When a failing provider is not asked for a while.
    pub breaker: BreakerConfig,
    /// What a company may cost in a calendar month, in micro-dollars.
    pub monthly_budget_micros: u64,
}

impl Default for LanguageModelConfig {
    fn default() -> Self {
        Self {
            providers: vec![],
            timeouts: RequestTimeouts::default(),
            breaker: BreakerConfig::default(),
            monthly_budget_micros: 50_000_000,
        }
    }
}

/// Reads a list, or a map from numbers, as which environment variables write one: `PROVIDERS__0__NAME`.
fn deserialize_providers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ProviderConfig>, D::Error> {
    struct ProviderListVisitor;

    impl<'de> Visitor<'de> for ProviderListVisitor {
        type Value = Vec<ProviderConfig>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of providers, or providers by their numbers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut providers = vec![];
            while let Some(provider) = list.next_element()? {
                providers.push(provider);
            }
            Ok(providers)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut providers = BTreeMap::new();
            while let Some((number, provider)) = map.next_entry::<String, _>()? {
                let number: u32 = number.parse().map_err(|_| Error::custom(format!("{number} is no number")))?;
                providers.insert(number, provider);
            }
            Ok(providers.into_values().collect())
        }
    }

    deserializer.deserialize_any(ProviderListVisitor)
}

/// Settings of providers that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderConfigError {
    /// A setting is missing or wrong.
    #[error("language_models.providers.{name}: {problem}")]
    Invalid {
        /// The provider's name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The HTTP client cannot be created.
    #[error("creating the HTTP client of the provider {name}")]
    Client {
        /// The provider's name.
        name: String,
        /// The error of the client.
        #[source]
        source: reqwest::Error,
    },
}

impl LanguageModelConfig {
    /// Creates the providers. `read_variable` reads an environment variable. Without a provider the built-in extractive
    /// one is used.
    ///
    /// # Errors
    /// [`ProviderConfigError`] for the first provider that cannot be created.
    pub fn build_chain(
        &self,
        read_variable: impl Fn(&str) -> Option<String>,
    ) -> Result<ProviderChain, ProviderConfigError> {
        let mut chain: Vec<(Arc<dyn TextProvider>, TokenPrices)> = vec![];
        for config in &self.providers {
            if chain.iter().any(|(provider, _)| provider.name() == config.name) {
                return Err(config.invalid("this name stands twice"));
            }
            chain.push((config.build_provider(self.timeouts, &read_variable)?, config.prices));
        }
        if chain.is_empty() {
            chain.push((Arc::new(ExtractiveProvider::default()), TokenPrices::default()));
        }
        Ok(ProviderChain::new(chain, self.breaker))
    }

    /// The names of the providers, in their order; the built-in provider's if none is configured.
    pub fn provider_names(&self) -> Vec<String> {
        if self.providers.is_empty() {
            return vec![ExtractiveProvider::default().name().to_owned()];
        }
        self.providers.iter().map(|config| config.name.clone()).collect()
    }

    /// What is wrong with each provider, in their order.
    pub(crate) fn find_problems(&self, read_variable: impl Fn(&str) -> Option<String>) -> Vec<Option<String>> {
        let problem = |config: &ProviderConfig| {
            config.build_provider(self.timeouts, &read_variable).err().map(|error| format_error_chain(&error))
        };
        self.providers.iter().map(problem).collect()
    }

    /// The longest time that a request to all providers takes, with second attempts.
    pub fn max_duration(&self) -> Duration {
        let attempts = u32::try_from(self.providers.len()).unwrap_or(u32::MAX).saturating_mul(2).max(1);
        Duration::from_secs(self.timeouts.total_s.saturating_add(1)).saturating_mul(attempts)
    }
}

impl ProviderConfig {
    fn build_provider(
        &self,
        timeouts: RequestTimeouts,
        read_variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn TextProvider>, ProviderConfigError> {
        if self.name.is_empty() || self.name.len() > 50 || !self.name.bytes().all(is_name_byte) {
            return Err(self.invalid("a name has 1 to 50 lower-case letters, digits, `-` and `_`"));
        }
        let key = match &self.key_variable {
            None => None,
            Some(variable) => match read_variable(variable).filter(|key| !key.trim().is_empty()) {
                Some(key) => Some(SecretString::from(key.trim().to_owned())),
                None => return Err(self.invalid(&format!("the variable {variable} is not set"))),
            },
        };
        let client_error = |source| ProviderConfigError::Client { name: self.name.clone(), source };
        match self.protocol {
            ProviderProtocol::Extractive => Ok(Arc::new(ExtractiveProvider::with_name(&self.name))),
            ProviderProtocol::OpenAi => {
                self.check_server()?;
                let provider = OpenAiProvider::new(&self.name, &self.url, &self.model, key, timeouts);
                Ok(Arc::new(provider.map_err(client_error)?))
            }
            ProviderProtocol::Anthropic => {
                self.check_server()?;
                let key = key.ok_or_else(|| self.invalid("`key_variable` is missing"))?;
                let provider = AnthropicProvider::new(&self.name, &self.url, &self.model, key, timeouts);
                Ok(Arc::new(provider.map_err(client_error)?))
            }
        }
    }

    fn check_server(&self) -> Result<(), ProviderConfigError> {
        let url = reqwest::Url::parse(&self.url).map_err(|error| self.invalid(&format!("`url`: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.invalid("`url` has to begin with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(self.invalid("`url` may have no login and no query; the key comes from `key_variable`"));
        }
        if self.model.is_empty() {
            return Err(self.invalid("`model` is missing"));
        }
        Ok(())
    }

    fn invalid(&self, problem: &str) -> ProviderConfigError {
        ProviderConfigError::Invalid { name: self.name.clone(), problem: problem.to_owned() }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(protocol: ProviderProtocol) -> ProviderConfig {
        ProviderConfig {
            name: "main".to_owned(),
            protocol,
            url: "https://127.0.0.1/v1".to_owned(),
            model: "m-1".to_owned(),
            key_variable: Some("MAIN_KEY".to_owned()),
            prices: TokenPrices::default(),
        }
    }

    fn build(providers: Vec<ProviderConfig>) -> Result<Vec<String>, String> {
        let config = LanguageModelConfig { providers, ..LanguageModelConfig::default() };
        let read_variable = |name: &str| (name == "MAIN_KEY").then(|| "secret".to_owned());
        let chain = config.build_chain(read_variable).map_err(|error| error.to_string())?;
        Ok(chain.provider_states().into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn providers_are_read_from_a_list_or_by_number() {
        let listed = r#"{"providers":[{"name":"b","protocol":"extractive"},{"name":"a","protocol":"openai"}]}"#;
        let numbered =
            r#"{"providers":{"10":{"name":"a","protocol":"openai"},"9":{"name":"b","protocol":"extractive"}}}"#;
        let read = |json| serde_json::from_str::<LanguageModelConfig>(json).unwrap();
        assert_eq!(read(listed), read(numbered));
        assert_eq!(read(listed).providers[0].name, "b");
        assert!(serde_json::from_str::<LanguageModelConfig>(&numbered.replace("10", "x")).is_err());
    }

    #[test]
    fn without_a_provider_texts_are_extractive() {
        assert_eq!(build(vec![]).unwrap(), ["extractive"]);
    }

    #[test]
    fn providers_are_in_their_order() {
        let second = ProviderConfig { name: "second".to_owned(), ..provider(ProviderProtocol::OpenAi) };
        assert_eq!(build(vec![second, provider(ProviderProtocol::Anthropic)]).unwrap(), ["second", "main"]);
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let main = || provider(ProviderProtocol::Anthropic);
        let cases = [
            (ProviderConfig { name: "A b".to_owned(), ..main() }, "a name has 1 to 50"),
            (ProviderConfig { url: "ftp://host".to_owned(), ..main() }, "`url` has to begin"),
            (ProviderConfig { url: "nonsense".to_owned(), ..main() }, "`url`:"),
            (ProviderConfig { url: "https://me:pw@host/v1".to_owned(), ..main() }, "no login"),
            (ProviderConfig { model: String::new(), ..main() }, "`model` is missing"),
            (ProviderConfig { key_variable: None, ..main() }, "`key_variable` is missing"),
            (ProviderConfig { key_variable: Some("OTHER".to_owned()), ..main() }, "the variable OTHER is not set"),
        ];
        for (config, expected) in cases {
            let problem = build(vec![config]).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
        assert!(build(vec![main(), main()]).unwrap_err().contains("stands twice"));
    }
}
