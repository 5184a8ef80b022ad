//! Reads paragraphs, lists and tables of a part, by pages.

use super::{
    list_numbering::{ListNumbering, ParagraphNumbering},
    part_events::{PartElement, PartEvent, PartEvents},
};
use crate::{ExtractionError, ExtractionLimits};

/// Elements whose content is not shown: deleted text, codes of fields, former properties, and a second form of drawings
/// for old programs.
const HIDDEN: [&str; 9] =
    ["del", "moveFrom", "instrText", "delText", "Fallback", "pPrChange", "rPrChange", "sectPrChange", "tblPrChange"];

/// Reads a part with the body, or with headers or footnotes.
pub(super) struct BodyReader<'a> {
    limits: &'a ExtractionLimits,
    numbering: ListNumbering,
    pages: Vec<String>,
    page: String,
    /// Bytes of all pages.
    bytes: usize,
    /// The open paragraphs: a text box has paragraphs within another paragraph.
    paragraphs: Vec<OpenParagraph>,
    /// The open rows of tables, and the finished cells of each.
    rows: Vec<Vec<Vec<String>>>,
    /// The lines of open cells.
    cells: Vec<Vec<String>>,
    /// The depth of elements within a hidden one.
    hidden: usize,
    in_text: bool,
    /// A page that begins within a table begins after the row.
    break_after_row: bool,
}

#[derive(Debug, Default)]
struct OpenParagraph {
    text: String,
    numbering: ParagraphNumbering,
    label: Option<String>,
    in_properties: bool,
    /// Whether a section ends with the paragraph, and the next one begins a page.
    ends_section: bool,
}

impl<'a> BodyReader<'a> {
    pub(super) fn new(limits: &'a ExtractionLimits, numbering: ListNumbering) -> Self {
        Self {
            limits,
            numbering,
            pages: vec![],
            page: String::new(),
            bytes: 0,
            paragraphs: vec![],
            rows: vec![],
            cells: vec![],
            hidden: 0,
            in_text: false,
            break_after_row: false,
        }
    }

    /// Reads all pages of a part; there is at least one.
    pub(super) fn read(mut self, content: &str, part: &str) -> Result<Vec<String>, ExtractionError> {
        let mut events = PartEvents::new(content, part);
        while let Some(event) = events.next_event()? {
            match event {
                PartEvent::Start(_) if self.hidden > 0 => self.hidden += 1,
                PartEvent::Start(element) if HIDDEN.contains(&element.name()) => self.hidden = 1,
                PartEvent::Start(element) => self.start_element(&element)?,
                PartEvent::End(_) if self.hidden > 0 => self.hidden -= 1,
                PartEvent::End(name) => self.end_element(&name)?,
                PartEvent::Empty(element) if self.hidden == 0 => {
                    self.start_element(&element)?;
                    self.end_element(element.name())?;
                }
                PartEvent::Text(text) if self.hidden == 0 && self.in_text => self.append(&text),
                PartEvent::Empty(_) | PartEvent::Text(_) => {}
            }
        }
        self.pages.push(self.page);
        Ok(self.pages)
    }

    fn start_element(&mut self, element: &PartElement<'_>) -> Result<(), ExtractionError> {
        match element.name() {
            "p" => self.paragraphs.push(OpenParagraph::default()),
            "t" => self.in_text = true,
            "tr" => self.rows.push(vec![]),
            "tc" => self.cells.push(vec![]),
            // A tab, or the position of one in the paragraph's properties.
            "tab" | "ptab" if self.paragraphs.last().is_some_and(|paragraph| !paragraph.in_properties) => {
                self.append("\t");
            }
            "noBreakHyphen" => self.append("-"),
            "br" if element.attribute("type").as_deref() == Some("page") => self.begin_page()?,
            "br" | "cr" => self.append("\n"),
            "lastRenderedPageBreak" => self.begin_page()?,
            "pageBreakBefore" if element.is_on() => self.begin_page()?,
            _ => self.read_property(element),
        }
        Ok(())
    }

    fn read_property(&mut self, element: &PartElement<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match element.name() {
            "pPr" => paragraph.in_properties = true,
            "sectPr" => paragraph.ends_section = true,
            "type" if paragraph.ends_section => {
                paragraph.ends_section = element.value().as_deref() != Some("continuous");
            }
            _ if paragraph.in_properties => paragraph.numbering.read(element),
            _ => {}
        }
    }

    fn end_element(&mut self, name: &str) -> Result<(), ExtractionError> {
        match name {
            "t" => self.in_text = false,
            "pPr" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.in_properties = false;
                    paragraph.label = self.numbering.next_label(&paragraph.numbering);
                }
            }
            "p" => {
                let Some(paragraph) = self.paragraphs.pop() else { return Ok(()) };
                let ends_section = paragraph.ends_section;
                self.add_line(paragraph.into_line())?;
                if ends_section {
                    self.begin_page()?;
                }
            }
            "tc" => {
                let cell = self.cells.pop().unwrap_or_default();
                match self.rows.last_mut() {
                    Some(row) => row.push(cell),
                    None => return cell.into_iter().try_for_each(|line| self.add_line(line)),
                }
            }
            "tr" => {
                let row = self.rows.pop().unwrap_or_default();
                for line in format_row(row) {
                    self.add_line(line)?;
                }
                if self.break_after_row && self.rows.is_empty() {
                    self.break_after_row = false;
                    self.begin_page()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn add_line(&mut self, line: String) -> Result<(), ExtractionError> {
        self.bytes = self.bytes.saturating_add(line.len() + 1);
        if self.bytes > self.limits.max_text_bytes.saturating_mul(2) {
            // Lines of nested tables count more than once.
            return Err(ExtractionError::TooMuchText { limit: self.limits.max_text_bytes });
        }
        match self.cells.last_mut() {
            Some(cell) if line.is_empty() => drop((cell, line)),
            Some(cell) => cell.push(line),
            None => {
                self.page.push_str(&line);
                self.page.push('\n');
            }
        }
        Ok(())
    }

    /// Begins a page, unless the last one has no text yet: files often say twice that a page begins.
    fn begin_page(&mut self) -> Result<(), ExtractionError> {
        if !self.rows.is_empty() {
            self.break_after_row = true;
            return Ok(());
        }
        if let [paragraph] = self.paragraphs.as_mut_slice() {
            let text = std::mem::take(&mut paragraph.text);
            if !text.trim().is_empty() {
                let line = join_label(paragraph.label.take(), text);
                self.add_line(line)?;
            }
        }
        if self.page.trim().is_empty() {
            return Ok(());
        }
        if self.pages.len() + 1 >= self.limits.max_pages as usize {
            let pages = self.pages.len() as u64 + 2;
            return Err(ExtractionError::TooManyPages { pages, limit: self.limits.max_pages });
        }
        self.pages.push(std::mem::take(&mut self.page));
        Ok(())
    }
}

impl OpenParagraph {
    fn into_line(self) -> String {
        join_label(self.label, self.text)
    }
}

fn join_label(label: Option<String>, text: String) -> String {
    match label {
        Some(label) if !text.trim().is_empty() => format!("{label} {text}"),
        _ => text,
    }
}

/// A row of short cells is one line; where a cell has several paragraphs, each is a separate line.
fn format_row(mut cells: Vec<Vec<String>>) -> Vec<String> {
    cells.retain(|cell| !cell.is_empty());
    let is_layout = cells.iter().any(|cell| cell.len() > 1);
    if is_layout { cells.concat() } else { vec![cells.concat().join(" | ")] }
}
