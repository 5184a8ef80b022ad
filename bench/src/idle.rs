//! `bench idle`: the cores that the programs of this machine use while idle.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Serialize;

use crate::{
    process_stat::{CpuTicks, list_processes},
    report::{BenchMeasure, MeasureRepetition, MeasureUnit},
};

/// Programs that use less than this, in cores, are not listed.
const LISTED_CORES: f64 = 0.0005;

/// Cores in use while nothing was asked of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdleLoad {
    /// Duration of the measurement, in seconds.
    pub seconds: f64,
    /// Cores that all processes and the kernel used; `None` if the system does not count them in `/proc`.
    pub machine_cores: Option<f64>,
    /// Cores by program, the sum of its processes.
    pub cores_by_program: BTreeMap<String, f64>,
    /// Cores of the process that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_cores: Option<f64>,
}

/// Measures for `duration` what the programs of this machine use, and the process with the id `process` alone. It says
/// something about an idle service only if nothing else runs.
///
/// # Errors
/// When the system does not count CPU time in `/proc`.
pub async fn measure_idle_load(process: Option<u32>, duration: Duration) -> anyhow::Result<IdleLoad> {
    let ticks = CpuTicks::detect().context("this system does not count CPU time in ticks")?;
    let (before, started) = (CpuTimes::read(ticks), Instant::now());
    tokio::time::sleep(duration).await;
    let (after, elapsed) = (CpuTimes::read(ticks), started.elapsed());
    Ok(after.load_since(&before, process, elapsed.as_secs_f64()))
}

impl IdleLoad {
    /// The measures of a report: the service and the machine. Programs come and go, and would be missing in the next one.
    pub(crate) fn to_measures(&self) -> Vec<BenchMeasure> {
        let totals = [("service", self.process_cores), ("machine", self.machine_cores)];
        let measure = |(name, cores): (&str, Option<f64>)| {
            let repetition = MeasureRepetition::from_value(cores?);
            Some(BenchMeasure::new(format!("idle/{name}"), MeasureUnit::Cores, vec![repetition]))
        };
        totals.into_iter().filter_map(measure).collect()
    }
}

/// CPU time so far.
struct CpuTimes {
    machine: Option<Duration>,
    /// By process id, with the program's name.
    processes: BTreeMap<u32, (String, Duration)>,
}

impl CpuTimes {
    fn read(ticks: CpuTicks) -> Self {
        let processes = list_processes()
            .map(|process| (process.id, (process.program_name, ticks.sum_cpu_time(std::iter::once(process.stat)))));
        Self { machine: ticks.machine_busy_time(), processes: processes.collect() }
    }

    fn load_since(&self, before: &Self, process: Option<u32>, seconds: f64) -> IdleLoad {
        let cores = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() / seconds;
        let process_cores = |id: &u32| {
            // The time of a process that has ended is in its parent's.
            let (_, now) = self.processes.get(id)?;
            Some(cores(*now, before.processes.get(id).map_or(Duration::ZERO, |(_, then)| *then)))
        };
        let mut cores_by_program = BTreeMap::new();
        for (id, (name, _)) in &self.processes {
            *cores_by_program.entry(name.clone()).or_insert(0.0) += process_cores(id).unwrap_or_default();
        }
        cores_by_program.retain(|_, cores| *cores >= LISTED_CORES);
        IdleLoad {
            seconds,
            machine_cores: self.machine.zip(before.machine).map(|(now, then)| cores(now, then)),
            cores_by_program,
            process_cores: process.as_ref().and_then(process_cores),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(machine_ms: u64, processes: &[(u32, &str, u64)]) -> CpuTimes {
        let millis = Duration::from_millis;
        let processes = processes.iter().map(|&(id, name, ms)| (id, (name.to_owned(), millis(ms))));
        CpuTimes { machine: Some(millis(machine_ms)), processes: processes.collect() }
    }

    #[test]
    fn the_processes_of_a_program_are_summed_up() {
        let before = times(1_000, &[(1, "java", 500), (2, "postgres", 100), (3, "postgres", 100), (4, "idle", 7)]);
        let after = times(3_000, &[(1, "java", 1_500), (2, "postgres", 200), (4, "idle", 7), (5, "postgres", 400)]);
        let load = after.load_since(&before, Some(1), 10.0);
        assert_eq!(load.machine_cores, Some(0.2));
        assert_eq!(load.process_cores, Some(0.1));
        let expected = [("java".to_owned(), 0.1), ("postgres".to_owned(), 0.05)];
        assert_eq!(load.cores_by_program, BTreeMap::from(expected));
    }
}
