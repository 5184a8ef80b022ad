//! The events of a part's XML. What Word documents never contain is refused: document types, and with them entities.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::damaged;
use crate::ExtractionError;

/// The deepest nesting of elements: tables within tables and text boxes need some 100.
const MAX_DEPTH: usize = 1000;

/// An event of a part, without comments and processing instructions.
pub(super) enum PartEvent<'a> {
    Start(PartElement<'a>),
    Empty(PartElement<'a>),
    End(String),
    Text(String),
}

/// An element's start with its attributes.
pub(super) struct PartElement<'a>(BytesStart<'a>);

/// Reads the events of a part.
pub(super) struct PartEvents<'a> {
    reader: Reader<&'a [u8]>,
    part: &'a str,
    depth: usize,
}

impl PartElement<'_> {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The value of an attribute by its name without prefix; `None` if there is none, or it is invalid.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes().filter_map(Result::ok);
        let attribute = attributes.find(|attribute| attribute.key.local_name().into_inner() == name)?;
        Some(attribute.normalized_value(XmlVersion::Explicit1_0).ok()?.into_owned())
    }

    /// The value of the attribute `val`, which most elements state their meaning with.
    pub(super) fn value(&self) -> Option<String> {
        self.attribute("val")
    }

    pub(super) fn number(&self) -> Option<usize> {
        self.value()?.parse().ok()
    }

    /// Whether an element that switches something on does so.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.value().as_deref(), Some("0" | "false" | "off"))
    }
}

impl<'a> PartEvents<'a> {
    pub(super) fn new(content: &'a str, part: &'a str) -> Self {
        Self { reader: Reader::from_str(content), part, depth: 0 }
    }

    /// The next event; `None` at the end.
    pub(super) fn next_event(&mut self) -> Result<Option<PartEvent<'a>>, ExtractionError> {
        loop {
            let invalid = |detail: String| damaged(format!("{} is no valid XML: {detail}", self.part));
            let event = self.reader.read_event().map_err(|error| invalid(error.to_string()))?;
            return Ok(Some(match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(damaged(format!("{} nests more than {MAX_DEPTH} elements", self.part)));
                    }
                    PartEvent::Start(PartElement(start))
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    PartEvent::End(end.local_name().into_inner().to_owned())
                }
                Event::Empty(start) => PartEvent::Empty(PartElement(start)),
                Event::Text(text) => PartEvent::Text(text.to_string()),
                Event::CData(text) => PartEvent::Text(text.to_string()),
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().ok().flatten().map(String::from);
                    let resolved =
                        character.or_else(|| quick_xml::escape::resolve_xml_entity(&reference).map(str::to_owned));
                    PartEvent::Text(resolved.ok_or_else(|| invalid("it uses an entity".to_owned()))?)
                }
                Event::DocType(_) => {
                    return Err(damaged(format!("{} has a document type, which is not allowed", self.part)));
                }
                Event::Eof if self.depth > 0 => return Err(invalid("it ends too early".to_owned())),
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            }));
        }
    }
}
