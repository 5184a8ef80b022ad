//! Reads the 47-column extract that SAM.gov publishes as `ContractOpportunitiesFullCSV.csv`.

mod column;
mod dialect;
mod record_reader;

use std::{borrow::Cow, io::BufRead};

use domain::opportunity::{Award, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType, PlaceOfPerformance};

pub use self::column::CSV_HEADER;
use self::{
    column::{ColumnPositions, CsvColumn},
    record_reader::{BrokenRecord, CsvRecordReader, RecordStep},
};
use super::{
    MAX_FIELD_BYTES, MAX_ROW_BYTES, NoticeRowError, ParsedRow, SourceError, SourceReader,
    encoding::{SourceEncoding, TextDecoder},
    field::{self, NoticeField, OmittedValues},
    source,
};

/// The rows behind a header. Blank lines are skipped.
pub(super) struct CsvNoticeReader {
    records: CsvRecordReader,
    header: Vec<String>,
    columns: ColumnPositions,
    decoder: TextDecoder,
}

impl CsvNoticeReader {
    pub(super) fn new(mut reader: SourceReader, encoding: SourceEncoding) -> Result<Self, SourceError> {
        let dialect = dialect::detect_dialect(reader.fill_buf().map_err(source::read_error)?);
        let mut records = CsvRecordReader::new(reader, dialect.delimiter);
        if dialect.has_separator_line {
            records.next_record()?;
            records.reset_width();
        }
        let mut decoder = TextDecoder::new(encoding);
        let header: Option<Vec<String>> = match records.next_record()? {
            RecordStep::Record { .. } => decoder.decode_fields(&records.fields()).map(to_trimmed_names),
            RecordStep::Broken { .. } => None,
            RecordStep::End => return Err(SourceError::Empty),
        };
        let found = "text whose first line is no CSV header";
        let header = header.ok_or(SourceError::NotThisFormat { expected: "notices as CSV", found })?;
        let columns = ColumnPositions::from_header(&header)?;
        Ok(Self { records, header, columns, decoder })
    }

    /// How rows were decoded so far.
    pub(super) fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }

    pub(super) fn next_row(&mut self) -> Result<Option<ParsedRow>, SourceError> {
        Ok(match self.records.next_record()? {
            RecordStep::Record { line } => {
                let mut left_out = OmittedValues::default();
                let outcome = self.read_notice(&mut left_out);
                Some(ParsedRow { line, outcome, omitted_values: left_out.into_errors() })
            }
            RecordStep::Broken { line, why } => {
                Some(ParsedRow { line, outcome: Err(self.row_error(&why)), omitted_values: vec![] })
            }
            RecordStep::End => None,
        })
    }

    fn row_error(&self, why: &BrokenRecord) -> NoticeRowError {
        match *why {
            BrokenRecord::Quoting => NoticeRowError::Quoting,
            BrokenRecord::Unreadable { through } => NoticeRowError::Unreadable { through },
            BrokenRecord::RowTooLarge => NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES },
            BrokenRecord::FieldTooLarge { at } => {
                let column = self.header.get(at).map_or_else(|| (at + 1).to_string(), Clone::clone);
                NoticeRowError::FieldTooLarge { column, limit: MAX_FIELD_BYTES }
            }
            BrokenRecord::FieldCount { found } => NoticeRowError::FieldCount { expected: self.header.len(), found },
        }
    }

    fn read_notice(&mut self, left_out: &mut OmittedValues) -> Result<Notice, NoticeRowError> {
        let fields = self.records.fields();
        let (expected, found) = (self.header.len(), fields.len());
        if found != expected {
            return Err(NoticeRowError::FieldCount { expected, found });
        }
        let fields = self.decoder.decode_fields(&fields).ok_or(NoticeRowError::NotUtf8)?;
        RowCells { fields, columns: &self.columns }.to_notice(left_out)
    }
}

/// The names of a header.
fn to_trimmed_names(names: Vec<Cow<'_, str>>) -> Vec<String> {
    names.into_iter().map(|name| name.trim().to_owned()).collect()
}

/// One row's fields by column.
struct RowCells<'a> {
    fields: Vec<Cow<'a, str>>,
    columns: &'a ColumnPositions,
}

impl RowCells<'_> {
    fn field(&self, column: CsvColumn) -> NoticeField<'_> {
        let text = self.fields.get(self.columns.position(column)).map_or("", AsRef::as_ref);
        NoticeField::new(column.name(), text)
    }

    /// The notice; what it may lack and cannot be read is left out.
    fn to_notice(&self, left_out: &mut OmittedValues) -> Result<Notice, NoticeRowError> {
        Ok(Notice {
            notice_id: self.field(CsvColumn::NoticeId).as_numeral().parse_required_code(NoticeId::try_new)?,
            source: NoticeSource::SamCsv,
            posted_at: self.field(CsvColumn::PostedDate).parse_required(NoticeField::parse_instant)?,
            facts: self.to_details(left_out)?,
            award: field::non_empty_award(Award {
                number: left_out.take_optional(self.field(CsvColumn::AwardNumber).as_numeral().parse_text()),
                date: left_out.take_optional(self.field(CsvColumn::AwardDate).parse_day()),
                amount: left_out.take_optional(self.field(CsvColumn::AwardAmount).parse_amount()),
                awardee: left_out.take_optional(self.field(CsvColumn::Awardee).parse_company()),
            }),
        })
    }

    fn to_details(&self, left_out: &mut OmittedValues) -> Result<NoticeDetails, NoticeRowError> {
        Ok(NoticeDetails {
            title: self.field(CsvColumn::Title).parse_required(NoticeField::parse_text)?,
            notice_type: self.field(CsvColumn::Type).parse_required_code(NoticeType::try_new)?,
            agency: self.field(CsvColumn::Department).parse_agency()?,
            solicitation_number: left_out
                .take_optional(self.field(CsvColumn::SolicitationNumber).as_numeral().parse_text()),
            base_type: left_out.take_optional(self.field(CsvColumn::BaseType).parse_code(NoticeType::try_new)),
            sub_tier: left_out.take_optional(self.field(CsvColumn::SubTier).parse_text()),
            office: left_out.take_optional(self.field(CsvColumn::Office).parse_text()),
            set_aside: left_out.take_optional(self.field(CsvColumn::SetAsideCode).parse_set_aside()),
            naics: left_out.take_optional(self.field(CsvColumn::NaicsCode).parse_naics()),
            psc: left_out.take_optional(self.field(CsvColumn::ClassificationCode).as_numeral().parse_text()),
            response_deadline: left_out.take_optional(self.field(CsvColumn::ResponseDeadline).parse_instant()),
            archive_on: left_out.take_optional(self.field(CsvColumn::ArchiveDate).parse_day()),
            active: left_out.take_optional(self.field(CsvColumn::Active).parse_bool()),
            place: field::non_empty_place(PlaceOfPerformance {
                city: left_out.take_optional(self.field(CsvColumn::PopCity).parse_text()),
                state: left_out.take_optional(self.field(CsvColumn::PopState).parse_text()),
                zip: left_out.take_optional(self.field(CsvColumn::PopZip).as_numeral().parse_text()),
                country: left_out.take_optional(self.field(CsvColumn::PopCountry).parse_text()),
            }),
            description: left_out.take_optional(self.field(CsvColumn::Description).parse_description()),
            link: left_out.take_optional(self.field(CsvColumn::Link).parse_link()),
        })
    }
}
