//! What editors write, on its way into a room: looked through, merged, on record, and only then told.

use domain::{proposal::Phase, store::AggregateStores, value::UserId};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

use super::Room;
use crate::{
    error::{RefusedUpdate, TextError},
    message,
    peers::Word,
    text::UpdateNovelty,
    update_contents::{ContentPolicy, UpdateContents},
};

impl<S: AggregateStores> Room<S> {
    /// Takes an update in: looked through, and from one who may, before the library sees a byte of it.
    pub(super) async fn wrote(
        &mut self,
        from: u64,
        by: &UserId,
        update: Vec<u8>,
        may_write: bool,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let contents = match UpdateContents::read(&update, ContentPolicy::TextOnly) {
            Ok(contents) => contents,
            Err(refused) => return Ok(Err(refused)),
        };
        match (self.text.compare(&contents), may_write, self.phase) {
            // An editor that comes back offers all it knows: what is known already is not kept again.
            (UpdateNovelty::Known, ..) => return Ok(Ok(())),
            (_, false, _) => return Ok(Err(RefusedUpdate::ReadOnly)),
            // An editor that was away may write on before it was asked what it wrote meanwhile: it is asked, and sends both.
            (UpdateNovelty::Early, ..) => {
                self.ask_for_missing(from).await;
                return Ok(Ok(()));
            }
            (UpdateNovelty::New, true, Phase::Draft) => {}
            (UpdateNovelty::New, true, phase) => return Ok(Err(RefusedUpdate::Closed { phase: phase.name() })),
        }
        if let Err(refused) = self.make_room(&update, &contents).await? {
            return Ok(Err(refused));
        }
        let taken = if self.size.is_heavy(&contents) {
            run_apart(|| self.text.take_contents(&update, &contents))
        } else {
            self.text.take_contents(&update, &contents)
        };
        // What builds on all that is here and is not taken in builds on itself.
        let taken = if self.text.waits() { Err(RefusedUpdate::Malformed) } else { taken };
        if let Err(refused) = taken {
            self.read_anew().await?;
            return Ok(Err(refused));
        }
        let seq = self.settling.texts().append(&self.place, by, &update).await?;
        // Where another process was faster, its updates are still to come.
        if seq == self.seq + 1 {
            self.seq = seq;
        }
        self.tell(Some(from), &message::wrote(update)).await;
        self.peers.tell(&self.place, &Word::Updates);
        Ok(Ok(()))
    }

    /// Asks an editor for what its update builds on; once, until the room knows more.
    async fn ask_for_missing(&mut self, from: u64) {
        let known = self.text.known();
        let Some(member) = self.members.get_mut(&from).filter(|member| member.asked_at.as_ref() != Some(&known)) else {
            return;
        };
        member.asked_at = Some(known.clone());
        self.tell_one(from, message::knows(known)).await;
    }

    /// Whether an update still fits: the text with it, and all that is kept until it is on record.
    async fn make_room(
        &mut self,
        update: &[u8],
        contents: &UpdateContents,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let max_bytes = self.max_text_bytes;
        if let Err(refused) = self.size.grow(&self.text, update, contents, max_bytes) {
            return Ok(Err(refused));
        }
        self.unsettled_bytes += update.len();
        if self.unsettled_bytes > max_bytes {
            // Most of it may be on record by now, or could be.
            match self.settling.settle(&self.place).await {
                Ok(settled) => (self.version, self.phase) = (settled.version, settled.phase),
                Err(TextError::Busy) => {}
                Err(error) => return Err(error),
            }
            let kept = self.settling.texts().unsettled_bytes(&self.place).await?;
            if kept + update.len() > max_bytes {
                return Ok(Err(RefusedUpdate::TooLarge { max_bytes }));
            }
            self.unsettled_bytes = kept + update.len();
        }
        Ok(Ok(()))
    }
}

/// Runs what may take long where it holds up nobody else, if there is such a place.
pub(super) fn run_apart<T>(work: impl FnOnce() -> T) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread { block_in_place(work) } else { work() }
}
