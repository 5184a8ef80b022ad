//! `medhub bench documents`: time from the upload of a document until its analysis is recorded.

use std::process::ExitCode;

use bench::documents::{self, DocumentBenchOptions};
use clap::Args;

use crate::{cli::output, config::MedhubConfig};

/// Uploads documents to a running service, one after the other, and times each until it is analysed: 30 pages with text,
/// then a scanned page. Prints one JSON line for each sort, beside the extraction of the same text alone. The service
/// needs a worker and the development login. Registers a company: run it against a stack that exists to be measured.
#[derive(Debug, Args)]
pub(super) struct DocumentBenchArgs {
    /// Base URL of the service [default: the address in http.listen]
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Number of documents of each sort
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    documents: u32,
}

impl DocumentBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let base_url = self.http.unwrap_or_else(|| format!("http://{}", config.http.listen));
        let options =
            DocumentBenchOptions { base_url, documents: self.documents, extraction: config.extraction.clone() };
        documents::run(&options, |report| {
            output::print_result(&serde_json::to_string(report)?)?;
            Ok(())
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
