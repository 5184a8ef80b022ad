//! A room: the text of one proposal and those who write it, in one process.
//!
//! One task does everything in turn. What somebody wrote is merged, put on record and only then told to the others, so that
//! nobody sees what can be lost. Editors keep what they wrote and offer it again when they come back: an update that was
//! not put on record is not lost either.

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

use crate::{
    Place,
    error::{RefusedUpdate, TextError},
    message::{self, Said},
    peers::{Peers, Word},
    presence::Presence,
    settle::Settling,
    text::SharedText,
};

/// Messages on their way to one editor; one that takes none of them any more is let go, and comes back.
const UNDER_WAY: usize = 256;

/// Messages on their way to the room; those who bring them wait for it beyond that.
const WAITING: usize = 256;

/// How often a room looks for what came by other ways.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a room without anybody looks before it closes: a page that is loaded anew finds it open.
const EMPTY_LOOKS: u32 = 5;

/// What somebody in a room is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A message for the editor.
    Message(Vec<u8>),
    /// The last: they are out.
    Out(Ended),
}

/// Why somebody is let go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// For what they sent.
    #[error(transparent)]
    Refused(#[from] RefusedUpdate),
    /// They took nothing any more.
    #[error("messages were not taken in time")]
    Slow,
    /// A store is away, or the service stops: they may come back.
    #[error("come back in a moment")]
    ComeBack,
}

/// What happens in a room.
pub(crate) enum Happens {
    Joins { by: UserId, answer: oneshot::Sender<Joined> },
    Says { member: u64, bytes: Vec<u8>, may_write: bool },
    Leaves { member: u64 },
    Word(Word),
}

/// A place that was taken.
pub(crate) struct Joined {
    member: u64,
    told: mpsc::Receiver<Told>,
}

/// Somebody's place in a room. Dropping it leaves the room.
pub struct Seat {
    member: u64,
    room: mpsc::Sender<Happens>,
    told: mpsc::Receiver<Told>,
}

impl Seat {
    pub(crate) fn new(joined: Joined, room: mpsc::Sender<Happens>) -> Self {
        Self { member: joined.member, room, told: joined.told }
    }

    /// Says something to the room, which takes it in turn.
    ///
    /// # Errors
    /// [`Ended::ComeBack`] when the room is closed.
    pub async fn say(&self, bytes: Vec<u8>, may_write: bool) -> Result<(), Ended> {
        let says = Happens::Says { member: self.member, bytes, may_write };
        self.room.send(says).await.map_err(|_| Ended::ComeBack)
    }

    /// What is told next; `None` when the room is closed.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let leaves = Happens::Leaves { member: self.member };
        if let Err(mpsc::error::TrySendError::Full(leaves)) = self.room.try_send(leaves) {
            let room = self.room.clone();
            // Whoever drops a seat cannot wait for it, and a full room would take the goodbye later.
            tokio::spawn(async move { room.send(leaves).await });
        }
    }
}

struct Member {
    by: UserId,
    out: mpsc::Sender<Told>,
}

/// A room that is open.
pub(crate) struct Room<S> {
    place: Place,
    settling: Settling<S>,
    peers: Peers,
    text: SharedText,
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
        self.peers.tell(&self.place, &Word::Asks).await;
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
            let _ = member.out.try_send(Told::Out(Ended::ComeBack));
        }
        if let Some(gone) = self.presence.close() {
            self.peers.tell(&self.place, &Word::Presence(gone)).await;
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
                    self.peers.tell(&self.place, &Word::Presence(own)).await;
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

    fn join(&mut self, by: UserId, answer: oneshot::Sender<Joined>) {
        self.last_member += 1;
        let (out, told) = mpsc::channel(UNDER_WAY);
        let member = Member { by, out };
        // The editor is asked for what the room does not know: what it wrote while it was away.
        let first = [Some(message::knows(self.text.known())), self.presence.all(false).map(message::tells)];
        for message in first.into_iter().flatten() {
            let _ = member.out.try_send(Told::Message(message));
        }
        if answer.send(Joined { member: self.last_member, told }).is_ok() {
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
                Ok(Some(told)) => {
                    self.tell(Some(from), &message::tells(told.clone())).await;
                    self.peers.tell(&self.place, &Word::Presence(told)).await;
                }
                Err(refused) => return Ok(Err(refused)),
            },
            Said::Wrote(update) => return self.wrote(from, &by, update, may_write).await,
        }
        Ok(Ok(()))
    }

    async fn wrote(
        &mut self,
        from: u64,
        by: &UserId,
        update: Vec<u8>,
        may_write: bool,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let known = self.text.whole();
        match self.text.take(&update) {
            Ok(false) => return Ok(Ok(())),
            // An editor that comes back offers all it knows: what is known already is not kept again.
            Ok(true) if self.text.whole() == known => return Ok(Ok(())),
            // An editor that was away may write on before it was asked what it wrote meanwhile: it is asked, and sends both.
            Ok(true) if self.text.waits() => {
                self.read_anew().await?;
                let asked = message::knows(self.text.known());
                self.tell_one(from, asked).await;
                return Ok(Ok(()));
            }
            Ok(true) => {}
            Err(refused) => {
                self.read_anew().await?;
                return Ok(Err(refused));
            }
        }
        let refused = match (may_write, self.phase) {
            (false, _) => Some(RefusedUpdate::ReadOnly),
            (true, Phase::Draft) => None,
            (true, phase) => Some(RefusedUpdate::Closed { phase: phase.name() }),
        };
        if let Some(refused) = refused {
            self.read_anew().await?;
            return Ok(Err(refused));
        }
        let seq = self.settling.texts().append(&self.place, by, &update).await?;
        // Where another process was faster, its updates are still to come.
        if seq == self.seq + 1 {
            self.seq = seq;
        }
        self.tell(Some(from), &message::wrote(update)).await;
        self.peers.tell(&self.place, &Word::Updates).await;
        Ok(Ok(()))
    }

    /// Reads the text as it is on record.
    async fn read_anew(&mut self) -> Result<(), TextError> {
        (self.text, self.seq) = (SharedText::default(), 0);
        self.catch_up().await
    }

    /// Takes in what is on record and not here, and tells it.
    async fn catch_up(&mut self) -> Result<(), TextError> {
        for kept in self.settling.texts().later(&self.place, self.seq).await? {
            self.text.merge(&kept.body).map_err(|error| TextError::Kept { reason: error.to_string() })?;
            self.seq = self.seq.max(kept.seq);
            self.tell(None, &message::wrote(kept.body)).await;
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
        if let Some(gone) = self.presence.forget(Instant::now()) {
            self.tell(None, &message::tells(gone)).await;
        }
        Ok(())
    }

    async fn leave(&mut self, member: u64) {
        self.members.remove(&member);
        if let Some(gone) = self.presence.left(member) {
            self.tell(None, &message::tells(gone.clone())).await;
            self.peers.tell(&self.place, &Word::Presence(gone)).await;
        }
    }

    async fn let_go(&mut self, member: u64, why: Ended) {
        if let Some(member) = self.members.get(&member) {
            let _ = member.out.try_send(Told::Out(why));
        }
        self.leave(member).await;
    }

    async fn tell_one(&mut self, member: u64, message: Vec<u8>) {
        let is_told = self.members.get(&member).is_none_or(|to| to.out.try_send(Told::Message(message)).is_ok());
        if !is_told {
            Box::pin(self.leave(member)).await;
        }
    }

    /// Tells everybody but that one.
    async fn tell(&mut self, but: Option<u64>, message: &[u8]) {
        let slow: Vec<_> = self
            .members
            .iter()
            .filter(|(id, _)| Some(**id) != but)
            .filter(|(_, member)| member.out.try_send(Told::Message(message.to_vec())).is_err())
            .map(|(id, _)| *id)
            .collect();
        for member in slow {
            // Its receiver ends without a last word: it takes none.
            Box::pin(self.leave(member)).await;
        }
    }
}
