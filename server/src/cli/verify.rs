//! `medhub verify`: compares read models with the log.

use std::{process::ExitCode, sync::Mutex};

use clap::{Args, builder::PossibleValuesParser};
use projections::runtime::{ReadModelGeneration, VerifyOptions, VerifyProgress, VerifyReport};
use serde_json::json;

use super::{
    output,
    progress_display::{ProgressDisplay, ProgressUnit},
    projection_names,
};
use crate::{config::MedhubConfig, engine_clients};

/// Compares read models with a fold of the log, and reports every row that is missing, unexpected or different. Exact
/// even while events are appended. Exit code 0 only if nothing differs.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Read models to verify [default: all]
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(projection_names::possible_names()))]
    projections: Vec<String>,
    /// Compare only this many of the 256 verify buckets, from a random one on, and no totals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    sample: Option<u32>,
    /// Events that are folded in one pass, with some 500 bytes of memory each; the others of a longer log wait in
    /// temporary files
    #[arg(long, value_name = "N", default_value_t = VerifyOptions::default().pass_events,
        value_parser = clap::value_parser!(u64).range(1..))]
    pass_events: u64,
    /// Generation to verify [default: the active one]
    #[arg(long, value_name = "GENERATION")]
    generation: Option<ReadModelGeneration>,
    /// Print one JSON object per read model
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context(config).await?;
        let pointer = app.runtime.control().load_pointer().await?;
        let mut clean = true;
        for projection in projection_names::select_projections(&app, &self.projections)? {
            let generation = self.generation.unwrap_or_else(|| pointer.active_generation(projection.name()));
            let reporter = Mutex::new(None);
            let on_progress = |now: VerifyProgress| show_progress(&reporter, projection.name(), now);
            let options = VerifyOptions { sample: self.sample, pass_events: self.pass_events };
            let report = app.runtime.verify(projection.as_ref(), generation, options, on_progress).await?;
            if let Some(reporter) = reporter.into_inner().unwrap_or_default() {
                ProgressDisplay::finish(reporter);
            }
            clean &= report.is_clean();
            output::print_result(&if self.json { format_json(&report) } else { format_text(&report) })?;
        }
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn show_progress(reporter: &Mutex<Option<ProgressDisplay>>, name: &str, now: VerifyProgress) {
    let Ok(mut reporter) = reporter.lock() else { return };
    let reporter = reporter.get_or_insert_with(|| ProgressDisplay::start(ProgressUnit::Positions, Some(now.end)));
    reporter.update(now.position, || format!("{name}: {} rows read", now.rows));
}

fn format_text(report: &VerifyReport) -> String {
    let VerifyReport { projection, generation, rows, events, buckets, parked, difference_count, .. } = report;
    let totals = if report.totals { "and totals" } else { "without totals" };
    let mut lines: Vec<String> =
        report.differences.iter().map(|difference| format!("{projection} {difference}")).collect();
    let verdict =
        if report.is_clean() { "nothing differs".to_owned() } else { format!("{difference_count} rows differ") };
    lines.push(format!(
        "{projection} {generation}: {verdict}; {rows} rows against {events} events, {buckets} of 256 buckets {totals}"
    ));
    if *parked > 0 {
        lines.push(format!("{projection} {generation}: {parked} events are dead letters and ignored on both sides"));
    }
    lines.join("\n")
}

fn format_json(report: &VerifyReport) -> String {
    let differences: Vec<_> = report
        .differences
        .iter()
        .map(|difference| json!({ "table": difference.table, "key": difference.key, "kind": difference.kind.name() }))
        .collect();
    json!({
        "projection": report.projection,
        "generation": report.generation.number(),
        "clean": report.is_clean(),
        "position": report.position,
        "rows": report.rows,
        "events": report.events,
        "buckets": report.buckets,
        "totals": report.totals,
        "parked": report.parked,
        "different": report.difference_count,
        "differences": differences,
    })
    .to_string()
}
