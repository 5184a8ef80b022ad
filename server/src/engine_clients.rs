//! Opens the clients of all engines with the settings.

use std::sync::Arc;

use api::app_context::{AppContext, AppContextError};
use domain::feature_flag::ConfiguredVariants;

use crate::config::MedhubConfig;

/// Opens the clients of all engines and loads the embedding model.
///
/// # Errors
/// [`AppContextError`] when a setting is invalid or the embedding model cannot be loaded.
pub async fn open_app_context(config: &MedhubConfig) -> Result<AppContext, AppContextError> {
    let app = AppContext::open_with_model(&config.engines, &config.http).await?;
    Ok(with_provider_names(app, config))
}

/// Opens the clients of all engines without an embedding model, for commands that embed nothing.
///
/// # Errors
/// [`AppContextError`] when a setting is invalid.
pub fn open_app_context_without_model(config: &MedhubConfig) -> Result<AppContext, AppContextError> {
    let app = AppContext::open_without_model(&config.engines, &config.http)?;
    Ok(with_provider_names(app, config))
}

/// Adds the names of the providers of generated texts, to check the variants of an experiment against them.
fn with_provider_names(mut app: AppContext, config: &MedhubConfig) -> AppContext {
    let providers = config.language_models.provider_names();
    app.configured_variants = Arc::new(ConfiguredVariants { providers, ..(*app.configured_variants).clone() });
    app
}
