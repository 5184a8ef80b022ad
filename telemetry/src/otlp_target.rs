//! What all exports have in common: the check of their URL, and the description of this process.

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use uuid::Uuid;

use crate::{telemetry_config::TelemetryConfig, telemetry_error::TelemetryError};

/// Name of the instrumentation, as collectors show it.
pub(crate) const INSTRUMENTATION: &str = "medhub";

/// Time for the last export of each kind, at the end of the process.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The attribute that distinguishes the processes of a service.
const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// The id of this process: without it, a store of metrics would take the counters of two processes for one.
static PROCESS_ID: LazyLock<String> = LazyLock::new(|| Uuid::new_v4().to_string());

/// What describes this process in everything it exports: the name of the service, the attributes of
/// `OTEL_RESOURCE_ATTRIBUTES`, and an id of the process unless these name one.
pub(crate) fn describe_process(config: &TelemetryConfig) -> Resource {
    let resource = Resource::builder().with_service_name(config.service_name.clone());
    let has_id = Resource::builder().build().get(&Key::from_static_str(SERVICE_INSTANCE_ID)).is_some();
    let id = (!has_id).then(|| KeyValue::new(SERVICE_INSTANCE_ID, PROCESS_ID.clone()));
    resource.with_attributes(id).build()
}

/// Errors name no URL: it may contain a secret.
pub(crate) fn check_url(url: &str) -> Result<(), TelemetryError> {
    let after_scheme = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let server = after_scheme.ok_or(TelemetryError::Url)?.split(['/', '?', '#']).next().unwrap_or_default();
    if server.contains('@') { Err(TelemetryError::UrlLogin) } else { Ok(()) }
}
