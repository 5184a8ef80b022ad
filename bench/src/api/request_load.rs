//! Sends many requests and times each.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::REQUEST_TIMEOUT;
use crate::{BenchFigures, cpu_time, new_wait_histogram, to_micros};

/// The load of one measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLoad {
    /// Total number of requests.
    pub(super) requests: u64,
    /// Maximum number of requests in flight.
    pub(super) in_flight: usize,
    /// Requests per second; `None` for as many as possible.
    pub(super) rate: Option<u32>,
}

/// A client of the measured service. Cheap to clone.
#[derive(Clone)]
pub(super) struct TargetService {
    client: reqwest::Client,
    pub(super) base_url: Arc<str>,
}

impl TargetService {
    pub(super) fn new(base_url: &str) -> Self {
        let client =
            reqwest::Client::builder().timeout(REQUEST_TIMEOUT).pool_max_idle_per_host(256).build().unwrap_or_default();
        Self { client, base_url: base_url.trim_end_matches('/').into() }
    }

    /// Sends a GraphQL request and returns its data.
    pub(super) async fn post_graphql(&self, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let mut response = self.post_json("/graphql", token, body).await?;
        anyhow::ensure!(response["errors"].is_null(), "{}", response["errors"]);
        Ok(response["data"].take())
    }

    pub(super) async fn post_json(&self, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let mut request = self.client.post(format!("{}{path}", self.base_url)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.with_context(|| format!("connecting to {}", self.base_url))?;
        let (status, body) = (response.status(), response.text().await?);
        anyhow::ensure!(
            status.is_success(),
            "{status}: {body}; the benchmark needs a service with disabled rate limits"
        );
        Ok(serde_json::from_str(&body)?)
    }

    pub(super) fn get(
        self,
        path: &'static str,
        _token: Option<&str>,
    ) -> impl Future<Output = anyhow::Result<u64>> + Send + use<> {
        async move {
            let response = self.client.get(format!("{}{path}", self.base_url)).send().await?;
            anyhow::ensure!(response.status().is_success(), "{}", response.status());
            response.bytes().await?;
            Ok(1)
        }
    }

    /// Sends the requests of `load` with `send_request`, which returns the number of events. At a rate, the latency of a
    /// request starts when it is due, so that waiting for earlier requests counts (no coordinated omission). A refused
    /// request has no events; where the latency is the result, it counts as one that took [`REQUEST_TIMEOUT`].
    pub(super) async fn measure_load<F, A>(&self, load: RequestLoad, send_request: F) -> anyhow::Result<BenchFigures>
    where
        F: Fn(Self, u64) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = anyhow::Result<u64>> + Send,
    {
        let (next, events) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (started, cpu_before) = (Instant::now(), cpu_time::process_cpu_time());
        let senders = (0..load.in_flight.max(1)).map(|_| {
            let (target, send_request, next, events) =
                (self.clone(), send_request.clone(), Arc::clone(&next), Arc::clone(&events));
            tokio::spawn(async move {
                let mut waits = new_wait_histogram()?;
                let is_latency_measured = load.rate.is_some() || load.in_flight == 1;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.requests {
                        return Ok::<_, anyhow::Error>(waits);
                    }
                    let due = match load.rate {
                        None => Instant::now(),
                        Some(rate) => {
                            let due =
                                started + Duration::from_secs(1).mul_f64(super::u64_to_f64(number) / f64::from(rate));
                            sleep_until(due.into()).await;
                            due
                        }
                    };
                    let answered = send_request(target.clone(), number).await?;
                    events.fetch_add(answered, Ordering::Relaxed);
                    if answered > 0 {
                        waits.saturating_record(to_micros(due.elapsed()).max(1));
                    } else if is_latency_measured {
                        waits.saturating_record(to_micros(REQUEST_TIMEOUT));
                    }
                }
            })
        });
        let mut all = new_wait_histogram()?;
        for sender in futures::future::join_all(senders).await {
            all.add(sender??)?;
        }
        Ok(BenchFigures::new(
            events.load(Ordering::Relaxed),
            started.elapsed(),
            cpu_time::process_cpu_time().saturating_sub(cpu_before),
            Some(&all),
        ))
    }
}

/// Creates an interval that delays missed ticks instead of catching up.
pub(super) fn steady_interval(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refused_requests_are_no_fast_answers() {
        let measure = async |rate| {
            let load = RequestLoad { requests: 100, in_flight: 4, rate };
            let refuse_half = |_: TargetService, number: u64| async move { Ok(number % 2) };
            TargetService::new("http://127.0.0.1:1").measure_load(load, refuse_half).await.unwrap()
        };
        let steady = measure(Some(100_000)).await;
        assert_eq!(steady.events, 50);
        assert!(steady.p99_ms.unwrap() >= 29_000.0, "{steady:?}");
        let unlimited = measure(None).await;
        assert_eq!(unlimited.events, 50);
        assert!(unlimited.p99_ms.unwrap() < 29_000.0, "{unlimited:?}");
    }
}
