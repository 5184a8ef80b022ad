//! Processes an editor's update: inspects it, merges it, and adds it to those that are stored next.

use domain::{event_store::AggregateStores, proposal::LifecyclePhase, value::UserId};

use super::{Room, update_group::AcceptedUpdate};
use crate::{
    blocking_work::run_blocking,
    editor_message,
    error::{RefusedUpdate, TextError},
    shared_text::UpdateNovelty,
    update_contents::{ContentPolicy, UpdateContents},
};

impl<S: AggregateStores> Room<S> {
    /// Merges and accepts an update. Its contents and the sender's right to write are checked before the library decodes
    /// it.
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
            // An editor that reconnects sends its whole text: known updates are not stored again.
            (UpdateNovelty::Known, ..) => return Ok(Ok(())),
            (_, false, _) => return Ok(Err(RefusedUpdate::ReadOnly)),
            // An editor that was disconnected may send a new update before those that it made while disconnected: on
            // request it sends both.
            (UpdateNovelty::MissingDependencies, ..) => {
                // The request reveals the content of the room, which must be stored by then.
                self.store_accepted_updates().await?;
                self.request_missing_updates(from).await;
                return Ok(Ok(()));
            }
            (UpdateNovelty::New, true, LifecyclePhase::Draft) => {}
            (UpdateNovelty::New, true, phase) => return Ok(Err(RefusedUpdate::NotDraft { phase: phase.name() })),
        }
        if let Err(refused) = self.check_capacity(&update, &contents).await? {
            return Ok(Err(refused));
        }
        let merged = if self.size.is_slow_to_merge(&contents) {
            run_blocking(|| self.text.merge_inspected_update(&update, &contents))
        } else {
            self.text.merge_inspected_update(&update, &contents)
        };
        // All dependencies are merged, so an update that is still not merged depends on itself.
        let merged = if self.text.has_missing_updates() { Err(RefusedUpdate::Malformed) } else { merged };
        if let Err(refused) = merged {
            // The reloaded text must have the updates that were accepted before.
            self.store_accepted_updates().await?;
            self.reload_text().await?;
            return Ok(Err(refused));
        }
        self.accepted.add(AcceptedUpdate { from, by: by.clone(), body: update });
        Ok(Ok(()))
    }

    /// Asks an editor for the updates that its update depends on, at most once per state of the room.
    async fn request_missing_updates(&mut self, from: u64) {
        let known = self.text.state_vector();
        let Some(member) = self.members.get_mut(&from).filter(|member| member.requested_state.as_ref() != Some(&known))
        else {
            return;
        };
        member.requested_state = Some(known.clone());
        self.send_to_member(from, editor_message::encode_sync_step_1(known)).await;
    }

    /// Checks the limits of the text's size and of the updates that are not recorded as events yet.
    async fn check_capacity(
        &mut self,
        update: &[u8],
        contents: &UpdateContents,
    ) -> Result<Result<(), RefusedUpdate>, TextError> {
        let max_bytes = self.max_text_bytes;
        let Self { size, text, .. } = self;
        // Near its limits the whole text is measured, which is slow.
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
            // A sync may record most of them. It counts and records those that are stored.
            self.store_accepted_updates().await?;
            match self.sync.try_sync(&self.proposal).await {
                Ok(outcome) => (self.version, self.phase) = (outcome.version, outcome.phase),
                Err(TextError::Busy) => {}
                Err(error) => return Err(error),
            }
            let unrecorded = self.sync.shared_texts().load_unrecorded_bytes(&self.proposal).await?;
            if unrecorded + update.len() > max_bytes {
                return Ok(Err(RefusedUpdate::TooLarge { max_bytes }));
            }
            self.unrecorded_bytes = unrecorded + update.len();
        }
        Ok(Ok(()))
    }
}
