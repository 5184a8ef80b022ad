//! `medhub-chaos`: faults against the read side, over a chosen number of events.

use std::process::ExitCode;

use clap::Parser;
use tests::{
    EnvironmentVariables, TestStack,
    chaos::{self, ChaosPlan, StorageFault},
    faults::{fault_report::print_progress, run_seed},
};

/// Kills and pauses workers and stores while events arrive, then compares every read model with the log.
///
/// Starts engines of its own, a relay and two processes with workers. Progress goes to standard error, one line of JSON
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
    let seed = cli.seed.unwrap_or_else(run_seed::draw_seed);
    let plan = ChaosPlan { seed, events: cli.events, faults: cli.faults, max_pause_ms: cli.pause };
    let stack = TestStack::start_with(&["--engines-only"], EnvironmentVariables::new()).await;
    let report = chaos::run_plan(&plan, &stack).await?;
    let (_stack, status) = stack.stop().await;
    anyhow::ensure!(status.success(), "the stack ended with {status}");
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report_failure(error: &anyhow::Error) -> ExitCode {
    print_progress(&format!("medhub-chaos: {error:#}"));
    ExitCode::from(2)
}
