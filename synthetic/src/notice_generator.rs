//! Generates any number of realistic notices in the 47-column format, for demonstrations without real data.
//!
//! The same seed gives the same bytes on every machine. Notices are ordered by publication time; solicitations are
//! opened, amended, extended and awarded. Memory is bounded: at most a few thousand solicitations are open at once.
//! Persons, companies and texts are invented.

mod award;
mod calendar;
mod damage;
mod description;
mod notice;
mod solicitation;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::io::{self, Write};

use csv::StringRecord;
use sam_gov::CSV_HEADER;

use self::{
    award::GeneratedAward,
    calendar::PublicationCalendar,
    notice::GeneratedNotice,
    solicitation::{GeneratedSolicitation, NoticeKind},
};
use crate::generator_rng::GeneratorRng;

/// Maximum number of open solicitations.
const MAX_OPEN: usize = 8_192;
/// Number of open solicitations above which there are amendments and awards.
const MIN_OPEN: usize = 40;
/// Number of notices of a schedule, which is a solicitation that is open for years and awarded many times.
const SCHEDULE_NOTICES: u32 = 133;
/// Number of rows between two reports of progress.
const PROGRESS_EVERY: u64 = 1_000;
/// Share of broken rows with [`RowQuality::Broken`], per mille.
const BROKEN_PER_MILLE: u32 = 20;

/// Whether all rows are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowQuality {
    /// Every row is a notice, with irregularities as in real rows.
    Readable,
    /// About 2 % of the rows are broken, and must be rejected.
    Broken,
}

/// Counts of written rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedRowCounts {
    /// All rows after the header.
    pub rows: u64,
    /// The broken rows among them.
    pub broken: u64,
}

/// Iterates over generated notices as rows of 47 fields.
pub struct NoticeGenerator {
    rng: GeneratorRng,
    calendar: PublicationCalendar,
    rows_left: u64,
    /// Number of solicitations opened so far.
    serial: u64,
    open: Vec<GeneratedSolicitation>,
    schedule: Option<(GeneratedSolicitation, u32)>,
}

/// The effect of the next notice.
#[derive(Clone, Copy)]
enum NoticeAction {
    Open,
    Amend,
    Award,
    Schedule,
}

impl NoticeGenerator {
    /// A generator of `rows` rows.
    ///
    /// Up to 390,000 rows, about as many as SAM.gov publishes in a year, a longer run starts with the rows of a shorter
    /// one. With more rows the time between notices is shorter, so that all of them are published in the year 2026.
    pub fn new(rows: u64, seed: u64) -> Self {
        let (rng, calendar) = (GeneratorRng::new(seed), PublicationCalendar::new(rows));
        Self { rng, calendar, rows_left: rows, serial: 0, open: Vec::new(), schedule: None }
    }

    fn open_solicitation(&mut self, kind: NoticeKind) -> GeneratedSolicitation {
        self.serial += 1;
        GeneratedSolicitation::open(kind, self.serial, self.calendar.now(), &mut self.rng)
    }

    fn generate_first_notice(&mut self) -> StringRecord {
        let kind = NoticeKind::pick_first(&mut self.rng);
        let solicitation = self.open_solicitation(kind);
        let record = self.generate_notice(&solicitation, kind);
        if kind.stays_open() && self.open.len() < MAX_OPEN {
            self.open.push(solicitation);
        } else if kind.stays_open() {
            let replaced = self.rng.next_index(MAX_OPEN);
            self.open[replaced] = solicitation;
        }
        record
    }

    fn generate_amendment(&mut self) -> StringRecord {
        let index = self.rng.next_index(self.open.len());
        self.open[index].amend(&mut self.rng);
        let solicitation = self.open[index].clone();
        self.generate_notice(&solicitation, solicitation.kind)
    }

    fn generate_award(&mut self) -> StringRecord {
        let index = self.rng.next_index(self.open.len());
        let closes = self.rng.chance_per_mille(750);
        let solicitation = if closes { self.open.swap_remove(index) } else { self.open[index].clone() };
        self.generate_notice(&solicitation, NoticeKind::Award)
    }

    fn generate_schedule_notice(&mut self) -> StringRecord {
        let (mut solicitation, count) = match self.schedule.take() {
            Some(schedule) => schedule,
            None => (self.open_solicitation(NoticeKind::Solicitation), 0),
        };
        let kind = match count {
            0 => NoticeKind::Solicitation,
            _ if self.rng.chance_per_mille(900) => NoticeKind::Award,
            _ => {
                solicitation.amend(&mut self.rng);
                solicitation.kind
            }
        };
        let record = self.generate_notice(&solicitation, kind);
        self.schedule = (count + 1 < SCHEDULE_NOTICES).then_some((solicitation, count + 1));
        record
    }

    fn generate_notice(&mut self, solicitation: &GeneratedSolicitation, kind: NoticeKind) -> StringRecord {
        let posted = self.calendar.now();
        let award = match kind {
            NoticeKind::Award => GeneratedAward::for_solicitation(solicitation, posted, &mut self.rng),
            NoticeKind::SourcesSought
            | NoticeKind::Presolicitation
            | NoticeKind::Solicitation
            | NoticeKind::Combined
            | NoticeKind::Special
            | NoticeKind::Justification
            | NoticeKind::Surplus => GeneratedAward::without_award(&mut self.rng),
        };
        GeneratedNotice { solicitation, kind, posted, award }.to_record(&mut self.rng)
    }
}

impl Iterator for NoticeGenerator {
    type Item = StringRecord;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows_left = self.rows_left.checked_sub(1)?;
        self.calendar.advance(&mut self.rng);
        let action = self.rng.pick_weighted(&[
            (NoticeAction::Open, 620),
            (NoticeAction::Amend, 190),
            (NoticeAction::Award, 180),
            (NoticeAction::Schedule, 10),
        ]);
        Some(match action {
            NoticeAction::Schedule => self.generate_schedule_notice(),
            NoticeAction::Amend if self.open.len() >= MIN_OPEN => self.generate_amendment(),
            NoticeAction::Award if self.open.len() >= MIN_OPEN => self.generate_award(),
            NoticeAction::Open | NoticeAction::Amend | NoticeAction::Award => self.generate_first_notice(),
        })
    }
}

/// Writes notices in the format of SAM.gov's file: a header, lines that end with CR LF, quotes only where needed. Calls
/// `progress` with the number of rows so far, every 1,000 rows and at the end.
///
/// # Errors
/// When writing fails.
pub fn write_csv(out: &mut impl Write, rows: u64, seed: u64, progress: impl FnMut(u64)) -> io::Result<()> {
    write_csv_with_quality(out, NoticeGenerator::new(rows, seed), RowQuality::Readable, progress).map(|_| ())
}

/// Writes the notices of a generator, with broken rows among them if `quality` is [`RowQuality::Broken`].
///
/// # Errors
/// When writing fails.
pub fn write_csv_with_quality(
    out: &mut impl Write,
    generator: NoticeGenerator,
    quality: RowQuality,
    mut progress: impl FnMut(u64),
) -> io::Result<GeneratedRowCounts> {
    let mut rng = GeneratorRng::new(u64::from(BROKEN_PER_MILLE));
    let mut line = Vec::with_capacity(4_096);
    write_fields(CSV_HEADER, &mut line);
    let mut written = GeneratedRowCounts { rows: 0, broken: 0 };
    for record in generator {
        line.extend_from_slice(b"\r\n");
        out.write_all(&line)?;
        line.clear();
        if quality == RowQuality::Broken && rng.chance_per_mille(BROKEN_PER_MILLE) {
            damage::write_damaged(&record, &mut rng, &mut line);
            written.broken += 1;
        } else {
            write_fields(&record, &mut line);
        }
        written.rows += 1;
        if written.rows.is_multiple_of(PROGRESS_EVERY) {
            progress(written.rows);
        }
    }
    line.extend_from_slice(b"\r\n");
    out.write_all(&line)?;
    out.flush()?;
    progress(written.rows);
    Ok(written)
}

/// Appends fields to a line, with quotes where needed.
fn write_fields<'a>(fields: impl IntoIterator<Item = &'a str>, line: &mut Vec<u8>) {
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        if field.contains(['"', ',', '\r', '\n']) {
            line.push(b'"');
            line.extend_from_slice(field.replace('"', "\"\"").as_bytes());
            line.push(b'"');
        } else {
            line.extend_from_slice(field.as_bytes());
        }
    }
}
