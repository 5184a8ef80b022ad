//! Writing a proposal together: what several write at once is all there, in every process, and on record.

mod hostile_editors;
mod rooms;
mod sync_crash;

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    AcceptedChange, ProductHandle, ProductInstance, ProductProcess, ProposalEditor, SignedInUser, eventually,
    shared_product, unique_name,
};
use tokio_tungstenite::tungstenite::Message;

const DRAFT: &str = "draftProposal(input: { opportunityId: \"036:36C24526Q0001\", title: \"Beds\",
    outline: [{ key: \"approach\", heading: \"Our approach\" }] })";

fn protocols(person: &SignedInUser<'_>) -> String {
    format!("medhub-together, bearer.{}", person.token)
}

async fn open(http: &str, person: &SignedInUser<'_>, drafted: &AcceptedChange) -> ProposalEditor {
    ProposalEditor::open(http, &drafted.id, &protocols(person)).await.unwrap()
}

fn shows(section: &'static str, text: &'static str) -> impl Fn(&ProposalEditor) -> bool {
    move |editor| editor.shows(section).unwrap() == text
}

/// What is on record of a proposal.
async fn on_record(person: &SignedInUser<'_>, drafted: &AcceptedChange) -> Value {
    let document =
        "query($id: UUID!) { proposal(id: $id) { updatedBy phase sections { key heading content revision } } }";
    let answer = person.ask(document, json!({ "id": drafted.id })).await;
    answer["data"]["proposal"].clone()
}

async fn until_recorded(person: &SignedInUser<'_>, drafted: &AcceptedChange, section: usize, content: &str) -> Value {
    eventually(async || {
        let proposal = on_record(person, drafted).await;
        anyhow::ensure!(proposal["sections"][section]["content"] == content, "{proposal}");
        anyhow::Ok(proposal)
    })
    .await
}

#[tokio::test]
async fn what_several_write_at_once_is_all_there_in_two_processes_and_on_record() {
    let product = ProductInstance::start().await;
    let admin = SignedInUser::found(&product, "ada", "acme").await;
    let ann = admin.add_member("ann", "CONTRIBUTOR", "acme").await;
    let bob = admin.add_member("bob", "CONTRIBUTOR", "acme").await;
    let drafted = ann.change(DRAFT, json!({})).await;
    let logs = tempfile::tempdir().unwrap();
    let mut second =
        ProductProcess::start(product.variables(), logs.path(), "second", &["serve", "--role", "api"]).unwrap();
    eventually(async || {
        anyhow::ensure!(second.ready().await?["ready"] == true, "not ready");
        anyhow::Ok(())
    })
    .await;

    let mut at_ann = open(product.http(), &ann, &drafted).await;
    let mut at_bob = open(&second.http().unwrap(), &bob, &drafted).await;
    at_ann.write("approach", "We deliver beds.").await.unwrap();
    at_bob.until(shows("approach", "We deliver beds.")).await.unwrap();
    let recorded = until_recorded(&ann, &drafted, 0, "We deliver beds.").await;
    let section = json!({ "key": "approach", "heading": "Our approach", "content": "We deliver beds.", "revision": 1 });
    assert_eq!(recorded["sections"], json!([section]));
    assert_eq!(recorded["updatedBy"], "ann");

    // Both write before they see what the other wrote, in one section and in others.
    at_ann.write("approach", "We deliver hospital beds.").await.unwrap();
    at_bob.write("approach", "We deliver beds. Within a week.").await.unwrap();
    at_bob.write("price", "Low.").await.unwrap();
    let merged = "We deliver hospital beds. Within a week.";
    at_ann.until(shows("approach", merged)).await.unwrap();
    at_bob.until(shows("approach", merged)).await.unwrap();
    at_ann.until(shows("price", "Low.")).await.unwrap();
    let recorded = until_recorded(&ann, &drafted, 1, "Low.").await;
    let price = json!({ "key": "price", "heading": "price", "content": "Low.", "revision": 1 });
    assert_eq!((&recorded["sections"][0]["content"], &recorded["sections"][1]), (&json!(merged), &price));

    they_see_each_other(&mut at_ann, &mut at_bob).await;
    what_a_command_changes_merges_with_what_is_written(&bob, &drafted, &mut at_ann, &mut at_bob).await;
    what_is_written_outlives_its_process(&product, &mut second, (&ann, &bob), &drafted, (&mut at_ann, &mut at_bob))
        .await;
    what_is_looked_at_is_what_was_written(&ann, &drafted, &mut at_ann).await;

    let verified = product.medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

async fn they_see_each_other(at_ann: &mut ProposalEditor, at_bob: &mut ProposalEditor) {
    at_ann.tell(7, 1, &json!({ "cursor": 3, "by": "somebody else" })).await.unwrap();
    at_bob.until(|editor| editor.awareness_states.get(&7) == Some(&json!({ "by": "ann", "cursor": 3 }))).await.unwrap();
    at_bob.tell(8, 1, &json!({ "cursor": 0 })).await.unwrap();
    at_ann.until(|editor| editor.awareness_states.get(&8) == Some(&json!({ "by": "bob", "cursor": 0 }))).await.unwrap();
}

async fn what_a_command_changes_merges_with_what_is_written(
    bob: &SignedInUser<'_>,
    drafted: &AcceptedChange,
    at_ann: &mut ProposalEditor,
    at_bob: &mut ProposalEditor,
) {
    let revision = on_record(bob, drafted).await["sections"][0]["revision"].as_u64().unwrap();
    let edit = format!(
        "editProposalSection(input: {{ proposalId: $id, section: \"approach\", heading: \"Our approach\",
        content: \"We deliver hospital beds. Within a day.\", basedOn: {revision} }})"
    );
    bob.change(&edit, json!({ "id": drafted.id })).await;
    at_ann.write("approach", "Gladly: We deliver hospital beds. Within a week.").await.unwrap();
    let merged = shows("approach", "Gladly: We deliver hospital beds. Within a day.");
    at_ann.until(&merged).await.unwrap();
    at_bob.until(&merged).await.unwrap();
    until_recorded(bob, drafted, 0, "Gladly: We deliver hospital beds. Within a day.").await;
}

async fn what_is_written_outlives_its_process(
    product: &ProductHandle,
    second: &mut ProductProcess,
    (ann, bob): (&SignedInUser<'_>, &SignedInUser<'_>),
    drafted: &AcceptedChange,
    (at_ann, at_bob): (&mut ProposalEditor, &mut ProposalEditor),
) {
    at_bob.write("price", "Very low.").await.unwrap();
    // Seen by somebody else, it is on record as an update; what becomes of the process is nothing to it.
    at_ann.until(shows("price", "Very low.")).await.unwrap();
    second.kill9().unwrap();
    at_bob.cut_off();
    until_recorded(ann, drafted, 1, "Very low.").await;
    at_bob.write("price", "Very low. Promised.").await.unwrap();
    at_ann.write("price", "As agreed: Very low.").await.unwrap();
    at_bob.connect(product.http(), &drafted.id, &protocols(bob)).await.unwrap();
    let merged = shows("price", "As agreed: Very low. Promised.");
    // What it wrote by itself it offers when it is asked for it.
    at_bob.until(&merged).await.unwrap();
    at_ann.until(&merged).await.unwrap();
}

/// What was written a moment before a review is asked for is reviewed, and nothing is written during it.
async fn what_is_looked_at_is_what_was_written(
    ann: &SignedInUser<'_>,
    drafted: &AcceptedChange,
    at_ann: &mut ProposalEditor,
) {
    let mut other = open(ann.product.http(), ann, drafted).await;
    at_ann.write("price", "The last word.").await.unwrap();
    other.until(shows("price", "The last word.")).await.unwrap();
    let asked = ann.change("submitProposalForReview(proposalId: $id)", json!({ "id": drafted.id })).await;
    let seen = "query($id: UUID!) { proposal(id: $id) { phase sections { content } } }";
    let proposal = ann.ask_since(&asked, seen, json!({ "id": drafted.id })).await["proposal"].clone();
    assert_eq!(
        (&proposal["phase"], &proposal["sections"][1]["content"]),
        (&json!("IN_REVIEW"), &json!("The last word."))
    );
    // The room looks once a second; what is written until then is kept for the draft that it may become again.
    let closed = eventually(async || {
        let mut editor = open(ann.product.http(), ann, drafted).await;
        editor.until(|editor| editor.shows("price").is_ok_and(|text| text.starts_with("The last word."))).await?;
        let more = format!("{} And more.", editor.shows("price")?);
        editor.write("price", &more).await?;
        let ended = tokio::time::timeout(Duration::from_secs(2), editor.ended()).await?;
        anyhow::Ok(ended?)
    })
    .await;
    assert_eq!((closed.0, closed.1.contains("in_review")), (4409, true), "{}", closed.1);
}

#[tokio::test]
async fn who_may_not_is_kept_out_and_what_is_no_edit_is_refused() {
    let (product, company) = (shared_product().await, unique_name("acme"));
    let admin = SignedInUser::found(product, "ada", &company).await;
    let ann = admin.add_member("ann", "CONTRIBUTOR", &company).await;
    let vic = admin.add_member("vic", "VIEWER", &company).await;
    let eve = SignedInUser::found(product, "eve", &unique_name("evil")).await;
    let drafted = ann.change(DRAFT, json!({})).await;
    let refused = async |proposal: &str, protocols: &str| {
        ProposalEditor::open(product.http(), proposal, protocols).await.err().unwrap().to_string()
    };
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (foreign, missing) = (refused(&drafted.id, &protocols(&eve)).await, refused(unknown, &protocols(&eve)).await);
    assert!(foreign.starts_with("404 ") && foreign == missing, "{foreign} {missing}");
    assert!(refused("no-id", &protocols(&ann)).await.starts_with("404 "));
    assert!(refused(&drafted.id, "medhub-together").await.starts_with("401 "));
    assert!(refused(&drafted.id, "medhub-together, bearer.forged").await.starts_with("401 "));
    assert!(refused(&drafted.id, &format!("y, bearer.{}", ann.token)).await.starts_with("400 "));
    let plain = reqwest::Client::new().get(format!("{}/together/{}", product.http(), drafted.id));
    assert_eq!(plain.bearer_auth(&ann.token).send().await.unwrap().status().as_u16(), 400, "no WebSocket");

    let mut at_ann = open(product.http(), &ann, &drafted).await;
    at_ann.write("approach", "We deliver.").await.unwrap();
    let mut at_vic = open(product.http(), &vic, &drafted).await;
    at_vic.until(shows("approach", "We deliver.")).await.unwrap();
    at_vic.write("approach", "We do not.").await.unwrap();
    assert_eq!(at_vic.ended().await.unwrap().0, 4403);

    for (name, section, text) in [("4400 control", "approach", "a\u{1}b"), ("4400 long", "long", &*"x".repeat(100_001))]
    {
        let mut editor = open(product.http(), &ann, &drafted).await;
        editor.until(shows("approach", "We deliver.")).await.unwrap();
        editor.write(section, text).await.unwrap();
        let (code, reason) = editor.ended().await.unwrap();
        assert!(code == 4400 && reason.contains(section), "{name}: {code} {reason}");
    }
    for message in [Message::binary(b"hello".to_vec()), Message::text("hello"), Message::binary(vec![0, 2, 200, 1])] {
        let mut editor = open(product.http(), &ann, &drafted).await;
        editor.send(message.clone()).await.unwrap();
        assert_eq!(editor.ended().await.unwrap().0, 4400, "{message:?}");
    }
    let mut chatty = open(product.http(), &ann, &drafted).await;
    chatty.tell(1, 1, &json!({ "x": "x".repeat(5_000) })).await.unwrap();
    assert_eq!(chatty.ended().await.unwrap().0, 4400);

    // Nothing of all that came to the others, who go on.
    let mut other = open(product.http(), &ann, &drafted).await;
    at_ann.write("approach", "We deliver on.").await.unwrap();
    other.until(shows("approach", "We deliver on.")).await.unwrap();
    assert!(other.awareness_states.is_empty() && other.shows("long").unwrap().is_empty());

    // A role that is taken away counts at once, also on a connection that is open.
    let removed =
        "mutation { outcome: changeCompanyRole(user: \"ann\", role: VIEWER) { ... on Accepted { version } } }";
    assert!(admin.outcome_of(removed, json!({})).await["version"].is_u64());
    let ended = eventually(async || {
        let more = format!("{} More.", at_ann.shows("approach")?);
        // A write is lost where the other side has closed the connection already: its reason is still to be read.
        let _lost = at_ann.write("approach", &more).await;
        anyhow::Ok(tokio::time::timeout(Duration::from_secs(1), at_ann.ended()).await??)
    })
    .await;
    assert_eq!(ended.0, 4403, "{}", ended.1);
    assert!(!other.shows("approach").unwrap().contains("before"), "what was refused is not told");
}
