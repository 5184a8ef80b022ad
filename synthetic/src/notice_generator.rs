//! Generates realistic notices in the 47-column format, as many as wanted: what a fresh clone demonstrates on.
//!
//! The same seed gives the same bytes on every machine. Notices are published in the order of time; solicitations are
//! opened, amended, extended and awarded. Memory is constant: at most a few thousand solicitations are open at once.
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

/// How many solicitations are open at most.
const MAX_OPEN: usize = 8_192;
/// Amendments and awards begin when so many are open.
const MIN_OPEN: usize = 40;
/// Notices of a schedule: a solicitation that is open for years and awarded again and again.
const SCHEDULE_NOTICES: u32 = 133;
/// How often progress is told, in rows.
const PROGRESS_EVERY: u64 = 1_000;
/// Share of broken rows, in a thousand, where there are to be any.
const BROKEN_PER_MILLE: u32 = 20;

/// Whether all rows can be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowQuality {
    /// Untidy as real rows are, and every row a notice.
    Readable,
    /// About two in a hundred rows are broken, and must be rejected.
    Broken,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedRowCounts {
    /// All rows behind the header.
    pub rows: u64,
    /// Those that are broken on purpose.
    pub broken: u64,
}

/// Notices one after the other, as rows of 47 fields. Never ends by itself before the rows are through.
pub struct NoticeGenerator {
    dice: GeneratorRng,
    calendar: PublicationCalendar,
    left: u64,
    /// Solicitations opened so far.
    serial: u64,
    open: Vec<GeneratedSolicitation>,
    schedule: Option<(GeneratedSolicitation, u32)>,
}

/// What the next notice does.
#[derive(Clone, Copy)]
enum NoticeAction {
    Open,
    Amend,
    Award,
    Schedule,
}

impl NoticeGenerator {
    /// A generator of so many rows.
    ///
    /// Up to 390,000 rows (a year of real life) a longer run starts with the rows of a shorter one. Beyond that, notices
    /// come in quicker succession, so that any number falls into the year 2026.
    pub fn new(rows: u64, seed: u64) -> Self {
        let (dice, calendar) = (GeneratorRng::new(seed), PublicationCalendar::new(rows));
        Self { dice, calendar, left: rows, serial: 0, open: Vec::new(), schedule: None }
    }

    fn open_solicitation(&mut self, kind: NoticeKind) -> GeneratedSolicitation {
        self.serial += 1;
        GeneratedSolicitation::open(kind, self.serial, self.calendar.now(), &mut self.dice)
    }

    fn generate_first_notice(&mut self) -> StringRecord {
        let kind = NoticeKind::pick_first(&mut self.dice);
        let solicitation = self.open_solicitation(kind);
        let record = self.generate_notice(&solicitation, kind);
        if kind.stays_open() && self.open.len() < MAX_OPEN {
            self.open.push(solicitation);
        } else if kind.stays_open() {
            let other = self.dice.next_index(MAX_OPEN);
            self.open[other] = solicitation;
        }
        record
    }

    fn generate_amendment(&mut self) -> StringRecord {
        let which = self.dice.next_index(self.open.len());
        self.open[which].amend(&mut self.dice);
        let solicitation = self.open[which].clone();
        self.generate_notice(&solicitation, solicitation.kind)
    }

    fn generate_award(&mut self) -> StringRecord {
        let which = self.dice.next_index(self.open.len());
        let closes = self.dice.chance_per_mille(750);
        let solicitation = if closes { self.open.swap_remove(which) } else { self.open[which].clone() };
        self.generate_notice(&solicitation, NoticeKind::Award)
    }

    fn generate_schedule_notice(&mut self) -> StringRecord {
        let (mut solicitation, count) = match self.schedule.take() {
            Some(running) => running,
            None => (self.open_solicitation(NoticeKind::Solicitation), 0),
        };
        let kind = match count {
            0 => NoticeKind::Solicitation,
            _ if self.dice.chance_per_mille(900) => NoticeKind::Award,
            _ => {
                solicitation.amend(&mut self.dice);
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
            NoticeKind::Award => GeneratedAward::for_solicitation(solicitation, posted, &mut self.dice),
            NoticeKind::SourcesSought
            | NoticeKind::Presolicitation
            | NoticeKind::Solicitation
            | NoticeKind::Combined
            | NoticeKind::Special
            | NoticeKind::Justification
            | NoticeKind::Surplus => GeneratedAward::absent(&mut self.dice),
        };
        GeneratedNotice { solicitation, kind, posted, award }.to_record(&mut self.dice)
    }
}

impl Iterator for NoticeGenerator {
    type Item = StringRecord;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.calendar.advance(&mut self.dice);
        let deed = self.dice.pick_weighted(&[
            (NoticeAction::Open, 620),
            (NoticeAction::Amend, 190),
            (NoticeAction::Award, 180),
            (NoticeAction::Schedule, 10),
        ]);
        Some(match deed {
            NoticeAction::Schedule => self.generate_schedule_notice(),
            NoticeAction::Amend if self.open.len() >= MIN_OPEN => self.generate_amendment(),
            NoticeAction::Award if self.open.len() >= MIN_OPEN => self.generate_award(),
            NoticeAction::Open | NoticeAction::Amend | NoticeAction::Award => self.generate_first_notice(),
        })
    }
}

/// Writes notices as SAM.gov's file has them: header, carriage return and line feed, quotes only where needed.
/// `progress` is told the number of rows so far, now and then and at the end.
///
/// # Errors
/// When writing fails.
pub fn write_csv(out: &mut impl Write, rows: u64, seed: u64, progress: impl FnMut(u64)) -> io::Result<()> {
    write_csv_with_quality(out, NoticeGenerator::new(rows, seed), RowQuality::Readable, progress).map(|_| ())
}

/// Writes the notices of a generator, broken ones among them if so wanted.
///
/// # Errors
/// When writing fails.
pub fn write_csv_with_quality(
    out: &mut impl Write,
    generator: NoticeGenerator,
    dirt: RowQuality,
    mut progress: impl FnMut(u64),
) -> io::Result<GeneratedRowCounts> {
    let mut dice = GeneratorRng::new(u64::from(BROKEN_PER_MILLE));
    let mut line = Vec::with_capacity(4_096);
    write_fields(CSV_HEADER, &mut line);
    let mut written = GeneratedRowCounts { rows: 0, broken: 0 };
    for record in generator {
        line.extend_from_slice(b"\r\n");
        out.write_all(&line)?;
        line.clear();
        if dirt == RowQuality::Broken && dice.chance_per_mille(BROKEN_PER_MILLE) {
            damage::write_damaged(&record, &mut dice, &mut line);
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

/// Appends fields, quoted where needed.
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
