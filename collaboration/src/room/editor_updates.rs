//! What editors write, on its way into a room: looked through, merged, on record, and only then told.

use domain::{event_store::AggregateStores, proposal::LifecyclePhase, value::UserId};

use super::Room;
use crate::{
    blocking_work::run_blocking,
    editor_message,
    error::{RefusedUpdate, TextError},
    peer_channel::PeerMessage,
    shared_text::UpdateNovelty,
    update_contents::{ContentPolicy, UpdateContents},
};

impl<S: AggregateStores> Room<S> {
    /// Takes an update in: looked through, and from one who may, before the library sees a byte of it.
    pub(super) async fn handle_update(
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
        match (self.text.classify_update(&contents), may_write, self.phase) {
            // An editor that comes back offers all it knows: what is known already is not kept again.
            (UpdateNovelty::Known, ..) => return Ok(Ok(())),
            (_, false, _) => return Ok(Err(RefusedUpdate::ReadOnly)),
            // An editor that was away may write on before it was asked what it wrote meanwhile: it is asked, and sends both.
            (UpdateNovelty::MissingDependencies, ..) => {
                self.request_missing_updates(from).await;
                return Ok(Ok(()));
            }
            (UpdateNovelty::New, true, LifecyclePhase::Draft) => {}
            (UpdateNovelty::New, true, phase) => return Ok(Err(RefusedUpdate::NotDraft { phase: phase.name() })),
        }
        if let Err(refused) = self.check_capacity(&update, &contents).await? {
            return Ok(Err(refused));
        }
        let taken = if self.size.is_slow_to_merge(&contents) {
            run_blocking(|| self.text.merge_inspected_update(&update, &contents))
        } else {
            self.text.merge_inspected_update(&update, &contents)
        };
        // What builds on all that is here and is not taken in builds on itself.
        let taken = if self.text.has_missing_updates() { Err(RefusedUpdate::Malformed) } else { taken };
        if let Err(refused) = taken {
            self.reload_text().await?;
            return Ok(Err(refused));
        }
        let seq = self.sync.shared_texts().append_update(&self.proposal, by, &update).await?;
        // Where another process was faster, its updates are still to come.
        if seq == self.last_seq + 1 {
            self.last_seq = seq;
        }
        self.broadcast(Some(from), &editor_message::encode_update(update)).await;
        self.peers.publish(&self.proposal, &PeerMessage::Updates);
        Ok(Ok(()))
    }

    /// Asks an editor for what its update builds on; once, until the room knows more.
    async fn request_missing_updates(&mut self, from: u64) {
        let known = self.text.state_vector();
        let Some(member) = self.members.get_mut(&from).filter(|member| member.requested_state.as_ref() != Some(&known))
        else {
            return;
        };
        member.requested_state = Some(known.clone());
        self.send_to_member(from, editor_message::encode_sync_step_1(known)).await;
    }

    /// Whether an update still fits: the text with it, and all that is kept until it is on record.
    async fn check_capacity(
        &mut self,
        update: &[u8],
        contents: &UpdateContents,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let max_bytes = self.max_text_bytes;
        let Self { size, text, .. } = self;
        // Near its limits a text is measured, all of it.
        let grown = if size.is_slow_to_merge(contents) {
            run_blocking(|| size.try_grow(text, update, contents, max_bytes))
        } else {
            size.try_grow(text, update, contents, max_bytes)
        };
        if let Err(refused) = grown {
            return Ok(Err(refused));
        }
        self.unrecorded_bytes += update.len();
        if self.unrecorded_bytes > max_bytes {
            // Most of it may be on record by now, or could be.
            match self.sync.try_sync(&self.proposal).await {
                Ok(settled) => (self.version, self.phase) = (settled.version, settled.phase),
                Err(TextError::Busy) => {}
                Err(error) => return Err(error),
            }
            let kept = self.sync.shared_texts().load_unrecorded_bytes(&self.proposal).await?;
            if kept + update.len() > max_bytes {
                return Ok(Err(RefusedUpdate::TooLarge { max_bytes }));
            }
            self.unrecorded_bytes = kept + update.len();
        }
        Ok(Ok(()))
    }
}
