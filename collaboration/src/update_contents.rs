//! Reads the contents of an update before the library decodes it.
//!
//! ```text
//! update   := count of clients { count of blocks, client, clock, block ... } deletions
//! block    := gap | collected | item: origins or parent, content
//! deletions:= count of clients { client, count of ranges { clock, length } }
//! ```
//!
//! The library recurses into nested values without a limit, and it allocates any length that an update declares; an
//! update that passes this check can cause neither. Editors may send text, deletions and formatting marks. A section
//! cannot hold the other types of a Yjs document: they are refused with their name, since they would silently not be
//! recorded.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::{CountedEdits, RefusedUpdate},
    wire_reader::WireReader,
};

/// Kinds of blocks and of item contents: the lower bits of a block's first byte.
mod block_kind {
    pub(super) const COLLECTED: u8 = 0;
    pub(super) const DELETED: u8 = 1;
    pub(super) const JSON: u8 = 2;
    pub(super) const BINARY: u8 = 3;
    pub(super) const STRING: u8 = 4;
    pub(super) const EMBED: u8 = 5;
    pub(super) const FORMAT: u8 = 6;
    pub(super) const TYPE: u8 = 7;
    pub(super) const ANY: u8 = 8;
    pub(super) const DOCUMENT: u8 = 9;
    pub(super) const GAP: u8 = 10;
    pub(super) const MASK: u8 = 0b0000_1111;
    /// No client sets this bit, and clients differ in how they read it.
    pub(super) const UNUSED: u8 = 0b0001_0000;
    pub(super) const HAS_MAP_KEY: u8 = 0b0010_0000;
    pub(super) const HAS_RIGHT_ORIGIN: u8 = 0b0100_0000;
    pub(super) const HAS_ORIGIN: u8 = 0b1000_0000;
}

/// Maximum depth of nested values in stored updates; updates of editors must not have any values.
const MAX_VALUE_DEPTH: usize = 64;

/// Maximum bytes of a formatting mark.
const MAX_MARK_BYTES: usize = 4_096;

/// Maximum blocks of one update. The library takes a few hundred bytes for each, and searches among the blocks at the
/// same position.
const MAX_UPDATE_BLOCKS: usize = 20_000;

/// Maximum number of characters of a name in an error.
const MAX_SECTION_NAME_CHARS: usize = 60;

/// Which content is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentPolicy {
    /// Text, formatting marks and deletions: for updates of editors.
    TextOnly,
    /// All content that can be read safely: for stored updates, since some are older than the check.
    AsStored,
}

/// A half-open range of clocks: the first is in the range, the second is not.
pub(crate) type ClockRange = (u32, u32);

/// The id of a letter: its client and its clock.
pub(crate) type LetterId = (u64, u32);

/// A block of an update without its content, and its neighbours when it was written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct InsertedBlock {
    /// The client that wrote it.
    pub(crate) client: u64,
    /// The clock of its first letter.
    pub(crate) clock: u32,
    /// The number of letters, as clocks count them.
    pub(crate) length: u32,
    /// The letter before it when it was written.
    pub(crate) origin: Option<LetterId>,
    /// The letter after it when it was written.
    pub(crate) right_origin: Option<LetterId>,
    /// The name of its text, if it was the first block in it.
    pub(crate) section: Option<String>,
    /// Whether it is an entry of a map.
    pub(crate) is_entry: bool,
}

/// The contents of an update.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct UpdateContents {
    /// Inserted ranges by client, ordered by clock.
    pub(crate) insertions: BTreeMap<u64, Vec<ClockRange>>,
    /// Deleted ranges by client.
    pub(crate) deletions: BTreeMap<u64, Vec<ClockRange>>,
    /// The highest clock of each client that an item refers to.
    pub(crate) references: BTreeMap<u64, u32>,
    /// Names of the root texts in it.
    pub(crate) sections: BTreeSet<String>,
    /// Number of blocks.
    pub(crate) blocks: usize,
    /// The blocks that are not gaps, by client in the order of their clocks.
    pub(crate) inserted_blocks: Vec<InsertedBlock>,
}

impl UpdateContents {
    /// Reads an update in version 1 of the encoding.
    ///
    /// # Errors
    /// [`RefusedUpdate`] for bytes that are not an update, and for content that the policy does not accept.
    pub(crate) fn read(update: &[u8], policy: ContentPolicy) -> Result<Self, RefusedUpdate> {
        let reader = WireReader::new(update);
        let block = InsertedBlock::default();
        let mut reading = UpdateReader { reader, policy, block, contents: Self::default() };
        reading.read_insertions()?;
        reading.read_deletions()?;
        reading.reader.finish()?;
        Ok(reading.contents)
    }

    /// Whether the update has neither insertions nor deletions.
    pub(crate) fn is_empty(&self) -> bool {
        self.insertions.is_empty() && self.deletions.is_empty()
    }
}

struct UpdateReader<'a> {
    reader: WireReader<'a>,
    policy: ContentPolicy,
    /// The block that is being read.
    block: InsertedBlock,
    contents: UpdateContents,
}

impl<'a> UpdateReader<'a> {
    fn read_insertions(&mut self) -> Result<(), RefusedUpdate> {
        for _ in 0..self.reader.read_count(3)? {
            let blocks = self.reader.read_count(2)?;
            let client = self.reader.read_number()?;
            let mut clock = self.reader.read_clock()?;
            self.contents.blocks += blocks;
            if self.contents.blocks > MAX_UPDATE_BLOCKS && self.policy == ContentPolicy::TextOnly {
                return Err(RefusedUpdate::TooManyBlocks { most: MAX_UPDATE_BLOCKS, counted: CountedEdits::Single });
            }
            // The library would read a second list of the same client as a continuation of the first.
            if self.contents.insertions.contains_key(&client) {
                return Err(RefusedUpdate::Malformed);
            }
            let mut ranges: Vec<ClockRange> = Vec::new();
            for _ in 0..blocks {
                self.block = InsertedBlock { client, clock, ..InsertedBlock::default() };
                let (length, is_gap) = self.read_block()?;
                let end = clock.checked_add(length).filter(|end| i32::try_from(*end).is_ok());
                let end = end.ok_or(RefusedUpdate::Malformed)?;
                match ranges.last_mut() {
                    _ if is_gap || length == 0 => {}
                    Some(last) if last.1 == clock => last.1 = end,
                    _ => ranges.push((clock, end)),
                }
                clock = end;
                if !is_gap && length > 0 {
                    let block = std::mem::take(&mut self.block);
                    self.contents.inserted_blocks.push(InsertedBlock { length, ..block });
                }
            }
            self.contents.insertions.insert(client, ranges);
        }
        Ok(())
    }

    fn read_deletions(&mut self) -> Result<(), RefusedUpdate> {
        for _ in 0..self.reader.read_count(2)? {
            let client = self.reader.read_number()?;
            let mut ranges: Vec<ClockRange> = Vec::new();
            for _ in 0..self.reader.read_count(2)? {
                let (start, length) = (self.reader.read_clock()?, self.reader.read_clock()?);
                let end = start.checked_add(length).filter(|end| i32::try_from(*end).is_ok());
                let end = end.ok_or(RefusedUpdate::Malformed)?;
                // The library does a binary search over ranges, which requires their order.
                if ranges.last().is_some_and(|last| start < last.0) {
                    return Err(RefusedUpdate::Malformed);
                }
                ranges.push((start, end));
            }
            if self.contents.deletions.insert(client, ranges).is_some() {
                return Err(RefusedUpdate::Malformed);
            }
        }
        Ok(())
    }

    /// Reads a block. Returns its length, and whether it is a gap.
    fn read_block(&mut self) -> Result<(u32, bool), RefusedUpdate> {
        let info = self.reader.read_byte()?;
        match info {
            block_kind::COLLECTED | block_kind::GAP => {
                let length = self.reader.read_clock()?;
                if length == 0 { Err(RefusedUpdate::Malformed) } else { Ok((length, info == block_kind::GAP)) }
            }
            _ if info & block_kind::UNUSED != 0 => Err(RefusedUpdate::Malformed),
            _ => {
                let parent = self.read_parent(info)?;
                self.read_content(info & block_kind::MASK, &parent).map(|length| (length, false))
            }
        }
    }

    fn read_parent(&mut self, info: u8) -> Result<ItemParent<'a>, RefusedUpdate> {
        if info & block_kind::HAS_ORIGIN != 0 {
            self.block.origin = Some(self.read_reference()?);
        }
        if info & block_kind::HAS_RIGHT_ORIGIN != 0 {
            self.block.right_origin = Some(self.read_reference()?);
        }
        if info & (block_kind::HAS_ORIGIN | block_kind::HAS_RIGHT_ORIGIN) != 0 {
            return Ok(ItemParent { section: None, is_text: true });
        }
        let is_root = self.reader.read_number()? == 1;
        let section = if is_root {
            Some(self.reader.read_text()?)
        } else {
            self.read_reference()?;
            None
        };
        let is_entry = info & block_kind::HAS_MAP_KEY != 0;
        if is_entry {
            self.reader.read_text()?;
        }
        if let Some(name) = section
            && !self.contents.sections.contains(name)
        {
            self.contents.sections.insert(name.to_owned());
        }
        self.block.section = section.map(str::to_owned);
        self.block.is_entry = is_entry;
        Ok(ItemParent { section, is_text: is_root && !is_entry })
    }

    fn read_reference(&mut self) -> Result<LetterId, RefusedUpdate> {
        let (client, clock) = (self.reader.read_number()?, self.reader.read_clock()?);
        // A block can only refer to earlier letters.
        if client == self.block.client && clock >= self.block.clock {
            return Err(RefusedUpdate::Malformed);
        }
        let highest = self.contents.references.entry(client).or_default();
        *highest = clock.max(*highest);
        Ok((client, clock))
    }

    /// Reads the content of an item and returns its length.
    fn read_content(&mut self, kind: u8, parent: &ItemParent<'_>) -> Result<u32, RefusedUpdate> {
        if kind == block_kind::DELETED {
            return self.reader.read_clock();
        }
        let is_text = matches!(kind, block_kind::STRING | block_kind::FORMAT);
        if self.policy == ContentPolicy::TextOnly && !(is_text && parent.is_text) {
            let kind = self.content_name(kind, is_text)?;
            return Err(RefusedUpdate::NotText { kind, section: parent.section.map(shorten_name) });
        }
        match kind {
            block_kind::STRING => {
                let units = self.reader.read_text()?.encode_utf16().count();
                return u32::try_from(units).map_err(|_| RefusedUpdate::Malformed);
            }
            block_kind::FORMAT => {
                let mark_bytes = self.reader.read_bytes()?.len() + self.reader.read_bytes()?.len();
                if mark_bytes > MAX_MARK_BYTES {
                    let section = parent.section.map(shorten_name);
                    return Err(RefusedUpdate::NotText { kind: "a long formatting mark", section });
                }
            }
            block_kind::BINARY => drop(self.reader.read_bytes()?),
            block_kind::EMBED => drop(self.reader.read_text()?),
            block_kind::TYPE => drop(self.read_stored_type()?),
            block_kind::ANY => {
                let count = self.reader.read_count(1)?;
                (0..count).try_for_each(|_| self.skip_value(MAX_VALUE_DEPTH))?;
                return u32::try_from(count).map_err(|_| RefusedUpdate::Malformed);
            }
            block_kind::DOCUMENT => {
                self.reader.read_text()?;
                self.skip_value(MAX_VALUE_DEPTH)?;
            }
            // JSON: the library reads one value too many, and clients have not written any for years.
            _ => return Err(RefusedUpdate::Malformed),
        }
        Ok(1)
    }

    /// Returns the name of content that is not text, in the terms of Yjs clients.
    fn content_name(&mut self, kind: u8, is_text: bool) -> Result<&'static str, RefusedUpdate> {
        match kind {
            _ if is_text => Ok("a text within another value"),
            block_kind::JSON => Ok("JSON"),
            block_kind::ANY => Ok("an entry of a Y.Map or Y.Array"),
            block_kind::BINARY => Ok("a binary value"),
            block_kind::EMBED => Ok("an embedded object"),
            block_kind::DOCUMENT => Ok("a subdocument"),
            block_kind::TYPE => self.read_type(),
            _ => Err(RefusedUpdate::Malformed),
        }
    }

    fn read_type(&mut self) -> Result<&'static str, RefusedUpdate> {
        match self.reader.read_byte()? {
            0 => Ok("a Y.Array"),
            1 => Ok("a Y.Map"),
            2 => Ok("a nested Y.Text"),
            3 => self.reader.read_text().map(|_| "a Y.XmlElement (ProseMirror, Tiptap)"),
            4 => Ok("a Y.XmlFragment"),
            5 => self.reader.read_text().map(|_| "a Y.XmlHook"),
            6 => Ok("a Y.XmlText (Lexical, Slate)"),
            _ => Err(RefusedUpdate::Malformed),
        }
    }

    /// Like [`Self::read_type`], but refuses a type that the library reads differently from how it is written.
    fn read_stored_type(&mut self) -> Result<&'static str, RefusedUpdate> {
        const XML_HOOK: &[u8] = &[5];
        let next_byte = self.reader.clone().read_slice(1)?;
        if next_byte == XML_HOOK { Err(RefusedUpdate::Malformed) } else { self.read_type() }
    }

    /// Skips a value that is nested at most `depth` levels deep.
    fn skip_value(&mut self, depth: usize) -> Result<(), RefusedUpdate> {
        let remaining_depth = depth.checked_sub(1).ok_or(RefusedUpdate::Malformed)?;
        match self.reader.read_byte()? {
            // Undefined, null, false, true.
            127 | 126 | 121 | 120 => {}
            125 => self.reader.skip_signed_number()?,
            124 => drop(self.reader.read_slice(4)?),
            123 | 122 => drop(self.reader.read_slice(8)?),
            119 => drop(self.reader.read_text()?),
            118 => {
                for _ in 0..self.reader.read_count(2)? {
                    self.reader.read_text()?;
                    self.skip_value(remaining_depth)?;
                }
            }
            117 => {
                for _ in 0..self.reader.read_count(1)? {
                    self.skip_value(remaining_depth)?;
                }
            }
            116 => drop(self.reader.read_bytes()?),
            _ => return Err(RefusedUpdate::Malformed),
        }
        Ok(())
    }
}

/// The parent of an item.
struct ItemParent<'a> {
    /// Name of the root text, if the update contains it.
    section: Option<&'a str>,
    /// Whether the parent is a text, as far as the update says.
    is_text: bool,
}

fn shorten_name(name: &str) -> String {
    name.chars().take(MAX_SECTION_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests;
