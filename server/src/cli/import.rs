//! `medhub import`: imports notices from a file or standard input.

mod byte_meter;
mod import_progress;
mod import_source;
pub(super) mod rejection_report;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, bail};
use api::app_context;
use clap::{Args, ValueEnum};
use commands::caller::Caller;
use eventstore::append::PgBatchStore;
use sam_gov::notice_import::{self, ImportSummary};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::{import_progress::ImportProgressReporter, import_source::ImportSource, rejection_report::RejectionReport};
use super::output;
use crate::config::MedhubConfig;

/// Exit code after SIGINT, by convention of the shell.
const INTERRUPTED_EXIT_CODE: u8 = 128 + 2;
/// Exit code of a complete import that rejected rows.
const REJECTED_EXIT_CODE: u8 = 3;

/// Imports notices. A notice needs an id, title, type, agency and date; any other value that cannot be parsed is
/// omitted. Rows that are no notices are rejected, the others are imported; a report lists rejected rows and omitted
/// values with line and column. Safe to interrupt and to repeat: a notice that is already recorded changes nothing.
/// Exit codes: 0 all rows were imported, 3 some were rejected, 130 interrupted, 1 the source or the log failed.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// File of notices, plain or gzip; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    source: PathBuf,
    /// Format of the file
    #[arg(long, value_enum, default_value = "auto")]
    format: ImportFormat,
    /// Character encoding of the file
    #[arg(long, value_enum, default_value = "auto")]
    encoding: TextEncoding,
    /// Where to list rejected rows and omitted values, if there are any [default: FILE.rejected.csv]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Rows per append
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    batch: usize,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Format of the source, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ImportFormat {
    /// Detect from the first bytes
    Auto,
    /// The 47 columns of SAM.gov's CSV extract
    Csv,
    /// Responses of SAM.gov's Get Opportunities API: pages, lists of pages, notices
    Json,
    /// One JSON object per line, with full text
    Ndjson,
}

/// Character encoding of the source, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TextEncoding {
    /// UTF-8; Windows-1252 if a row is not valid UTF-8 and no row before it was evidently UTF-8
    Auto,
    /// UTF-8; rows that are not valid UTF-8 are rejected
    #[value(name = "utf-8", alias = "utf8")]
    Utf8,
    /// Windows-1252, which includes ISO 8859-1: what spreadsheets write on Windows
    #[value(name = "windows-1252", aliases = ["cp1252", "latin-1", "iso-8859-1"])]
    Windows1252,
}

/// The summary that `--json` prints.
#[derive(Debug, Serialize)]
struct ImportResult {
    rows: u64,
    imported: u64,
    unchanged: u64,
    rejected: u64,
    left_out: u64,
    events: u64,
    seconds: f64,
    report: Option<PathBuf>,
    warnings: Vec<String>,
}

impl ImportArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let source = ImportSource::open(&self.source, self.format.explicit_format(), self.encoding.into()).await?;
        let warnings = source.rows.warnings();
        let report = RejectionReport::with_path(self.report.unwrap_or_else(|| source.default_report_path()));
        let mut progress = ImportProgressReporter::new(source.meter.clone(), source.size_bytes, report);

        let pool = eventstore::postgres::open_pool(&config.engines.postgres)?;
        app_context::ping_postgres(&pool).await.context("connecting to Postgres; DATABASE_URL is its address")?;
        if !app_context::is_migrated(&pool).await.context("reading the table of migrations in Postgres")? {
            bail!("the database is not prepared; run `medhub migrate`");
        }
        let import = notice_import::NoticeImport::new(PgBatchStore::new(pool.clone()), self.batch);
        let stop = CancellationToken::new();
        let interrupt = tokio::spawn(cancel_on_interrupt(stop.clone()));
        let outcome =
            import.import_notices(&Caller::for_program("system:import"), source.rows, &mut progress, stop).await;
        interrupt.abort();
        let rows_processed = progress.rows_processed();
        let report = progress.finish();
        pool.close().await;
        let summary =
            outcome.with_context(|| format!("importing {}, after {rows_processed} imported rows", source.name))?;
        let report = report.context("writing the report of rejected rows")?;

        for warning in warnings.list() {
            output::print_message(&format!("warning: {warning}"));
        }
        let interrupted = summary.interrupted;
        let result = ImportResult::new(&summary, started, report, warnings.list());
        output::print_result(&if self.json { serde_json::to_string(&result)? } else { result.format_text() })?;
        if interrupted {
            output::print_message("interrupted; run the same import again to import the rest");
            return Ok(ExitCode::from(INTERRUPTED_EXIT_CODE));
        }
        if let (Some(report), 1..) = (&result.report, summary.rejected) {
            output::print_message(&format!(
                "{} rejected; {} lists each row with the reason",
                summary.rejected,
                report.display()
            ));
            return Ok(ExitCode::from(REJECTED_EXIT_CODE));
        }
        if let (Some(report), 1..) = (&result.report, summary.left_out) {
            output::print_message(&format!(
                "{} values left out; {} lists each with its column",
                summary.left_out,
                report.display()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl From<TextEncoding> for sam_gov::SourceEncoding {
    fn from(encoding: TextEncoding) -> Self {
        match encoding {
            TextEncoding::Auto => Self::Auto,
            TextEncoding::Utf8 => Self::Utf8,
            TextEncoding::Windows1252 => Self::Windows1252,
        }
    }
}

impl ImportFormat {
    fn explicit_format(self) -> Option<sam_gov::SourceFormat> {
        match self {
            Self::Auto => None,
            Self::Csv => Some(sam_gov::SourceFormat::Csv),
            Self::Json => Some(sam_gov::SourceFormat::Json),
            Self::Ndjson => Some(sam_gov::SourceFormat::Ndjson),
        }
    }
}

impl ImportResult {
    fn new(summary: &ImportSummary, started: Instant, report: Option<PathBuf>, warnings: Vec<String>) -> Self {
        Self {
            rows: summary.rows,
            imported: summary.imported,
            unchanged: summary.unchanged,
            rejected: summary.rejected,
            left_out: summary.left_out,
            events: summary.events,
            // Rounded to milliseconds for readability.
            seconds: (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0,
            report,
            warnings,
        }
    }

    fn format_text(&self) -> String {
        let Self { rows, imported, unchanged, rejected, left_out, events, seconds, .. } = self;
        format!(
            "{rows} rows in {seconds:.1} s: {imported} imported, {unchanged} unchanged, {rejected} rejected; \
             {left_out} values left out; {events} events recorded"
        )
    }
}

/// Cancels `stop` on the first interrupt, so that the current batch is completed; the second ends the process.
pub(super) async fn cancel_on_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        output::print_message("stopping after this batch; press Ctrl-C again to stop immediately");
        stop.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(i32::from(INTERRUPTED_EXIT_CODE));
        }
    }
}
