//! Updates that a room has accepted and not stored yet.
//!
//! While one statement stores the updates of a group, the commands for the next group wait in the room's queue. A
//! statement with many updates takes hardly longer than one with a single update, since both wait for the disk once.
//! Each receiver gets a group as one update, so that its cost does not grow with the number of editors that write.

use std::{collections::HashMap, mem};

use domain::{event_store::AggregateStores, value::UserId};
use yrs::{
    block::ClientID,
    sync::{AwarenessUpdate, awareness::AwarenessUpdateEntry},
};

use super::Room;
use crate::{
    blocking_work::run_blocking, editor_message, error::TextError, peer_channel::PeerMessage,
    update_merge::merge_updates,
};

/// Maximum number of updates of a group.
pub(super) const MAX_GROUP_UPDATES: usize = 128;

/// Size in bytes at which a group takes no further update.
const MAX_GROUP_BYTES: usize = 256 << 10;

/// Size in bytes above which merging updates may take long.
const MANY_BYTES: usize = 16 << 10;

/// An update and its sender.
pub(super) struct AcceptedUpdate {
    pub(super) from: u64,
    pub(super) by: UserId,
    pub(super) body: Vec<u8>,
}

/// Updates that are merged into the text and not stored yet, in the order of their arrival.
#[derive(Default)]
pub(super) struct UpdateGroup {
    updates: Vec<AcceptedUpdate>,
    bytes: usize,
    /// Awareness that arrived after an update of the group, and is sent after it: cursors refer to letters.
    awareness: HashMap<ClientID, AwarenessUpdateEntry>,
}

impl UpdateGroup {
    pub(super) fn add(&mut self, update: AcceptedUpdate) {
        self.bytes = self.bytes.saturating_add(update.body.len());
        self.updates.push(update);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.updates.len() >= MAX_GROUP_UPDATES || self.bytes >= MAX_GROUP_BYTES
    }

    /// Adds awareness that is to be sent after the updates. A later state of an editor replaces an earlier one.
    fn add_awareness(&mut self, update: AwarenessUpdate) {
        self.awareness.extend(update.clients);
    }
}

impl<S: AggregateStores> Room<S> {
    /// Stores the accepted updates by one statement, and then broadcasts them.
    pub(super) async fn store_accepted_updates(&mut self) -> Result<(), TextError> {
        if self.accepted.is_empty() {
            return Ok(());
        }
        let UpdateGroup { updates, awareness, .. } = mem::take(&mut self.accepted);
        let rows: Vec<_> = updates.iter().map(|update| (&update.by, update.body.as_slice())).collect();
        let seq = self.sync.shared_texts().append_updates(&self.proposal, &rows).await?;
        // If another process has stored updates in between, `last_seq` does not move, so that they are loaded.
        if i64::try_from(updates.len()).is_ok_and(|count| seq == self.last_seq.saturating_add(count)) {
            self.last_seq = seq;
        }
        let only_sender = updates.first().map(|first| first.from);
        let only_sender = only_sender.filter(|sender| updates.iter().all(|update| update.from == *sender));
        self.broadcast_updates(only_sender, updates.into_iter().map(|update| update.body).collect()).await;
        self.peers.publish(&self.proposal, &PeerMessage::Updates);
        if !awareness.is_empty() {
            self.send_awareness(AwarenessUpdate { clients: awareness }).await;
        }
        Ok(())
    }

    /// Sends awareness to all members and other processes, after the accepted updates.
    pub(super) async fn send_or_hold_awareness(&mut self, update: AwarenessUpdate) {
        if self.accepted.is_empty() {
            self.send_awareness(update).await;
        } else {
            self.accepted.add_awareness(update);
        }
    }

    /// Also sent to its sender: a provider that receives nothing for 30 s closes the connection.
    async fn send_awareness(&mut self, update: AwarenessUpdate) {
        self.broadcast(None, editor_message::encode_awareness(update.clone())).await;
        self.peers.publish(&self.proposal, &PeerMessage::Awareness(update));
    }

    /// Broadcasts stored updates to all members except one, as few messages in the same order. Several senders get their
    /// own updates again, which changes nothing in their texts.
    pub(super) async fn broadcast_updates(&mut self, except: Option<u64>, updates: Vec<Vec<u8>>) {
        for group in split_into_groups(updates) {
            let bytes: usize = group.iter().map(Vec::len).sum();
            let merged = match group.len() {
                0 | 1 => None,
                _ if bytes > MANY_BYTES => run_blocking(|| merge_updates(&group)),
                _ => merge_updates(&group),
            };
            let messages = merged.map_or(group, |merged| vec![merged]);
            for update in messages {
                self.broadcast(except, editor_message::encode_update(update)).await;
            }
        }
    }
}

/// Splits updates into groups of the size that a room stores at once.
fn split_into_groups(updates: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let (mut groups, mut group, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for update in updates {
        bytes = bytes.saturating_add(update.len());
        group.push(update);
        if group.len() >= MAX_GROUP_UPDATES || bytes >= MAX_GROUP_BYTES {
            groups.push(mem::take(&mut group));
            bytes = 0;
        }
    }
    groups.push(group);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_lengths(sizes: &[usize]) -> Vec<usize> {
        split_into_groups(sizes.iter().map(|size| vec![0; *size]).collect()).iter().map(Vec::len).collect()
    }

    #[test]
    fn groups_are_bounded_by_count_and_bytes() {
        assert_eq!(group_lengths(&[1; 300]), [128, 128, 44]);
        assert_eq!(group_lengths(&[MAX_GROUP_BYTES / 2, MAX_GROUP_BYTES, 1]), [2, 1]);
    }

    #[test]
    fn a_group_is_full_by_count_or_bytes() {
        let by = UserId::try_new("ann").unwrap();
        let update = |size: usize| AcceptedUpdate { from: 1, by: by.clone(), body: vec![0; size] };
        let mut group = UpdateGroup::default();
        for _ in 1..MAX_GROUP_UPDATES {
            group.add(update(1));
        }
        assert!(!group.is_full());
        group.add(update(1));
        assert!(group.is_full());
        let mut group = UpdateGroup::default();
        group.add(update(MAX_GROUP_BYTES - 1));
        assert!(!group.is_full());
        group.add(update(1));
        assert!(group.is_full());
    }

    #[test]
    fn a_later_awareness_of_an_editor_replaces_an_earlier_one() {
        let state = |editor: u64, clock: u32| {
            let entry = AwarenessUpdateEntry { clock, json: "{}".into() };
            AwarenessUpdate { clients: HashMap::from([(ClientID::new(editor), entry)]) }
        };
        let mut group = UpdateGroup::default();
        for update in [state(1, 1), state(2, 1), state(1, 2)] {
            group.add_awareness(update);
        }
        let clock_of = |editor: u64| group.awareness.get(&ClientID::new(editor)).map(|entry| entry.clock);
        assert_eq!((clock_of(1), clock_of(2)), (Some(2), Some(1)));
    }
}
