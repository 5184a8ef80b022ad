//! `bench memory`: the memory of each program while a service works at a steady rate.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::config::EngineConfig;
use serde::Serialize;

use crate::{
    api::{MixedLoad, SentRequests},
    bench_environment,
    process_stat::list_processes,
    suite::{self, MeasuredService, ServiceProgram},
};

/// Programs that never used more than this, in MiB, are not listed.
const LISTED_MIB: f64 = 8.0;

/// The first samples, while caches fill, are this share of all.
const WARM_UP_DIVISOR: usize = 10;

/// Name of the measured service among the programs.
const SERVICE_NAME: &str = "service";

/// Options of the benchmark.
#[derive(Debug, Clone)]
pub struct MemoryBenchOptions {
    /// Number of samples; the load lasts for as many intervals.
    pub samples: usize,
    /// Time between two samples.
    pub interval: Duration,
    /// Requests per second.
    pub rate: u32,
    /// Notices that are imported before the load begins.
    pub notices: u64,
    /// The service.
    pub service: ServiceProgram,
}

/// The memory of a program over a run, the sum of its processes, in MiB. Memory that processes share counts once, as the
/// kernel's proportional set size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryMeasure {
    /// Always `memory`.
    pub bench: &'static str,
    /// Name of the program; `service` is the measured one.
    pub program: String,
    /// Duration of the load, in seconds.
    pub seconds: f64,
    /// Requests that were answered.
    pub requests: u64,
    /// Requests that were refused or not answered in time.
    pub failed: u64,
    /// After a tenth of the run.
    pub begin_mib: f64,
    /// At the end of the run.
    pub end_mib: f64,
    /// The largest sample.
    pub peak_mib: f64,
    /// Slope of a line through the samples of the second half, in MiB per hour.
    pub growth_mib_per_h: f64,
}

/// One look at the memory of all programs.
#[derive(Debug, Clone, PartialEq)]
struct MemorySample {
    at: Duration,
    mib_by_program: BTreeMap<String, f64>,
}

/// Starts a service on its own databases, topics and keys, and samples the memory of every program of this machine
/// while requests of all kinds are sent to it. The data is removed afterwards. Programs that do not belong to the stack
/// are among the measures as long as they ran from the beginning to the end.
///
/// Reports what was measured also if the run was interrupted or failed.
///
/// # Errors
/// When an engine or the service fails, or the system does not report the memory of processes in `/proc`.
pub async fn run(
    config: &EngineConfig,
    options: &MemoryBenchOptions,
    progress: &(dyn Fn(String) + Sync),
    report: impl Fn(&MemoryMeasure) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    ensure!(
        read_memory_mib(std::process::id()).is_some(),
        "this system does not report memory in /proc/<id>/smaps_rollup"
    );
    // Outside of the measurement, whose future is dropped when it is interrupted.
    let (mut samples, mut sent) = (Vec::with_capacity(options.samples), SentRequests::default());
    let measured = bench_environment::with_bench_environment(config, async |environment| {
        suite::import_notices(environment, options.notices).await?;
        let service = MeasuredService::start(environment, &options.service).await?;
        let measured = measure_under_load(&service, options, progress, (&mut samples, &mut sent)).await;
        let stopped = service.stop().await;
        measured.and(stopped)
    })
    .await;
    summarize_samples(&samples, sent).iter().try_for_each(report)?;
    measured
}

async fn measure_under_load(
    service: &MeasuredService,
    options: &MemoryBenchOptions,
    progress: &(dyn Fn(String) + Sync),
    (samples, sent): (&mut Vec<MemorySample>, &mut SentRequests),
) -> anyhow::Result<()> {
    let load = MixedLoad::prepare(&service.base_url, &service.operator_token).await?;
    let (service_id, started) = (service.process_id()?, Instant::now());
    for number in 1..=options.samples {
        let more = load.send_requests(options.rate, options.interval).await.context("sending requests")?;
        sent.answered += more.answered;
        sent.failed += more.failed;
        let sample = MemorySample { at: started.elapsed(), mib_by_program: read_memory_by_program(service_id) };
        let service_mib = sample.mib_by_program.get(SERVICE_NAME).copied().unwrap_or_default();
        let requests = format!("{} requests, {} failed", sent.answered, sent.failed);
        progress(format!("{number}/{}: {requests}, service {service_mib:.0} MiB", options.samples));
        samples.push(sample);
    }
    Ok(())
}

fn read_memory_by_program(service_id: u32) -> BTreeMap<String, f64> {
    let mut mib_by_program = BTreeMap::new();
    for process in list_processes() {
        let Some(mib) = read_memory_mib(process.id) else { continue };
        let name = if process.id == service_id { SERVICE_NAME.to_owned() } else { process.program_name };
        *mib_by_program.entry(name).or_insert(0.0) += mib;
    }
    mib_by_program
}

/// Returns the proportional set size of a process; `None` if it has ended, or belongs to another user.
fn read_memory_mib(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u32 = line.split_whitespace().next()?.parse().ok()?;
    Some(f64::from(kib) / 1_024.0)
}

/// Summarizes the samples of programs that are in all of them.
fn summarize_samples(samples: &[MemorySample], sent: SentRequests) -> Vec<MemoryMeasure> {
    let Some(last) = samples.last() else { return vec![] };
    let summarize = |program: &String| {
        let series: Option<Vec<(f64, f64)>> = samples
            .iter()
            .map(|sample| Some((sample.at.as_secs_f64(), *sample.mib_by_program.get(program)?)))
            .collect();
        let series = series?;
        let peak_mib = series.iter().map(|(_, mib)| *mib).fold(0.0, f64::max);
        let (_, begin_mib) = *series.get(series.len() / WARM_UP_DIVISOR)?;
        let (seconds, end_mib) = *series.last()?;
        let growth_mib_per_h = fit_slope(series.get(series.len() / 2..)?) * 3_600.0;
        let program = program.clone();
        (peak_mib >= LISTED_MIB).then_some(MemoryMeasure {
            bench: "memory",
            program,
            seconds,
            requests: sent.answered,
            failed: sent.failed,
            begin_mib,
            end_mib,
            peak_mib,
            growth_mib_per_h,
        })
    };
    last.mib_by_program.keys().filter_map(summarize).collect()
}

/// The slope of the least-squares line through points; zero for fewer than two.
#[expect(clippy::cast_precision_loss, reason = "a count of samples")]
fn fit_slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_program_is_distinguished_from_a_stable_one() {
        let sample = |minute: u32| MemorySample {
            at: Duration::from_mins(minute.into()),
            mib_by_program: BTreeMap::from([
                ("service".to_owned(), 100.0 + f64::from(minute)),
                ("java".to_owned(), if minute == 5 { 400.0 } else { 300.0 }),
                ("small".to_owned(), 1.0),
            ]),
        };
        let mut samples: Vec<_> = (1..=20).map(sample).collect();
        samples[3].mib_by_program.insert("visitor".to_owned(), 50.0);
        let measures = summarize_samples(&samples, SentRequests::default());
        let summary = |measure: &MemoryMeasure| {
            let rounded = measure.growth_mib_per_h.round();
            (measure.program.clone(), measure.begin_mib, measure.end_mib, measure.peak_mib, rounded)
        };
        let expected =
            vec![("java".to_owned(), 300.0, 300.0, 400.0, 0.0), ("service".to_owned(), 103.0, 120.0, 120.0, 60.0)];
        assert_eq!(measures.iter().map(summary).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_memory_of_this_process_is_read() {
        assert!(read_memory_mib(std::process::id()).is_none_or(|mib| mib > 1.0));
        assert_eq!(read_memory_mib(0), None);
    }
}
