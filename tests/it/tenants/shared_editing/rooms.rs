//! Rooms of one process, seen from inside: who is told what, what fits in, and who waits for whom.

use collaboration::{
    CollaborationConfig, DisconnectReason, PeerChannelConfig, RefusedUpdate, RoomConnection, RoomEvent, RoomManager,
    SharedText,
};
use domain::proposal::SectionKey;
use eventstore::store::PgEventStore;
use tests::WAIT_TIMEOUT;
use tokio::time::timeout;
use yrs::{
    StateVector,
    sync::{Message, SyncMessage},
    updates::{decoder::Decode as _, encoder::Encode as _},
};

use super::sync_crash::{FailingStore, SyncFixture};

fn key() -> SectionKey {
    SectionKey::try_new("approach").unwrap()
}

fn rooms(field: &SyncFixture, max_text_bytes: usize) -> RoomManager<FailingStore<PgEventStore<()>>> {
    let config = CollaborationConfig { quiet_ms: 3_600_000, at_latest_ms: 3_600_000, max_text_bytes };
    // Nobody is there: other processes are not needed to write.
    let peers = PeerChannelConfig { url: "redis://127.0.0.1:1".to_owned(), prefix: String::new() };
    RoomManager::new(config, field.settling(), &peers).unwrap()
}

async fn join(rooms: &RoomManager<FailingStore<PgEventStore<()>>>, field: &SyncFixture) -> RoomConnection {
    let mut seat = rooms.join(&field.tenant, field.proposal, &field.ann).await.unwrap();
    let first = told(&mut seat).await;
    assert!(matches!(first, Message::Sync(SyncMessage::SyncStep1(_))), "{first:?}");
    seat
}

async fn told(seat: &mut RoomConnection) -> Message {
    let told = timeout(WAIT_TIMEOUT, seat.next_event()).await.expect("something is told").unwrap();
    let RoomEvent::Message(message) = told else { panic!("{told:?}") };
    Message::decode_v1(&message).unwrap()
}

async fn write(seat: &RoomConnection, update: Vec<u8>) {
    seat.send_message(Message::Sync(SyncMessage::Update(update)).encode_v1(), true).await.unwrap();
}

#[tokio::test]
async fn an_update_that_waits_for_others_is_asked_for_once_and_told_to_nobody() {
    let field = SyncFixture::new().await;
    let rooms = rooms(&field, 8 << 20);
    let (mut at_ann, mut at_bob) = (join(&rooms, &field).await, join(&rooms, &field).await);
    let editor = SharedText::default();
    let first = editor.rewrite_section(&key(), "We").unwrap();
    write(&at_ann, first.clone()).await;
    assert_eq!(told(&mut at_bob).await, Message::Sync(SyncMessage::Update(first)));

    let missing = editor.rewrite_section(&key(), "We deliver").unwrap();
    let known = SharedText::from_updates([editor.encode_state().as_slice()]).unwrap();
    let early = editor.rewrite_section(&key(), "We deliver beds").unwrap();
    for _ in 0..50 {
        write(&at_ann, early.clone()).await;
    }
    let Message::Sync(SyncMessage::SyncStep1(asked)) = told(&mut at_ann).await else { panic!("it is asked") };
    assert!(asked < known.state_vector(), "for what the room does not know");
    write(&at_ann, missing.clone()).await;
    write(&at_ann, early.clone()).await;
    // Bob hears both once, and nothing of the text that he has; ann heard the question once.
    assert_eq!(told(&mut at_bob).await, Message::Sync(SyncMessage::Update(missing)));
    assert_eq!(told(&mut at_bob).await, Message::Sync(SyncMessage::Update(early)));
    at_ann.send_message(Message::Sync(SyncMessage::SyncStep1(StateVector::default())).encode_v1(), true).await.unwrap();
    let Message::Sync(SyncMessage::SyncStep2(whole)) = told(&mut at_ann).await else {
        panic!("the question came again")
    };
    assert_eq!(SharedText::from_updates([whole.as_slice()]).unwrap().section_text(&key()), "We deliver beds");
}

#[tokio::test]
async fn a_text_has_a_size_that_it_keeps_whatever_was_deleted_in_it() {
    const MAX_BYTES: usize = 20_000;
    let field = SyncFixture::new().await;
    let rooms = rooms(&field, MAX_BYTES);
    let mut seat = join(&rooms, &field).await;
    let (editor, mut refused) = (SharedText::default(), None);
    'writing: for round in 0..60 {
        // What is written and deleted again leaves nothing in the text, and much on its way there.
        for text in [&*"x".repeat(1_000 + round), ""] {
            write(&seat, editor.rewrite_section(&key(), text).unwrap()).await;
            // A question tells when it was taken.
            seat.send_message(Message::Sync(SyncMessage::SyncStep1(editor.state_vector())).encode_v1(), true)
                .await
                .unwrap();
            let told = timeout(WAIT_TIMEOUT, seat.next_event()).await.expect("something is told");
            if let Some(RoomEvent::Disconnected(ended)) = told {
                refused = Some(ended);
                break 'writing;
            }
        }
    }
    assert_eq!(refused, None, "what is settled is kept no more");
    let long = "y".repeat(MAX_BYTES + 1);
    write(&seat, editor.rewrite_section(&key(), &long).unwrap()).await;
    let out = timeout(WAIT_TIMEOUT, seat.next_event()).await.expect("it is let go");
    assert_eq!(
        out,
        Some(RoomEvent::Disconnected(DisconnectReason::Refused(RefusedUpdate::TooLarge { max_bytes: MAX_BYTES })))
    );
    let sizes = "select (select coalesce(sum(length(body)), 0) from shared_text_updates)
        + (select coalesce(sum(length(base)), 0) from shared_texts)";
    let kept: i64 = sqlx::query_scalar(sizes).fetch_one(&field.pool).await.unwrap();
    assert!(kept < 2 * i64::try_from(MAX_BYTES).unwrap(), "{kept} bytes are kept");
}

#[tokio::test]
async fn what_is_on_record_and_cannot_be_read_keeps_nobody_from_the_rest() {
    let (field, editor) = (SyncFixture::new().await, SharedText::default());
    field.write(&editor, "We deliver.").await;
    // As an earlier version would have kept it: values in values in values.
    let nested = [&[1, 1, 9, 0, 8, 1, 1, b'a', 1][..], &[0x75, 1].repeat(200_000), &[0x7e, 0]].concat();
    let add = "with numbered as (update shared_texts set seq = seq + 1 returning tenant_id, proposal_id, seq)
        insert into shared_text_updates (tenant_id, proposal_id, seq, user_id, body)
        select tenant_id, proposal_id, seq, 'eve', $1 from numbered";
    sqlx::query(add).bind(nested).execute(&field.pool).await.unwrap();
    field.write(&editor, "We deliver. Soon.").await;
    field.settling().sync_now(&field.tenant, field.proposal).await.unwrap();
    assert_eq!(field.recorded().await, ["We deliver.", "We deliver. Soon."]);
}

#[tokio::test]
async fn a_room_that_opens_slowly_holds_up_no_other() {
    let slow = SyncFixture::new().await;
    let rooms = rooms(&slow, 8 << 20);
    // Somebody is at the text of the one: whoever opens its room waits.
    let mut other = slow.pool.begin().await.unwrap();
    let name = format!("shared text\n{}\n{}", slow.tenant, slow.proposal);
    let held = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))";
    assert!(sqlx::query_scalar::<_, bool>(held).bind(name).fetch_one(&mut *other).await.unwrap());
    let proposal = slow.draft_another().await;
    let opening = rooms.join(&slow.tenant, slow.proposal, &slow.ann);
    tokio::pin!(opening);
    tokio::select! {
        biased;
        opened = &mut opening => panic!("it is not to be opened yet: {:?}", opened.err()),
        joined = rooms.join(&slow.tenant, proposal, &slow.ann) => drop(joined.unwrap()),
    }
    other.rollback().await.unwrap();
    drop(opening.await.unwrap());
}
