//! The numbers of headings and list items, which the file does not contain as text.

use std::collections::HashMap;

use super::part_events::{PartElement, PartEvent, PartEvents};
use crate::ExtractionError;

/// The levels of a list.
const LEVELS: usize = 9;

/// The most lists, and styles with numbers, that are read.
const MAX_DEFINITIONS: usize = 20_000;

/// Counts the items of all lists of a document.
#[derive(Debug, Default)]
pub(super) struct ListNumbering {
    /// The definitions of lists, by their id.
    definitions: HashMap<String, ListDefinition>,
    /// Lists, by the id that paragraphs refer to.
    lists: HashMap<String, NumberedList>,
    /// List and level of paragraphs with a style.
    styles: HashMap<String, StyleNumbering>,
}

#[derive(Debug, Default)]
struct ListDefinition {
    levels: [ListLevel; LEVELS],
    /// The number of the last item of each level; `None` before the first one.
    counters: [Option<usize>; LEVELS],
}

#[derive(Debug)]
struct ListLevel {
    start: usize,
    format: NumberFormat,
    /// The text of a number, with `%1` for the counter of the first level.
    pattern: String,
    /// The style whose paragraphs are items of this level.
    style: Option<String>,
}

impl Default for ListLevel {
    fn default() -> Self {
        Self { start: 1, format: NumberFormat::Decimal, pattern: String::new(), style: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberFormat {
    Decimal,
    Letter { upper: bool },
    Roman { upper: bool },
    Bullet,
    Nothing,
}

#[derive(Debug, Default)]
struct NumberedList {
    definition: String,
    /// Levels that start again with the first item of this list, and their first number.
    restarts: Vec<(usize, usize)>,
}

#[derive(Debug, Default, Clone)]
struct StyleNumbering {
    list: Option<String>,
    level: Option<usize>,
    based_on: Option<String>,
}

/// What a paragraph says about its number.
#[derive(Debug, Default)]
pub(super) struct ParagraphNumbering {
    pub(super) list: Option<String>,
    pub(super) level: Option<usize>,
    pub(super) style: Option<String>,
}

impl ParagraphNumbering {
    /// Takes over what an element of the paragraph's properties says.
    pub(super) fn read(&mut self, element: &PartElement<'_>) {
        match element.name() {
            "numId" => self.list = element.value(),
            "ilvl" => self.level = element.number(),
            "pStyle" => self.style = element.value(),
            _ => {}
        }
    }
}

impl ListNumbering {
    pub(super) fn read(numbering: &str, styles: Option<&str>) -> Result<Self, ExtractionError> {
        let mut read = Self::default();
        read.read_definitions(numbering)?;
        if let Some(styles) = styles {
            read.read_styles(styles)?;
        }
        Ok(read)
    }

    fn read_definitions(&mut self, numbering: &str) -> Result<(), ExtractionError> {
        let mut events = PartEvents::new(numbering, "word/numbering.xml");
        let (mut definition, mut list, mut level) = (None::<String>, None::<String>, 0);
        while let Some(event) = events.next_event()? {
            match event {
                PartEvent::Start(element) | PartEvent::Empty(element) => match element.name() {
                    "abstractNum" => {
                        definition = element.attribute("abstractNumId");
                        list = None;
                        if let Some(id) = definition.clone().filter(|_| self.definitions.len() < MAX_DEFINITIONS) {
                            self.definitions.insert(id, ListDefinition::default());
                        }
                    }
                    "num" => {
                        (definition, list) = (None, element.attribute("numId"));
                        if let Some(id) = list.clone().filter(|_| self.lists.len() < MAX_DEFINITIONS) {
                            self.lists.insert(id, NumberedList::default());
                        }
                    }
                    "lvl" | "lvlOverride" => {
                        level = element.attribute("ilvl").and_then(|level| level.parse().ok()).unwrap_or(LEVELS);
                    }
                    _ => {
                        if let Some(list) = list.as_ref().and_then(|id| self.lists.get_mut(id)) {
                            list.read(&element, level);
                        } else if let Some(definition) = definition.as_ref().and_then(|id| self.definitions.get_mut(id))
                            && let Some(level) = definition.levels.get_mut(level)
                        {
                            level.read(&element);
                        }
                    }
                },
                PartEvent::End(_) | PartEvent::Text(_) => {}
            }
        }
        Ok(())
    }

    fn read_styles(&mut self, styles: &str) -> Result<(), ExtractionError> {
        let mut events = PartEvents::new(styles, "word/styles.xml");
        let mut id = None::<String>;
        while let Some(event) = events.next_event()? {
            let (PartEvent::Start(element) | PartEvent::Empty(element)) = event else { continue };
            if element.name() == "style" {
                id = element.attribute("styleId").filter(|_| self.styles.len() < MAX_DEFINITIONS);
            }
            let Some(id) = &id else { continue };
            let style = self.styles.entry(id.clone()).or_default();
            match element.name() {
                "numId" => style.list = element.value(),
                "ilvl" => style.level = element.number(),
                "basedOn" => style.based_on = element.value(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts a paragraph, and returns its number as it is shown; `None` if it has none.
    pub(super) fn next_label(&mut self, paragraph: &ParagraphNumbering) -> Option<String> {
        let style = paragraph.style.as_deref().map(|style| self.resolve_style(style)).unwrap_or_default();
        let list_id = paragraph.list.clone().or(style.list)?;
        let list = self.lists.get_mut(&list_id)?;
        let definition = self.definitions.get_mut(&list.definition)?;
        let styled_level =
            || definition.levels.iter().position(|level| level.style.is_some() && level.style == paragraph.style);
        let level = paragraph.level.or_else(styled_level).or(style.level).unwrap_or(0).min(LEVELS - 1);
        for (level, start) in list.restarts.drain(..) {
            if let Some(counter) = definition.counters.get_mut(level) {
                *counter = start.checked_sub(1);
            }
        }
        definition.count(level);
        Some(definition.format_label(level)).filter(|label| !label.is_empty())
    }

    /// Follows the styles that a style is based on, which may refer to each other in a circle.
    fn resolve_style(&self, style: &str) -> StyleNumbering {
        const MAX_STYLES: usize = 20;
        let mut resolved = StyleNumbering::default();
        let mut next = self.styles.get(style);
        for _ in 0..MAX_STYLES {
            let Some(style) = next else { break };
            resolved.list = resolved.list.or_else(|| style.list.clone());
            resolved.level = resolved.level.or(style.level);
            next = style.based_on.as_ref().and_then(|base| self.styles.get(base));
        }
        resolved
    }
}

impl NumberedList {
    fn read(&mut self, element: &PartElement<'_>, level: usize) {
        match element.name() {
            "abstractNumId" => self.definition = element.value().unwrap_or_default(),
            "startOverride" if self.restarts.len() < LEVELS => {
                self.restarts.push((level, element.number().unwrap_or(1)));
            }
            _ => {}
        }
    }
}

impl ListLevel {
    fn read(&mut self, element: &PartElement<'_>) {
        match element.name() {
            "start" => self.start = element.number().unwrap_or(1),
            "lvlText" => self.pattern = element.value().unwrap_or_default().chars().take(100).collect(),
            "pStyle" => self.style = element.value(),
            "numFmt" => {
                self.format = match element.value().as_deref() {
                    Some("lowerLetter") => NumberFormat::Letter { upper: false },
                    Some("upperLetter") => NumberFormat::Letter { upper: true },
                    Some("lowerRoman") => NumberFormat::Roman { upper: false },
                    Some("upperRoman") => NumberFormat::Roman { upper: true },
                    Some("bullet") => NumberFormat::Bullet,
                    Some("none") => NumberFormat::Nothing,
                    Some(_) | None => NumberFormat::Decimal,
                }
            }
            _ => {}
        }
    }
}

impl ListDefinition {
    fn count(&mut self, level: usize) {
        for (index, (counter, level_of)) in self.counters.iter_mut().zip(&self.levels).enumerate() {
            *counter = match *counter {
                _ if index > level => None,
                // A level that is skipped counts as begun.
                None => Some(level_of.start),
                Some(number) if index == level => Some(number.saturating_add(1)),
                Some(number) => Some(number),
            };
        }
    }

    fn format_label(&self, level: usize) -> String {
        let Some(definition) = self.levels.get(level) else { return String::new() };
        match definition.format {
            NumberFormat::Bullet => return "•".to_owned(),
            NumberFormat::Nothing => return String::new(),
            NumberFormat::Decimal | NumberFormat::Letter { .. } | NumberFormat::Roman { .. } => {}
        }
        let mut label = definition.pattern.clone();
        for (index, (counter, level)) in self.counters.iter().zip(&self.levels).enumerate() {
            let place = format!("%{}", index + 1);
            if label.contains(&place) {
                label = label.replace(&place, &level.format.format(counter.unwrap_or(level.start)));
            }
        }
        label
    }
}

impl NumberFormat {
    fn format(self, number: usize) -> String {
        match self {
            Self::Decimal => number.to_string(),
            Self::Letter { upper } => {
                // After z come aa, bb, cc.
                let index = number.saturating_sub(1);
                let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
                apply_case(&letter.to_string().repeat((index / 26 + 1).min(10)), upper)
            }
            Self::Roman { upper } => apply_case(&format_roman(number), upper),
            Self::Bullet | Self::Nothing => String::new(),
        }
    }
}

fn apply_case(text: &str, upper: bool) -> String {
    if upper { text.to_ascii_uppercase() } else { text.to_owned() }
}

fn format_roman(number: usize) -> String {
    const NUMERALS: [(usize, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    let mut rest = number.min(3999);
    let mut text = String::new();
    for (value, numeral) in NUMERALS {
        while rest >= value {
            text.push_str(numeral);
            rest -= value;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERING: &str = r#"<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="7">
        <w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/><w:pStyle w:val="Heading1"/><w:lvlText w:val="%1."/></w:lvl>
        <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:pStyle w:val="Heading2"/><w:lvlText w:val="%1.%2"/></w:lvl>
        <w:lvl w:ilvl="2"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%3)"/></w:lvl></w:abstractNum>
        <w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>
        <w:num w:numId="2"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>
        </w:numbering>"#;
    const STYLES: &str = r#"<w:styles xmlns:w="w"><w:style w:styleId="Heading1"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
        <w:style w:styleId="Heading2"><w:basedOn w:val="Heading1"/></w:style>
        <w:style w:styleId="Loop"><w:basedOn w:val="Loop"/></w:style></w:styles>"#;

    #[test]
    fn headings_and_items_are_counted_as_word_counts_them() {
        let mut numbering = ListNumbering::read(NUMBERING, Some(STYLES)).unwrap();
        let styled = |style: &str| ParagraphNumbering { style: Some(style.to_owned()), ..Default::default() };
        let item = |list: &str, level| ParagraphNumbering { list: Some(list.to_owned()), level, style: None };
        let mut label = |paragraph| numbering.next_label(&paragraph).unwrap_or_default();
        assert_eq!(label(styled("Heading1")), "3.");
        assert_eq!(label(styled("Heading2")), "3.1");
        assert_eq!(label(item("1", Some(2))), "(a)");
        assert_eq!(label(item("1", Some(2))), "(b)");
        assert_eq!(label(styled("Heading2")), "3.2");
        assert_eq!(label(item("1", Some(2))), "(a)");
        assert_eq!(label(styled("Heading1")), "4.");
        assert_eq!(label(item("2", None)), "1.", "a list that begins anew");
        assert_eq!(label(item("0", None)) + &label(styled("Loop")), "", "no list");
    }

    #[test]
    fn numbers_have_their_forms() {
        let letters = [1, 26, 27, 53].map(|number| NumberFormat::Letter { upper: true }.format(number));
        assert_eq!(letters, ["A", "Z", "AA", "AAA"]);
        assert_eq!([4, 9, 1994].map(format_roman), ["iv", "ix", "mcmxciv"]);
    }
}
