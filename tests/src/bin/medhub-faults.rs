//! `medhub-faults`: the fault-injection suite over a chosen time.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tests::{
    EnvironmentVariables, TestStack,
    faults::{self, fault_plan::FaultPlan, fault_report::print_progress, run_seed},
};

/// Injects faults under load, then compares the log, the topics and the outcomes that the writers recorded.
///
/// Starts a Postgres and a Kafka of its own, two relays, writers of every kind and idle transactions; kills and pauses
/// them by a plan that the seed determines. Progress goes to standard error, one line of JSON to standard output.
/// Exits with 1 if anything was lost, out of order, repeated without a reason, or did not recover.
#[derive(Debug, Parser)]
#[command(name = "medhub-faults", version)]
struct FaultsCli {
    /// How long to write and to inject faults, in seconds, without the comparison afterwards.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Repeats the choices of an earlier run [default: random].
    #[arg(long, env = run_seed::SEED_VARIABLE)]
    seed: Option<u64>,
    /// Number of concurrent writers.
    #[arg(long, default_value_t = 16)]
    writers: usize,
    /// Inject only faults whose name contains this text, e.g. `backend`.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Let the relays reach Postgres through a pooler that shares sessions between them.
    #[arg(long)]
    through_pooler: bool,
    /// Run a naive relay without the fence instead of the product's; the run has to fail.
    #[arg(long)]
    without_fence: bool,
}

fn main() -> ExitCode {
    let cli = FaultsCli::parse();
    // One thread that lives until the end: the relays end with the thread that started them.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report_failure(&error.into()),
    };
    runtime.block_on(run_cli(cli)).unwrap_or_else(|error| report_failure(&error))
}

async fn run_cli(cli: FaultsCli) -> anyhow::Result<ExitCode> {
    let mut plan =
        FaultPlan::long(cli.seed.unwrap_or_else(run_seed::draw_seed), cli.writers, Duration::from_secs(cli.seconds));
    if let Some(text) = cli.only {
        plan.steps.retain(|step| step.fault.name().contains(&text));
    }
    let plan = if cli.without_fence { plan.without_fence() } else { plan };
    let plan = if cli.through_pooler { plan.through_pooler() } else { plan };
    print_progress(&format!("{} s with {} writers, seed {}", cli.seconds, cli.writers, plan.seed));
    let stack = TestStack::start_with(&["--only", "postgres,registry,kafka"], EnvironmentVariables::new()).await;
    let report = faults::run_plan(&plan, &stack).await?;
    let (_stack, status) = stack.stop().await;
    anyhow::ensure!(status.success(), "the stack ended with {status}");
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report_failure(error: &anyhow::Error) -> ExitCode {
    print_progress(&format!("medhub-faults: {error:#}"));
    ExitCode::from(2)
}
