//! Rooms of one process, through their own interface: which messages editors get, size limits, and concurrent opening.

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

pub(super) fn section_key() -> SectionKey {
    SectionKey::try_new("approach").unwrap()
}

pub(super) fn create_rooms(
    fixture: &SyncFixture,
    max_text_bytes: usize,
) -> RoomManager<FailingStore<PgEventStore<()>>> {
    let config = CollaborationConfig { quiet_ms: 3_600_000, at_latest_ms: 3_600_000, max_text_bytes };
    // No Redis listens there: the channel to other processes is not needed for writing.
    let peers = PeerChannelConfig { endpoint: tests::redis_away().endpoint().unwrap(), prefix: String::new() };
    RoomManager::new(config, fixture.proposal_sync(), &peers).unwrap()
}

pub(super) async fn join_room(
    rooms: &RoomManager<FailingStore<PgEventStore<()>>>,
    fixture: &SyncFixture,
) -> RoomConnection {
    let mut connection = rooms.join(&fixture.tenant, fixture.proposal, &fixture.ann).await.unwrap();
    let first = next_message(&mut connection).await;
    assert!(matches!(first, Message::Sync(SyncMessage::SyncStep1(_))), "{first:?}");
    connection
}

pub(super) async fn next_message(connection: &mut RoomConnection) -> Message {
    let event = timeout(WAIT_TIMEOUT, connection.next_event()).await.expect("an event").unwrap();
    let RoomEvent::Message(message) = event else { panic!("{event:?}") };
    Message::decode_v1(&message).unwrap()
}

pub(super) async fn send_update(connection: &RoomConnection, update: Vec<u8>) {
    connection.send_message(Message::Sync(SyncMessage::Update(update)).encode_v1(), true).await.unwrap();
}

#[tokio::test]
async fn an_update_with_missing_predecessors_is_requested_once_and_not_forwarded() {
    let fixture = SyncFixture::new().await;
    let rooms = create_rooms(&fixture, 8 << 20);
    let (mut at_ann, mut at_bob) = (join_room(&rooms, &fixture).await, join_room(&rooms, &fixture).await);
    let editor = SharedText::default();
    let first = editor.rewrite_section(&section_key(), "We").unwrap();
    send_update(&at_ann, first.clone()).await;
    assert_eq!(next_message(&mut at_bob).await, Message::Sync(SyncMessage::Update(first)));

    let missing = editor.rewrite_section(&section_key(), "We deliver").unwrap();
    let known = SharedText::from_updates([editor.encode_state().as_slice()]).unwrap();
    let early = editor.rewrite_section(&section_key(), "We deliver beds").unwrap();
    for _ in 0..50 {
        send_update(&at_ann, early.clone()).await;
    }
    let Message::Sync(SyncMessage::SyncStep1(requested)) = next_message(&mut at_ann).await else {
        panic!("no request for the missing updates")
    };
    assert!(requested < known.state_vector(), "the request is for updates that the room lacks");
    send_update(&at_ann, missing.clone()).await;
    send_update(&at_ann, early.clone()).await;
    // Bob receives both once, as two updates or merged into one, and no text that he already has; ann received one
    // request.
    let Message::Sync(SyncMessage::Update(received)) = next_message(&mut at_bob).await else { panic!("no update") };
    if received == missing {
        assert_eq!(next_message(&mut at_bob).await, Message::Sync(SyncMessage::Update(early)));
    } else {
        assert_eq!(received, yrs::merge_updates_v1([missing, early]).unwrap());
    }
    at_ann.send_message(Message::Sync(SyncMessage::SyncStep1(StateVector::default())).encode_v1(), true).await.unwrap();
    let Message::Sync(SyncMessage::SyncStep2(whole)) = next_message(&mut at_ann).await else {
        panic!("the request was repeated")
    };
    assert_eq!(SharedText::from_updates([whole.as_slice()]).unwrap().section_text(&section_key()), "We deliver beds");
}

#[tokio::test]
async fn the_size_limit_of_a_text_does_not_count_deleted_content() {
    const MAX_TEXT_BYTES: usize = 20_000;
    let fixture = SyncFixture::new().await;
    let rooms = create_rooms(&fixture, MAX_TEXT_BYTES);
    let mut connection = join_room(&rooms, &fixture).await;
    let (editor, mut refused) = (SharedText::default(), None);
    'writing: for round in 0..60 {
        // Content that is written and deleted again leaves an empty text, but many updates.
        for text in [&*"x".repeat(1_000 + round), ""] {
            send_update(&connection, editor.rewrite_section(&section_key(), text).unwrap()).await;
            // The answer to a sync step shows that the update was processed.
            connection
                .send_message(Message::Sync(SyncMessage::SyncStep1(editor.state_vector())).encode_v1(), true)
                .await
                .unwrap();
            let event = timeout(WAIT_TIMEOUT, connection.next_event()).await.expect("an event");
            if let Some(RoomEvent::Disconnected(reason)) = event {
                refused = Some(reason);
                break 'writing;
            }
        }
    }
    assert_eq!(refused, None, "recorded updates are removed");
    let long = "y".repeat(MAX_TEXT_BYTES + 1);
    send_update(&connection, editor.rewrite_section(&section_key(), &long).unwrap()).await;
    let event = timeout(WAIT_TIMEOUT, connection.next_event()).await.expect("a disconnection");
    assert_eq!(
        event,
        Some(RoomEvent::Disconnected(DisconnectReason::Refused(RefusedUpdate::TooLarge { max_bytes: MAX_TEXT_BYTES })))
    );
    let sizes = "select (select coalesce(sum(length(body)), 0) from shared_text_updates)
        + (select coalesce(sum(length(base)), 0) from shared_texts)";
    let stored: i64 = sqlx::query_scalar(sizes).fetch_one(&fixture.pool).await.unwrap();
    assert!(stored < 2 * i64::try_from(MAX_TEXT_BYTES).unwrap(), "{stored} bytes are stored");
}

#[tokio::test]
async fn an_unreadable_stored_update_does_not_block_the_others() {
    let (fixture, editor) = (SyncFixture::new().await, SharedText::default());
    fixture.write_edit(&editor, "We deliver.").await;
    // Deeply nested values, as an earlier version would have stored them.
    let nested = [&[1, 1, 9, 0, 8, 1, 1, b'a', 1][..], &[0x75, 1].repeat(200_000), &[0x7e, 0]].concat();
    let add = "with numbered as (update shared_texts set seq = seq + 1 returning tenant_id, proposal_id, seq)
        insert into shared_text_updates (tenant_id, proposal_id, seq, user_id, body)
        select tenant_id, proposal_id, seq, 'eve', $1 from numbered";
    sqlx::query(add).bind(nested).execute(&fixture.pool).await.unwrap();
    fixture.write_edit(&editor, "We deliver. Soon.").await;
    fixture.proposal_sync().sync_now(&fixture.tenant, fixture.proposal).await.unwrap();
    assert_eq!(fixture.read_recorded_contents().await, ["We deliver.", "We deliver. Soon."]);
}

#[tokio::test]
async fn a_room_that_opens_slowly_delays_no_other() {
    let slow = SyncFixture::new().await;
    let rooms = create_rooms(&slow, 8 << 20);
    // Another session holds the lock of the first text, so opening its room waits.
    let mut other = slow.pool.begin().await.unwrap();
    let name = format!("shared text\n{}\n{}", slow.tenant, slow.proposal);
    let take_lock = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))";
    assert!(sqlx::query_scalar::<_, bool>(take_lock).bind(name).fetch_one(&mut *other).await.unwrap());
    let proposal = slow.draft_another_proposal().await;
    let opening = rooms.join(&slow.tenant, slow.proposal, &slow.ann);
    tokio::pin!(opening);
    tokio::select! {
        biased;
        opened = &mut opening => panic!("the room opened although its lock is held: {:?}", opened.err()),
        joined = rooms.join(&slow.tenant, proposal, &slow.ann) => drop(joined.unwrap()),
    }
    other.rollback().await.unwrap();
    drop(opening.await.unwrap());
}
