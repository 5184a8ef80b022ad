//! `medhub import`: takes notices in from a file or from standard input.

mod meter;
mod report;
mod source;
mod watch;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use commands::{
    caller::Caller,
    import::{self, Summary},
    sam,
};
use eventstore::append::PgBatchStore;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::{report::Report, source::Source, watch::Watch};
use super::output;
use crate::{config::Config, store};

/// Exit code of a program that was interrupted.
const INTERRUPTED: u8 = 128 + 2;
/// Exit code of an import that came to its end but had to reject rows.
const REJECTED: u8 = 3;

/// Takes in notices. A notice needs its id, title, type, agency and date; another value that cannot be understood is left
/// out of it. Rows that are no notices are rejected, the rest goes in; a report lists both with line and column. Safe to
/// interrupt and to repeat: what is on record already changes nothing. Exit codes: 0 all rows went in, 3 some were rejected,
/// 130 interrupted, 1 the source or the log failed.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// A file of notices, also packed with gzip; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    source: PathBuf,
    /// What the notices are written in
    #[arg(long, value_enum, default_value = "auto")]
    format: Format,
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
enum Format {
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
struct Result {
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

impl Import {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let source = Source::open(&self.source, self.format.known(), self.encoding.into()).await?;
        let warnings = source.rows.warnings();
        let report = Report::at(self.report.unwrap_or_else(|| source.default_report()));
        let mut watch = Watch::new(source.meter.clone(), source.bytes, report);

        let pool = eventstore::postgres::open(&config.postgres)?;
        store::reach_postgres(&pool).await.context("connecting to Postgres; DATABASE_URL says where it is")?;
        if !store::is_migrated(&pool).await.context("asking Postgres whether it is prepared")? {
            bail!("the database is not prepared; run `medhub migrate`");
        }
        let import = import::Import::new(PgBatchStore::new(pool.clone()), self.batch);
        let stop = CancellationToken::new();
        let interrupt = tokio::spawn(stop_at_interrupt(stop.clone()));
        let outcome = import.run(&Caller::system("system:import"), source.rows, &mut watch, stop).await;
        interrupt.abort();
        let so_far = watch.rows();
        let report = watch.finish();
        pool.close().await;
        let summary =
            outcome.with_context(|| format!("importing {}, after {so_far} rows that went in", source.name))?;
        let report = report.context("writing the report of rejected rows")?;

        for warning in warnings.list() {
            output::say(&format!("warning: {warning}"));
        }
        let interrupted = summary.interrupted;
        let result = Result::new(&summary, started, report, warnings.list());
        output::result(&if self.json { serde_json::to_string(&result)? } else { result.text() })?;
        if interrupted {
            output::say("interrupted; run the same import again to take in the rest");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        if let (Some(report), 1..) = (&result.report, summary.rejected) {
            output::say(&format!("{} rejected; {} lists each row and why", summary.rejected, report.display()));
            return Ok(ExitCode::from(REJECTED));
        }
        if let (Some(report), 1..) = (&result.report, summary.left_out) {
            output::say(&format!(
                "{} values left out; {} lists each with its column",
                summary.left_out,
                report.display()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl From<TextEncoding> for sam::Encoding {
    fn from(encoding: TextEncoding) -> Self {
        match encoding {
            TextEncoding::Auto => Self::Auto,
            TextEncoding::Utf8 => Self::Utf8,
            TextEncoding::Windows1252 => Self::Windows1252,
        }
    }
}

impl Format {
    fn known(self) -> Option<sam::Format> {
        match self {
            Self::Auto => None,
            Self::Csv => Some(sam::Format::Csv),
            Self::Json => Some(sam::Format::Json),
            Self::Ndjson => Some(sam::Format::Ndjson),
        }
    }
}

impl Result {
    fn new(summary: &Summary, started: Instant, report: Option<PathBuf>, warnings: Vec<String>) -> Self {
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

    fn text(&self) -> String {
        let Self { rows, imported, unchanged, rejected, left_out, events, seconds, .. } = self;
        format!(
            "{rows} rows in {seconds:.1} s: {imported} imported, {unchanged} unchanged, {rejected} rejected; \
             {left_out} values left out; {events} events recorded"
        )
    }
}

/// The first interrupt lets the batch under way come to its end, the second ends the program.
async fn stop_at_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        output::say("stopping after this batch; once more to stop at once");
        stop.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(i32::from(INTERRUPTED));
        }
    }
}
