//! Service objectives, measured over the last hour at this process's edge. Over 30 days and all processes, rules of Prometheus
//! measure the same (`deploy/observability/prometheus/rules/objectives.yaml`).
//!
//! | objective | measured | target |
//! | --- | --- | --- |
//! | availability | share of requests that did not fail with a server error (5xx) | 99.5 % |
//! | latency | 99th percentile of the time until a response begins | 500 ms |
//! | freshness | age of the oldest event that a read model does not contain | 5 min |

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::HttpState;

const MINUTE: Duration = Duration::from_mins(1);
const WINDOW_MINUTES: usize = 60;

const AVAILABILITY_OBJECTIVE: f64 = 0.995;
const LATENCY_OBJECTIVE_MS: f64 = 500.0;
const FRESHNESS_OBJECTIVE_S: f64 = 300.0;

/// Upper bound of the latencies in the histogram, in microseconds.
const MAX_LATENCY_US: u64 = 60_000_000;

/// Measurements of one minute.
struct MinuteWindow {
    started_at: Instant,
    failed: u64,
    /// Latencies in microseconds.
    waits: Histogram<u64>,
}

/// Measures requests. Cheap to clone; clones share the measurements.
#[derive(Clone, Default)]
pub(crate) struct ServiceObjectives {
    minutes: Arc<Mutex<VecDeque<MinuteWindow>>>,
}

/// Body of `/slo`.
#[derive(Debug, Serialize)]
struct ObjectivesReport {
    window_s: u64,
    availability: AvailabilityReport,
    latency: LatencyReport,
    freshness: FreshnessReport,
    /// Whether all objectives are met.
    met: bool,
}

#[derive(Debug, Serialize)]
struct AvailabilityReport {
    objective: f64,
    /// `None` without requests.
    measured: Option<f64>,
    requests: u64,
    failed: u64,
    met: bool,
}

#[derive(Debug, Serialize)]
struct LatencyReport {
    objective_p99_ms: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    met: bool,
}

#[derive(Debug, Serialize)]
struct FreshnessReport {
    objective_s: f64,
    /// By read model: age of the oldest event that it does not contain, in seconds; 0 if it contains all.
    read_models: BTreeMap<&'static str, f64>,
    /// Whether the ages could be determined.
    known: bool,
    met: bool,
}

impl ServiceObjectives {
    fn record_response(&self, status: StatusCode, latency: Duration) {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if minutes.back().is_none_or(|minute| minute.started_at.elapsed() >= MINUTE) {
            // The bounds are constants and valid, so there is always a histogram.
            let Ok(waits) = Histogram::new_with_bounds(1, MAX_LATENCY_US, 3) else { return };
            minutes.push_back(MinuteWindow { started_at: Instant::now(), failed: 0, waits });
            if minutes.len() > WINDOW_MINUTES {
                minutes.pop_front();
            }
        }
        if let Some(minute) = minutes.back_mut() {
            minute.failed += u64::from(status.is_server_error());
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).clamp(1, MAX_LATENCY_US);
            minute.waits.saturating_record(micros);
        }
    }

    fn summarize(&self) -> (AvailabilityReport, LatencyReport) {
        let minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = || minutes.iter().filter(|minute| minute.started_at.elapsed() < MINUTE * 61);
        let mut waits = minutes.front().map(|minute| minute.waits.clone());
        if let Some(waits) = &mut waits {
            waits.reset();
            for minute in recent() {
                // Cannot fail: the bounds are the same.
                let _ = waits.add(&minute.waits);
            }
        }
        let failed: u64 = recent().map(|minute| minute.failed).sum();
        let requests = waits.as_ref().map_or(0, Histogram::len);
        #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
        let measured = (requests > 0).then(|| 1.0 - failed as f64 / requests as f64);
        #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
        let at = |quantile| {
            let waits = waits.as_ref().filter(|waits| !waits.is_empty());
            waits.map(|waits| waits.value_at_quantile(quantile) as f64 / 1_000.0)
        };
        let (p50_ms, p99_ms) = (at(0.5), at(0.99));
        let met = measured.is_none_or(|measured| measured >= AVAILABILITY_OBJECTIVE);
        (
            AvailabilityReport { objective: AVAILABILITY_OBJECTIVE, measured, requests, failed, met },
            LatencyReport {
                objective_p99_ms: LATENCY_OBJECTIVE_MS,
                p50_ms,
                p99_ms,
                met: p99_ms.is_none_or(|p99| p99 <= LATENCY_OBJECTIVE_MS),
            },
        )
    }
}

/// Measures a request until its response begins, also for `WebSocket`s.
pub(super) async fn measure_request(
    State(objectives): State<ServiceObjectives>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    objectives.record_response(response.status(), started.elapsed());
    response
}

/// Reports the objectives and whether they are met.
pub(super) async fn report_objectives(State(state): State<HttpState>) -> Response {
    let (availability, latency) = state.objectives.summarize();
    let ages = state.readiness.oldest_event_ages().await;
    let known = ages.is_some();
    let read_models = ages.unwrap_or_default();
    let met = known && read_models.values().all(|age| *age <= FRESHNESS_OBJECTIVE_S);
    let freshness = FreshnessReport { objective_s: FRESHNESS_OBJECTIVE_S, read_models, known, met };
    let met = availability.met && latency.met && freshness.met;
    let window_s = MINUTE.as_secs() * u64::try_from(WINDOW_MINUTES).unwrap_or(u64::MAX);
    Json(ObjectivesReport { window_s, availability, latency, freshness, met }).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_server_errors_count_as_failed() {
        let objectives = ServiceObjectives::default();
        assert_eq!(objectives.summarize().0.measured, None);
        for _ in 0..998 {
            objectives.record_response(StatusCode::OK, Duration::from_millis(3));
        }
        objectives.record_response(StatusCode::BAD_REQUEST, Duration::from_millis(3));
        let (availability, latency) = objectives.summarize();
        assert!(availability.met && latency.met && availability.failed == 0);
        for _ in 0..20 {
            objectives.record_response(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(2));
        }
        let (availability, latency) = objectives.summarize();
        assert_eq!((availability.requests, availability.failed, availability.met), (1_019, 20, false));
        assert!(!latency.met && latency.p50_ms.unwrap() < 4.0 && latency.p99_ms.unwrap() > 1_900.0);
    }
}
