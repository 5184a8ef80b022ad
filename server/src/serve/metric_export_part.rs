//! The part that sends the metrics of the process to a collector, if the settings name one.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use telemetry::{MetricExport, TelemetryConfig};

use super::{
    ServeError,
    part_supervisor::{PartSupervisor, ShutdownStage},
};

/// Time for the last export; longer than the export itself takes at most.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts the part: it exports what `metrics` renders.
pub(super) fn start(
    config: &TelemetryConfig,
    metrics: &PrometheusHandle,
    parts: &mut PartSupervisor,
) -> Result<(), ServeError> {
    let metrics = metrics.clone();
    let export = MetricExport::prepare(config, move || metrics.render()).map_err(ServeError::MetricExport)?;
    let Some(export) = export else { return Ok(()) };
    let stage = ShutdownStage::Telemetry;
    parts.spawn_part_with_timeout(stage, "the export of metrics", DRAIN_TIMEOUT, |stop| async move {
        export.run(stop.cancelled()).await;
        Ok(())
    });
    Ok(())
}
