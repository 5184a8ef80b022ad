//! Reads the 47-column extract that SAM.gov publishes as `ContractOpportunitiesFullCSV.csv`.

mod column;
mod dialect;
mod record;

use std::{borrow::Cow, io::BufRead};

use domain::opportunity::{Award, Facts, Notice, NoticeId, NoticeSource, NoticeType, Place};

pub use self::column::HEADER;
use self::{
    column::{Column, Columns},
    record::{Broken, Records, Step},
};
use super::{
    MAX_FIELD, MAX_ROW, Reader, Row, RowError, SourceError,
    encoding::{Decoder, Encoding},
    field::{self, Field, LeftOut},
    source,
};

/// The rows behind a header. Blank lines are skipped.
pub(super) struct CsvRows {
    records: Records,
    header: Vec<String>,
    columns: Columns,
    decoder: Decoder,
}

impl CsvRows {
    pub(super) fn new(mut reader: Reader, encoding: Encoding) -> Result<Self, SourceError> {
        let dialect = dialect::tell(reader.fill_buf().map_err(source::failed)?);
        let mut records = Records::new(reader, dialect.delimiter);
        if dialect.names_itself {
            records.next()?;
            records.forget_width();
        }
        let mut decoder = Decoder::new(encoding);
        let header: Option<Vec<String>> = match records.next()? {
            Step::Record { .. } => decoder.texts(&records.fields()).map(own),
            Step::Broken { .. } => None,
            Step::End => return Err(SourceError::Empty),
        };
        let found = "text whose first line is no CSV header";
        let header = header.ok_or(SourceError::NotThisFormat { expected: "notices as CSV", found })?;
        let columns = Columns::find(&header)?;
        Ok(Self { records, header, columns, decoder })
    }

    /// How rows were decoded so far.
    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(super) fn read(&mut self) -> Result<Option<Row>, SourceError> {
        Ok(match self.records.next()? {
            Step::Record { line } => {
                let mut left_out = LeftOut::default();
                let outcome = self.notice(&mut left_out);
                Some(Row { line, outcome, left_out: left_out.into_values() })
            }
            Step::Broken { line, why } => Some(Row { line, outcome: Err(self.rejected(&why)), left_out: vec![] }),
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

    fn notice(&mut self, left_out: &mut LeftOut) -> Result<Notice, RowError> {
        let fields = self.records.fields();
        let (expected, found) = (self.header.len(), fields.len());
        if found != expected {
            return Err(RowError::FieldCount { expected, found });
        }
        let fields = self.decoder.texts(&fields).ok_or(RowError::NotUtf8)?;
        Cells { fields, columns: &self.columns }.notice(left_out)
    }
}

/// The names of a header.
fn own(names: Vec<Cow<'_, str>>) -> Vec<String> {
    names.into_iter().map(|name| name.trim().to_owned()).collect()
}

/// One row's fields by column.
struct Cells<'a> {
    fields: Vec<Cow<'a, str>>,
    columns: &'a Columns,
}

impl Cells<'_> {
    fn of(&self, column: Column) -> Field<'_> {
        let text = self.fields.get(self.columns.index(column)).map_or("", AsRef::as_ref);
        Field::new(column.name(), text)
    }

    /// The notice; what it may lack and cannot be read is left out.
    fn notice(&self, left_out: &mut LeftOut) -> Result<Notice, RowError> {
        Ok(Notice {
            notice_id: self.of(Column::NoticeId).numeral().required_code(NoticeId::try_new)?,
            source: NoticeSource::SamCsv,
            posted_at: self.of(Column::PostedDate).required(Field::instant)?,
            facts: self.facts(left_out)?,
            award: field::award(Award {
                number: left_out.optional(self.of(Column::AwardNumber).numeral().text()),
                date: left_out.optional(self.of(Column::AwardDate).day()),
                amount: left_out.optional(self.of(Column::AwardAmount).amount()),
                awardee: left_out.optional(self.of(Column::Awardee).company()),
            }),
        })
    }

    fn facts(&self, left_out: &mut LeftOut) -> Result<Facts, RowError> {
        Ok(Facts {
            title: self.of(Column::Title).required(Field::text)?,
            notice_type: self.of(Column::Type).required_code(NoticeType::try_new)?,
            agency: self.of(Column::Department).agency()?,
            solicitation_number: left_out.optional(self.of(Column::SolicitationNumber).numeral().text()),
            base_type: left_out.optional(self.of(Column::BaseType).code(NoticeType::try_new)),
            sub_tier: left_out.optional(self.of(Column::SubTier).text()),
            office: left_out.optional(self.of(Column::Office).text()),
            set_aside: left_out.optional(self.of(Column::SetAsideCode).set_aside()),
            naics: left_out.optional(self.of(Column::NaicsCode).naics()),
            psc: left_out.optional(self.of(Column::ClassificationCode).numeral().text()),
            response_deadline: left_out.optional(self.of(Column::ResponseDeadline).instant()),
            archive_on: left_out.optional(self.of(Column::ArchiveDate).day()),
            active: left_out.optional(self.of(Column::Active).yes_or_no()),
            place: field::place(Place {
                city: left_out.optional(self.of(Column::PopCity).text()),
                state: left_out.optional(self.of(Column::PopState).text()),
                zip: left_out.optional(self.of(Column::PopZip).numeral().text()),
                country: left_out.optional(self.of(Column::PopCountry).text()),
            }),
            description: left_out.optional(self.of(Column::Description).description()),
            link: left_out.optional(self.of(Column::Link).link()),
        })
    }
}
