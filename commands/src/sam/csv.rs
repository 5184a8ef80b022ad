//! Reads the 47-column extract that SAM.gov publishes as `ContractOpportunitiesFullCSV.csv`.

mod column;
mod record;

use domain::opportunity::{Award, Facts, Notice, NoticeId, NoticeSource, NoticeType, Place};

pub use self::column::HEADER;
use self::{
    column::{Column, Columns},
    record::{Broken, Records, Step},
};
use super::{MAX_FIELD, MAX_ROW, Reader, Row, RowError, SourceError, field, field::Field};

/// The rows behind a header. Blank lines are skipped.
pub(super) struct CsvRows {
    records: Records,
    header: Vec<String>,
    columns: Columns,
}

impl CsvRows {
    pub(super) fn new(reader: Reader) -> Result<Self, SourceError> {
        let mut records = Records::new(reader);
        let header: Option<Vec<&str>> = match records.next()? {
            Step::Record { .. } => records.texts(),
            Step::Broken { .. } => None,
            Step::End => return Err(SourceError::Empty),
        };
        let found = "text whose first line is no CSV header in UTF-8";
        let header = header.ok_or(SourceError::NotThisFormat { expected: "notices as CSV", found })?;
        let header: Vec<String> = header.into_iter().map(|name| name.trim().to_owned()).collect();
        let columns = Columns::find(&header)?;
        Ok(Self { records, header, columns })
    }

    pub(super) fn read(&mut self) -> Result<Option<Row>, SourceError> {
        Ok(match self.records.next()? {
            Step::Record { line } => Some(Row { line, outcome: self.notice() }),
            Step::Broken { line, why } => Some(Row { line, outcome: Err(self.rejected(&why)) }),
            Step::End => None,
        })
    }

    fn rejected(&self, why: &Broken) -> RowError {
        match *why {
            Broken::Quoting => RowError::Quoting,
            Broken::Unreadable { through } => RowError::Unreadable { through },
            Broken::RowTooLarge => RowError::RowTooLarge { limit: MAX_ROW },
            Broken::FieldTooLarge { at } => {
                let column = self.header.get(at).map_or_else(|| (at + 1).to_string(), Clone::clone);
                RowError::FieldTooLarge { column, limit: MAX_FIELD }
            }
            Broken::FieldCount { found } => RowError::FieldCount { expected: self.header.len(), found },
        }
    }

    fn notice(&self) -> Result<Notice, RowError> {
        let fields: Vec<&str> = self.records.texts().ok_or(RowError::NotUtf8)?;
        let (expected, found) = (self.header.len(), fields.len());
        if found != expected {
            return Err(RowError::FieldCount { expected, found });
        }
        Cells { fields, columns: &self.columns }.notice()
    }
}

/// One row's fields by column.
struct Cells<'a> {
    fields: Vec<&'a str>,
    columns: &'a Columns,
}

impl<'a> Cells<'a> {
    fn of(&self, column: Column) -> Field<'a> {
        let text = self.fields.get(self.columns.index(column)).copied().unwrap_or_default();
        Field::new(column.name(), text)
    }

    fn notice(&self) -> Result<Notice, RowError> {
        Ok(Notice {
            notice_id: self.of(Column::NoticeId).required_code(NoticeId::try_new)?,
            source: NoticeSource::SamCsv,
            posted_at: self.of(Column::PostedDate).required(Field::instant)?,
            facts: self.facts()?,
            award: field::award(Award {
                number: self.of(Column::AwardNumber).text()?,
                date: self.of(Column::AwardDate).day()?,
                amount: self.of(Column::AwardAmount).amount()?,
                awardee: self.of(Column::Awardee).company()?,
            }),
        })
    }

    fn facts(&self) -> Result<Facts, RowError> {
        Ok(Facts {
            title: self.of(Column::Title).required(Field::text)?,
            notice_type: self.of(Column::Type).required_code(NoticeType::try_new)?,
            agency: self.of(Column::Department).agency()?,
            solicitation_number: self.of(Column::SolicitationNumber).text()?,
            base_type: self.of(Column::BaseType).code(NoticeType::try_new)?,
            sub_tier: self.of(Column::SubTier).text()?,
            office: self.of(Column::Office).text()?,
            set_aside: self.of(Column::SetAsideCode).set_aside()?,
            naics: self.of(Column::NaicsCode).naics()?,
            psc: self.of(Column::ClassificationCode).text()?,
            response_deadline: self.of(Column::ResponseDeadline).instant()?,
            archive_on: self.of(Column::ArchiveDate).day()?,
            active: self.of(Column::Active).yes_or_no()?,
            place: field::place(Place {
                city: self.of(Column::PopCity).text()?,
                state: self.of(Column::PopState).text()?,
                zip: self.of(Column::PopZip).text()?,
                country: self.of(Column::PopCountry).text()?,
            }),
            description: self.of(Column::Description).description()?,
            link: self.of(Column::Link).link()?,
        })
    }
}
