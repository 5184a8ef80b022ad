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

/// Length of the ids of SAM.gov.
const ID_DIGITS: usize = 32;

/// Reads the rows after the header. Blank lines are skipped.
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
        let found = "text whose first line is not a CSV header";
        let header = header.ok_or(SourceError::NotThisFormat { expected: "notices as CSV", found })?;
        let columns = ColumnPositions::from_header(&header)?;
        Ok(Self { records, header, columns, decoder })
    }

    pub(super) fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }

    pub(super) fn next_row(&mut self) -> Result<Option<ParsedRow>, SourceError> {
        Ok(match self.records.next_record()? {
            RecordStep::Record { line } => {
                let mut omitted = OmittedValues::default();
                let (notice_id, outcome) = self.read_notice(&mut omitted);
                Some(ParsedRow { line, outcome, notice_id, omitted_values: omitted.into_errors() })
            }
            RecordStep::Broken { line, reason } => {
                let outcome = Err(self.row_error(&reason));
                let notice_id = self.records.broken_field(self.id_position()).and_then(parse_damaged_id);
                Some(ParsedRow { line, outcome, notice_id, omitted_values: vec![] })
            }
            RecordStep::End => None,
        })
    }

    fn row_error(&self, reason: &BrokenRecord) -> NoticeRowError {
        match *reason {
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

    fn id_position(&self) -> usize {
        self.columns.position(CsvColumn::NoticeId)
    }

    /// The notice of the current record, and its id, which may be readable although the notice is not.
    fn read_notice(&mut self, omitted: &mut OmittedValues) -> (Option<NoticeId>, Result<Notice, NoticeRowError>) {
        let fields = self.records.fields();
        let (expected, found) = (self.header.len(), fields.len());
        let id_position = self.id_position();
        let damaged_id = |fields: &[&[u8]]| fields.get(id_position).copied().and_then(parse_damaged_id);
        if found != expected {
            return (damaged_id(&fields), Err(NoticeRowError::FieldCount { expected, found }));
        }
        let Some(texts) = self.decoder.decode_fields(&fields) else {
            return (damaged_id(&fields), Err(NoticeRowError::NotUtf8));
        };
        let cells = RowCells { fields: texts, columns: &self.columns };
        (cells.notice_id().ok(), cells.to_notice(omitted))
    }
}

/// The id in the column of ids of a damaged row. SAM.gov's ids have 32 hexadecimal digits; text of another form may
/// belong to another column.
fn parse_damaged_id(field: &[u8]) -> Option<NoticeId> {
    let id = field.trim_ascii();
    let is_well_formed = id.len() == ID_DIGITS && id.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(id).ok().filter(|_| is_well_formed).and_then(|id| NoticeId::try_new(id).ok())
}

fn to_trimmed_names(names: Vec<Cow<'_, str>>) -> Vec<String> {
    names.into_iter().map(|name| name.trim().to_owned()).collect()
}

/// The fields of one row, by column.
struct RowCells<'a> {
    fields: Vec<Cow<'a, str>>,
    columns: &'a ColumnPositions,
}

impl RowCells<'_> {
    fn field(&self, column: CsvColumn) -> NoticeField<'_> {
        let text = self.fields.get(self.columns.position(column)).map_or("", AsRef::as_ref);
        NoticeField::new(column.name(), text)
    }

    fn notice_id(&self) -> Result<NoticeId, NoticeRowError> {
        self.field(CsvColumn::NoticeId).as_numeral().parse_required_code(NoticeId::try_new)
    }

    /// The notice, without optional values that cannot be parsed.
    fn to_notice(&self, omitted: &mut OmittedValues) -> Result<Notice, NoticeRowError> {
        Ok(Notice {
            notice_id: self.notice_id()?,
            source: NoticeSource::SamCsv,
            posted_at: self.field(CsvColumn::PostedDate).parse_required(NoticeField::parse_instant)?,
            details: self.to_details(omitted)?,
            award: field::non_empty_award(Award {
                number: omitted.omit_unparsable(self.field(CsvColumn::AwardNumber).as_numeral().parse_text()),
                date: omitted.omit_unparsable(self.field(CsvColumn::AwardDate).parse_day()),
                amount: omitted.omit_unparsable(self.field(CsvColumn::AwardAmount).parse_amount()),
                awardee: omitted.omit_unparsable(self.field(CsvColumn::Awardee).parse_company()),
            }),
        })
    }

    fn to_details(&self, omitted: &mut OmittedValues) -> Result<NoticeDetails, NoticeRowError> {
        Ok(NoticeDetails {
            solicitation_number: omitted
                .omit_unparsable(self.field(CsvColumn::SolicitationNumber).as_numeral().parse_text()),
            base_type: omitted.omit_unparsable(self.field(CsvColumn::BaseType).parse_code(NoticeType::try_new)),
            sub_tier: omitted.omit_unparsable(self.field(CsvColumn::SubTier).parse_text()),
            office: omitted.omit_unparsable(self.field(CsvColumn::Office).parse_text()),
            set_aside: omitted.omit_unparsable(self.field(CsvColumn::SetAsideCode).parse_set_aside()),
            naics: omitted.omit_unparsable(self.field(CsvColumn::NaicsCode).parse_naics()),
            psc: omitted.omit_unparsable(self.field(CsvColumn::ClassificationCode).as_numeral().parse_text()),
            response_deadline: omitted.omit_unparsable(self.field(CsvColumn::ResponseDeadline).parse_instant()),
            archive_on: omitted.omit_unparsable(self.field(CsvColumn::ArchiveDate).parse_day()),
            active: omitted.omit_unparsable(self.field(CsvColumn::Active).parse_bool()),
            place: field::non_empty_place(PlaceOfPerformance {
                city: omitted.omit_unparsable(self.field(CsvColumn::PopCity).parse_text()),
                state: omitted.omit_unparsable(self.field(CsvColumn::PopState).parse_text()),
                zip: omitted.omit_unparsable(self.field(CsvColumn::PopZip).as_numeral().parse_text()),
                country: omitted.omit_unparsable(self.field(CsvColumn::PopCountry).parse_text()),
            }),
            description: omitted.omit_unparsable(self.field(CsvColumn::Description).parse_description()),
            link: omitted.omit_unparsable(self.field(CsvColumn::Link).parse_link()),
            // The extract has no links to files.
            ..NoticeDetails::new(
                self.field(CsvColumn::Title).parse_required(NoticeField::parse_text)?,
                self.field(CsvColumn::Type).parse_required_code(NoticeType::try_new)?,
                self.field(CsvColumn::Department).parse_agency()?,
            )
        })
    }
}
