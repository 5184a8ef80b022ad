//! What a service costs while nobody uses it.

use std::time::{Duration, Instant};

use crate::{
    process_stat::{CpuTicks, read_process_stat},
    report::{BenchMeasure, MeasureRepetition, MeasureUnit},
};

/// Measures the cores that the service uses while it is idle, and those that the whole machine uses, engines included. The
/// latter says something only if nothing else runs. Returns nothing where the system does not count CPU time in `/proc`.
pub(super) async fn measure_idle_load(service: u32, duration: Duration) -> Vec<BenchMeasure> {
    let Some(ticks) = CpuTicks::detect() else { return vec![] };
    let read = || {
        let service = read_process_stat(service).map(|stat| ticks.sum_cpu_time([stat].into_iter()));
        (service, ticks.machine_busy_time())
    };
    let (before, started) = (read(), Instant::now());
    tokio::time::sleep(duration).await;
    let (after, elapsed) = (read(), started.elapsed());
    let cores = |before: Option<Duration>, after: Option<Duration>| {
        Some(after?.saturating_sub(before?).as_secs_f64() / elapsed.as_secs_f64())
    };
    let loads = [("idle/service", cores(before.0, after.0)), ("idle/machine", cores(before.1, after.1))];
    let measures = loads.into_iter().filter_map(|(name, cores)| {
        let repetition = MeasureRepetition::from_value(cores?);
        Some(BenchMeasure::new(name, MeasureUnit::Cores, vec![repetition]))
    });
    measures.collect()
}
