//! A room: the text of one proposal and those who write it, in one process.
//!
//! One task does everything in turn. What somebody wrote is merged, put on record and only then told to the others, so that
//! nobody sees what can be lost. Editors keep what they wrote and offer it again when they come back: an update that was
//! not put on record is not lost either.

mod editor_updates;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

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
    peer_channel::{PeerChannel, PeerMessage},
    proposal_sync::ProposalSync,
    room_connection::{DisconnectReason, JoinReply, RoomMember},
    shared_text::SharedText,
    text_size::TextSize,
};

/// Messages on their way to the room; those who bring them wait for it beyond that.
const COMMAND_QUEUE_LENGTH: usize = 256;

/// How often a room looks for what came by other ways.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How many looks a member may be told nothing: providers take 30 s without a message for a lost connection.
const KEEP_ALIVE_POLLS: u32 = 10;

/// How often a room without anybody looks before it closes: a page that is loaded anew finds it open.
const MAX_EMPTY_POLLS: u32 = 5;

/// What happens in a room.
pub(crate) enum RoomCommand {
    Join { by: UserId, answer: oneshot::Sender<JoinReply> },
    Message { member: u64, bytes: Vec<u8>, may_write: bool },
    Leave { member: u64 },
    PeerMessage(PeerMessage),
}

/// A room that is open.
pub(crate) struct Room<S> {
    proposal: ProposalRef,
    sync: ProposalSync<S>,
    peers: PeerChannel,
    text: SharedText,
    size: TextSize,
    /// How large a text may be, in bytes.
    max_text_bytes: usize,
    /// Bytes of updates that are not in the base, an upper bound.
    unrecorded_bytes: usize,
    /// The last update that is in `text`.
    last_seq: i64,
    /// The proposal's version when it and the text were brought together last.
    version: u64,
    phase: LifecyclePhase,
    members: BTreeMap<u64, RoomMember>,
    last_member: u64,
    awareness: RoomAwareness,
    commands: mpsc::Receiver<RoomCommand>,
}

impl<S: AggregateStores> Room<S> {
    /// Opens the room of a proposal.
    ///
    /// # Errors
    /// [`TextError::NotFound`] where there is no such proposal; others when a store is away.
    pub(crate) async fn open(
        place: ProposalRef,
        settling: ProposalSync<S>,
        peers: PeerChannel,
        max_text_bytes: usize,
    ) -> Result<(Self, mpsc::Sender<RoomCommand>), TextError> {
        // First of all: a text is made for a proposal that is there, and for no other.
        if settling.proposal_version(&place).await? == 0 {
            return Err(TextError::NotFound);
        }
        settling.shared_texts().create_if_missing(&place).await?;
        let settled = settling.sync_with_retry(&place).await?;
        let (send, happens) = mpsc::channel(COMMAND_QUEUE_LENGTH);
        let mut room = Self {
            proposal: place,
            sync: settling,
            peers,
            text: SharedText::default(),
            size: TextSize::default(),
            max_text_bytes,
            unrecorded_bytes: 0,
            last_seq: 0,
            version: settled.version,
            phase: settled.phase,
            members: BTreeMap::new(),
            last_member: 0,
            awareness: RoomAwareness::default(),
            commands: happens,
        };
        room.reload_text().await?;
        Ok((room, send))
    }

    /// Lets people write until everybody has left, or it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(POLL_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.peers.publish(&self.proposal, &PeerMessage::AwarenessQuery);
        let mut empty_looks = 0;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => break,
                happens = self.commands.recv() => match happens {
                    Some(happens) => self.handle_command(happens).await,
                    None => break,
                },
                _ = looks.tick() => {
                    empty_looks = if self.members.is_empty() { empty_looks + 1 } else { 0 };
                    self.poll_changes().await
                }
            };
            if let Err(error) = done {
                tracing::error!(error = &error as &dyn std::error::Error, "a shared text is away");
                break;
            }
            if empty_looks > MAX_EMPTY_POLLS && self.members.is_empty() && self.commands.is_empty() {
                break;
            }
        }
        // Whoever wants in from now on opens a new one.
        self.commands.close();
        for member in std::mem::take(&mut self.members).into_values() {
            member.disconnect(DisconnectReason::TryAgainLater);
        }
        if let Some(gone) = self.awareness.remove_local() {
            self.peers.publish(&self.proposal, &PeerMessage::Awareness(gone));
        }
        // What is not settled now is found later by whoever looks.
        if let Err(error) = self.sync.try_sync(&self.proposal).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a shared text is settled later");
        }
    }

    async fn handle_command(&mut self, happens: RoomCommand) -> Result<(), TextError> {
        match happens {
            RoomCommand::Join { by, answer } => self.add_member(by, answer),
            RoomCommand::Leave { member } => self.remove_member(member).await,
            RoomCommand::Message { member, bytes, may_write } => {
                if let Err(refused) = self.handle_messages(member, &bytes, may_write).await? {
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
                self.broadcast(None, &editor_message::encode_awareness(update)).await;
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
        let said = match editor_message::read_messages(bytes) {
            Ok(said) => said,
            Err(refused) => return Ok(Err(refused)),
        };
        for said in said {
            if let Err(refused) = self.handle_message(from, said, may_write).await? {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(()))
    }

    fn add_member(&mut self, by: UserId, answer: oneshot::Sender<JoinReply>) {
        self.last_member += 1;
        let (mut member, joined) = RoomMember::new(by, self.last_member);
        // The editor is asked for what the room does not know: what it wrote while it was away.
        let first = [
            Some(editor_message::encode_sync_step_1(self.text.state_vector())),
            self.awareness.to_update(false).map(editor_message::encode_awareness),
        ];
        for message in first.into_iter().flatten() {
            let _ = member.try_send(message, self.max_queued_bytes());
        }
        if answer.send(joined).is_ok() {
            self.members.insert(self.last_member, member);
        }
    }

    async fn handle_message(
        &mut self,
        from: u64,
        said: EditorMessage,
        may_write: bool,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let Some(by) = self.members.get(&from).map(|member| member.user_id.clone()) else { return Ok(Ok(())) };
        match said {
            EditorMessage::SyncStep1(known) => {
                let rest = editor_message::encode_sync_step_2(self.text.encode_diff(&known));
                self.send_to_member(from, rest).await;
            }
            EditorMessage::AwarenessQuery => {
                if let Some(all) = self.awareness.to_update(false) {
                    self.send_to_member(from, editor_message::encode_awareness(all)).await;
                }
            }
            EditorMessage::Awareness(update) => match self.awareness.apply_local(from, &by, update) {
                Ok(None) => {}
                // Its sender, too: a provider that hears nothing for 30 s closes the connection.
                Ok(Some(told)) => {
                    self.broadcast(None, &editor_message::encode_awareness(told.clone())).await;
                    self.peers.publish(&self.proposal, &PeerMessage::Awareness(told));
                }
                Err(refused) => return Ok(Err(refused)),
            },
            EditorMessage::Update(update) => return self.handle_update(from, &by, update, may_write).await,
        }
        Ok(Ok(()))
    }

    /// Reads the text as it is on record. What members were told before they are not told again.
    async fn reload_text(&mut self) -> Result<(), TextError> {
        let told = std::mem::take(&mut self.last_seq);
        (self.text, self.unrecorded_bytes) = (SharedText::default(), 0);
        self.load_and_broadcast_updates(told).await?;
        self.size = run_blocking(|| TextSize::measure(&self.text));
        Ok(())
    }

    /// Takes in what is on record and not here, and tells it.
    async fn load_new_updates(&mut self) -> Result<(), TextError> {
        self.load_and_broadcast_updates(self.last_seq).await
    }

    /// Takes in what is on record and not here, and tells what comes behind `told`.
    async fn load_and_broadcast_updates(&mut self, told: i64) -> Result<(), TextError> {
        for kept in self.sync.shared_texts().load_updates_after(&self.proposal, self.last_seq).await? {
            run_blocking(|| kept.merge_into(&self.text, &self.proposal))?;
            self.last_seq = self.last_seq.max(kept.seq);
            self.unrecorded_bytes += kept.body.len();
            self.size.add_stored_update(&kept.body);
            if kept.seq > told {
                self.broadcast(None, &editor_message::encode_update(kept.body)).await;
            }
        }
        Ok(())
    }

    /// Looks for what came by other ways: other processes, and commands.
    async fn poll_changes(&mut self) -> Result<(), TextError> {
        let version = self.sync.proposal_version(&self.proposal).await?;
        if version != self.version {
            match self.sync.try_sync(&self.proposal).await {
                Ok(settled) => (self.version, self.phase) = (settled.version, settled.phase),
                Err(TextError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        self.load_new_updates().await?;
        self.send_keep_alives().await;
        if let Some(gone) = self.awareness.expire_remote(Instant::now()) {
            self.broadcast(None, &editor_message::encode_awareness(gone)).await;
        }
        Ok(())
    }

    /// Sends an empty message to those who were told nothing for a while.
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
        if let Some(gone) = self.awareness.remove_member(member) {
            self.broadcast(None, &editor_message::encode_awareness(gone.clone())).await;
            self.peers.publish(&self.proposal, &PeerMessage::Awareness(gone));
        }
    }

    async fn disconnect_member(&mut self, member: u64, why: DisconnectReason) {
        if let Some(member) = self.members.get(&member) {
            member.disconnect(why);
        }
        self.remove_member(member).await;
    }

    async fn send_to_member(&mut self, member: u64, message: Vec<u8>) {
        let max_queued_bytes = self.max_queued_bytes();
        let is_told = self.members.get_mut(&member).is_none_or(|to| to.try_send(message, max_queued_bytes));
        if !is_told {
            Box::pin(self.remove_member(member)).await;
        }
    }

    /// A text as large as it may be fits in, and what is written meanwhile.
    fn max_queued_bytes(&self) -> usize {
        // What commands write has no limit here.
        self.max_text_bytes.max(self.size.bytes()).saturating_mul(2)
    }

    /// Tells everybody but that one.
    async fn broadcast(&mut self, but: Option<u64>, message: &[u8]) {
        let max_queued_bytes = self.max_queued_bytes();
        let slow: Vec<_> = self
            .members
            .iter_mut()
            .filter(|(id, _)| Some(**id) != but)
            .filter_map(|(id, member)| (!member.try_send(message.to_vec(), max_queued_bytes)).then_some(*id))
            .collect();
        for member in slow {
            // Its receiver ends without a last word: it takes none.
            Box::pin(self.remove_member(member)).await;
        }
    }
}
