//! A process that is killed while editors write fast: what any editor has received is stored.

use serde_json::json;
use tests::{ProposalEditor, SignedInUser, shared_product, unique_name};

use super::{DRAFT_PROPOSAL, open_editor, start_second_process, websocket_protocols};

/// Bytes of each section that a third editor has received when the process is killed.
const RECEIVED_BYTES: usize = 400;

/// The sections in which the two editors write.
const SECTIONS: [&str; 2] = ["approach", "price"];

#[tokio::test]
async fn what_an_editor_has_received_survives_kill_9_during_a_burst_of_edits() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let ann = admin.add_member("ann", "CONTRIBUTOR", &company).await;
    let bob = admin.add_member("bob", "CONTRIBUTOR", &company).await;
    let vic = admin.add_member("vic", "VIEWER", &company).await;
    let drafted = ann.apply_change(DRAFT_PROPOSAL, json!({})).await;
    let logs = tempfile::tempdir().unwrap();
    let mut second = start_second_process(product, logs.path()).await;
    let http = second.http().unwrap();
    let mut at_ann = open_editor(&http, &ann, &drafted).await;
    let mut at_bob = open_editor(&http, &bob, &drafted).await;
    let mut at_vic = open_editor(&http, &vic, &drafted).await;

    let writing = async {
        let mut text = String::new();
        for number in 0.. {
            text = format!("{text}{number} ");
            at_ann.write_section(SECTIONS[0], &text).await?;
            at_bob.write_section(SECTIONS[1], &text).await?;
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    let has_received =
        |editor: &ProposalEditor| SECTIONS.iter().all(|name| read_section(editor, name).len() > RECEIVED_BYTES);
    tokio::select! {
        ended = writing => panic!("the editors stopped writing: {ended:?}"),
        received = at_vic.receive_until(has_received) => received.unwrap(),
    }
    second.kill9().unwrap();
    // What is still in the viewer's socket was sent by the process, too.
    at_vic.wait_until_closed().await.unwrap_or_default();
    let written = [read_section(&at_ann, SECTIONS[0]), read_section(&at_bob, SECTIONS[1])];
    for (section, written) in SECTIONS.iter().zip(&written) {
        let seen = read_section(&at_vic, section);
        assert!(written.starts_with(&seen), "edits are received in order: {seen:?}");
    }

    let mut other = open_editor(product.http(), &vic, &drafted).await;
    let seen = at_vic.text.state_vector();
    other.receive_until(|editor| editor.text.state_vector() >= seen).await.unwrap();
    for (section, written) in SECTIONS.iter().zip(&written) {
        let stored = read_section(&other, section);
        assert!(stored.starts_with(&read_section(&at_vic, section)), "an edit in {section} is lost: {stored:?}");
        assert!(written.starts_with(&stored), "the stored edits are the first ones: {stored:?}");
    }
    // The editors have the others, and send them when the room asks for them.
    for (editor, user) in [(&mut at_ann, &ann), (&mut at_bob, &bob)] {
        editor.drop_connection();
        editor.connect(product.http(), &drafted.id, &websocket_protocols(user)).await.unwrap();
    }
    let has_all = |editor: &ProposalEditor| SECTIONS.map(|section| read_section(editor, section)) == written;
    tokio::try_join!(at_ann.receive_until(has_all), at_bob.receive_until(has_all), other.receive_until(has_all))
        .unwrap();
}

fn read_section(editor: &ProposalEditor, section: &str) -> String {
    editor.section_text(section).unwrap()
}
