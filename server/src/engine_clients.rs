//! Opens the clients of all engines with the settings.

use api::app_context::{AppContext, AppContextError};

use crate::config::MedhubConfig;

/// Opens the clients of all engines and loads the embedding model.
///
/// # Errors
/// [`AppContextError`] when a setting is invalid or the embedding model cannot be loaded.
pub async fn open_app_context(config: &MedhubConfig) -> Result<AppContext, AppContextError> {
    AppContext::open_with_model(&config.engines(), config.http.consistency_wait()).await
}

/// Opens the clients of all engines without an embedding model, for commands that embed nothing.
///
/// # Errors
/// [`AppContextError`] when a setting is invalid.
pub fn open_app_context_without_model(config: &MedhubConfig) -> Result<AppContext, AppContextError> {
    AppContext::open_without_model(&config.engines(), config.http.consistency_wait())
}
