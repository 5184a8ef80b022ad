//! `medhub import`: takes notices in from a file or from standard input.

mod byte_meter;
mod import_progress;
mod import_source;
mod rejection_report;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use commands::{
    caller::Caller,
    notice_import::{self, ImportSummary},
    sam,
};
use eventstore::append::PgBatchStore;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::{import_progress::ImportProgressReporter, import_source::ImportSource, rejection_report::RejectionReport};
use super::output;
use crate::{app_context, config::MedhubConfig};

/// Exit code of a program that was interrupted.
const INTERRUPTED_EXIT_CODE: u8 = 128 + 2;
/// Exit code of an import that came to its end but had to reject rows.
const REJECTED_EXIT_CODE: u8 = 3;

/// Takes in notices. A notice needs its id, title, type, agency and date; another value that cannot be understood is left
/// out of it. Rows that are no notices are rejected, the rest goes in; a report lists both with line and column. Safe to
/// interrupt and to repeat: what is on record already changes nothing. Exit codes: 0 all rows went in, 3 some were rejected,
/// 130 interrupted, 1 the source or the log failed.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// A file of notices, also packed with gzip; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    source: PathBuf,
    /// What the notices are written in
    #[arg(long, value_enum, default_value = "auto")]
    format: ImportFormat,
    /// What the text is encoded in
    #[arg(long, value_enum, default_value = "auto")]
    encoding: TextEncoding,
    /// Where to list the rows that were rejected and the values that were left out, if any [default: FILE.rejected.csv]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How many rows are decided and recorded together
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    batch: usize,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// The forms that notices come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ImportFormat {
    /// Tell from the first bytes
    Auto,
    /// The 47 columns of SAM.gov's CSV extract
    Csv,
    /// Answers of SAM.gov's Get Opportunities API: pages, lists of them, notices
    Json,
    /// One JSON object a line, with full text
    Ndjson,
}

/// The encodings that texts come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TextEncoding {
    /// UTF-8; Windows-1252 where rows cannot be UTF-8 and no row has shown to be
    Auto,
    /// UTF-8; other rows are rejected
    #[value(name = "utf-8", alias = "utf8")]
    Utf8,
    /// Windows-1252, and with it ISO 8859-1: what spreadsheets write on Windows
    #[value(name = "windows-1252", aliases = ["cp1252", "latin-1", "iso-8859-1"])]
    Windows1252,
}

/// What came of an import, in the form of `--json`.
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
        let mut watch = ImportProgressReporter::new(source.meter.clone(), source.size_bytes, report);

        let pool = eventstore::postgres::open_pool(&config.postgres)?;
        app_context::ping_postgres(&pool).await.context("connecting to Postgres; DATABASE_URL says where it is")?;
        if !app_context::is_migrated(&pool).await.context("asking Postgres whether it is prepared")? {
            bail!("the database is not prepared; run `medhub migrate`");
        }
        let import = notice_import::NoticeImport::new(PgBatchStore::new(pool.clone()), self.batch);
        let stop = CancellationToken::new();
        let interrupt = tokio::spawn(cancel_on_interrupt(stop.clone()));
        let outcome = import.import_notices(&Caller::for_program("system:import"), source.rows, &mut watch, stop).await;
        interrupt.abort();
        let so_far = watch.rows_processed();
        let report = watch.finish();
        pool.close().await;
        let summary =
            outcome.with_context(|| format!("importing {}, after {so_far} rows that went in", source.name))?;
        let report = report.context("writing the report of rejected rows")?;

        for warning in warnings.list() {
            output::print_message(&format!("warning: {warning}"));
        }
        let interrupted = summary.interrupted;
        let result = ImportResult::new(&summary, started, report, warnings.list());
        output::print_result(&if self.json { serde_json::to_string(&result)? } else { result.format_text() })?;
        if interrupted {
            output::print_message("interrupted; run the same import again to take in the rest");
            return Ok(ExitCode::from(INTERRUPTED_EXIT_CODE));
        }
        if let (Some(report), 1..) = (&result.report, summary.rejected) {
            output::print_message(&format!(
                "{} rejected; {} lists each row and why",
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

impl From<TextEncoding> for sam::SourceEncoding {
    fn from(encoding: TextEncoding) -> Self {
        match encoding {
            TextEncoding::Auto => Self::Auto,
            TextEncoding::Utf8 => Self::Utf8,
            TextEncoding::Windows1252 => Self::Windows1252,
        }
    }
}

impl ImportFormat {
    fn explicit_format(self) -> Option<sam::SourceFormat> {
        match self {
            Self::Auto => None,
            Self::Csv => Some(sam::SourceFormat::Csv),
            Self::Json => Some(sam::SourceFormat::Json),
            Self::Ndjson => Some(sam::SourceFormat::Ndjson),
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
            // Milliseconds are enough, and read better.
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

/// The first interrupt lets the batch under way come to its end, the second ends the program.
async fn cancel_on_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        output::print_message("stopping after this batch; once more to stop at once");
        stop.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(i32::from(INTERRUPTED_EXIT_CODE));
        }
    }
}
