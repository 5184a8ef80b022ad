use proptest::prelude::*;
use yrs::{
    Any, Doc, GetString as _, ReadTxn as _, StateVector, Text as _, Transact as _, Update, types::Attrs,
    updates::decoder::Decode as _,
};

use super::*;
use crate::shared_text::SharedText;

/// Updates that Yjs 13.6 has encoded.
mod yjs_fixtures {
    /// Two clients wrote in two sections, one of them with a 32-bit client id; some edits were undone.
    pub(super) const TWO_CLIENTS: &str = "0204ffffffff0f00040108617070726f616368024f6e84ffffffff0f0107652e2054776f2e44ffffffff\
        0f0004676f6e650401057072696365044c6f772e010700c4ffffffff0f01ffffffff0f0202585801ffffffff0f010904";
    /// Letters beyond 16 bits, a deletion and bold letters.
    pub(super) const FORMATTED: &str = "01070100040108617070726f61636802576584010101208101020884010a0af09f988020626564732ec4010a\
        010b066272696e672046010004626f6c640474727565c60101010204626f6c64046e756c6c0101010308";
    /// The first and the third of three updates, merged.
    pub(super) const WITH_GAP: &str = "01030100040108617070726f61636801610a01840101016300";
    /// An XML fragment of a rich editor, which was emptied again.
    pub(super) const EMPTIED_XML: &str = "01020100010108617070726f6163680100040101010005";

    /// Content that is not text: the update, a part of the expected name, and the section.
    pub(super) const NO_TEXT: [(&str, &str, Option<&str>); 7] = [
        (
            "01030100070108617070726f616368030970617261677261706807000100\
          06040001010a57652064656c6976657200",
            "Y.XmlElement",
            Some("approach"),
        ),
        ("01010100280106636f6e666967046f70656e017800", "Y.Map", Some("config")),
        ("010101000801046c697374037d01770374776f760105746872656575037c406000007e7f00", "Y.Array", Some("list")),
        ("01010100050108617070726f6163680d7b22696d616765223a2278227d00", "embedded", Some("approach")),
        ("010101000301046c6973740301020300", "binary", Some("list")),
        ("01010100290104646f637301780167760000", "subdocument", Some("docs")),
        ("01020100070104726f6f740604000100017800", "Y.XmlText", Some("root")),
    ];
}

fn decode_hex(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hexadecimal.chars().filter_map(|digit| Some(u8::try_from(digit.to_digit(16)?).unwrap())).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

fn read_editor_update(update: &[u8]) -> Result<UpdateContents, RefusedUpdate> {
    UpdateContents::read(update, ContentPolicy::TextOnly)
}

fn encode_number(mut number: usize) -> Vec<u8> {
    let mut written = Vec::new();
    while number > 127 {
        written.push(u8::try_from(number & 127).unwrap() | 128);
        number >>= 7;
    }
    written.push(u8::try_from(number).unwrap());
    written
}

#[test]
fn updates_of_yjs_are_read() {
    let contents = read_editor_update(&decode_hex(yjs_fixtures::TWO_CLIENTS)).unwrap();
    let client = u64::from(u32::MAX);
    assert_eq!(contents.insertions, BTreeMap::from([(client, vec![(0, 17)]), (7, vec![(0, 2)])]));
    assert_eq!(contents.deletions, BTreeMap::from([(client, vec![(9, 13)])]));
    assert_eq!(contents.references, BTreeMap::from([(client, 2)]));
    assert_eq!(contents.sections, ["approach", "price"].map(str::to_owned).into());
    assert_eq!(
        read_editor_update(&decode_hex(yjs_fixtures::FORMATTED)).unwrap().insertions,
        BTreeMap::from([(1, vec![(0, 27)])])
    );
    assert_eq!(
        read_editor_update(&decode_hex(yjs_fixtures::WITH_GAP)).unwrap().insertions,
        BTreeMap::from([(1, vec![(0, 1), (2, 3)])])
    );
    assert!(read_editor_update(&decode_hex(yjs_fixtures::EMPTIED_XML)).is_ok(), "deleted content is accepted");
    assert!(read_editor_update(Update::EMPTY_V1).unwrap().is_empty());
}

#[test]
fn the_refusal_of_content_that_is_not_text_names_it_and_its_section() {
    for (update, expected_kind, expected_section) in yjs_fixtures::NO_TEXT {
        let update = decode_hex(update);
        let Err(RefusedUpdate::NotText { kind, section }) = read_editor_update(&update) else {
            panic!("{expected_kind}: {:?}", read_editor_update(&update))
        };
        assert!(
            kind.contains(expected_kind) && section.as_deref() == expected_section,
            "{expected_kind}: {kind} {section:?}"
        );
        assert!(
            UpdateContents::read(&update, ContentPolicy::AsStored).is_ok(),
            "{expected_kind} may have been stored by an earlier release"
        );
        assert!(SharedText::default().merge_editor_update(&update).is_err(), "{expected_kind}");
    }
}

/// An update with one item in the root `a`, with the given start of its content.
fn encode_item(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[1, 1, 1, 0, kind, 1, 1, b'a'], content, &[0]].concat()
}

#[test]
fn deeply_nested_values_do_not_overflow_the_stack() {
    const DEEP: usize = 200_000;
    let lists = [[0x75, 1].repeat(DEEP), vec![0x7e]].concat();
    let maps = [[0x76, 1, 1, b'k'].repeat(DEEP), vec![0x7e]].concat();
    let json = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)).into_bytes();
    for value in [&lists, &maps] {
        let entry = encode_item(8, &[&[1][..], value].concat());
        let options = encode_item(9, &[&[1, b'g'][..], value].concat());
        for update in [entry, options] {
            assert!(matches!(read_editor_update(&update), Err(RefusedUpdate::NotText { .. })));
            let stored = UpdateContents::read(&update, ContentPolicy::AsStored);
            assert_eq!(stored, Err(RefusedUpdate::Malformed));
            assert_eq!(SharedText::default().merge_stored_update(&update), Err(RefusedUpdate::Malformed));
        }
    }
    let json = [encode_number(json.len()), json].concat();
    let mark = encode_item(6, &[&[1, b'k'][..], &json].concat());
    let embed = encode_item(5, &json);
    for update in [mark, embed] {
        assert!(matches!(read_editor_update(&update), Err(RefusedUpdate::NotText { .. })));
        assert!(SharedText::default().merge_stored_update(&update).is_err());
    }
}

#[test]
fn nested_types_are_refused() {
    let mut blocks = vec![1, 2, 1, 0, 7, 1, 1, b'a', 1];
    blocks.extend([7, 0, 1, 0, 1, 0]);
    assert!(matches!(read_editor_update(&blocks), Err(RefusedUpdate::NotText { .. })));
}

#[test]
fn declared_lengths_are_checked_before_allocation() {
    const MANY: [u8; 4] = [0xff, 0xff, 0xff, 0x3e];
    let declared = [
        MANY.to_vec(),
        [&[1][..], &MANY, &[1, 0]].concat(),
        [&[0][..], &MANY].concat(),
        [&[0, 1, 1][..], &MANY].concat(),
        encode_item(8, &MANY),
        encode_item(8, &[&[1, 0x75][..], &MANY].concat()),
        encode_item(8, &[&[1, 0x76][..], &MANY].concat()),
        encode_item(2, &MANY),
        encode_item(4, &MANY),
        encode_item(3, &MANY),
    ];
    for update in declared {
        assert!(read_editor_update(&update).is_err(), "{update:?}");
        assert_eq!(UpdateContents::read(&update, ContentPolicy::AsStored), Err(RefusedUpdate::Malformed), "{update:?}");
    }
}

#[test]
fn encodings_that_clients_read_differently_are_refused() {
    let long = [0x80, 0x80, 0x80, 0x80, 0x10];
    let refused = [
        ("a clock beyond 32 bits", [&[1, 1, 1][..], &long, &[4, 1, 1, b'a', 1, b'x', 0]].concat()),
        ("clocks that overflow", vec![1, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x07, 4, 1, 1, b'a', 2, b'x', b'y', 0]),
        ("the same client twice", vec![2, 1, 1, 0, 4, 1, 1, b'a', 1, b'x', 1, 1, 1, 4, 1, 1, b'a', 1, b'y', 0]),
        ("an unused bit", vec![1, 1, 1, 0, 0x14, 1, 1, b'a', 1, b'x', 0]),
        ("deletions out of order", vec![0, 1, 1, 2, 5, 1, 0, 1]),
        ("the same client's deletions twice", vec![0, 2, 1, 1, 0, 1, 1, 1, 4, 1]),
        ("an empty gap", vec![1, 1, 1, 0, 10, 0, 0]),
        ("a block that refers to itself", vec![1, 1, 1, 0, 0x84, 1, 0, 1, b'x', 0]),
        ("bytes after the end", vec![0, 0, 0]),
        ("a truncated character", vec![1, 1, 1, 0, 4, 1, 1, b'a', 1, 0xc3, 0]),
    ];
    for (case, update) in refused {
        assert_eq!(read_editor_update(&update), Err(RefusedUpdate::Malformed), "{case}");
    }
}

#[test]
fn the_number_of_blocks_of_an_update_is_limited() {
    // The worst case for the library: all blocks at the same position, each by another client.
    let update = |clients: usize| {
        let blocks = (0..clients)
            .flat_map(|client| [&[1][..], &encode_number(client + 1), &[0, 4, 1, 1, b'a', 1, b'x']].concat());
        [encode_number(clients), blocks.collect(), vec![0]].concat()
    };
    assert_eq!(read_editor_update(&update(MAX_UPDATE_BLOCKS)).map(|contents| contents.blocks), Ok(MAX_UPDATE_BLOCKS));
    assert_eq!(
        read_editor_update(&update(MAX_UPDATE_BLOCKS + 1)),
        Err(RefusedUpdate::TooManyBlocks { most: MAX_UPDATE_BLOCKS, counted: CountedEdits::Single })
    );
    assert!(UpdateContents::read(&update(MAX_UPDATE_BLOCKS + 1), ContentPolicy::AsStored).is_ok());
}

/// A change that an editor makes in its text.
#[derive(Debug, Clone)]
enum TextChange {
    Insert(u32, String),
    Delete(u32, u32),
    Mark(u32, u32),
}

fn arbitrary_changes() -> impl Strategy<Value = Vec<(usize, TextChange)>> {
    let change = prop_oneof![
        3 => (any::<u32>(), "[a-zé😀\n]{1,6}").prop_map(|(place, text)| TextChange::Insert(place, text)),
        1 => (any::<u32>(), 1_u32..4).prop_map(|(place, length)| TextChange::Delete(place, length)),
        1 => (any::<u32>(), 1_u32..4).prop_map(|(place, length)| TextChange::Mark(place, length)),
    ];
    prop::collection::vec((0_usize..3, change), 1..40)
}

fn apply_change(doc: &Doc, change: &TextChange) {
    let text = doc.get_or_insert_text("approach");
    let mut transaction = doc.transact_mut();
    let content = text.get_string(&transaction);
    // Offsets of characters in bytes, in which the document counts by default.
    let offsets: Vec<u32> = content
        .char_indices()
        .map(|(at, _)| u32::try_from(at).unwrap())
        .chain([u32::try_from(content.len()).unwrap()])
        .collect();
    let at = |place: u32| usize::try_from(place).unwrap() % offsets.len();
    let range_of = |place: u32, length: u32| {
        let (from, to) = (at(place), (at(place) + usize::try_from(length).unwrap()).min(offsets.len() - 1));
        (offsets[from], offsets[to] - offsets[from])
    };
    match change {
        TextChange::Insert(place, inserted) => text.insert(&mut transaction, offsets[at(*place)], inserted),
        TextChange::Delete(place, length) => {
            let (from, length) = range_of(*place, *length);
            text.remove_range(&mut transaction, from, length);
        }
        TextChange::Mark(place, length) => {
            let (from, length) = range_of(*place, *length);
            text.format(&mut transaction, from, length, Attrs::from([("bold".into(), Any::from(true))]));
        }
    }
}

proptest! {
    /// Concurrent edits of `yrs` clients are read as the library reads them, as one update and as parts.
    #[test]
    fn updates_of_yrs_are_read_as_the_library_reads_them(changes in arbitrary_changes()) {
        let docs = [1_u64, 300, (1 << 53) - 1].map(Doc::with_client_id);
        let mut parts = Vec::new();
        for (client, change) in changes {
            let before = docs[client].transact().state_vector();
            apply_change(&docs[client], &change);
            parts.push(docs[client].transact().encode_state_as_update_v1(&before));
            for other in &docs {
                other.transact_mut().apply_update(Update::decode_v1(parts.last().unwrap()).unwrap()).unwrap();
            }
        }
        parts.push(docs[0].transact().encode_state_as_update_v1(&StateVector::default()));
        let room = SharedText::default();
        for part in &parts {
            let contents = read_editor_update(part).unwrap();
            let decoded = Update::decode_v1(part).unwrap();
            let ranges_by_client = |ranges: &yrs::IdSet| -> BTreeMap<u64, Vec<ClockRange>> {
                ranges.iter().map(|(client, ranges)| (client.get(), ranges.iter().map(|range| (range.start, range.end)).collect())).collect()
            };
            prop_assert_eq!(&contents.insertions, &ranges_by_client(&decoded.insertions(true)));
            prop_assert_eq!(&contents.deletions, &ranges_by_client(decoded.delete_set()));
            room.merge_editor_update(part).unwrap();
            prop_assert_eq!(room.classify_update(&contents), crate::shared_text::UpdateNovelty::Known);
        }
        prop_assert!(!room.has_missing_updates());
    }

    /// Reading terminates for any bytes, and the library merges every accepted update into a text that can be stored,
    /// loaded and merged with others.
    #[test]
    fn a_damaged_update_is_refused_or_merged(
        fixture in 0_usize..4,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let known = [yjs_fixtures::TWO_CLIENTS, yjs_fixtures::FORMATTED, yjs_fixtures::WITH_GAP, yjs_fixtures::EMPTIED_XML];
        let mut update = decode_hex(known[fixture]);
        for (place, byte) in flips {
            let place = place.index(update.len());
            update[place] = byte;
        }
        if let Some(cut) = cut {
            update.truncate(cut.index(update.len()));
        }
        let _ = UpdateContents::read(&update, ContentPolicy::AsStored);
        let Ok(contents) = read_editor_update(&update) else { return Ok(()) };
        let room = SharedText::from_updates([decode_hex(yjs_fixtures::TWO_CLIENTS).as_slice()]).unwrap();
        let novelty = room.classify_update(&contents);
        if novelty == crate::shared_text::UpdateNovelty::New && room.merge_editor_update(&update).is_ok() && !room.has_missing_updates() {
            let whole = room.encode_state();
            prop_assert!(UpdateContents::read(&whole, ContentPolicy::TextOnly).is_ok());
            let loaded = SharedText::from_updates([decode_hex(yjs_fixtures::TWO_CLIENTS).as_slice(), &update]).unwrap();
            prop_assert_eq!(loaded.section_texts(), room.section_texts());
            prop_assert_eq!(SharedText::from_updates([whole.as_slice()]).unwrap().section_texts(), room.section_texts());
        }
    }

    #[test]
    fn reading_arbitrary_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = read_editor_update(&bytes);
        let _ = UpdateContents::read(&bytes, ContentPolicy::AsStored);
        let _ = SharedText::default().merge_editor_update(&bytes);
    }
}
