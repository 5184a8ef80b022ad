//! The reading order of pages that are printed in columns.
//!
//! Most files contain a column after the other, and their order stays. Some contain the lines of all columns in turn,
//! which would mix their sentences: there the lines of each column are put together. Tables look the same to a machine,
//! and have to stay in rows, so only running text counts as a column: its lines are long, and many begin within a
//! sentence.

use std::collections::BTreeSet;

use super::page_content::LINE_END_HYPHEN;

/// The least distance in points between two parts of a line that may be in different columns.
const MIN_GAP: f32 = 9.0;

/// The least width in points of the strip between two columns, which nothing crosses.
const MIN_GUTTER: f32 = 6.0;

/// The fewest lines of a column.
const MIN_LINES: usize = 4;

/// The most parts of lines on a page that is looked at. Real pages have some hundreds.
const MAX_SEGMENTS: usize = 1_000;

/// The most gaps of one line that are tried.
const MAX_GAPS: usize = 8;

/// The most columns that are found within each other.
const MAX_DEPTH: usize = 4;

/// A character with its place on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PlacedCharacter {
    pub(super) character: char,
    /// Its left and right end in points.
    pub(super) left: f32,
    pub(super) right: f32,
}

/// A part of a line, without a wide gap.
#[derive(Debug, Clone, PartialEq)]
struct LineSegment {
    /// The number of its line.
    line: usize,
    /// Whether the line before has no text, so that a paragraph begins.
    follows_blank: bool,
    left: f32,
    right: f32,
    text: String,
}

/// Which side of a strip a segment is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnSide {
    Left,
    Right,
}

/// The strip between two columns.
#[derive(Debug, Clone, Copy)]
struct ColumnGutter {
    left: f32,
    right: f32,
}

/// Segments that one gutter divides: each side, and how many segments it takes in all.
struct ColumnRun<'a> {
    left: Vec<&'a LineSegment>,
    right: Vec<&'a LineSegment>,
    length: usize,
}

/// The text of a page in reading order.
pub(super) fn arrange_columns(characters: &[PlacedCharacter]) -> String {
    let unchanged = || characters.iter().map(|placed| placed.character).collect::<String>();
    let Some(segments) = split_segments(characters) else { return unchanged() };
    let mut lines = Vec::new();
    let segments: Vec<_> = segments.iter().collect();
    if append_in_reading_order(&segments, &mut lines, MAX_DEPTH) { lines.join("\n") } else { unchanged() }
}

/// The segments of all lines in the order of the file; `None` if no line has two, or there are too many.
fn split_segments(characters: &[PlacedCharacter]) -> Option<Vec<LineSegment>> {
    let (mut segments, mut line, mut has_gap) = (Vec::<LineSegment>::new(), 0, false);
    let mut is_new_line = true;
    for placed in characters {
        if placed.character == '\n' {
            (line, is_new_line) = (line + 1, true);
            continue;
        }
        if placed.character.is_whitespace() {
            if let (Some(last), false) = (segments.last_mut(), is_new_line) {
                last.text.push(' ');
            }
            continue;
        }
        // Without a width, its place is not known.
        let is_continued = |last: &LineSegment| {
            placed.right <= placed.left || placed.left - last.right < MIN_GAP && placed.left > last.left - MIN_GAP
        };
        if let Some(last) = segments.last_mut().filter(|last| !is_new_line && is_continued(last)) {
            last.text.push(placed.character);
            last.right = if placed.right > placed.left { last.right.max(placed.right) } else { last.right };
        } else {
            if segments.len() >= MAX_SEGMENTS {
                return None;
            }
            has_gap |= !is_new_line;
            let text = String::from(placed.character);
            segments.push(LineSegment { line, follows_blank: false, left: placed.left, right: placed.right, text });
        }
        is_new_line = false;
    }
    let mut before: Option<(usize, bool)> = None;
    for segment in &mut segments {
        segment.text.truncate(segment.text.trim_end().len());
        segment.follows_blank = before.is_some_and(|(line, follows_blank)| match segment.line.checked_sub(line) {
            Some(0) => follows_blank,
            distance => distance.is_some_and(|distance| distance > 1),
        });
        before = Some((segment.line, segment.follows_blank));
    }
    has_gap.then_some(segments)
}

/// Appends the lines of segments in reading order; returns whether it differs from the file's order.
fn append_in_reading_order(segments: &[&LineSegment], lines: &mut Vec<String>, depth: usize) -> bool {
    let (mut start, mut is_changed) = (0, false);
    while let Some(first) = segments.get(start) {
        let rest = segments.get(start..).unwrap_or_default();
        let on_line = rest.iter().take_while(|segment| segment.line == first.line).count();
        let run = if depth > 0 { find_columns(rest, on_line) } else { None };
        if let Some(run) = run {
            for column in [&run.left, &run.right] {
                let begin = lines.len();
                append_in_reading_order(column, lines, depth - 1);
                mark_hyphens(lines.get_mut(begin..).unwrap_or_default());
            }
            is_changed = true;
            start += run.length;
        } else {
            let texts: Vec<_> = rest.iter().take(on_line).map(|segment| segment.text.as_str()).collect();
            if first.follows_blank && lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(String::new());
            }
            lines.push(texts.join(" "));
            start += on_line;
        }
    }
    is_changed
}

/// The columns of running text that begin with the first line, which has this number of segments.
fn find_columns<'a>(segments: &[&'a LineSegment], on_line: usize) -> Option<ColumnRun<'a>> {
    let gaps = segments.windows(2).take(on_line.saturating_sub(1).min(MAX_GAPS));
    let gutters = gaps.filter_map(|pair| match pair {
        [before, after] => Some(ColumnGutter { left: before.right, right: after.left }),
        _ => None,
    });
    let runs = gutters.map(|gutter| ColumnRun::follow(gutter, segments)).filter(ColumnRun::is_mixed_text);
    runs.max_by_key(|run| run.length)
}

impl ColumnGutter {
    /// The side of a segment, and the strip that it leaves; `None` if it crosses the strip.
    fn place(self, segment: &LineSegment) -> Option<(ColumnSide, Self)> {
        if segment.right <= self.right - MIN_GUTTER && segment.left < self.left {
            Some((ColumnSide::Left, Self { left: self.left.max(segment.right), ..self }))
        } else if segment.left >= self.left + MIN_GUTTER && segment.right > self.right {
            Some((ColumnSide::Right, Self { right: self.right.min(segment.left), ..self }))
        } else {
            None
        }
    }
}

impl<'a> ColumnRun<'a> {
    /// Follows a gutter down the page, until a line crosses it.
    fn follow(mut gutter: ColumnGutter, segments: &[&'a LineSegment]) -> Self {
        let mut run = Self { left: Vec::new(), right: Vec::new(), length: 0 };
        let mut on_line = Vec::new();
        for line in segments.chunk_by(|one, other| one.line == other.line) {
            on_line.clear();
            for segment in line {
                let Some((side, narrowed)) = gutter.place(segment) else { return run };
                gutter = narrowed;
                on_line.push((side, *segment));
            }
            for (side, segment) in &on_line {
                let column = if *side == ColumnSide::Left { &mut run.left } else { &mut run.right };
                column.push(segment);
            }
            run.length += line.len();
        }
        run
    }

    /// Whether both sides are running text, and nearly all lines have a part on both sides until the shorter one ends. Cells
    /// of a table share only their first lines.
    fn is_mixed_text(&self) -> bool {
        let lines = |column: &[&LineSegment]| column.iter().map(|segment| segment.line).collect::<BTreeSet<_>>();
        let (left, right) = (lines(&self.left), lines(&self.right));
        let shared: Vec<_> = left.intersection(&right).collect();
        let until_last = left.union(&right).filter(|line| shared.last().is_some_and(|last| line <= last)).count();
        self.left.len().min(self.right.len()) >= MIN_LINES
            && shared.len() * 4 >= until_last * 3
            && is_running_text(&self.left)
            && is_running_text(&self.right)
    }
}

/// Whether the lines of a column are long for it, have several words, and often begin within a sentence.
fn is_running_text(column: &[&LineSegment]) -> bool {
    let width = |segment: &LineSegment| segment.right - segment.left;
    let longest = column.iter().fold(0.0_f32, |longest, segment| longest.max(width(segment)));
    let long = column.iter().filter(|segment| width(segment) >= longest * 0.6).count();
    let words: usize = column.iter().map(|segment| segment.text.split(' ').count()).sum();
    let continued = column.iter().filter(|segment| segment.text.starts_with(char::is_lowercase)).count();
    long * 2 >= column.len() && words >= column.len() * 3 && continued * 3 >= column.len()
}

/// Marks the hyphens that divide words at line ends, as the PDF reader does where a line ends.
fn mark_hyphens(lines: &mut [String]) {
    for index in 1..lines.len() {
        let is_continued = lines.get(index).is_some_and(|next| next.starts_with(char::is_lowercase));
        let Some(line) = lines.get_mut(index - 1).filter(|_| is_continued) else { continue };
        if line.strip_suffix('-').is_some_and(|before| before.ends_with(char::is_alphabetic)) {
            line.pop();
            line.push(LINE_END_HYPHEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of parts that begin at a place, with characters of 5 points.
    fn place(lines: &[&[(f32, &str)]]) -> Vec<PlacedCharacter> {
        let mut placed = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                placed.push(PlacedCharacter { character: '\n', left: 0.0, right: 0.0 });
            }
            for (number, (start, text)) in line.iter().enumerate() {
                if number > 0 {
                    placed.push(PlacedCharacter { character: ' ', left: 0.0, right: 0.0 });
                }
                let mut left = *start;
                for character in text.chars() {
                    placed.push(PlacedCharacter { character, left, right: left + 5.0 });
                    left += 5.0;
                }
            }
        }
        placed
    }

    const COLUMNS: [&[(f32, &str)]; 7] = [
        &[(70.0, "Services for twelve hospitals in the west")],
        &[(70.0, "The contractor shall clean"), (230.0, "Invoices are sent to the")],
        &[(70.0, "the pumps of all wards, and"), (230.0, "office each month, and are")],
        &[(70.0, "report what it has main-"), (230.0, "paid within thirty days of")],
        &[(70.0, "tained to the nurse who is"), (230.0, "receipt, unless the office")],
        &[(70.0, "responsible for them.")],
        &[(70.0, "Both parts are binding for all of the offerors")],
    ];

    #[test]
    fn columns_whose_lines_alternate_are_put_together() {
        let expected = "Services for twelve hospitals in the west\nThe contractor shall clean\nthe pumps of all wards, and\n\
             report what it has main\u{e000}\ntained to the nurse who is\nresponsible for them.\nInvoices are sent to the\n\
             office each month, and are\npaid within thirty days of\nreceipt, unless the office\n\
             Both parts are binding for all of the offerors";
        assert_eq!(arrange_columns(&place(&COLUMNS)), expected);
    }

    #[test]
    fn blank_lines_between_paragraphs_stay() {
        let mut lines = COLUMNS.to_vec();
        lines.insert(3, &[]);
        lines.insert(1, &[]);
        let expected = "Services for twelve hospitals in the west\n\nThe contractor shall clean\nthe pumps of all wards, and\n\n\
             report what it has main\u{e000}\ntained to the nurse who is\nresponsible for them.\n\nInvoices are sent to the\n\
             office each month, and are\n\npaid within thirty days of\nreceipt, unless the office\n\
             Both parts are binding for all of the offerors";
        assert_eq!(arrange_columns(&place(&lines)), expected);
    }

    #[test]
    fn three_columns_are_put_together() {
        let words = ["of the pumps and of", "all wards which are", "kept by the nurses", "in each hospital it"];
        let lines: Vec<Vec<(f32, &str)>> =
            words.iter().map(|text| vec![(70.0, *text), (190.0, *text), (310.0, *text)]).collect();
        let lines: Vec<&[(f32, &str)]> = lines.iter().map(Vec::as_slice).collect();
        assert_eq!(arrange_columns(&place(&lines)), [words.join("\n"), words.join("\n"), words.join("\n")].join("\n"));
    }

    #[test]
    fn tables_and_columns_in_the_order_of_the_file_stay() {
        let table: [&[(f32, &str)]; 5] = [
            &[(70.0, "Monthly status report"), (230.0, "Five days after the month")],
            &[(70.0, "Transition plan"), (230.0, "Forty days after the award")],
            &[(70.0, "Risk register"), (230.0, "With each status report")],
            &[(70.0, "Training material"), (230.0, "Ten days before a training")],
            &[(70.0, "Final report"), (230.0, "At the end of the contract")],
        ];
        let rows = table.map(|row| row.iter().map(|(_, text)| *text).collect::<Vec<_>>().join(" ")).join("\n");
        assert_eq!(arrange_columns(&place(&table)), rows);
        // Cells of several lines, which the file has one after the other.
        let cells: [&[(f32, &str)]; 8] = [
            &[(70.0, "Old invoices are worked on"), (230.0, "Any bills of the old one will")],
            &[(230.0, "have to be worked through on")],
            &[(230.0, "the old system until they end")],
            &[(70.0, "refunds of the old invoices"), (230.0, "and are refunded there, if it")],
            &[(230.0, "has a balance that is owed to")],
            &[(70.0, "new bills are made on the new")],
            &[(70.0, "system and are worked there"), (230.0, "from the date on which it is")],
            &[(230.0, "begun by the new station.")],
        ];
        let rows = cells.map(|row| row.iter().map(|(_, text)| *text).collect::<Vec<_>>().join(" ")).join("\n");
        assert_eq!(arrange_columns(&place(&cells)), rows);
        let mut in_order: Vec<&[(f32, &str)]> = COLUMNS[1..5].iter().map(|line| &line[..1]).collect();
        in_order.extend(COLUMNS[1..5].iter().map(|line| &line[1..]));
        let text: Vec<_> = in_order.iter().map(|line| line[0].1).collect();
        assert_eq!(arrange_columns(&place(&in_order)), text.join("\n"));
        assert_eq!(arrange_columns(&[]), "");
    }

    #[test]
    fn a_hostile_page_ends_soon() {
        let started = std::time::Instant::now();
        let line: Vec<(f32, &str)> = (0..30_u8).map(|column| (f32::from(column) * 40.0, "of it")).collect();
        let lines: Vec<&[(f32, &str)]> = (0..33).map(|_| line.as_slice()).collect();
        assert_eq!(arrange_columns(&place(&lines)).lines().count(), 33);
        let lines: Vec<&[(f32, &str)]> = (0..1_000).map(|_| line.as_slice()).collect();
        assert_eq!(arrange_columns(&place(&lines)).lines().count(), 1_000);
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
