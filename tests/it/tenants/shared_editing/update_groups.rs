//! Updates that a room stores together: what they are, in which order, and what happens to one that is refused.
//!
//! The tests hold the row of the shared text in their own transaction, so that the room waits for it while it stores an
//! update, and what arrives meanwhile waits in its queue.

use std::collections::{BTreeMap, HashMap};

use collaboration::{DisconnectReason, RefusedUpdate, RoomConnection, RoomEvent, SharedText};
use domain::value::UserId;
use futures::FutureExt as _;
use sqlx::{Postgres, Row as _, Transaction};
use tests::{WAIT_TIMEOUT, eventually};
use tokio::{task::unconstrained, time::timeout};
use yrs::{
    block::ClientID,
    sync::{AwarenessUpdate, Message, SyncMessage, awareness::AwarenessUpdateEntry},
    updates::encoder::Encode as _,
};

use super::{
    rooms::{create_rooms, join_room, next_message, section_key, send_update},
    sync_crash::SyncFixture,
};

/// Holds the row of the shared text: no update can be stored until the transaction ends.
async fn hold_text(fixture: &SyncFixture) -> Transaction<'static, Postgres> {
    let mut transaction = fixture.pool.begin().await.unwrap();
    let held = sqlx::query("select 1 from shared_texts for update").fetch_all(&mut *transaction).await.unwrap();
    assert_eq!(held.len(), 1);
    transaction
}

/// Waits until a session waits for the row that [`hold_text`] holds.
async fn wait_until_room_stores(fixture: &SyncFixture) {
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%shared_text_updates%'";
    eventually(async || {
        let sessions: i64 = sqlx::query_scalar(waiting).fetch_one(&fixture.pool).await?;
        anyhow::ensure!(sessions == 1, "{sessions} sessions wait");
        anyhow::Ok(())
    })
    .await;
}

/// Appends words one by one, and returns the updates.
fn write_words(editor: &SharedText, name: &str, count: usize) -> Vec<Vec<u8>> {
    let mut text = editor.section_text(&section_key());
    let updates = (0..count).map(|number| {
        text = format!("{text}{name}{number} ");
        editor.rewrite_section(&section_key(), &text).unwrap()
    });
    updates.collect()
}

/// Receives updates until the text has this length.
async fn receive_text(connection: &mut RoomConnection, text: &SharedText, length: usize) -> usize {
    let mut messages = 0;
    while text.section_text(&section_key()).len() < length {
        if let Message::Sync(SyncMessage::Update(update)) = next_message(connection).await {
            // A keep-alive is empty.
            messages += usize::from(text.merge_stored_update(&update).unwrap());
        }
    }
    messages
}

/// Author and transaction of each stored update, by number, and its body.
async fn load_stored(fixture: &SyncFixture) -> Vec<(String, String, Vec<u8>)> {
    let stored = "select user_id, xmin::text as transaction, body from shared_text_updates order by seq";
    let rows = sqlx::query(stored).fetch_all(&fixture.pool).await.unwrap();
    rows.iter().map(|row| (row.get("user_id"), row.get("transaction"), row.get("body"))).collect()
}

#[tokio::test]
async fn updates_that_arrive_during_a_commit_are_stored_together_and_a_refused_one_fails_alone() {
    const WORDS: usize = 20;
    let fixture = SyncFixture::new().await;
    let rooms = create_rooms(&fixture, 8 << 20);
    let join = async |name: &str| {
        let by = UserId::try_new(name).unwrap();
        let mut connection = rooms.join(&fixture.tenant, fixture.proposal, &by).await.unwrap();
        next_message(&mut connection).await;
        connection
    };
    let (mut at_ann, mut at_bob) = (join("ann").await, join("bob").await);
    let (mut at_eve, mut at_vic) = (join("eve").await, join("vic").await);
    let (by_ann, by_bob) = (SharedText::default(), SharedText::default());
    let (from_ann, from_bob) = (write_words(&by_ann, "a", WORDS), write_words(&by_bob, "b", WORDS));

    let held = hold_text(&fixture).await;
    send_update(&at_ann, from_ann[0].clone()).await;
    wait_until_room_stores(&fixture).await;
    for (number, (of_ann, of_bob)) in from_ann.iter().zip(&from_bob).enumerate() {
        if number > 0 {
            send_update(&at_ann, of_ann.clone()).await;
        }
        if number == WORDS / 2 {
            send_update(&at_eve, b"not an update".to_vec()).await;
        }
        send_update(&at_bob, of_bob.clone()).await;
    }
    for connection in [&mut at_ann, &mut at_bob, &mut at_vic, &mut at_eve] {
        assert_eq!(connection.next_event().now_or_never(), None, "nothing is sent before it is stored");
    }
    held.rollback().await.unwrap();

    let length = [&by_ann, &by_bob].map(|text| text.section_text(&section_key()).len()).iter().sum();
    let seen = SharedText::default();
    let messages = receive_text(&mut at_vic, &seen, length).await;
    assert_eq!(messages, 3, "each group is one message");
    receive_text(&mut at_ann, &by_ann, length).await;
    receive_text(&mut at_bob, &by_bob, length).await;
    let text = seen.section_text(&section_key());
    assert_eq!([&by_ann, &by_bob].map(|editor| editor.section_text(&section_key())), [text.clone(), text]);
    let refused = loop {
        match timeout(WAIT_TIMEOUT, at_eve.next_event()).await.expect("a disconnection").unwrap() {
            RoomEvent::Message(_) => {}
            RoomEvent::Disconnected(reason) => break reason,
        }
    };
    assert_eq!(refused, DisconnectReason::Refused(RefusedUpdate::Malformed));

    let stored = load_stored(&fixture).await;
    let of = |name: &str| -> Vec<Vec<u8>> {
        stored.iter().filter(|(by, ..)| by == name).map(|(.., body)| body.clone()).collect()
    };
    assert_eq!((of("ann"), of("bob")), (from_ann, from_bob), "the order of each editor is kept");
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, transaction, _) in &stored {
        *groups.entry(transaction).or_default() += 1;
    }
    let mut sizes: Vec<_> = groups.into_values().collect();
    sizes.sort_unstable();
    // Bob sent his edit with the number `WORDS / 2` after the refused one.
    assert_eq!(sizes, [1, WORDS - 1, WORDS], "the first one, those until the refused one, and the others");
}

#[tokio::test]
async fn awareness_is_sent_after_the_updates_before_it() {
    let fixture = SyncFixture::new().await;
    let rooms = create_rooms(&fixture, 8 << 20);
    let (at_ann, mut at_bob) = (join_room(&rooms, &fixture).await, join_room(&rooms, &fixture).await);
    let updates = write_words(&SharedText::default(), "a", 3);
    let awareness = |clock: u32| {
        let entry = AwarenessUpdateEntry { clock, json: format!("{{\"cursor\":{clock}}}").into() };
        Message::Awareness(AwarenessUpdate { clients: HashMap::from([(ClientID::new(7), entry)]) }).encode_v1()
    };
    let held = hold_text(&fixture).await;
    send_update(&at_ann, updates[0].clone()).await;
    wait_until_room_stores(&fixture).await;
    for number in [1, 2] {
        send_update(&at_ann, updates[number].clone()).await;
        at_ann.send_message(awareness(number.try_into().unwrap()), true).await.unwrap();
    }
    held.rollback().await.unwrap();
    assert_eq!(next_message(&mut at_bob).await, Message::Sync(SyncMessage::Update(updates[0].clone())));
    let both = yrs::merge_updates_v1(&updates[1..]).unwrap();
    assert_eq!(next_message(&mut at_bob).await, Message::Sync(SyncMessage::Update(both)));
    let Message::Awareness(states) = next_message(&mut at_bob).await else { panic!("no awareness") };
    // The later state of the editor is the only one.
    assert_eq!(states.clients.values().map(|entry| entry.clock).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn what_waits_for_a_room_is_bounded_by_count_and_by_bytes() {
    let fixture = SyncFixture::new().await;
    let rooms = create_rooms(&fixture, 8 << 20);
    for (message, limit) in [(vec![0, 2, 2, 0, 0], 256), (vec![9; 1 << 20], 15)] {
        let by = UserId::try_new("ann").unwrap();
        let mut connection = rooms.join(&fixture.tenant, fixture.proposal, &by).await.unwrap();
        next_message(&mut connection).await;
        let held = hold_text(&fixture).await;
        send_update(&connection, write_words(&SharedText::default(), "a", 1).remove(0)).await;
        wait_until_room_stores(&fixture).await;
        let mut sent = 0;
        while let Some(result) = unconstrained(connection.send_message(message.clone(), true)).now_or_never() {
            result.unwrap();
            sent += 1;
        }
        assert_eq!(sent, limit, "messages of {} bytes", message.len());
        let waiting = timeout(WAIT_TIMEOUT, connection.send_message(message, true));
        let (sent, rolled_back) = tokio::join!(waiting, held.rollback());
        rolled_back.unwrap();
        sent.expect("the queue has capacity again").unwrap();
    }
}
