//! A shared text: a Yjs document with one text per section.

use std::{
    collections::BTreeMap,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use domain::proposal::{MAX_SECTIONS, SectionContent, SectionKey};
use similar::{ChangeTag, TextDiff};
use yrs::{
    Doc, GetString, IdSet, ReadTxn, StateVector, Text, Transact, Update, WriteTxn, block::ClientID,
    updates::decoder::Decode,
};

use crate::{
    error::RefusedUpdate,
    update_contents::{ClockRange, ContentPolicy, UpdateContents},
};

/// Time limit of a diff; parts that are not compared by then are replaced.
const DIFF_TIMEOUT: Duration = Duration::from_millis(200);

/// Maximum number of characters of a refused name in its error.
const MAX_NAME_CHARS: usize = 80;

/// The Yjs document of a proposal, in memory.
pub struct SharedText(Doc);

impl Default for SharedText {
    fn default() -> Self {
        Self(Doc::new())
    }
}

impl SharedText {
    /// Builds a document from updates; each must come after those that it depends on.
    ///
    /// # Errors
    /// [`RefusedUpdate::Malformed`] when one of them is not a valid update.
    pub fn from_updates<'a>(updates: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, RefusedUpdate> {
        let text = Self::default();
        for update in updates {
            text.merge_stored_update(update)?;
        }
        Ok(text)
    }

    /// Merges a stored update without checking its content. Returns whether the update is not empty. The document must
    /// not be used after an error.
    ///
    /// # Errors
    /// [`RefusedUpdate::Malformed`] when it is not a valid update.
    pub fn merge_stored_update(&self, update: &[u8]) -> Result<bool, RefusedUpdate> {
        let contents = UpdateContents::read(update, ContentPolicy::AsStored)?;
        self.apply_update(update, &contents)
    }

    /// Merges an editor's update. Returns whether the update is not empty. The document must not be used after an
    /// error.
    ///
    /// # Errors
    /// [`RefusedUpdate`] when the update, or the text that results from it, is not allowed.
    pub fn merge_editor_update(&self, update: &[u8]) -> Result<bool, RefusedUpdate> {
        self.merge_inspected_update(update, &UpdateContents::read(update, ContentPolicy::TextOnly)?)
    }

    /// Like [`Self::merge_editor_update`], for an update whose contents were read before.
    pub(crate) fn merge_inspected_update(
        &self,
        update: &[u8],
        contents: &UpdateContents,
    ) -> Result<bool, RefusedUpdate> {
        contents.sections.iter().try_for_each(|name| check_section_name(name))?;
        let has_changes = self.apply_update(update, contents)?;
        if has_changes {
            self.check_sections()?;
        }
        Ok(has_changes)
    }

    /// Decodes and merges an inspected update with the library.
    fn apply_update(&self, update: &[u8], contents: &UpdateContents) -> Result<bool, RefusedUpdate> {
        if contents.is_empty() {
            return Ok(false);
        }
        // The library handles untrusted input: if it panics, the room must not close for all its members.
        let merged = catch_unwind(AssertUnwindSafe(|| {
            let update = Update::decode_v1(update).map_err(|_| RefusedUpdate::Malformed)?;
            let transaction = self.0.try_transact_mut().map_err(|_| RefusedUpdate::Malformed)?;
            // Committing on drop does more work, which must not run while a panic unwinds.
            let mut transaction = ManuallyDrop::new(transaction);
            let applied = transaction.apply_update(update);
            drop(ManuallyDrop::into_inner(transaction));
            applied.map(|()| true).map_err(|_| RefusedUpdate::Malformed)
        }));
        merged.unwrap_or(Err(RefusedUpdate::Malformed))
    }

    /// Whether an update contains anything new, and whether its dependencies are in the document.
    pub(crate) fn classify_update(&self, contents: &UpdateContents) -> UpdateNovelty {
        let Ok(transaction) = self.0.try_transact() else { return UpdateNovelty::Known };
        let known = transaction.state_vector();
        let known_end = |client: u64| known.get(&ClientID::new(client));
        let (mut ends, mut is_new) = (BTreeMap::new(), false);
        for (client, ranges) in &contents.insertions {
            let mut end = known_end(*client);
            for range in ranges {
                if range.0 > end {
                    return UpdateNovelty::MissingDependencies;
                }
                is_new |= range.1 > end;
                end = end.max(range.1);
            }
            ends.insert(*client, end);
        }
        let merged_end = |client: u64| ends.get(&client).copied().unwrap_or_else(|| known_end(client));
        let mut references = contents.references.iter();
        let mut deletions = contents.deletions.iter();
        if references.any(|(client, clock)| *clock >= merged_end(*client))
            || deletions.any(|(client, ranges)| ranges.iter().any(|range| range.1 > merged_end(*client)))
        {
            return UpdateNovelty::MissingDependencies;
        }
        // The deletions of the document are computed from all its blocks, so they are compared only if nothing else
        // decides.
        let is_new = is_new
            || !contents.deletions.is_empty()
                && !are_all_deleted(&contents.deletions, &transaction.snapshot().delete_set);
        if is_new { UpdateNovelty::New } else { UpdateNovelty::Known }
    }

    /// The text of each section, by the name that editors use.
    fn texts_by_name(&self) -> BTreeMap<String, String> {
        let Ok(transaction) = self.0.try_transact() else { return BTreeMap::new() };
        let names: Vec<String> = transaction.root_refs().map(|(name, _)| name.to_owned()).collect();
        let text = |name: String| {
            let text = transaction.get_text(name.as_str()).map(|text| text.get_string(&transaction));
            (name, text.unwrap_or_default())
        };
        names.into_iter().map(text).collect()
    }

    fn check_sections(&self) -> Result<(), RefusedUpdate> {
        let texts = self.texts_by_name();
        if texts.len() > MAX_SECTIONS {
            return Err(RefusedUpdate::TooManySections);
        }
        for (name, text) in texts {
            check_section_name(&name)?;
            if !text.trim().is_empty() {
                let invalid_content = |reason: domain::value::InvalidValue| RefusedUpdate::InvalidContent {
                    section: name.clone(),
                    reason: reason.to_string(),
                };
                SectionContent::try_new(&text).map_err(invalid_content)?;
            }
        }
        Ok(())
    }

    /// The text of each section with a valid key.
    pub fn section_texts(&self) -> BTreeMap<SectionKey, String> {
        self.texts_by_name()
            .into_iter()
            .filter_map(|(name, text)| Some((SectionKey::try_new(&name).ok()?, text)))
            .collect()
    }

    /// The text of one section; empty if there is no such section.
    pub fn section_text(&self, key: &SectionKey) -> String {
        let Ok(transaction) = self.0.try_transact() else { return String::new() };
        transaction.get_text(key.as_str()).map(|text| text.get_string(&transaction)).unwrap_or_default()
    }

    /// Changes the text of a section to `target`, word by word, so that concurrent edits keep their position. Returns
    /// the update; `None` if the section has that text already.
    pub fn rewrite_section(&self, key: &SectionKey, target: &str) -> Option<Vec<u8>> {
        let current = self.section_text(key);
        if current == target {
            return None;
        }
        let mut transaction = self.0.try_transact_mut().ok()?;
        let before = transaction.state_vector();
        let text = transaction.get_or_insert_text(key.as_str());
        let changes = TextDiff::configure().timeout(DIFF_TIMEOUT).diff_words(current.as_str(), target);
        let mut offset = 0;
        for change in changes.iter_all_changes() {
            // A section has at most about 400,000 bytes.
            let length = u32::try_from(change.value().len()).ok()?;
            match change.tag() {
                ChangeTag::Equal => offset += length,
                ChangeTag::Delete => text.remove_range(&mut transaction, offset, length),
                ChangeTag::Insert => {
                    text.insert(&mut transaction, offset, change.value());
                    offset += length;
                }
            }
        }
        drop(transaction);
        Some(self.encode_diff(&before))
    }

    /// Encodes the whole document as one update.
    pub fn encode_state(&self) -> Vec<u8> {
        self.encode_diff(&StateVector::default())
    }

    /// Encodes the content that is missing from the state `known` as one update, which is empty if nothing is missing.
    pub fn encode_diff(&self, known: &StateVector) -> Vec<u8> {
        let encode = || self.0.try_transact().map(|transaction| transaction.encode_state_as_update_v1(known));
        // The state vector comes from an editor and may be invalid.
        let encoded = catch_unwind(AssertUnwindSafe(encode)).ok().and_then(Result::ok);
        encoded.unwrap_or_else(|| Update::EMPTY_V1.to_vec())
    }

    /// The state vector: the next clock of each client.
    pub fn state_vector(&self) -> StateVector {
        self.0.try_transact().map(|transaction| transaction.state_vector()).unwrap_or_default()
    }

    /// Whether the document has received an update without its dependencies. The library does not always merge such an
    /// update when the dependencies arrive, so it must be sent again.
    pub fn has_missing_updates(&self) -> bool {
        self.0.try_transact().is_ok_and(|transaction| transaction.has_missing_updates())
    }
}

/// Checks that a name is a valid section key.
fn check_section_name(name: &str) -> Result<(), RefusedUpdate> {
    if SectionKey::try_new(name).is_ok_and(|key| key.as_str() == name) {
        Ok(())
    } else {
        Err(RefusedUpdate::InvalidSectionName { name: name.chars().take(MAX_NAME_CHARS).collect() })
    }
}

/// What an update adds to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateNovelty {
    /// Nothing: the document contains all of it.
    Known,
    /// New content.
    New,
    /// It depends on updates that the document does not contain.
    MissingDependencies,
}

/// Whether all of `deletions` are in `deleted`.
fn are_all_deleted(deletions: &BTreeMap<u64, Vec<ClockRange>>, deleted: &IdSet) -> bool {
    deletions.iter().all(|(client, ranges)| {
        let Some(deleted) = deleted.get(&ClientID::new(*client)) else { return ranges.is_empty() };
        // Joins adjacent ranges: a known deletion is within one of the joined ranges, any other is new.
        let mut joined: Vec<ClockRange> = Vec::new();
        for range in deleted.ranges() {
            match joined.last_mut() {
                Some(last) if last.1 >= range.start => last.1 = last.1.max(range.end),
                _ => joined.push((range.start, range.end)),
            }
        }
        ranges.iter().all(|(start, end)| {
            let after = joined.partition_point(|range| range.0 <= *start);
            start == end || after.checked_sub(1).and_then(|at| joined.get(at)).is_some_and(|found| found.1 >= *end)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn section_key(name: &str) -> SectionKey {
        SectionKey::try_new(name).unwrap()
    }

    fn text_with(text: &str) -> SharedText {
        let shared = SharedText::default();
        shared.rewrite_section(&section_key("approach"), text);
        shared
    }

    /// Inserts text at a position, or deletes a character there if `insert` is empty. Returns the number of deleted
    /// characters.
    fn write_at(shared: &SharedText, position: usize, insert: &str) -> usize {
        let current = shared.section_text(&section_key("approach"));
        let text = shared.0.get_or_insert_text("approach");
        let mut transaction = shared.0.try_transact_mut().unwrap();
        let (at, letter) = current.char_indices().nth(position).unwrap_or((current.len(), ' '));
        let at_byte = u32::try_from(at).unwrap();
        if !insert.is_empty() {
            text.insert(&mut transaction, at_byte, insert);
        } else if at < current.len() {
            text.remove_range(&mut transaction, at_byte, u32::try_from(letter.len_utf8()).unwrap());
            return 1;
        }
        0
    }

    #[test]
    fn concurrent_edits_of_two_editors_are_merged_without_loss() {
        let (ann, bob) = (text_with("We deliver beds."), SharedText::default());
        bob.merge_stored_update(&ann.encode_state()).unwrap();
        ann.rewrite_section(&section_key("approach"), "We deliver hospital beds.");
        bob.rewrite_section(&section_key("approach"), "We deliver beds. Tomorrow.");
        ann.merge_editor_update(&bob.encode_state()).unwrap();
        bob.merge_editor_update(&ann.encode_state()).unwrap();
        assert_eq!(ann.section_text(&section_key("approach")), "We deliver hospital beds. Tomorrow.");
        assert_eq!(ann.section_texts(), bob.section_texts());
    }

    #[test]
    fn a_section_can_be_rewritten_to_any_text() {
        let shared = text_with("Ein Bett für 12 €\nund zwei Stühle");
        for target in ["", "zwei Stühle und ein Bett für 12 €", "😀 und\ttabs", "x"] {
            let update = shared.rewrite_section(&section_key("approach"), target).unwrap();
            assert!(!update.is_empty());
            assert_eq!(shared.section_text(&section_key("approach")), target);
            assert_eq!(shared.rewrite_section(&section_key("approach"), target), None);
        }
    }

    #[test]
    fn invalid_names_and_contents_of_sections_are_refused() {
        let other = SharedText::default();
        let named = |name: &str, text: &str| {
            let doc = Doc::new();
            let root = doc.get_or_insert_text(name);
            root.insert(&mut doc.try_transact_mut().unwrap(), 0, text);
            let transaction = doc.try_transact().unwrap();
            transaction.encode_state_as_update_v1(&StateVector::default())
        };
        let refused = |update: &[u8]| SharedText::default().merge_editor_update(update).unwrap_err().to_string();
        assert!(refused(&named("No Key", "x")).contains("No Key"));
        assert!(refused(&named(" approach", "x")).contains("approach"));
        assert!(refused(&named("approach", "\u{0}")).contains("section approach"));
        assert!(refused(&named("approach", &"x".repeat(100_001))).contains("100000"));
        assert_eq!(other.merge_editor_update(b"no update"), Err(RefusedUpdate::Malformed));
        assert_eq!(SharedText::default().merge_editor_update(&other.encode_state()), Ok(false), "the update is empty");
    }

    proptest! {
        /// Three editors and a room between them, as in the service: an editor receives others' updates at any time.
        #[test]
        fn editors_converge_with_any_edits_in_any_order_of_delivery(
            steps in prop::collection::vec((0_usize..3, 0_usize..20, "[a-c é]{0,3}", 0_u8..4), 1..60),
        ) {
            let (room, editors) = (SharedText::default(), [(); 3].map(|()| SharedText::default()));
            let mut to_room: [VecDeque<Vec<u8>>; 3] = Default::default();
            let mut from_room: [VecDeque<Vec<u8>>; 3] = Default::default();
            let (mut written, mut deleted) = (0, 0);
            let receive = |editor_index: usize, update: Vec<u8>, out: &mut [VecDeque<Vec<u8>>; 3]| {
                room.merge_editor_update(&update).unwrap();
                assert!(!room.has_missing_updates());
                out.iter_mut().enumerate().filter(|(other, _)| *other != editor_index).for_each(|(_, out)| out.push_back(update.clone()));
            };
            for (editor_index, position, insert, action) in steps {
                match action {
                    0 | 1 => {
                        let known = editors[editor_index].state_vector();
                        deleted += write_at(&editors[editor_index], position, &insert);
                        to_room[editor_index].push_back(editors[editor_index].encode_diff(&known));
                        written += insert.chars().count();
                    }
                    2 => if let Some(update) = to_room[editor_index].pop_front() {
                        receive(editor_index, update, &mut from_room);
                    },
                    _ => if let Some(update) = from_room[editor_index].pop_front() {
                        editors[editor_index].merge_editor_update(&update).unwrap();
                    },
                }
            }
            for (editor_index, waiting) in to_room.iter_mut().enumerate() {
                for update in waiting.drain(..) {
                    receive(editor_index, update, &mut from_room);
                }
            }
            for (editor, waiting) in editors.iter().zip(&mut from_room) {
                for update in waiting.drain(..) {
                    editor.merge_editor_update(&update).unwrap();
                }
                prop_assert_eq!(editor.section_text(&section_key("approach")), room.section_text(&section_key("approach")));
                let known = SharedText::from_updates([room.encode_state().as_slice()]).unwrap();
                prop_assert_eq!(known.section_texts(), room.section_texts(), "the encoded state has the same texts");
            }
            let length = room.section_text(&section_key("approach")).chars().count();
            prop_assert!(length <= written && length + deleted >= written, "{length} of {written}, {deleted} deleted");
        }

        #[test]
        fn a_damaged_update_does_not_panic(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut update = text_with("We deliver hospital beds to every clinic of the region.").encode_state();
            for (position, byte) in flips {
                let position = position.index(update.len());
                update[position] = byte;
            }
            let shared = SharedText::default();
            let _ = shared.merge_editor_update(&update);
        }
    }
}
