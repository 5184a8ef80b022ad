//! A room: the shared text of one proposal and its editors, in one process.
//!
//! One task processes all commands one after another. Updates are merged, stored and only then broadcast, so that no
//! editor receives an update that can still be lost. Updates that arrive while others are stored wait in the room's
//! queue and are stored together. Editors store their own updates and send them again when they reconnect, so an update
//! that was not stored is not lost either.

mod editor_updates;
mod update_group;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use domain::{event_store::AggregateStores, proposal::LifecyclePhase, value::UserId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ProposalRef,
    awareness::RoomAwareness,
    blocking_work::run_blocking,
    editor_message::{self, EditorMessage},
    error::{RefusedUpdate, TextError},
    generation_snapshot::GenerationSnapshot,
    peer_channel::{PeerChannel, PeerMessage},
    proposal_sync::ProposalSync,
    room_connection::{DisconnectReason, JoinReply, MessagePermit, MessageQuota, RoomMember},
    shared_text::SharedText,
    text_size::TextSize,
};

use self::update_group::UpdateGroup;

/// Capacity of the room's command queue; senders wait when it is full.
const COMMAND_QUEUE_LENGTH: usize = 256;

/// Size of a text in bytes above which checking an update takes so long that other tasks must run in between.
const MANY_TEXT_BYTES: usize = 64 << 10;

/// Interval at which a room polls for changes by other processes and by commands.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A member gets a keep-alive after this many polls without a message: providers close a connection that is silent for
/// 30 s.
const KEEP_ALIVE_POLLS: u32 = 10;

/// Number of polls after which a room without members closes. Until then it stays open, so that a reloaded page finds
/// it open.
const MAX_EMPTY_POLLS: u32 = 5;

/// A command to a room.
pub(crate) enum RoomCommand {
    Join { by: UserId, reply: oneshot::Sender<JoinReply> },
    Message { member: u64, bytes: Vec<u8>, may_write: bool, _permit: MessagePermit },
    Leave { member: u64 },
    PeerMessage(PeerMessage),
    GenerationProgress(Arc<GenerationSnapshot>),
}

/// An open room.
pub(crate) struct Room<S> {
    proposal: ProposalRef,
    sync: ProposalSync<S>,
    peers: PeerChannel,
    text: SharedText,
    /// Updates that are in `text` and not stored yet.
    accepted: UpdateGroup,
    size: TextSize,
    /// Maximum size of the text, in bytes.
    max_text_bytes: usize,
    /// Upper bound of the bytes of updates that are not in the synced state.
    unrecorded_bytes: usize,
    /// Number of the last update in `text`.
    last_seq: i64,
    /// The proposal's version at the last sync.
    version: u64,
    phase: LifecyclePhase,
    members: BTreeMap<u64, RoomMember>,
    last_member: u64,
    awareness: RoomAwareness,
    commands: mpsc::Receiver<RoomCommand>,
    quota: MessageQuota,
}

impl<S: AggregateStores> Room<S> {
    /// Opens the room of a proposal.
    ///
    /// # Errors
    /// [`TextError::NotFound`] when there is no such proposal; others when a store is unavailable.
    pub(crate) async fn open(
        proposal: ProposalRef,
        sync: ProposalSync<S>,
        peers: PeerChannel,
        max_text_bytes: usize,
    ) -> Result<(Self, mpsc::Sender<RoomCommand>), TextError> {
        // Checked first: a text is created only for an existing proposal.
        if sync.proposal_version(&proposal).await? == 0 {
            return Err(TextError::NotFound);
        }
        sync.shared_texts().create_if_missing(&proposal).await?;
        let outcome = sync.sync_with_retry(&proposal).await?;
        let (sender, commands) = mpsc::channel(COMMAND_QUEUE_LENGTH);
        let mut room = Self {
            proposal,
            sync,
            peers,
            text: SharedText::default(),
            accepted: UpdateGroup::default(),
            size: TextSize::default(),
            max_text_bytes,
            unrecorded_bytes: 0,
            last_seq: 0,
            version: outcome.version,
            phase: outcome.phase,
            members: BTreeMap::new(),
            last_member: 0,
            awareness: RoomAwareness::default(),
            commands,
            quota: MessageQuota::default(),
        };
        room.reload_text().await?;
        Ok((room, sender))
    }

    /// Runs until all members have left for a while, a store fails, or `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.peers.publish(&self.proposal, &PeerMessage::AwarenessQuery);
        let mut empty_polls = 0;
        loop {
            let handled = tokio::select! {
                () = stop.cancelled() => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.handle_commands(command).await,
                    None => break,
                },
                _ = ticks.tick() => {
                    empty_polls = if self.members.is_empty() { empty_polls + 1 } else { 0 };
                    self.poll_changes().await
                }
            };
            if let Err(error) = handled {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "shared-text store unavailable, closing room"
                );
                break;
            }
            if empty_polls > MAX_EMPTY_POLLS && self.members.is_empty() && self.commands.is_empty() {
                break;
            }
        }
        // A member that joins from now on opens a new room.
        self.commands.close();
        // Members that wait for space in the queue learn that the room is closed.
        while self.commands.try_recv().is_ok() {}
        for member in std::mem::take(&mut self.members).into_values() {
            member.disconnect(DisconnectReason::TryAgainLater);
        }
        if let Some(removed) = self.awareness.remove_local() {
            self.peers.publish(&self.proposal, &PeerMessage::Awareness(removed));
        }
        // A text that is not synced now is found by a later periodic sync.
        if let Err(error) = self.sync.try_sync(&self.proposal).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "sync of a shared text postponed");
        }
    }

    /// Processes a command and, if it is an accepted update, those that already wait behind it, and stores the accepted
    /// updates.
    async fn handle_commands(&mut self, first: RoomCommand) -> Result<(), TextError> {
        self.handle_command(first).await?;
        for _ in 1..COMMAND_QUEUE_LENGTH {
            if self.accepted.is_empty() || self.accepted.is_full() {
                break;
            }
            if self.size.bytes() > MANY_TEXT_BYTES {
                tokio::task::yield_now().await;
            }
            let Ok(next) = self.commands.try_recv() else { break };
            self.handle_command(next).await?;
        }
        self.store_accepted_updates().await
    }

    async fn handle_command(&mut self, command: RoomCommand) -> Result<(), TextError> {
        if !matches!(command, RoomCommand::Message { .. }) {
            self.store_accepted_updates().await?;
        }
        match command {
            RoomCommand::Join { by, reply } => self.add_member(by, reply),
            RoomCommand::Leave { member } => self.remove_member(member).await,
            RoomCommand::Message { member, bytes, may_write, .. } => {
                if let Err(refused) = self.handle_messages(member, &bytes, may_write).await? {
                    self.store_accepted_updates().await?;
                    self.disconnect_member(member, refused.into()).await;
                }
            }
            RoomCommand::PeerMessage(PeerMessage::Updates) => self.load_new_updates().await?,
            RoomCommand::PeerMessage(PeerMessage::AwarenessQuery) => {
                if let Some(own) = self.awareness.to_update(true) {
                    self.peers.publish(&self.proposal, &PeerMessage::Awareness(own));
                }
            }
            RoomCommand::PeerMessage(PeerMessage::Awareness(update)) => {
                self.awareness.apply_remote(&update, Instant::now());
                self.broadcast(None, editor_message::encode_awareness(update)).await;
            }
            // Not published: each process receives the progress itself.
            RoomCommand::GenerationProgress(snapshot) => {
                if let Some(update) = self.awareness.apply_generation(&snapshot, Instant::now()) {
                    self.broadcast(None, editor_message::encode_awareness(update)).await;
                }
            }
        }
        Ok(())
    }

    async fn handle_messages(
        &mut self,
        from: u64,
        bytes: &[u8],
        may_write: bool,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let messages = match editor_message::read_messages(bytes) {
            Ok(messages) => messages,
            Err(refused) => return Ok(Err(refused)),
        };
        for message in messages {
            if let Err(refused) = self.handle_message(from, message, may_write).await? {
                return Ok(Err(refused));
            }
            // A message may hold thousands of updates.
            if self.accepted.is_full() {
                self.store_accepted_updates().await?;
            }
        }
        Ok(Ok(()))
    }

    fn add_member(&mut self, by: UserId, reply: oneshot::Sender<JoinReply>) {
        self.last_member += 1;
        let (mut member, joined) = RoomMember::new(by, self.last_member, self.quota.clone());
        // The first message requests the updates that the editor made while it was disconnected.
        let messages = [
            Some(editor_message::encode_sync_step_1(self.text.state_vector())),
            self.awareness.to_update(false).map(editor_message::encode_awareness),
        ];
        for message in messages.into_iter().flatten() {
            let _ = member.try_send(message.into(), self.max_queued_bytes());
        }
        if reply.send(joined).is_ok() {
            self.members.insert(self.last_member, member);
        }
    }

    async fn handle_message(
        &mut self,
        from: u64,
        message: EditorMessage,
        may_write: bool,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let Some(by) = self.members.get(&from).map(|member| member.user_id.clone()) else { return Ok(Ok(())) };
        match message {
            EditorMessage::SyncStep1(known) => {
                // The reply must not contain an update that can still be lost.
                self.store_accepted_updates().await?;
                let missing = editor_message::encode_sync_step_2(self.text.encode_diff(&known));
                self.send_to_member(from, missing).await;
            }
            EditorMessage::AwarenessQuery => {
                if let Some(all) = self.awareness.to_update(false) {
                    self.send_to_member(from, editor_message::encode_awareness(all)).await;
                }
            }
            EditorMessage::Awareness(update) => match self.awareness.apply_local(from, &by, update) {
                Ok(None) => {}
                Ok(Some(accepted)) => self.send_or_hold_awareness(accepted).await,
                Err(refused) => return Ok(Err(refused)),
            },
            EditorMessage::Update(update) => return self.handle_update(from, &by, update, may_write).await,
        }
        Ok(Ok(()))
    }

    /// Replaces the text by the stored one. Updates that members have received are not sent again.
    async fn reload_text(&mut self) -> Result<(), TextError> {
        let broadcast_after = std::mem::take(&mut self.last_seq);
        (self.text, self.unrecorded_bytes) = (SharedText::default(), 0);
        self.load_and_broadcast_updates(broadcast_after).await?;
        self.size = run_blocking(|| TextSize::measure(&self.text));
        Ok(())
    }

    /// Merges the stored updates that are not in the text, and broadcasts them.
    async fn load_new_updates(&mut self) -> Result<(), TextError> {
        self.load_and_broadcast_updates(self.last_seq).await
    }

    /// Merges the stored updates that are not in the text, and broadcasts those after the number `broadcast_after`.
    async fn load_and_broadcast_updates(&mut self, broadcast_after: i64) -> Result<(), TextError> {
        let mut new_updates = Vec::new();
        for update in self.sync.shared_texts().load_updates_after(&self.proposal, self.last_seq).await? {
            run_blocking(|| update.merge_into(&self.text, &self.proposal))?;
            self.last_seq = self.last_seq.max(update.seq);
            self.unrecorded_bytes += update.body.len();
            self.size.add_stored_update(&update.body);
            if update.seq > broadcast_after {
                new_updates.push(update.body);
            }
        }
        self.broadcast_updates(None, new_updates).await;
        Ok(())
    }

    /// Loads changes by other processes and by commands, sends keep-alives, and expires remote editors.
    async fn poll_changes(&mut self) -> Result<(), TextError> {
        let version = self.sync.proposal_version(&self.proposal).await?;
        if version != self.version {
            match self.sync.try_sync(&self.proposal).await {
                Ok(outcome) => (self.version, self.phase) = (outcome.version, outcome.phase),
                Err(TextError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        self.load_new_updates().await?;
        self.send_keep_alives().await;
        if let Some(removed) = self.awareness.expire_remote(Instant::now()) {
            self.broadcast(None, editor_message::encode_awareness(removed)).await;
        }
        Ok(())
    }

    /// Sends an empty message to members that have not received any for a while.
    async fn send_keep_alives(&mut self) {
        let mut silent = Vec::new();
        for (id, member) in &mut self.members {
            member.idle_polls += 1;
            if member.idle_polls >= KEEP_ALIVE_POLLS {
                silent.push(*id);
            }
        }
        for member in silent {
            self.send_to_member(member, editor_message::encode_keep_alive()).await;
        }
    }

    async fn remove_member(&mut self, member: u64) {
        self.members.remove(&member);
        if let Some(removed) = self.awareness.remove_member(member) {
            self.broadcast(None, editor_message::encode_awareness(removed.clone())).await;
            self.peers.publish(&self.proposal, &PeerMessage::Awareness(removed));
        }
    }

    async fn disconnect_member(&mut self, member: u64, reason: DisconnectReason) {
        if let Some(member) = self.members.get(&member) {
            member.disconnect(reason);
        }
        self.remove_member(member).await;
    }

    async fn send_to_member(&mut self, member: u64, message: Vec<u8>) {
        let max_queued_bytes = self.max_queued_bytes();
        let is_sent =
            self.members.get_mut(&member).is_none_or(|member| member.try_send(message.into(), max_queued_bytes));
        if !is_sent {
            Box::pin(self.remove_member(member)).await;
        }
    }

    /// Limit of unsent bytes per member: enough for the largest text and for the updates that arrive while it is sent.
    fn max_queued_bytes(&self) -> usize {
        // The text may exceed its limit, which does not apply to changes by commands.
        self.max_text_bytes.max(self.size.bytes()).saturating_mul(2)
    }

    /// Sends a message to all members except one, and removes members whose queue is full.
    async fn broadcast(&mut self, except: Option<u64>, message: Vec<u8>) {
        let message = Bytes::from(message);
        let max_queued_bytes = self.max_queued_bytes();
        let slow: Vec<_> = self
            .members
            .iter_mut()
            .filter(|(id, _)| Some(**id) != except)
            .filter_map(|(id, member)| (!member.try_send(message.clone(), max_queued_bytes)).then_some(*id))
            .collect();
        for member in slow {
            // The member gets no reason, since its queue is full.
            Box::pin(self.remove_member(member)).await;
        }
    }
}
