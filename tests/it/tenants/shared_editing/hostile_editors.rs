//! Hostile messages of editors: refused with a reason before they have an effect, and without effect on other editors.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{SignedInUser, shared_product, unique_name};
use tokio_tungstenite::tungstenite::Message;

use super::{DRAFT_PROPOSAL, open_editor, read_proposal, section_has_text};

/// A message with an update.
fn update_message(update: &[u8]) -> Message {
    let mut message = vec![0, 2];
    let mut length = update.len();
    while length > 127 {
        message.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap());
    Message::binary([message, update.to_vec()].concat())
}

/// An update with one item of that kind in the section `approach`.
fn encode_item(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[1, 1, 7, 0, kind, 1, 8], b"approach".as_slice(), content, &[0]].concat()
}

#[tokio::test]
async fn hostile_updates_are_refused_with_a_reason_and_other_editors_continue() {
    const NESTING_DEPTH: usize = 20_000;
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let ann = admin.add_member("ann", "CONTRIBUTOR", &company).await;
    let vic = admin.add_member("vic", "VIEWER", &company).await;
    let drafted = ann.apply_change(DRAFT_PROPOSAL, json!({})).await;
    let mut at_ann = open_editor(product.http(), &ann, &drafted).await;
    at_ann.write_section("approach", "We deliver.").await.unwrap();

    let lists = encode_item(8, &[&[1][..], &[0x75, 1].repeat(NESTING_DEPTH), &[0x7e]].concat());
    let maps = encode_item(8, &[&[1][..], &[0x76, 1, 1, b'k'].repeat(NESTING_DEPTH), &[0x7e]].concat());
    let xml = encode_item(7, b"\x03\x09paragraph");
    let binary = encode_item(3, &[&[0x80, 0x08][..], &[0; 1_024]].concat());
    let embedded = encode_item(5, b"\x02{}");
    let many = [0xff, 0xff, 0xff, 0x3e];
    let declared = [&many[..], &[0]].concat();
    let known = Message::binary([&[0, 0, 4][..], &many].concat());
    let awareness = Message::binary([&[1, 4][..], &many].concat());
    for (user, what, message, reason) in [
        (&vic, "nested lists of a viewer", update_message(&lists), "not a text"),
        (&vic, "nested maps of a viewer", update_message(&maps), "not a text"),
        (&ann, "nested lists", update_message(&lists), "not a text"),
        (
            &ann,
            "an XML element",
            update_message(&xml),
            "a Y.XmlElement (ProseMirror, Tiptap) is not a text: bind the editor",
        ),
        (&ann, "binary content", update_message(&binary), "(section approach)"),
        (&ann, "an embedded object", update_message(&embedded), "an embedded object"),
        (&ann, "a declared length", update_message(&declared), "Yjs protocol"),
        (&vic, "a declared length of a state vector", known, "Yjs protocol"),
        (&vic, "a declared length of awareness states", awareness, "Yjs protocol"),
    ] {
        let mut editor = open_editor(product.http(), user, &drafted).await;
        editor.send(message).await.unwrap();
        let (code, found) = editor.wait_until_closed().await.unwrap();
        assert!(code == 4400 && found.contains(reason), "{what}: {code} {found}");
    }
    let mut other = open_editor(product.http(), &vic, &drafted).await;
    at_ann.write_section("approach", "We deliver on.").await.unwrap();
    other.receive_until(section_has_text("approach", "We deliver on.")).await.unwrap();
    assert_eq!(read_proposal(&ann, &drafted).await["sections"].as_array().map(Vec::len), Some(1), "nothing was added");
}

#[tokio::test]
async fn a_single_editor_receives_its_own_awareness() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ann = SignedInUser::register_company(product, "ann", &company).await;
    let drafted = ann.apply_change(DRAFT_PROPOSAL, json!({})).await;
    let mut editor = open_editor(product.http(), &ann, &drafted).await;
    // A provider closes its connection after 30 s without a message, and there is no other editor to send one.
    editor.send_awareness(7, 1, &json!({ "cursor": 1 })).await.unwrap();
    editor
        .receive_until(|editor| editor.awareness_states.get(&7) == Some(&json!({ "by": "ann", "cursor": 1 })))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_removed_or_signed_out_user_receives_no_further_edits() {
    const SECRET_TEXT: &str = "What vic and bob must not receive.";
    let (product, company) = (shared_product().await, unique_name("acme"));
    let ann = SignedInUser::register_company(product, "ann", &company).await;
    let vic = ann.add_member("vic", "VIEWER", &company).await;
    let bob = ann.add_member("bob", "CONTRIBUTOR", &company).await;
    let drafted = ann.apply_change(DRAFT_PROPOSAL, json!({})).await;
    let mut at_ann = open_editor(product.http(), &ann, &drafted).await;
    let mut at_vic = open_editor(product.http(), &vic, &drafted).await;
    let mut at_bob = open_editor(product.http(), &bob, &drafted).await;
    at_ann.write_section("approach", "We").await.unwrap();
    at_vic.receive_until(section_has_text("approach", "We")).await.unwrap();
    at_bob.receive_until(section_has_text("approach", "We")).await.unwrap();

    let remove = "mutation { outcome: removeCompanyMember(user: \"vic\") { ... on Accepted { version } } }";
    assert!(ann.send_mutation(remove, json!({})).await["version"].is_u64());
    let signed_out: Value = bob.send_document("mutation { signOut }", json!({})).await;
    assert_eq!(signed_out["data"]["signOut"], true, "{signed_out}");
    at_ann.write_section("approach", SECRET_TEXT).await.unwrap();
    for (user, editor, expected) in [("vic", &mut at_vic, 4403), ("bob", &mut at_bob, 4401)] {
        let (code, reason) =
            tokio::time::timeout(Duration::from_secs(30), editor.wait_until_closed()).await.unwrap().unwrap();
        assert_eq!(code, expected, "{user}: {reason}");
        assert_eq!(editor.section_text("approach").unwrap(), "We", "{user}");
    }
}
