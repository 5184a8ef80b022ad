//! Reads the text format: one JSON object per line, with the notice's full text.

use std::io::{BufRead, Read};

use domain::opportunity::{Award, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType};
use serde::Deserialize;

use super::{
    MAX_ROW_BYTES, NoticeRowError, ParsedRow, SourceError, SourceReader,
    encoding::{SourceEncoding, TextDecoder},
    field::{self, NoticeField, OmittedValues},
    loose_json::{self, LooseText},
    source,
};

/// The summary of a notice that has no text.
const NO_SUMMARY: &str = "No summary provided.";
const PAGE_PREFIX: &str = "https://sam.gov/";

/// Reads the lines of a source as rows. Blank lines are skipped.
pub(super) struct NdjsonNoticeReader {
    reader: SourceReader,
    bytes: Vec<u8>,
    /// Number of lines read so far.
    line: u64,
    has_rows: bool,
    decoder: TextDecoder,
}

impl NdjsonNoticeReader {
    pub(super) fn new(reader: SourceReader, encoding: SourceEncoding) -> Self {
        Self { reader, bytes: Vec::new(), line: 0, has_rows: false, decoder: TextDecoder::new(encoding) }
    }

    pub(super) fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }

    pub(super) fn next_row(&mut self) -> Result<Option<ParsedRow>, SourceError> {
        loop {
            let Some(is_complete) = self.read_line()? else {
                return if self.has_rows { Ok(None) } else { Err(SourceError::Empty) };
            };
            let json = self.bytes.trim_ascii();
            if json.is_empty() {
                continue;
            }
            if !self.has_rows && json.first() != Some(&b'{') {
                let found = "text that does not start with a JSON object";
                return Err(SourceError::NotThisFormat { expected: "notices as NDJSON", found });
            }
            self.has_rows = true;
            let mut omitted = OmittedValues::default();
            let outcome = if is_complete {
                loose_json::parse_record::<NoticeLine>(json, &mut self.decoder)
                    .and_then(|line| line.to_notice(&mut omitted))
            } else {
                Err(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES })
            };
            return Ok(Some(ParsedRow::new(self.line, outcome, omitted.into_errors())));
        }
    }

    /// Reads one line into `bytes`; `None` at the end of the source, `false` if the line is too long, in which case
    /// `bytes` has only its beginning.
    fn read_line(&mut self) -> Result<Option<bool>, SourceError> {
        self.bytes.clear();
        let limit = MAX_ROW_BYTES as u64 + 1;
        let mut count =
            self.reader.by_ref().take(limit).read_until(b'\n', &mut self.bytes).map_err(source::read_error)?;
        if count == 0 {
            return Ok(None);
        }
        self.line += 1;
        let is_complete = self.bytes.ends_with(b"\n") || self.bytes.len() <= MAX_ROW_BYTES;
        let mut ended = is_complete;
        let mut rest = Vec::new();
        while !ended && count > 0 {
            rest.clear();
            count = self.reader.by_ref().take(limit).read_until(b'\n', &mut rest).map_err(source::read_error)?;
            ended = rest.ends_with(b"\n");
        }
        Ok(Some(is_complete))
    }
}

/// The keys that are read. `contacts_md` is not among them.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct NoticeLine {
    notice_id: LooseText,
    title: LooseText,
    agency: LooseText,
    h_agency: LooseText,
    notice_type: LooseText,
    h_type: LooseText,
    h_posted: LooseText,
    h_solicitation_number: LooseText,
    h_awardee: LooseText,
    h_award_amount: LooseText,
    summary: LooseText,
    links_md: LooseText,
}

impl NoticeLine {
    /// The notice, without optional values that cannot be parsed.
    fn to_notice(&self, omitted: &mut OmittedValues) -> Result<Notice, NoticeRowError> {
        let agency = choose_non_blank(&self.h_agency, &self.agency);
        let notice_type = choose_non_blank(&self.h_type, &self.notice_type);
        let description =
            omitted.omit_unparsable(self.summary.to_field("summary").and_then(NoticeField::parse_description));
        let solicitation_number =
            self.h_solicitation_number.to_field("h_solicitation_number").and_then(NoticeField::parse_text);
        let solicitation_number = omitted.omit_unparsable(solicitation_number);
        let awardee =
            omitted.omit_unparsable(self.h_awardee.to_field("h_awardee").and_then(NoticeField::parse_company));
        let amount =
            omitted.omit_unparsable(self.h_award_amount.to_field("h_award_amount").and_then(NoticeField::parse_amount));
        Ok(Notice {
            notice_id: self.notice_id.to_field("notice_id")?.parse_required_code(NoticeId::try_new)?,
            source: NoticeSource::SamText,
            posted_at: self.h_posted.to_field("h_posted")?.parse_required(NoticeField::parse_instant)?,
            details: NoticeDetails {
                solicitation_number,
                description: description.filter(|text| text != NO_SUMMARY),
                link: omitted.omit_unparsable(self.page_link()),
                ..NoticeDetails::new(
                    self.title.to_field("title")?.parse_required(NoticeField::parse_text)?,
                    notice_type.to_field("h_type")?.parse_required_code(NoticeType::try_new)?,
                    agency.to_field("h_agency")?.parse_agency()?,
                )
            },
            award: field::non_empty_award(Award { number: None, date: None, amount, awardee }),
        })
    }

    /// The address of the notice's page on SAM.gov, from the Markdown links.
    fn page_link(&self) -> Result<Option<String>, NoticeRowError> {
        let LooseText::Text(links) = &self.links_md else { return Ok(None) };
        let page = links.find(PAGE_PREFIX).map(|start| &links[start..]).unwrap_or_default();
        let end = page.find(|c: char| c == ')' || c.is_whitespace()).unwrap_or(page.len());
        NoticeField::new("links_md", &page[..end]).parse_link()
    }
}

fn choose_non_blank<'a>(first: &'a LooseText, second: &'a LooseText) -> &'a LooseText {
    if first.is_blank() { second } else { first }
}
