//! Shared editing of proposals: concurrent edits are merged in every process, and recorded as events.

mod burst_crash;
mod hostile_editors;
mod rooms;
mod sync_crash;
mod update_groups;

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tests::{
    AcceptedChange, ProductHandle, ProductInstance, ProductProcess, ProposalEditor, SignedInUser, eventually,
    shared_product, unique_name,
};
use tokio_tungstenite::tungstenite::Message;

const DRAFT_PROPOSAL: &str = "draftProposal(input: { opportunityId: \"036:36C24526Q0001\", title: \"Beds\",
    outline: [{ key: \"approach\", heading: \"Our approach\" }] })";

fn websocket_protocols(user: &SignedInUser<'_>) -> String {
    format!("medhub-together, bearer.{}", user.token)
}

/// Starts another process of the API beside the product's, and waits until it is ready.
async fn start_second_process(product: &ProductInstance, logs: &Path) -> ProductProcess {
    let second = ProductProcess::start(product.variables(), logs, "second", &["serve", "--role", "api"]).unwrap();
    eventually(async || {
        anyhow::ensure!(second.fetch_readiness().await?["ready"] == true, "not ready");
        anyhow::Ok(())
    })
    .await;
    second
}

async fn open_editor(http: &str, user: &SignedInUser<'_>, drafted: &AcceptedChange) -> ProposalEditor {
    ProposalEditor::open(http, &drafted.id, &websocket_protocols(user)).await.unwrap()
}

fn section_has_text(section: &'static str, text: &'static str) -> impl Fn(&ProposalEditor) -> bool {
    move |editor| editor.section_text(section).unwrap() == text
}

/// The proposal in the read model.
async fn read_proposal(user: &SignedInUser<'_>, drafted: &AcceptedChange) -> Value {
    let document =
        "query($id: UUID!) { proposal(id: $id) { updatedBy phase sections { key heading content revision } } }";
    user.query_since(drafted, document, json!({ "id": drafted.id })).await["proposal"].clone()
}

async fn wait_until_recorded(
    user: &SignedInUser<'_>,
    drafted: &AcceptedChange,
    section: usize,
    content: &str,
) -> Value {
    eventually(async || {
        let proposal = read_proposal(user, drafted).await;
        anyhow::ensure!(proposal["sections"][section]["content"] == content, "{proposal}");
        anyhow::Ok(proposal)
    })
    .await
}

#[tokio::test]
async fn concurrent_edits_are_merged_in_two_processes_and_recorded() {
    let product = ProductInstance::start().await;
    let admin = SignedInUser::register_company(&product, "ada", "acme").await;
    let ann = admin.add_member("ann", "CONTRIBUTOR", "acme").await;
    let bob = admin.add_member("bob", "CONTRIBUTOR", "acme").await;
    let drafted = ann.apply_change(DRAFT_PROPOSAL, json!({})).await;
    let logs = tempfile::tempdir().unwrap();
    let mut second = start_second_process(&product, logs.path()).await;

    let mut at_ann = open_editor(product.http(), &ann, &drafted).await;
    let mut at_bob = open_editor(&second.http().unwrap(), &bob, &drafted).await;
    at_ann.write_section("approach", "We deliver beds.").await.unwrap();
    at_bob.receive_until(section_has_text("approach", "We deliver beds.")).await.unwrap();
    let recorded = wait_until_recorded(&ann, &drafted, 0, "We deliver beds.").await;
    let section = json!({ "key": "approach", "heading": "Our approach", "content": "We deliver beds.", "revision": 1 });
    assert_eq!(recorded["sections"], json!([section]));
    assert_eq!(recorded["updatedBy"], "ann");

    // Both write before they have received the other's edit, in one section and in others.
    at_ann.write_section("approach", "We deliver hospital beds.").await.unwrap();
    at_bob.write_section("approach", "We deliver beds. Within a week.").await.unwrap();
    at_bob.write_section("price", "Low.").await.unwrap();
    let merged = "We deliver hospital beds. Within a week.";
    at_ann.receive_until(section_has_text("approach", merged)).await.unwrap();
    at_bob.receive_until(section_has_text("approach", merged)).await.unwrap();
    at_ann.receive_until(section_has_text("price", "Low.")).await.unwrap();
    let recorded = wait_until_recorded(&ann, &drafted, 1, "Low.").await;
    let price = json!({ "key": "price", "heading": "price", "content": "Low.", "revision": 1 });
    assert_eq!((&recorded["sections"][0]["content"], &recorded["sections"][1]), (&json!(merged), &price));

    editors_receive_each_others_awareness(&mut at_ann, &mut at_bob).await;
    a_change_by_a_command_is_merged_with_edits(&bob, &drafted, &mut at_ann, &mut at_bob).await;
    edits_survive_a_crash_of_their_process(&product, &mut second, (&ann, &bob), &drafted, (&mut at_ann, &mut at_bob))
        .await;
    a_review_has_the_latest_edits(&ann, &drafted, &mut at_ann).await;

    let verified = product.run_medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

async fn editors_receive_each_others_awareness(at_ann: &mut ProposalEditor, at_bob: &mut ProposalEditor) {
    at_ann.send_awareness(7, 1, &json!({ "cursor": 3, "by": "somebody else" })).await.unwrap();
    at_bob
        .receive_until(|editor| editor.awareness_states.get(&7) == Some(&json!({ "by": "ann", "cursor": 3 })))
        .await
        .unwrap();
    at_bob.send_awareness(8, 1, &json!({ "cursor": 0 })).await.unwrap();
    at_ann
        .receive_until(|editor| editor.awareness_states.get(&8) == Some(&json!({ "by": "bob", "cursor": 0 })))
        .await
        .unwrap();
}

async fn a_change_by_a_command_is_merged_with_edits(
    bob: &SignedInUser<'_>,
    drafted: &AcceptedChange,
    at_ann: &mut ProposalEditor,
    at_bob: &mut ProposalEditor,
) {
    let revision = read_proposal(bob, drafted).await["sections"][0]["revision"].as_u64().unwrap();
    let edit = format!(
        "editProposalSection(input: {{ proposalId: $id, section: \"approach\", heading: \"Our approach\",
        content: \"We deliver hospital beds. Within a day.\", basedOn: {revision} }})"
    );
    bob.apply_change(&edit, json!({ "id": drafted.id })).await;
    at_ann.write_section("approach", "Gladly: We deliver hospital beds. Within a week.").await.unwrap();
    let merged = section_has_text("approach", "Gladly: We deliver hospital beds. Within a day.");
    at_ann.receive_until(&merged).await.unwrap();
    at_bob.receive_until(&merged).await.unwrap();
    wait_until_recorded(bob, drafted, 0, "Gladly: We deliver hospital beds. Within a day.").await;
}

async fn edits_survive_a_crash_of_their_process(
    product: &ProductHandle,
    second: &mut ProductProcess,
    (ann, bob): (&SignedInUser<'_>, &SignedInUser<'_>),
    drafted: &AcceptedChange,
    (at_ann, at_bob): (&mut ProposalEditor, &mut ProposalEditor),
) {
    at_bob.write_section("price", "Very low.").await.unwrap();
    // Once another editor has it, it is stored as an update, and a crash of the process does not lose it.
    at_ann.receive_until(section_has_text("price", "Very low.")).await.unwrap();
    second.kill9().unwrap();
    at_bob.drop_connection();
    wait_until_recorded(ann, drafted, 1, "Very low.").await;
    at_bob.write_section("price", "Very low. Promised.").await.unwrap();
    at_ann.write_section("price", "As agreed: Very low.").await.unwrap();
    at_bob.connect(product.http(), &drafted.id, &websocket_protocols(bob)).await.unwrap();
    let merged = section_has_text("price", "As agreed: Very low. Promised.");
    // Edits made without a connection are sent when the room asks for them.
    at_bob.receive_until(&merged).await.unwrap();
    at_ann.receive_until(&merged).await.unwrap();
}

/// Edits made immediately before a request for review are part of it, and edits during the review are refused.
async fn a_review_has_the_latest_edits(ann: &SignedInUser<'_>, drafted: &AcceptedChange, at_ann: &mut ProposalEditor) {
    let mut other = open_editor(ann.product.http(), ann, drafted).await;
    at_ann.write_section("price", "The last word.").await.unwrap();
    other.receive_until(section_has_text("price", "The last word.")).await.unwrap();
    let submitted = ann.apply_change("submitProposalForReview(proposalId: $id)", json!({ "id": drafted.id })).await;
    let read = "query($id: UUID!) { proposal(id: $id) { phase sections { content } } }";
    let proposal = ann.query_since(&submitted, read, json!({ "id": drafted.id })).await["proposal"].clone();
    assert_eq!(
        (&proposal["phase"], &proposal["sections"][1]["content"]),
        (&json!("IN_REVIEW"), &json!("The last word."))
    );
    // The room checks the phase once a second; edits until then are stored, in case the proposal becomes a draft again.
    let closed = eventually(async || {
        let mut editor = open_editor(ann.product.http(), ann, drafted).await;
        editor
            .receive_until(|editor| editor.section_text("price").is_ok_and(|text| text.starts_with("The last word.")))
            .await?;
        let more = format!("{} And more.", editor.section_text("price")?);
        editor.write_section("price", &more).await?;
        let ended = tokio::time::timeout(Duration::from_secs(2), editor.wait_until_closed()).await?;
        anyhow::Ok(ended?)
    })
    .await;
    assert_eq!((closed.0, closed.1.contains("in_review")), (4409, true), "{}", closed.1);
}

#[tokio::test]
async fn unauthorized_editors_and_invalid_updates_are_refused() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::register_company(product, "ada", &company).await;
    let ann = admin.add_member("ann", "CONTRIBUTOR", &company).await;
    let vic = admin.add_member("vic", "VIEWER", &company).await;
    let eve = SignedInUser::register_company(product, "eve", &unique_name("evil")).await;
    let drafted = ann.apply_change(DRAFT_PROPOSAL, json!({})).await;
    let refused = async |proposal: &str, protocols: &str| {
        ProposalEditor::open(product.http(), proposal, protocols).await.err().unwrap().to_string()
    };
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (foreign, missing) =
        (refused(&drafted.id, &websocket_protocols(&eve)).await, refused(unknown, &websocket_protocols(&eve)).await);
    assert!(foreign.starts_with("404 ") && foreign == missing, "{foreign} {missing}");
    assert!(refused("no-id", &websocket_protocols(&ann)).await.starts_with("404 "));
    assert!(refused(&drafted.id, "medhub-together").await.starts_with("401 "));
    assert!(refused(&drafted.id, "medhub-together, bearer.forged").await.starts_with("401 "));
    assert!(refused(&drafted.id, &format!("y, bearer.{}", ann.token)).await.starts_with("400 "));
    let plain = tests::new_http_client().get(format!("{}/together/{}", product.http(), drafted.id));
    assert_eq!(
        plain.bearer_auth(&ann.token).send().await.unwrap().status().as_u16(),
        400,
        "a plain request is not a WebSocket"
    );

    let mut at_ann = open_editor(product.http(), &ann, &drafted).await;
    at_ann.write_section("approach", "We deliver.").await.unwrap();
    let mut at_vic = open_editor(product.http(), &vic, &drafted).await;
    at_vic.receive_until(section_has_text("approach", "We deliver.")).await.unwrap();
    at_vic.write_section("approach", "We do not.").await.unwrap();
    assert_eq!(at_vic.wait_until_closed().await.unwrap().0, 4403);

    for (name, section, text) in [("4400 control", "approach", "a\u{1}b"), ("4400 long", "long", &*"x".repeat(100_001))]
    {
        let mut editor = open_editor(product.http(), &ann, &drafted).await;
        editor.receive_until(section_has_text("approach", "We deliver.")).await.unwrap();
        editor.write_section(section, text).await.unwrap();
        let (code, reason) = editor.wait_until_closed().await.unwrap();
        assert!(code == 4400 && reason.contains(section), "{name}: {code} {reason}");
    }
    for message in [Message::binary(b"hello".to_vec()), Message::text("hello"), Message::binary(vec![0, 2, 200, 1])] {
        let mut editor = open_editor(product.http(), &ann, &drafted).await;
        editor.send(message.clone()).await.unwrap();
        assert_eq!(editor.wait_until_closed().await.unwrap().0, 4400, "{message:?}");
    }
    let mut large_awareness = open_editor(product.http(), &ann, &drafted).await;
    large_awareness.send_awareness(1, 1, &json!({ "x": "x".repeat(5_000) })).await.unwrap();
    assert_eq!(large_awareness.wait_until_closed().await.unwrap().0, 4400);

    // None of these reached the other editors, who continue.
    let mut other = open_editor(product.http(), &ann, &drafted).await;
    at_ann.write_section("approach", "We deliver on.").await.unwrap();
    other.receive_until(section_has_text("approach", "We deliver on.")).await.unwrap();
    assert!(other.awareness_states.is_empty() && other.section_text("long").unwrap().is_empty());

    // A reduced role applies at once, also on an open connection.
    let removed =
        "mutation { outcome: changeCompanyRole(user: \"ann\", role: VIEWER) { ... on Accepted { version } } }";
    assert!(admin.send_mutation(removed, json!({})).await["version"].is_u64());
    let ended = eventually(async || {
        let more = format!("{} More.", at_ann.section_text("approach")?);
        // Writing fails once the product has closed the connection; the reason is read below.
        let _written = at_ann.write_section("approach", &more).await;
        anyhow::Ok(tokio::time::timeout(Duration::from_secs(1), at_ann.wait_until_closed()).await??)
    })
    .await;
    assert_eq!(ended.0, 4403, "{}", ended.1);
    assert!(!other.section_text("approach").unwrap().contains("before"), "refused edits are not sent to others");
}
