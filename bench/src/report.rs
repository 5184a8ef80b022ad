//! The report of `medhub bench all`: what was measured, on which machine, with which build.
//!
//! ```text
//! benchmarks ──▶ BenchMeasure ──▶ BenchRunReport ──▶ report.json, report.svg
//!                                        └── with an earlier one ──▶ ReportComparison
//! ```

mod asked_values;
mod bench_measure;
mod build_description;
mod machine_description;
mod measured_figure;
mod number_format;
mod report_comparison;
mod report_picture;

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::{
    bench_measure::{BenchMeasure, LatencyPercentiles, MeasureRepetition, MeasureUnit, RawLimit},
    build_description::BuildDescription,
    machine_description::MachineDescription,
    measured_figure::{AskedValue, MeasuredFigure, ValueRange},
    report_comparison::{ComparisonVerdict, FigureComparison, ReportComparison},
    report_picture::render_report_picture,
};

/// Version of the JSON format. A change that readers notice increases it.
pub const REPORT_SCHEMA_VERSION: u32 = 1;

/// Size that a report may have, in bytes.
const MAX_REPORT_BYTES: u64 = 16 * 1024 * 1024;

/// What a run of the benchmarks measured, complete or as far as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchRunReport {
    /// Version of the format, [`REPORT_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Whether every selected part was measured.
    pub complete: bool,
    /// How much was measured: `quick`, `default` or `full`.
    pub scale: String,
    /// The machine.
    pub machine: MachineDescription,
    /// The program.
    pub build: BuildDescription,
    /// Versions of the engines, by name.
    pub engines: BTreeMap<String, String>,
    /// Settings that differ from run to run and affect the figures.
    pub settings: BTreeMap<String, String>,
    /// Parts that failed, and why.
    pub failures: BTreeMap<String, String>,
    /// What was measured, in the order of the parts.
    pub measures: Vec<BenchMeasure>,
}

impl BenchRunReport {
    /// Adds measures with the values that are asked for them.
    pub fn add_measures(&mut self, measures: Vec<BenchMeasure>) {
        self.measures.extend(measures.into_iter().map(|measure| {
            let asked = asked_values::find_asked_values(&measure.name);
            BenchMeasure { asked, ..measure }
        }));
    }

    /// Reads a report.
    ///
    /// # Errors
    /// When the file cannot be read, is no report, or has another version of the format.
    pub fn read_file(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let opened = fs::File::open(file).with_context(|| format!("opening the report {name}"))?;
        let mut text = String::new();
        opened.take(MAX_REPORT_BYTES + 1).read_to_string(&mut text).with_context(|| format!("reading {name}"))?;
        ensure!(text.len() as u64 <= MAX_REPORT_BYTES, "{name} is longer than {MAX_REPORT_BYTES} bytes: no report");
        Self::parse(&text).with_context(|| format!("{name} is no report of `medhub bench all` that can be read"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct ReportVersion {
            schema_version: u32,
        }
        // Read first: another version may have other fields.
        let ReportVersion { schema_version } = serde_json::from_str(text)?;
        ensure!(
            schema_version == REPORT_SCHEMA_VERSION,
            "the report has version {schema_version} of the format, this program reads version \
             {REPORT_SCHEMA_VERSION}; measure again, or compare with the program that wrote it"
        );
        Ok(serde_json::from_str(text)?)
    }

    /// Writes the report as JSON. The file is replaced at once, so that an interrupted run leaves a whole report.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_file(&self, file: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self).context("formatting the report")?;
        replace_file(file, &format!("{json}\n"))
    }

    /// Writes the picture of the report as SVG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_picture(&self, file: &Path) -> anyhow::Result<()> {
        replace_file(file, &render_report_picture(self))
    }
}

fn replace_file(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, file));
    written.with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests;
