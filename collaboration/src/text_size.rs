//! Upper bounds of the size of a shared text, deleted content included, and of its merge cost. They are updated with
//! each update, so that the text is measured only near its limits.

use crate::{
    error::{CountedEdits, RefusedUpdate},
    merge_cost::MergeCost,
    shared_text::SharedText,
    update_contents::{ContentPolicy, UpdateContents},
};

/// Bytes that an insertion adds to the encoding in addition to its own: the header of the block that it splits.
const BYTES_PER_SPLIT: usize = 32;

/// Bytes beyond the limit that deletions may take: a deletion adds a few bytes before it frees any.
const RESERVED_FOR_DELETIONS: usize = 64 << 10;

/// Maximum blocks that an insertion or a deletion adds: itself, and the halves of the blocks that it splits.
const BLOCKS_PER_SPLIT: usize = 3;

/// Maximum blocks of a text: each takes a few hundred bytes in memory, and the library searches among the blocks at the
/// same position.
const MAX_TEXT_BLOCKS: usize = 100_000;

/// Maximum number of comparisons for merging a whole text or an update, see [`MergeCost`]. The library takes about
/// 50 ns for each, so the maximum takes half a second. To exceed it, more than 3,000 clients have to write at the same
/// position concurrently, or two disconnected clients have to return to it after each of 2,000 edits.
const MAX_MERGE_STEPS: usize = 10_000_000;

/// Comparisons for each pair of a new block and a block of the text: either may be compared with the other.
const STEPS_PER_PAIR: usize = 2;

/// An upper bound of a text's size in its stored encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextSize {
    bytes: usize,
    blocks: usize,
    merge_steps: usize,
}

impl TextSize {
    /// Measures a text.
    pub(crate) fn measure(text: &SharedText) -> Self {
        let whole = text.encode_state();
        let contents = UpdateContents::read(&whole, ContentPolicy::AsStored).unwrap_or_default();
        Self::from_contents(whole.len(), &contents)
    }

    fn from_contents(bytes: usize, contents: &UpdateContents) -> Self {
        let MergeCost { pieces, steps } = MergeCost::estimate(&[contents]);
        Self { bytes, blocks: pieces.max(contents.blocks), merge_steps: steps }
    }

    /// Adds an update that is about to be merged.
    ///
    /// # Errors
    /// [`RefusedUpdate::TooLarge`] when the text would have more than `max_bytes`, [`RefusedUpdate::TooManyBlocks`]
    /// when it would have too many blocks, or so many at the same position that merging them would take long.
    pub(crate) fn try_grow(
        &mut self,
        text: &SharedText,
        update: &[u8],
        contents: &UpdateContents,
        max_bytes: usize,
    ) -> Result<(), RefusedUpdate> {
        let is_deletion = contents.insertions.is_empty();
        let reserved = if is_deletion { RESERVED_FOR_DELETIONS } else { 0 };
        let limit = Self {
            bytes: max_bytes.saturating_add(reserved),
            blocks: MAX_TEXT_BLOCKS.saturating_add(reserved),
            merge_steps: if is_deletion { MAX_MERGE_STEPS.saturating_mul(2) } else { MAX_MERGE_STEPS },
        };
        let mut grown = self.grow_by(update.len(), contents);
        if !grown.is_within(limit) {
            let whole = text.encode_state();
            let known = UpdateContents::read(&whole, ContentPolicy::AsStored).unwrap_or_default();
            *self = Self::from_contents(whole.len(), &known);
            grown = self.grow_by(update.len(), contents);
            // Edits of a disconnected editor are many blocks, but few of them are at the same position as others.
            if grown.merge_steps > limit.merge_steps && grown.blocks <= limit.blocks {
                grown.merge_steps = MergeCost::estimate(&[&known, contents]).steps;
            }
        }
        if grown.bytes > limit.bytes {
            return Err(RefusedUpdate::TooLarge { max_bytes });
        }
        if grown.blocks > limit.blocks {
            return Err(RefusedUpdate::TooManyBlocks { most: MAX_TEXT_BLOCKS, counted: CountedEdits::Single });
        }
        if grown.merge_steps > limit.merge_steps {
            let counted = CountedEdits::ConcurrentPairs;
            return Err(RefusedUpdate::TooManyBlocks { most: MAX_MERGE_STEPS, counted });
        }
        *self = grown;
        Ok(())
    }

    /// Adds an update that another process has stored, without a limit.
    pub(crate) fn add_stored_update(&mut self, update: &[u8]) {
        // An update that cannot be read is not merged either.
        if let Ok(contents) = UpdateContents::read(update, ContentPolicy::AsStored) {
            *self = self.grow_by(update.len(), &contents);
        }
    }

    /// Upper bound of the text's bytes.
    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    /// Whether merging an update into a text of this size may take long.
    pub(crate) fn is_slow_to_merge(self, contents: &UpdateContents) -> bool {
        const MANY_BLOCKS: usize = 10_000;
        self.blocks > MANY_BLOCKS || contents.blocks > MANY_BLOCKS / 100
    }

    /// The size after an update, as an upper bound.
    fn grow_by(self, update_bytes: usize, contents: &UpdateContents) -> Self {
        let deletions: usize = contents.deletions.values().map(Vec::len).sum();
        let changes = contents.blocks.saturating_add(deletions);
        let new_blocks = changes.saturating_mul(BLOCKS_PER_SPLIT);
        let bytes = update_bytes.saturating_add(changes.saturating_mul(BYTES_PER_SPLIT));
        let blocks = self.blocks.saturating_add(new_blocks);
        let steps = blocks.saturating_mul(new_blocks).saturating_mul(STEPS_PER_PAIR);
        Self { bytes: self.bytes.saturating_add(bytes), blocks, merge_steps: self.merge_steps.saturating_add(steps) }
    }

    fn is_within(self, limit: Self) -> bool {
        self.bytes <= limit.bytes && self.blocks <= limit.blocks && self.merge_steps <= limit.merge_steps
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use domain::proposal::SectionKey;
    use yrs::{Doc, ReadTxn as _, Text as _, Transact as _, Update, updates::decoder::Decode as _};

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
    fn a_text_grows_to_its_limit_and_its_content_can_still_be_deleted() {
        let (text, key) = (SharedText::default(), SectionKey::try_new("approach").unwrap());
        let (mut size, mut content, mut refused) = (TextSize::default(), String::new(), None);
        for number in 0..1_000 {
            let editor = SharedText::from_updates([text.encode_state().as_slice()]).unwrap();
            content = format!("{content}word{number} ");
            let update = editor.rewrite_section(&key, &content).unwrap();
            if let Err(error) = grow_by_update(&mut size, &text, &update, 4_000) {
                refused = Some((number, error));
                break;
            }
            text.merge_editor_update(&update).unwrap();
            let exact = TextSize::measure(&text);
            assert!(exact.is_within(size), "{size:?} is an upper bound of {exact:?}");
        }
        let (number, error) = refused.expect("an update beyond the limit is refused");
        assert_eq!(error, RefusedUpdate::TooLarge { max_bytes: 4_000 });
        assert!(number > 100, "refused after only {number} words");
        let editor = SharedText::from_updates([text.encode_state().as_slice()]).unwrap();
        let deletion = editor.rewrite_section(&key, "").unwrap();
        grow_by_update(&mut size, &text, &deletion, 4_000).unwrap();
        text.merge_editor_update(&deletion).unwrap();
        assert_eq!(text.section_text(&key), "");
    }

    fn encode_number(mut number: u64) -> Vec<u8> {
        let mut written = Vec::new();
        while number > 127 {
            written.push(u8::try_from(number & 127).unwrap() | 128);
            number >>= 7;
        }
        written.push(u8::try_from(number).unwrap());
        written
    }

    /// An update with one letter by each of these clients, all at the beginning of the same section.
    fn encode_letters_of(clients: Range<u64>) -> Vec<u8> {
        let letter = |client: u64| [&[1_u8][..], &encode_number(client), &[0, 4, 1, 1, b'a', 1, b'x']].concat();
        let count = encode_number(clients.end - clients.start);
        [count, clients.flat_map(letter).collect(), vec![0]].concat()
    }

    #[test]
    fn too_many_concurrent_edits_at_one_position_are_refused() {
        let refused =
            Err(RefusedUpdate::TooManyBlocks { most: MAX_MERGE_STEPS, counted: CountedEdits::ConcurrentPairs });
        let empty = SharedText::default();
        let try_update = |text: &SharedText, update: &[u8]| {
            let mut size = TextSize::measure(text);
            grow_by_update(&mut size, text, update, 1 << 20).map(|()| size.merge_steps)
        };
        assert_eq!(try_update(&empty, &encode_letters_of(1_000..3_500)), Ok(2_500 * 2_499));
        assert_eq!(try_update(&empty, &encode_letters_of(1_000..5_000)).map(|_| ()), refused);
        // Blocks of the text and of the update count together.
        let text = SharedText::from_updates([encode_letters_of(0..1_000).as_slice()]).unwrap();
        assert_eq!(TextSize::measure(&text).merge_steps, 1_000 * 999);
        assert_eq!(try_update(&text, &encode_letters_of(1_000..3_500)).map(|_| ()), refused);
        // A small update is accepted, and existing content can be deleted.
        assert!(try_update(&text, &encode_letters_of(1_000..1_200)).is_ok());
        assert!(try_update(&text, &[0, 1, 5, 1, 0, 1]).is_ok());
    }

    #[test]
    fn too_many_false_origins_of_one_client_are_refused() {
        const LETTERS: u64 = 3_000;
        let long = [&[1, 1, 1, 0, 4, 1, 1, b'a'][..], &encode_number(LETTERS), &[b'x'; 3_000], &[0]].concat();
        let text = SharedText::from_updates([long.as_slice()]).unwrap();
        // Each block claims to be between the beginning of the text and another letter.
        let letter = |clock: u64| [&[0x44_u8, 1][..], &encode_number(clock), &[1, b'y']].concat();
        let blocks: Vec<u8> = (0..LETTERS).flat_map(letter).collect();
        let update = [vec![1], encode_number(LETTERS), vec![2, 0], blocks, vec![0]].concat();
        assert_eq!(
            grow_by_update(&mut TextSize::measure(&text), &text, &update, 1 << 20),
            Err(RefusedUpdate::TooManyBlocks { most: MAX_MERGE_STEPS, counted: CountedEdits::ConcurrentPairs })
        );
    }

    #[test]
    fn many_edits_of_a_disconnected_editor_are_accepted() {
        const EDITS: u32 = 1_000;
        const WORD: &str = "word ";
        let (text, key) = (SharedText::default(), SectionKey::try_new("approach").unwrap());
        text.rewrite_section(&key, &WORD.repeat(usize::try_from(EDITS).unwrap())).unwrap();
        let disconnected = Doc::new();
        let section = disconnected.get_or_insert_text("approach");
        let mut transaction = disconnected.try_transact_mut().unwrap();
        transaction.apply_update(Update::decode_v1(&text.encode_state()).unwrap()).unwrap();
        for number in (0..EDITS).rev() {
            section.insert(&mut transaction, number * u32::try_from(WORD.len()).unwrap(), "a ");
        }
        drop(transaction);
        let update = disconnected.try_transact().unwrap().encode_state_as_update_v1(&text.state_vector());
        let contents = UpdateContents::read(&update, ContentPolicy::TextOnly).unwrap();
        assert_eq!(contents.inserted_blocks.len(), 1_000);
        let mut size = TextSize::measure(&text);
        size.try_grow(&text, &update, &contents, 1 << 20).unwrap();
        assert!(size.merge_steps < MAX_MERGE_STEPS / 100, "{size:?}");
    }
}
