//! Compares two reports, so that a loss of speed is seen in review.
//!
//! Compared is the ratio to the raw limit where there is one, because absolute values drift with the machine; otherwise
//! the value. Asked figures are compared, too.

use std::fmt::Write as _;

use anyhow::ensure;

use super::{BenchMeasure, BenchRunReport, MeasuredFigure, ValueRange, number_format::format_number};

/// Difference of a figure between two reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonVerdict {
    /// It is better than before.
    Better,
    /// It is within the spread of the repetitions, or, without repetitions, within the threshold.
    Same,
    /// It is worse than before, by less than the threshold.
    Worse,
    /// It is worse than before by more than the threshold.
    Loss,
    /// Only the old report has it.
    Missing,
    /// Only the new report has it.
    New,
}

impl ComparisonVerdict {
    /// Whether it has to be explained before a merge.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Loss | Self::Missing)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Worse => "worse",
            Self::Loss => "LOSS",
            Self::Missing => "MISSING",
            Self::New => "new",
        }
    }
}

/// A figure of both reports.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureComparison {
    /// Name of the measure.
    pub measure: String,
    /// The compared figure.
    pub figure: MeasuredFigure,
    /// Unit of the figure; empty for ratios.
    pub unit: &'static str,
    /// Figure of the old report.
    pub old: Option<ValueRange>,
    /// Figure of the new report.
    pub new: Option<ValueRange>,
    /// Change of the median as a share of the old one, positive if it is better; `None` if one is missing, infinite
    /// if only the old one is 0.
    pub change: Option<f64>,
    /// The difference.
    pub verdict: ComparisonVerdict,
}

/// All figures of two reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportComparison {
    /// The figures, in the order of the old report, then those that only the new one has.
    pub figures: Vec<FigureComparison>,
    threshold: f64,
}

impl ReportComparison {
    /// Compares `new` with `old`. A loss is a figure that is worse by more than `threshold`, a share of the old figure.
    ///
    /// # Errors
    /// When the reports are of different machines, profiles or scales, unless `force` is set.
    pub fn compare(old: &BenchRunReport, new: &BenchRunReport, threshold: f64, force: bool) -> anyhow::Result<Self> {
        let differences = find_differences(old, new);
        ensure!(
            force || differences.is_empty(),
            "the reports cannot be compared: {}; measure both in the same way on one machine, or use --force",
            differences.join("; ")
        );
        let mut figures = vec![];
        for old_measure in &old.measures {
            let new_measure = new.measures.iter().find(|measure| is_same_measure(measure, old_measure));
            for figure in compared_figures(Some(old_measure), new_measure) {
                figures.push(compare_figure(old_measure, Some(old_measure), new_measure, figure, threshold));
            }
        }
        for new_measure in &new.measures {
            if !old.measures.iter().any(|measure| is_same_measure(measure, new_measure)) {
                for figure in compared_figures(None, Some(new_measure)) {
                    figures.push(compare_figure(new_measure, None, Some(new_measure), figure, threshold));
                }
            }
        }
        Ok(Self { figures, threshold })
    }

    /// Whether a figure is lost, or worse by more than the threshold.
    pub fn has_loss(&self) -> bool {
        self.figures.iter().any(|figure| figure.verdict.is_loss())
    }

    /// Formats the comparison as a table.
    pub fn format_table(&self) -> String {
        let mut table =
            format!("{:<34} {:<6} {:>12} {:>12} {:>8}  verdict\n", "measure", "figure", "old", "new", "change");
        for row in &self.figures {
            let format_range = |range: Option<ValueRange>| range.map_or("-".to_owned(), |it| format_number(it.median));
            let change = row.change.map_or("-".to_owned(), |change| format!("{:+.1}%", change * 100.0));
            let unit = if row.unit.is_empty() { String::new() } else { format!(" ({})", row.unit) };
            let name = format!("{}{unit}", row.measure);
            let _infallible = writeln!(
                table,
                "{name:<34} {:<6} {:>12} {:>12} {change:>8}  {}",
                row.figure.name(),
                format_range(row.old),
                format_range(row.new),
                row.verdict.text()
            );
        }
        let losses = self.figures.iter().filter(|figure| figure.verdict.is_loss()).count();
        let _infallible = writeln!(
            table,
            "{} figures, {losses} lost or worse by more than {}%; `same` is within the spread of the repetitions; \
             positive changes are better",
            self.figures.len(),
            format_number(self.threshold * 100.0)
        );
        table
    }
}

fn find_differences(old: &BenchRunReport, new: &BenchRunReport) -> Vec<String> {
    let mut differences = vec![];
    differences.extend(old.machine.find_difference(&new.machine));
    let profile = |report: &BenchRunReport| format!("{} (level {})", report.build.profile, report.build.opt_level);
    if profile(old) != profile(new) {
        differences.push(format!("build profiles {} and {}", profile(old), profile(new)));
    }
    if old.scale != new.scale {
        differences.push(format!("scales {} and {}", old.scale, new.scale));
    }
    differences
}

fn is_same_measure(one: &BenchMeasure, other: &BenchMeasure) -> bool {
    one.name == other.name && one.unit == other.unit
}

/// The ratio if both measures have one, otherwise the value; then what is asked for.
fn compared_figures(old: Option<&BenchMeasure>, new: Option<&BenchMeasure>) -> Vec<MeasuredFigure> {
    let measures = || old.into_iter().chain(new);
    let has_ratio = measures().all(|measure| measure.ratio.is_some());
    let mut figures = vec![if has_ratio { MeasuredFigure::Ratio } else { MeasuredFigure::Value }];
    for asked in measures().flat_map(|measure| &measure.asked) {
        let is_measured = measures().any(|measure| measure.figure(asked.figure).is_some());
        // Values with a ratio drift with the machine.
        let drifts = has_ratio && asked.figure == MeasuredFigure::Value;
        if is_measured && !drifts && !figures.contains(&asked.figure) {
            figures.push(asked.figure);
        }
    }
    figures
}

fn compare_figure(
    measure: &BenchMeasure,
    old: Option<&BenchMeasure>,
    new: Option<&BenchMeasure>,
    figure: MeasuredFigure,
    threshold: f64,
) -> FigureComparison {
    let old = old.and_then(|old| old.figure(figure));
    let new = new.and_then(|new| new.figure(figure));
    let sign = if measure.is_higher_better(figure) { 1.0 } else { -1.0 };
    let change = old.zip(new).map(|(old, new)| sign * relative_change(old.median, new.median));
    let verdict = match (old, new) {
        (Some(old), Some(new)) => judge_change(old, new, change.unwrap_or_default(), threshold),
        (Some(_), None) => ComparisonVerdict::Missing,
        (None, _) => ComparisonVerdict::New,
    };
    let unit = match figure {
        MeasuredFigure::Ratio => "",
        MeasuredFigure::Value => measure.unit.symbol(),
        MeasuredFigure::P99 => "ms",
    };
    FigureComparison { measure: measure.name.clone(), figure, unit, old, new, change, verdict }
}

/// Returns the change as a share of `old`; infinite if only `old` is 0.
fn relative_change(old: f64, new: f64) -> f64 {
    if old > 0.0 {
        (new - old) / old
    } else if new > old {
        f64::INFINITY
    } else {
        0.0
    }
}

fn judge_change(old: ValueRange, new: ValueRange, change: f64, threshold: f64) -> ComparisonVerdict {
    let has_spread = old.count > 1 && new.count > 1;
    let is_small = change.abs() <= threshold;
    // Both, so that an outlier in one report, which widens its range, does not hide a loss.
    let is_within_spread = has_spread && old.contains(new.median) && new.contains(old.median);
    let do_ranges_meet = old.lowest <= new.highest && new.lowest <= old.highest;
    let is_same = is_within_spread || (is_small && (do_ranges_meet || !has_spread));
    match change {
        _ if is_same => ComparisonVerdict::Same,
        change if change >= 0.0 => ComparisonVerdict::Better,
        change if change < -threshold => ComparisonVerdict::Loss,
        _ => ComparisonVerdict::Worse,
    }
}
