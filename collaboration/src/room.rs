//! A room: the text of one proposal and those who write it, in one process.
//!
//! One task does everything in turn. What somebody wrote is merged, put on record and only then told to the others, so that
//! nobody sees what can be lost. Editors keep what they wrote and offer it again when they come back: an update that was
//! not put on record is not lost either.

mod edits;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::{proposal::Phase, store::AggregateStores, value::UserId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use self::edits::run_apart;
use crate::{
    Place,
    error::{RefusedUpdate, TextError},
    message::{self, Said},
    peers::{Peers, Word},
    presence::Presence,
    seat::{JoinedSeat, Member, SeatEnd},
    settle::Settling,
    text::SharedText,
    text_size::TextSize,
};

/// Messages on their way to the room; those who bring them wait for it beyond that.
const WAITING: usize = 256;

/// How often a room looks for what came by other ways.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many looks a member may be told nothing: providers take 30 s without a message for a lost connection.
const SILENT_LOOKS: u32 = 10;

/// How often a room without anybody looks before it closes: a page that is loaded anew finds it open.
const EMPTY_LOOKS: u32 = 5;

/// What happens in a room.
pub(crate) enum Happens {
    Joins { by: UserId, answer: oneshot::Sender<JoinedSeat> },
    Says { member: u64, bytes: Vec<u8>, may_write: bool },
    Leaves { member: u64 },
    Word(Word),
}

/// A room that is open.
pub(crate) struct Room<S> {
    place: Place,
    settling: Settling<S>,
    peers: Peers,
    text: SharedText,
    size: TextSize,
    /// How large a text may be, in bytes.
    max_text_bytes: usize,
    /// Bytes of updates that are not in the base, an upper bound.
    unsettled_bytes: usize,
    /// The last update that is in `text`.
    seq: i64,
    /// The proposal's version when it and the text were brought together last.
    version: u64,
    phase: Phase,
    members: BTreeMap<u64, Member>,
    last_member: u64,
    presence: Presence,
    happens: mpsc::Receiver<Happens>,
}

impl<S: AggregateStores> Room<S> {
    /// Opens the room of a proposal.
    ///
    /// # Errors
    /// [`TextError::NotFound`] where there is no such proposal; others when a store is away.
    pub(crate) async fn open(
        place: Place,
        settling: Settling<S>,
        peers: Peers,
        max_text_bytes: usize,
    ) -> Result<(Self, mpsc::Sender<Happens>), TextError> {
        // First of all: a text is made for a proposal that is there, and for no other.
        if settling.version(&place).await? == 0 {
            return Err(TextError::NotFound);
        }
        settling.texts().open(&place).await?;
        let settled = settling.settle_patiently(&place).await?;
        let (send, happens) = mpsc::channel(WAITING);
        let mut room = Self {
            place,
            settling,
            peers,
            text: SharedText::default(),
            size: TextSize::default(),
            max_text_bytes,
            unsettled_bytes: 0,
            seq: 0,
            version: settled.version,
            phase: settled.phase,
            members: BTreeMap::new(),
            last_member: 0,
            presence: Presence::default(),
            happens,
        };
        room.read_anew().await?;
        Ok((room, send))
    }

    /// Lets people write until everybody has left, or it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.peers.tell(&self.place, &Word::Asks);
        let mut empty_looks = 0;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => break,
                happens = self.happens.recv() => match happens {
                    Some(happens) => self.happened(happens).await,
                    None => break,
                },
                _ = looks.tick() => {
                    empty_looks = if self.members.is_empty() { empty_looks + 1 } else { 0 };
                    self.look().await
                }
            };
            if let Err(error) = done {
                tracing::error!(error = &error as &dyn std::error::Error, "a shared text is away");
                break;
            }
            if empty_looks > EMPTY_LOOKS && self.members.is_empty() && self.happens.is_empty() {
                break;
            }
        }
        // Whoever wants in from now on opens a new one.
        self.happens.close();
        for member in std::mem::take(&mut self.members).into_values() {
            member.let_go(SeatEnd::ComeBack);
        }
        if let Some(gone) = self.presence.close() {
            self.peers.tell(&self.place, &Word::Presence(gone));
        }
        // What is not settled now is found later by whoever looks.
        if let Err(error) = self.settling.settle(&self.place).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a shared text is settled later");
        }
    }

    async fn happened(&mut self, happens: Happens) -> Result<(), TextError> {
        match happens {
            Happens::Joins { by, answer } => self.join(by, answer),
            Happens::Leaves { member } => self.leave(member).await,
            Happens::Says { member, bytes, may_write } => {
                if let Err(refused) = self.hear(member, &bytes, may_write).await? {
                    self.let_go(member, refused.into()).await;
                }
            }
            Happens::Word(Word::Updates) => self.catch_up().await?,
            Happens::Word(Word::Asks) => {
                if let Some(own) = self.presence.all(true) {
                    self.peers.tell(&self.place, &Word::Presence(own));
                }
            }
            Happens::Word(Word::Presence(update)) => {
                self.presence.heard(&update, Instant::now());
                self.tell(None, &message::tells(update)).await;
            }
        }
        Ok(())
    }

    async fn hear(&mut self, from: u64, bytes: &[u8], may_write: bool) -> Result<Result<(), RefusedUpdate>, TextError> {
        let said = match message::read(bytes) {
            Ok(said) => said,
            Err(refused) => return Ok(Err(refused)),
        };
        for said in said {
            if let Err(refused) = self.said(from, said, may_write).await? {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(()))
    }

    fn join(&mut self, by: UserId, answer: oneshot::Sender<JoinedSeat>) {
        self.last_member += 1;
        let (mut member, joined) = Member::new(by, self.last_member);
        // The editor is asked for what the room does not know: what it wrote while it was away.
        let first = [Some(message::knows(self.text.known())), self.presence.all(false).map(message::tells)];
        for message in first.into_iter().flatten() {
            let _ = member.try_tell(message, self.max_queued_bytes());
        }
        if answer.send(joined).is_ok() {
            self.members.insert(self.last_member, member);
        }
    }

    async fn said(&mut self, from: u64, said: Said, may_write: bool) -> Result<Result<(), RefusedUpdate>, TextError> {
        let Some(by) = self.members.get(&from).map(|member| member.by.clone()) else { return Ok(Ok(())) };
        match said {
            Said::Knows(known) => {
                let rest = message::rest(self.text.since(&known));
                self.tell_one(from, rest).await;
            }
            Said::Asks => {
                if let Some(all) = self.presence.all(false) {
                    self.tell_one(from, message::tells(all)).await;
                }
            }
            Said::Tells(update) => match self.presence.told(from, &by, update) {
                Ok(None) => {}
                // Its sender, too: a provider that hears nothing for 30 s closes the connection.
                Ok(Some(told)) => {
                    self.tell(None, &message::tells(told.clone())).await;
                    self.peers.tell(&self.place, &Word::Presence(told));
                }
                Err(refused) => return Ok(Err(refused)),
            },
            Said::Wrote(update) => return self.wrote(from, &by, update, may_write).await,
        }
        Ok(Ok(()))
    }

    /// Reads the text as it is on record. What members were told before they are not told again.
    async fn read_anew(&mut self) -> Result<(), TextError> {
        let told = std::mem::take(&mut self.seq);
        (self.text, self.unsettled_bytes) = (SharedText::default(), 0);
        self.read_behind(told).await?;
        self.size = TextSize::measure(&self.text);
        Ok(())
    }

    /// Takes in what is on record and not here, and tells it.
    async fn catch_up(&mut self) -> Result<(), TextError> {
        self.read_behind(self.seq).await
    }

    /// Takes in what is on record and not here, and tells what comes behind `told`.
    async fn read_behind(&mut self, told: i64) -> Result<(), TextError> {
        for kept in self.settling.texts().later(&self.place, self.seq).await? {
            run_apart(|| kept.merge_into(&self.text, &self.place))?;
            self.seq = self.seq.max(kept.seq);
            self.unsettled_bytes += kept.body.len();
            self.size.note(&kept.body);
            if kept.seq > told {
                self.tell(None, &message::wrote(kept.body)).await;
            }
        }
        Ok(())
    }

    /// Looks for what came by other ways: other processes, and commands.
    async fn look(&mut self) -> Result<(), TextError> {
        let version = self.settling.version(&self.place).await?;
        if version != self.version {
            match self.settling.settle(&self.place).await {
                Ok(settled) => (self.version, self.phase) = (settled.version, settled.phase),
                Err(TextError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        self.catch_up().await?;
        self.break_silence().await;
        if let Some(gone) = self.presence.forget(Instant::now()) {
            self.tell(None, &message::tells(gone)).await;
        }
        Ok(())
    }

    /// Sends an empty message to those who were told nothing for a while.
    async fn break_silence(&mut self) {
        let mut silent = Vec::new();
        for (id, member) in &mut self.members {
            member.silent_looks += 1;
            if member.silent_looks >= SILENT_LOOKS {
                silent.push(*id);
            }
        }
        for member in silent {
            self.tell_one(member, message::nothing()).await;
        }
    }

    async fn leave(&mut self, member: u64) {
        self.members.remove(&member);
        if let Some(gone) = self.presence.left(member) {
            self.tell(None, &message::tells(gone.clone())).await;
            self.peers.tell(&self.place, &Word::Presence(gone));
        }
    }

    async fn let_go(&mut self, member: u64, why: SeatEnd) {
        if let Some(member) = self.members.get(&member) {
            member.let_go(why);
        }
        self.leave(member).await;
    }

    async fn tell_one(&mut self, member: u64, message: Vec<u8>) {
        let max_queued_bytes = self.max_queued_bytes();
        let is_told = self.members.get_mut(&member).is_none_or(|to| to.try_tell(message, max_queued_bytes));
        if !is_told {
            Box::pin(self.leave(member)).await;
        }
    }

    /// A text as large as it may be fits in, and what is written meanwhile.
    fn max_queued_bytes(&self) -> usize {
        // What commands write has no limit here.
        self.max_text_bytes.max(self.size.bytes()).saturating_mul(2)
    }

    /// Tells everybody but that one.
    async fn tell(&mut self, but: Option<u64>, message: &[u8]) {
        let max_queued_bytes = self.max_queued_bytes();
        let slow: Vec<_> = self
            .members
            .iter_mut()
            .filter(|(id, _)| Some(**id) != but)
            .filter_map(|(id, member)| (!member.try_tell(message.to_vec(), max_queued_bytes)).then_some(*id))
            .collect();
        for member in slow {
            // Its receiver ends without a last word: it takes none.
            Box::pin(self.leave(member)).await;
        }
    }
}
