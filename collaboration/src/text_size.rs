//! How large a shared text is, what was deleted in it included: known closely without measuring it at each keystroke.

use crate::{
    error::RefusedUpdate,
    shared_text::SharedText,
    update_contents::{ContentPolicy, UpdateContents},
};

/// What an insertion adds to the encoding beside itself: the header of the block that it splits.
const BYTES_PER_SPLIT: usize = 32;

/// What may be deleted in a text that has reached its limit: a deletion takes a few bytes before it frees any.
const RESERVED_FOR_DELETIONS: usize = 64 << 10;

/// Blocks that an insertion or a deletion adds: itself, and the halves of those that it splits.
const BLOCKS_PER_SPLIT: usize = 3;

/// The most blocks of a text: each takes a few hundred bytes in memory, and those at one place are searched.
const MAX_TEXT_BLOCKS: usize = 100_000;

/// An upper bound of a text's size, in the encoding in which it is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextSize {
    bytes: usize,
    blocks: usize,
}

impl TextSize {
    /// Measures a text.
    pub(crate) fn measure(text: &SharedText) -> Self {
        let whole = text.encode_state();
        let blocks = UpdateContents::read(&whole, ContentPolicy::AsStored).map_or(0, |contents| contents.blocks);
        Self { bytes: whole.len(), blocks }
    }

    /// Grows by an update that is about to be taken in.
    ///
    /// # Errors
    /// [`RefusedUpdate::TooLarge`] where the text would have more than `max_bytes`, [`RefusedUpdate::TooManyBlocks`] where
    /// it would be in more pieces than a text may be.
    pub(crate) fn try_grow(
        &mut self,
        text: &SharedText,
        update: &[u8],
        contents: &UpdateContents,
        max_bytes: usize,
    ) -> Result<(), RefusedUpdate> {
        let deletions: usize = contents.deletions.values().map(Vec::len).sum();
        let changes = contents.blocks.saturating_add(deletions);
        let growth = Self {
            bytes: update.len().saturating_add(changes.saturating_mul(BYTES_PER_SPLIT)),
            blocks: changes.saturating_mul(BLOCKS_PER_SPLIT),
        };
        let reserved = if contents.insertions.is_empty() { RESERVED_FOR_DELETIONS } else { 0 };
        let limit =
            Self { bytes: max_bytes.saturating_add(reserved), blocks: MAX_TEXT_BLOCKS.saturating_add(reserved) };
        let mut grown = self.saturating_add(growth);
        if !grown.is_within(limit) {
            *self = Self::measure(text);
            grown = self.saturating_add(growth);
        }
        if grown.bytes > limit.bytes {
            return Err(RefusedUpdate::TooLarge { max_bytes });
        }
        if grown.blocks > limit.blocks {
            return Err(RefusedUpdate::TooManyBlocks { most: MAX_TEXT_BLOCKS });
        }
        *self = grown;
        Ok(())
    }

    /// Grows by an update that was put on record elsewhere, whatever it has.
    pub(crate) fn add_stored_update(&mut self, update: &[u8]) {
        // A block takes two bytes at least.
        *self = self.saturating_add(Self { bytes: update.len(), blocks: update.len() / 2 });
    }

    /// How many bytes it has at most.
    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    /// Whether it may take long to merge an update into a text of that size.
    pub(crate) fn is_slow_to_merge(self, contents: &UpdateContents) -> bool {
        const MANY: usize = 10_000;
        self.blocks > MANY || contents.blocks > MANY / 100
    }

    fn saturating_add(self, growth: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(growth.bytes), blocks: self.blocks.saturating_add(growth.blocks) }
    }

    fn is_within(self, limit: Self) -> bool {
        self.bytes <= limit.bytes && self.blocks <= limit.blocks
    }
}

#[cfg(test)]
mod tests {
    use domain::proposal::SectionKey;

    use super::*;

    fn grow_by_update(
        size: &mut TextSize,
        text: &SharedText,
        update: &[u8],
        max_bytes: usize,
    ) -> Result<(), RefusedUpdate> {
        let contents = UpdateContents::read(update, ContentPolicy::TextOnly).unwrap();
        size.try_grow(text, update, &contents, max_bytes)
    }

    #[test]
    fn a_text_grows_to_its_limit_and_what_is_in_it_can_still_be_deleted() {
        let (text, key) = (SharedText::default(), SectionKey::try_new("approach").unwrap());
        let (mut size, mut said, mut refused) = (TextSize::default(), String::new(), None);
        for number in 0..1_000 {
            let editor = SharedText::from_updates([text.encode_state().as_slice()]).unwrap();
            said = format!("{said}word{number} ");
            let update = editor.rewrite_section(&key, &said).unwrap();
            if let Err(error) = grow_by_update(&mut size, &text, &update, 4_000) {
                refused = Some((number, error));
                break;
            }
            text.merge_editor_update(&update).unwrap();
            let exact = TextSize::measure(&text);
            assert!(exact.is_within(size), "{size:?} is an upper bound of {exact:?}");
        }
        let (number, error) = refused.expect("it is refused at some time");
        assert_eq!(error, RefusedUpdate::TooLarge { max_bytes: 4_000 });
        assert!(number > 100, "after {number} words only");
        let editor = SharedText::from_updates([text.encode_state().as_slice()]).unwrap();
        let emptied = editor.rewrite_section(&key, "").unwrap();
        grow_by_update(&mut size, &text, &emptied, 4_000).unwrap();
        text.merge_editor_update(&emptied).unwrap();
        assert_eq!(text.section_text(&key), "");
    }
}
