//! `medhub-chaos`: faults against the read side, over a chosen number of events; or rolling upgrades.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use tests::{
    EnvironmentVariables, TestStack,
    chaos::{self, ChaosPlan, StorageFault},
    faults::{fault_report::print_progress, run_seed},
    rolling_upgrade::{self, RollingUpgradePlan},
};

/// Kills and pauses workers and stores while events arrive, then compares every read model with the log.
///
/// Starts engines of its own, a relay and two processes with workers. With `--roll` it starts two or three processes of each
/// role instead, and kills and replaces them under a load of clients. Progress goes to standard error, one line of JSON
/// to standard output. Exits with 1 if a row is missing, duplicated or different.
#[derive(Debug, Parser)]
#[command(name = "medhub-chaos", version)]
struct ChaosCli {
    /// Minimum number of events in the log at the end.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Number of faults.
    #[arg(long, default_value_t = 2 * StorageFault::ALL.len())]
    faults: usize,
    /// Longest pause before a fault, in milliseconds.
    #[arg(long, default_value_t = 6_000)]
    pause: u64,
    /// Repeats the choices of an earlier run [default: random].
    #[arg(long, env = run_seed::SEED_VARIABLE)]
    seed: Option<u64>,
    /// Replaces every process so many times, instead of injecting faults.
    #[arg(long, value_name = "ROUNDS")]
    roll: Option<usize>,
    /// Number of clients of `--roll`.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// The `medhub-local` of an earlier release: `--roll` begins with it, and goes back to it in every second round.
    #[arg(long, value_name = "PATH", env = "MEDHUB_OLDER_PROGRAM")]
    older_program: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = ChaosCli::parse();
    // One thread that lives until the end: the processes end with the thread that started them.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report_failure(&error.into()),
    };
    runtime.block_on(run_cli(cli)).unwrap_or_else(|error| report_failure(&error))
}

async fn run_cli(cli: ChaosCli) -> anyhow::Result<ExitCode> {
    if let Some(rounds) = cli.roll {
        let plan = RollingUpgradePlan { older_program: cli.older_program, clients: cli.clients, rounds };
        let stack = TestStack::start_engines().await;
        let report = Box::pin(rolling_upgrade::run_rolling_upgrade(&plan, &stack)).await?;
        stop_stack(stack).await?;
        println!("{}", serde_json::to_string(&report)?);
        return Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let seed = cli.seed.unwrap_or_else(run_seed::draw_seed);
    let plan = ChaosPlan { seed, events: cli.events, faults: cli.faults, max_pause_ms: cli.pause };
    let stack = TestStack::start_with(&["--engines-only"], EnvironmentVariables::new()).await;
    let report = chaos::run_plan(&plan, &stack).await?;
    stop_stack(stack).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn stop_stack(stack: TestStack) -> anyhow::Result<()> {
    let (_stack, status) = stack.stop().await;
    anyhow::ensure!(status.success(), "the stack ended with {status}");
    Ok(())
}

fn report_failure(error: &anyhow::Error) -> ExitCode {
    print_progress(&format!("medhub-chaos: {error:#}"));
    ExitCode::from(2)
}
