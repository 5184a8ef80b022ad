//! The parts of a Word document.

use std::io::{Cursor, Read as _};

use zip::{ZipArchive, result::ZipError};

use super::{
    body_reader::BodyReader,
    damaged,
    list_numbering::ListNumbering,
    part_events::{PartEvent, PartEvents},
};
use crate::{ExtractionError, ExtractionLimits, FileType, plain_text::decode_text};

/// The most headers and footers that are read; a document has some for each section.
const MAX_REPEATED_PARTS: usize = 100;

/// An opened document. All parts together are inflated to at most a limit, independent of the sizes that the archive
/// states.
pub(super) struct DocumentPackage<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limit: u64,
    rest: u64,
}

impl<'a> DocumentPackage<'a> {
    pub(super) fn open(content: &'a [u8], limit: u64) -> Result<Self, ExtractionError> {
        let archive = ZipArchive::new(Cursor::new(content)).map_err(|error| describe_error(&error, "its archive"))?;
        Ok(Self { archive, limit, rest: limit })
    }

    /// Finds the part with the body: its name is not always the same.
    pub(super) fn find_main_part(&mut self) -> Result<String, ExtractionError> {
        let relations = self.read_part("_rels/.rels")?;
        let mut events = PartEvents::new(&relations, "_rels/.rels");
        while let Some(event) = events.next_event()? {
            if let PartEvent::Start(element) | PartEvent::Empty(element) = event
                && element.attribute("Type").is_some_and(|kind| kind.ends_with("/officeDocument"))
                && let Some(target) = element.attribute("Target")
            {
                return Ok(target.trim_start_matches('/').to_owned());
            }
        }
        Err(damaged("it does not say which part is its body"))
    }

    pub(super) fn read_optional(&mut self, name: &str) -> Result<Option<String>, ExtractionError> {
        if self.archive.index_for_name(name).is_none() { Ok(None) } else { self.read_part(name).map(Some) }
    }

    pub(super) fn read_part(&mut self, name: &str) -> Result<String, ExtractionError> {
        let file = self.archive.by_name(name).map_err(|error| describe_error(&error, name))?;
        let expected = usize::try_from(file.size().min(self.rest)).unwrap_or(0);
        let mut content = Vec::with_capacity(expected.min(1 << 20));
        let read = file.take(self.rest + 1).read_to_end(&mut content);
        read.map_err(|error| damaged(format!("{name} cannot be unpacked: {error}")))?;
        self.rest = self
            .rest
            .checked_sub(content.len() as u64)
            .ok_or(ExtractionError::InflatesTooLarge { limit: self.limit })?;
        match String::from_utf8(content) {
            Ok(text) => Ok(text),
            Err(error) => decode_text(error.as_bytes(), FileType::Docx).map(std::borrow::Cow::into_owned),
        }
    }

    /// The text of all page headers or footers, each once.
    pub(super) fn read_repeated(&mut self, kind: &str, limits: &ExtractionLimits) -> Result<String, ExtractionError> {
        let prefix = format!("word/{kind}");
        let is_wanted = |name: &String| name.starts_with(&prefix);
        let names = self.archive.file_names().filter_map(Result::ok).map(std::borrow::Cow::into_owned);
        let mut names: Vec<String> = names.filter(is_wanted).take(MAX_REPEATED_PARTS).collect();
        names.sort();
        let mut texts: Vec<String> = Vec::new();
        for name in names {
            let part = self.read_part(&name)?;
            let text = BodyReader::new(limits, ListNumbering::default()).read(&part, &name)?.concat();
            if !text.trim().is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok(texts.concat())
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the message of other errors says what is wrong")]
fn describe_error(error: &ZipError, name: &str) -> ExtractionError {
    match error {
        ZipError::UnsupportedArchive(reason) if *reason == ZipError::PASSWORD_REQUIRED => ExtractionError::Encrypted,
        ZipError::FileNotFound => damaged(format!("it has no part {name}")),
        other => damaged(format!("{name} cannot be read: {other}")),
    }
}
