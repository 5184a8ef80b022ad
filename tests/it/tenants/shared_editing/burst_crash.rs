//! A process that is killed while editors write fast: what any editor has received is stored.

use serde_json::json;
use tests::{ProductProcess, ProposalEditor, SignedInUser, eventually, shared_product, unique_name};

use super::{DRAFT_PROPOSAL, open_editor, websocket_protocols};

/// Edits of each editor until the process is killed.
const EDITS: usize = 400;

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
    let mut second =
        ProductProcess::start(product.variables(), logs.path(), "second", &["serve", "--role", "api"]).unwrap();
    eventually(async || {
        anyhow::ensure!(second.fetch_readiness().await?["ready"] == true, "not ready");
        anyhow::Ok(())
    })
    .await;
    let http = second.http().unwrap();
    let mut at_ann = open_editor(&http, &ann, &drafted).await;
    let mut at_bob = open_editor(&http, &bob, &drafted).await;
    let mut at_vic = open_editor(&http, &vic, &drafted).await;

    let mut written = String::new();
    for number in 0..EDITS {
        written.push_str(&format!("{number} "));
        at_ann.write_section(SECTIONS[0], &written).await.unwrap();
        at_bob.write_section(SECTIONS[1], &written).await.unwrap();
    }
    at_vic
        .receive_until(|editor| SECTIONS.iter().all(|section| !editor.section_text(section).unwrap().is_empty()))
        .await
        .unwrap();
    second.kill9().unwrap();
    // What is still in the viewer's socket was sent by the process, too.
    at_vic.wait_until_closed().await.unwrap_or_default();
    for section in SECTIONS {
        let seen = at_vic.section_text(section).unwrap();
        assert!(written.starts_with(&seen), "edits are received in order: {seen:?}");
    }

    let mut other = open_editor(product.http(), &vic, &drafted).await;
    let seen = at_vic.text.state_vector();
    other.receive_until(|editor| editor.text.state_vector() >= seen).await.unwrap();
    for section in SECTIONS {
        let stored = other.section_text(section).unwrap();
        assert!(stored.starts_with(&at_vic.section_text(section).unwrap()), "an edit in {section} is lost: {stored:?}");
        assert!(written.starts_with(&stored), "the stored edits are the first ones: {stored:?}");
    }
    // The editors have the others, and send them when the room asks for them.
    for (editor, user) in [(&mut at_ann, &ann), (&mut at_bob, &bob)] {
        editor.drop_connection();
        editor.connect(product.http(), &drafted.id, &websocket_protocols(user)).await.unwrap();
    }
    let has_all =
        |editor: &ProposalEditor| SECTIONS.iter().all(|section| editor.section_text(section).unwrap() == written);
    tokio::try_join!(at_ann.receive_until(has_all), at_bob.receive_until(has_all), other.receive_until(has_all))
        .unwrap();
}
