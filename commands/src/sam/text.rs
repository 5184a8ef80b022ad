//! Reads the text format: one JSON object per line, with the notice's full text.

use std::io::{BufRead, Read};

use domain::opportunity::{Award, Facts, Notice, NoticeId, NoticeSource, NoticeType};
use serde::Deserialize;

use super::{
    MAX_ROW, Reader, Row, RowError, SourceError,
    encoding::{Decoder, Encoding},
    field::{self, Field, LeftOut},
    loose::{self, Loose},
    source,
};

/// What the format says where a notice has no text.
const NO_SUMMARY: &str = "No summary provided.";
const PAGE: &str = "https://sam.gov/";

/// The lines of a source as rows. Blank lines are skipped.
pub(super) struct LineRows {
    reader: Reader,
    bytes: Vec<u8>,
    /// Lines read so far.
    line: u64,
    seen: bool,
    decoder: Decoder,
}

impl LineRows {
    pub(super) fn new(reader: Reader, encoding: Encoding) -> Self {
        Self { reader, bytes: Vec::new(), line: 0, seen: false, decoder: Decoder::new(encoding) }
    }

    /// How lines were decoded so far.
    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(super) fn read(&mut self) -> Result<Option<Row>, SourceError> {
        loop {
            let Some(whole) = self.next_line()? else {
                return if self.seen { Ok(None) } else { Err(SourceError::Empty) };
            };
            let json = self.bytes.trim_ascii();
            if json.is_empty() {
                continue;
            }
            if !self.seen && json.first() != Some(&b'{') {
                let found = "text that does not start with a JSON object";
                return Err(SourceError::NotThisFormat { expected: "notices as NDJSON", found });
            }
            self.seen = true;
            let mut left_out = LeftOut::default();
            let outcome = if whole {
                loose::record::<Line>(json, &mut self.decoder).and_then(|line| line.notice(&mut left_out))
            } else {
                Err(RowError::RowTooLarge { limit: MAX_ROW })
            };
            return Ok(Some(Row { line: self.line, outcome, left_out: left_out.into_values() }));
        }
    }

    /// Reads one line; false when it is too long, in which case only its beginning is kept.
    fn next_line(&mut self) -> Result<Option<bool>, SourceError> {
        self.bytes.clear();
        let limit = MAX_ROW as u64 + 1;
        let mut count = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.bytes).map_err(source::failed)?;
        if count == 0 {
            return Ok(None);
        }
        self.line += 1;
        let whole = self.bytes.ends_with(b"\n") || self.bytes.len() <= MAX_ROW;
        let mut ended = whole;
        let mut rest = Vec::new();
        while !ended && count > 0 {
            rest.clear();
            count = self.reader.by_ref().take(limit).read_until(b'\n', &mut rest).map_err(source::failed)?;
            ended = rest.ends_with(b"\n");
        }
        Ok(Some(whole))
    }
}

/// The keys that are read. `contacts_md` is not among them.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Line {
    notice_id: Loose,
    title: Loose,
    agency: Loose,
    h_agency: Loose,
    notice_type: Loose,
    h_type: Loose,
    h_posted: Loose,
    h_solicitation_number: Loose,
    h_awardee: Loose,
    h_award_amount: Loose,
    summary: Loose,
    links_md: Loose,
}

impl Line {
    /// The notice; what it may lack and cannot be read is left out.
    fn notice(&self, left_out: &mut LeftOut) -> Result<Notice, RowError> {
        let agency = either(&self.h_agency, &self.agency);
        let notice_type = either(&self.h_type, &self.notice_type);
        let description = left_out.optional(self.summary.field("summary").and_then(Field::description));
        let solicitation_number = self.h_solicitation_number.field("h_solicitation_number").and_then(Field::text);
        let solicitation_number = left_out.optional(solicitation_number);
        let awardee = left_out.optional(self.h_awardee.field("h_awardee").and_then(Field::company));
        let amount = left_out.optional(self.h_award_amount.field("h_award_amount").and_then(Field::amount));
        Ok(Notice {
            notice_id: self.notice_id.field("notice_id")?.required_code(NoticeId::try_new)?,
            source: NoticeSource::SamText,
            posted_at: self.h_posted.field("h_posted")?.required(Field::instant)?,
            facts: Facts {
                title: self.title.field("title")?.required(Field::text)?,
                notice_type: notice_type.field("h_type")?.required_code(NoticeType::try_new)?,
                agency: agency.field("h_agency")?.agency()?,
                solicitation_number,
                base_type: None,
                sub_tier: None,
                office: None,
                set_aside: None,
                naics: None,
                psc: None,
                response_deadline: None,
                archive_on: None,
                active: None,
                place: None,
                description: description.filter(|text| text != NO_SUMMARY),
                link: left_out.optional(self.link()),
            },
            award: field::award(Award { number: None, date: None, amount, awardee }),
        })
    }

    /// The address of the notice's SAM.gov page among the Markdown links.
    fn link(&self) -> Result<Option<String>, RowError> {
        let Loose::Text(links) = &self.links_md else { return Ok(None) };
        let page = links.find(PAGE).map(|start| &links[start..]).unwrap_or_default();
        let end = page.find(|c: char| c == ')' || c.is_whitespace()).unwrap_or(page.len());
        Field::new("links_md", &page[..end]).link()
    }
}

fn either<'a>(first: &'a Loose, second: &'a Loose) -> &'a Loose {
    if first.is_blank() { second } else { first }
}
