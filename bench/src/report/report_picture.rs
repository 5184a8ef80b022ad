//! The picture of a report: an SVG with a bar for each measure and a mark at each asked value.

use std::fmt::Write as _;

use super::{
    AskedValue, BenchMeasure, BenchRunReport, BuildDescription, MeasuredFigure, ValueRange,
    number_format::format_number,
};

const WIDTH: f64 = 1_000.0;
/// Where the bars begin and how long the longest one is.
const BARS_LEFT: f64 = 230.0;
const BARS_WIDTH: f64 = 420.0;
const ROW_HEIGHT: f64 = 24.0;
const HEADER_HEIGHT: f64 = 84.0;

const REACHED_COLOR: &str = "#2a9d63";
const MISSED_COLOR: &str = "#d9822b";
const PLAIN_COLOR: &str = "#5b7fa6";

/// Shortest latency on the logarithmic axis, in milliseconds.
const SHORTEST_LATENCY_MS: f64 = 0.1;

/// An axis of the bars.
#[derive(Debug, Clone, Copy)]
enum BarAxis {
    Linear { end: f64 },
    Logarithmic { end: f64 },
}

impl BarAxis {
    /// Returns the length of the bar of a value.
    fn length(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { end } => value / end,
            Self::Logarithmic { end } => {
                (value.max(SHORTEST_LATENCY_MS) / SHORTEST_LATENCY_MS).ln() / (end / SHORTEST_LATENCY_MS).ln()
            }
        };
        share.clamp(0.0, 1.0) * BARS_WIDTH
    }
}

/// A row of the picture.
struct PictureRow<'a> {
    measure: &'a BenchMeasure,
    figure: MeasuredFigure,
    range: ValueRange,
    asked: Option<f64>,
    /// What is written behind the bar.
    caption: String,
}

/// Draws the report as SVG: shares of raw limits, latencies, and what has neither.
pub fn render_report_picture(report: &BenchRunReport) -> String {
    let ratios = select_rows(report, MeasuredFigure::Ratio, format_ratio_caption);
    let latencies = select_rows(report, MeasuredFigure::P99, format_latency_caption);
    let others: Vec<_> = report.measures.iter().filter(|it| it.ratio.is_none() && it.latency.is_none()).collect();
    let longest = |rows: &[PictureRow<'_>]| {
        rows.iter().flat_map(|row| [row.range.highest, row.asked.unwrap_or_default()]).fold(1.0, f64::max)
    };

    let mut body = String::new();
    let mut top = HEADER_HEIGHT;
    if !ratios.is_empty() {
        let axis = BarAxis::Linear { end: longest(&ratios) };
        let raw_limit = Some((1.0, "the raw limit in the same run"));
        top = draw_section(&mut body, top, "Share of the raw limit (more is better)", &ratios, axis, raw_limit);
    }
    if !latencies.is_empty() {
        let axis = BarAxis::Logarithmic { end: longest(&latencies) };
        let title = "Latency, 99th percentile, logarithmic (less is better)";
        top = draw_section(&mut body, top, title, &latencies, axis, None);
    }
    if !others.is_empty() {
        draw_text(&mut body, 20.0, top + 18.0, "Values", "bold");
        top += ROW_HEIGHT;
        for measure in others {
            let line = format!("{}: {} {}", measure.name, format_number(measure.value), measure.unit.symbol());
            draw_text(&mut body, 20.0, top + 16.0, &line, "normal");
            top += ROW_HEIGHT;
        }
    }
    for (part, reason) in &report.failures {
        draw_text(&mut body, 20.0, top + 16.0, &format!("{part} failed: {reason}"), "normal");
        top += ROW_HEIGHT;
    }
    let header = draw_header(report);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{header}{body}</svg>\n",
        height = top + 20.0
    )
}

fn select_rows(
    report: &BenchRunReport,
    figure: MeasuredFigure,
    caption: fn(&BenchMeasure, ValueRange) -> String,
) -> Vec<PictureRow<'_>> {
    let rows = report.measures.iter().filter_map(|measure| {
        let range = measure.figure(figure)?;
        let asked = measure.asked.iter().find(|asked| asked.figure == figure).map(|asked| asked.value);
        Some(PictureRow { measure, figure, range, asked, caption: caption(measure, range) })
    });
    rows.collect()
}

fn format_ratio_caption(measure: &BenchMeasure, range: ValueRange) -> String {
    let raw = measure.raw.as_ref().map(|raw| raw.value).unwrap_or_default();
    let unit = measure.unit.symbol();
    format!("{} ({} of {} {unit})", format_number(range.median), format_number(measure.value), format_number(raw))
}

fn format_latency_caption(measure: &BenchMeasure, range: ValueRange) -> String {
    let p50 = measure.latency.map(|latency| latency.p50_ms).unwrap_or_default();
    let value = if measure.unit.is_rate() {
        format!(", {} {}", format_number(measure.value), measure.unit.symbol())
    } else {
        String::new()
    };
    format!("{} ms (p50 {} ms{value})", format_number(range.median), format_number(p50))
}

fn draw_header(report: &BenchRunReport) -> String {
    let mut header = String::new();
    let commit = report.build.commit.as_deref().unwrap_or("unknown commit");
    let started_at = report.started_at.format("%Y-%m-%d %H:%M UTC");
    let title = format!("medhub {} ({commit}), {started_at}", report.build.version);
    draw_text(&mut header, 20.0, 24.0, &title, "bold");
    let machine = &report.machine;
    let profile = &report.build.profile;
    let scale = &report.scale;
    let line = format!(
        "{} cores, {}, {} MiB, {}; profile {profile}, scale {scale}",
        machine.cores, machine.processor, machine.memory_mib, machine.kernel
    );
    draw_text(&mut header, 20.0, 44.0, &line, "normal");
    let mut notes = "The thin line is the range of the repetitions, the black mark the asked value.".to_owned();
    if !BuildDescription::is_installed_profile(&report.build.profile) {
        notes.insert_str(0, "DEVELOPMENT BUILD: not the figures of the program that people install. ");
    }
    if !report.complete {
        notes.insert_str(0, "INCOMPLETE. ");
    }
    draw_text(&mut header, 20.0, 64.0, &notes, "normal");
    header
}

/// Draws a title and its rows, and returns where the next section begins.
fn draw_section(
    body: &mut String,
    top: f64,
    title: &str,
    rows: &[PictureRow<'_>],
    axis: BarAxis,
    line: Option<(f64, &str)>,
) -> f64 {
    draw_text(body, 20.0, top + 18.0, title, "bold");
    let first = top + ROW_HEIGHT + 6.0;
    let mut row_top = first;
    for row in rows {
        draw_row(body, row_top, row, axis);
        row_top += ROW_HEIGHT;
    }
    if let Some((value, text)) = line {
        let x = BARS_LEFT + axis.length(value);
        let _infallible = writeln!(
            body,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first:.1}\" y2=\"{row_top:.1}\" stroke=\"#888\" \
             stroke-dasharray=\"3 3\"><title>{}</title></line>",
            escape_xml(text)
        );
    }
    row_top + 14.0
}

fn draw_row(body: &mut String, top: f64, row: &PictureRow<'_>, axis: BarAxis) {
    let name = &row.measure.name;
    draw_text(body, 20.0, top + 14.0, name, "normal");
    let color = match row.asked {
        None => PLAIN_COLOR,
        Some(value) => match row.measure.is_reached(AskedValue { figure: row.figure, value }) {
            Some(true) => REACHED_COLOR,
            Some(false) | None => MISSED_COLOR,
        },
    };
    let (length, low, high) =
        (axis.length(row.range.median), axis.length(row.range.lowest), axis.length(row.range.highest));
    let middle = top + 10.0;
    let _infallible = writeln!(
        body,
        "<rect x=\"{BARS_LEFT}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"14\" fill=\"{color}\"/>\n\
         <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#333\"/>",
        top + 3.0,
        BARS_LEFT + low,
        BARS_LEFT + high
    );
    let mut caption = row.caption.clone();
    if let Some(asked) = row.asked {
        let x = BARS_LEFT + axis.length(asked);
        let _infallible = writeln!(
            body,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"black\" stroke-width=\"3\"/>",
            top,
            top + 20.0
        );
        let _infallible = write!(caption, ", asked {}", format_number(asked));
    }
    draw_text(body, BARS_LEFT + BARS_WIDTH + 14.0, top + 14.0, &caption, "normal");
}

fn draw_text(out: &mut String, x: f64, y: f64, text: &str, weight: &str) {
    let text = escape_xml(text);
    let _infallible = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"{weight}\">{text}</text>");
}

/// Replaces what has a meaning in XML, and control characters, which it does not allow.
fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}
