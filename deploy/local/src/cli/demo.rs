//! `medhub-local demo`: runs the whole system on generated notices, from the import to queries, then the flows.

mod flows;
mod mail_folder;
mod product_client;
mod sample_document;
mod sample_queries;
mod store_samples;

use std::{
    fs::File,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::ProgressBar;

use self::{flows::FlowDemonstration, store_samples::StoreSamples};
use super::{FolderOptions, stack_options::StackOptions, up::print_addresses};
use crate::supervised_stack::{self, SupervisedStack, log_path};

#[derive(Debug, Args)]
pub(super) struct DemoCommand {
    /// Number of notices to generate.
    #[arg(long, default_value_t = 50_000)]
    rows: u64,
    /// Seed of the generator: the same seed gives the same notices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of generated visits to record after the import; 0 for none.
    #[arg(long, default_value_t = 300)]
    visits: u64,
    /// Stop at the end instead of continuing to run; exit with 0 only if all stores agree, every query was answered, and
    /// the flows came to their end.
    #[arg(long)]
    exit: bool,
    /// Seconds that the read models may take to catch up after the import, and that each flow may take.
    #[arg(long, default_value_t = 600)]
    patience: u64,
    #[command(flatten)]
    options: StackOptions,
}

impl DemoCommand {
    pub(super) async fn run(self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        let options = self.options.clone().into_stack_config(folders, true)?;
        supervised_stack::run_stack(options, None, async |stack| {
            let (stores_agree, queries_answered) = self.import_and_query(stack).await?;
            self.run_flows(stack).await?;
            if !self.exit {
                print_addresses(&stack.state());
                std::future::pending::<()>().await;
            }
            Ok(if stores_agree && queries_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
        .await
    }

    async fn import_and_query(&self, stack: &SupervisedStack) -> anyhow::Result<(bool, bool)> {
        let mut samples = StoreSamples::start();
        // An earlier run may have left data: count it before the import begins.
        samples.add_sample(stack).await;
        let import = self.import_notices(stack);
        tokio::pin!(import);
        let summary = loop {
            tokio::select! {
                summary = &mut import => break summary?,
                // A long interval: every sample slows the import.
                () = tokio::time::sleep(Duration::from_secs(2)) => samples.add_sample(stack).await,
            }
        };
        println!("\n{}", format_summary(&summary));
        self.simulate_visits(stack).await?;
        let deadline = Instant::now() + Duration::from_secs(self.patience);
        samples.add_sample(stack).await;
        let spinner = ProgressBar::new_spinner();
        while !samples.stores_agree() && Instant::now() < deadline {
            spinner.set_message(format!("waiting for the read models: {}", samples.format_counts()));
            spinner.tick();
            tokio::time::sleep(Duration::from_millis(250)).await;
            samples.add_sample(stack).await;
        }
        spinner.finish_and_clear();
        println!("\n{}", samples.format_table());
        let address = stack.state().http.context("the product has no HTTP address")?;
        let queries_answered = sample_queries::print_samples(&address).await?;
        Ok((samples.stores_agree(), queries_answered))
    }

    /// Runs the flows, and fails if one does not come to its end.
    async fn run_flows(&self, stack: &SupervisedStack) -> anyhow::Result<()> {
        println!("\nprocessing of opportunities");
        let flows = FlowDemonstration::prepare(stack, self.patience).await;
        let mut flows = flows.context("preparing the flows")?;
        flows.process_opportunity().await.context("the flow from a notice to the inbox did not come to its end")?;
        println!("\nanalysis of a document");
        let analysed = flows.analyse_document().await;
        analysed.context("the flow from an uploaded file to its analysis did not come to its end")?;
        println!("\ngeneration of a proposal");
        flows
            .generate_proposal()
            .await
            .context("the flow from a draft to its generated sections did not come to its end")
    }

    /// Runs `simulate`, which prints its own summary.
    async fn simulate_visits(&self, stack: &SupervisedStack) -> anyhow::Result<()> {
        if self.visits == 0 {
            return Ok(());
        }
        let (visits, seed) = (self.visits.to_string(), self.seed.to_string());
        let mut simulate = stack.product_command(&["simulate", "--visits", &visits, "--seed", &seed]);
        let status = simulate.stdin(Stdio::null()).status().await.context("starting the simulation of visits")?;
        if !status.success() {
            bail!("`simulate` failed: {status}");
        }
        Ok(())
    }

    /// Runs `generate | import` and returns the import's summary.
    async fn import_notices(&self, stack: &SupervisedStack) -> anyhow::Result<serde_json::Value> {
        let log = File::create(log_path(stack.folder(), "generate")).context("opening the generator's log")?;
        let (rows, seed) = (self.rows.to_string(), self.seed.to_string());
        let mut generate = stack.product_command(&["generate", "--rows", &rows, "--seed", &seed, "--out", "-"]);
        let mut generate = generate.stdout(Stdio::piped()).stderr(log).spawn().context("starting the generator")?;
        let notices = generate.stdout.take().context("the generator has no output")?;
        let notices: Stdio = notices.try_into().context("connecting the generator's output to the import")?;
        let report = log_path(stack.folder(), "import").with_extension("report.csv");
        let report = report.to_str().context("the data folder's name is not UTF-8")?;
        let mut import = stack.product_command(&["import", "-", "--format", "csv", "--json", "--report", report]);
        let import = import.stdin(notices).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let import = import.context("starting the import")?.wait_with_output().await.context("importing")?;
        let generated = generate.wait().await.context("generating")?;
        if !import.status.success() || !generated.success() {
            bail!("`generate | import` failed: generate {generated}, import {}", import.status);
        }
        serde_json::from_slice(&import.stdout).context("reading the import's summary")
    }
}

fn format_summary(summary: &serde_json::Value) -> String {
    let number = |name: &str| summary.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
    let seconds = summary.get("seconds").and_then(serde_json::Value::as_f64).unwrap_or_default();
    let counts = format!(
        "{} rows: {} imported, {} unchanged, {} rejected, {} new events, in {seconds:.1} s",
        number("rows"),
        number("imported"),
        number("unchanged"),
        number("rejected"),
        number("events"),
    );
    match summary.get("report").and_then(serde_json::Value::as_str) {
        Some(report) => format!("{counts}\nrejected rows and reasons: {report}"),
        None => counts,
    }
}
