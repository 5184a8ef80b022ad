//! Synchronizes a shared text with its proposal's events, in both directions.
//!
//! ```text
//! events ──changes by commands since the synced state, as an update──▶ text
//! text   ──edits since the synced state, as one command──────────────▶ events, and the text becomes the synced state
//! ```
//!
//! The synced state is the document with the content of the events. Changes by commands are computed against it, not
//! against later edits, and merge with these like any editor's update. Before a command is dispatched, it is saved with
//! its idempotency key. After a crash the next sync dispatches it again with that key, so that the edits are neither
//! lost nor merged a second time as changes by another command.
//!
//! An empty section cannot be recorded: its recorded content stays until the section has text again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backon::{ConstantBuilder, Retryable};
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    error::CommandError,
    precondition::{CommandPreconditions, IdempotencyKey},
};
use domain::{
    event_store::AggregateStores,
    proposal::{
        LifecyclePhase, Proposal, ProposalCommand, ProposalContent, ProposalError, SectionChange, SectionContent,
        SectionHeading, SectionKey,
    },
    value::{ProposalId, TenantId, UserId},
};
use uuid::Uuid;

use crate::{
    blocking_work::run_blocking,
    error::{RefusedUpdate, TextError},
    shared_text::SharedText,
    shared_text_store::{
        AttributedEdit, PendingSyncCommand, ProposalRef, SectionTexts, SharedTextRow, SharedTextStore, StoredUpdate,
    },
};

/// Pauses between attempts to sync a text that another process has locked: 5 s altogether.
const RETRY_PAUSES: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_millis(50)).with_max_times(99);

/// Maximum number of updates that are attributed to their authors one by one. If there are more, all changes are
/// attributed to the author of the last update.
const MAX_ATTRIBUTED_UPDATES: usize = 200;

/// State of a proposal after a sync with its shared text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncOutcome {
    /// The proposal's version.
    pub version: u64,
    /// The proposal's phase; only a draft can be edited.
    pub phase: LifecyclePhase,
    /// Number of sections that were recorded.
    pub recorded_sections: usize,
}

/// Synchronizes shared texts with the events of their proposals.
pub struct ProposalSync<S> {
    shared_texts: SharedTextStore,
    dispatcher: Arc<CommandDispatcher<S>>,
}

impl<S> Clone for ProposalSync<S> {
    fn clone(&self) -> Self {
        Self { shared_texts: self.shared_texts.clone(), dispatcher: Arc::clone(&self.dispatcher) }
    }
}

impl<S: AggregateStores> ProposalSync<S> {
    /// Creates a sync between the texts of `shared_texts` and the event store of `dispatcher`.
    pub fn new(shared_texts: SharedTextStore, dispatcher: Arc<CommandDispatcher<S>>) -> Self {
        Self { shared_texts, dispatcher }
    }

    /// Records all edits of the proposal's shared text so far. Does nothing if there are none.
    ///
    /// # Errors
    /// [`TextError`] when a store is unavailable, [`TextError::Busy`] when another process holds the lock for 5 s.
    pub async fn sync_now(&self, tenant: &TenantId, proposal: ProposalId) -> Result<(), TextError> {
        let proposal_ref = ProposalRef { tenant: tenant.clone(), proposal };
        let row = self.shared_texts.load_row(&proposal_ref).await?;
        if row.seq == row.synced_seq && row.pending_command.is_none() {
            return Ok(());
        }
        self.sync_with_retry(&proposal_ref).await.map(|_| ())
    }

    /// Like [`Self::try_sync`], but waits for another process that holds the lock.
    pub(crate) async fn sync_with_retry(&self, proposal_ref: &ProposalRef) -> Result<SyncOutcome, TextError> {
        (|| self.try_sync(proposal_ref)).retry(RETRY_PAUSES).when(|error| matches!(error, TextError::Busy)).await
    }

    pub(crate) fn shared_texts(&self) -> &SharedTextStore {
        &self.shared_texts
    }

    /// Loads the current version of the proposal; 0 if it does not exist.
    pub(crate) async fn proposal_version(&self, proposal_ref: &ProposalRef) -> Result<u64, TextError> {
        Ok(self
            .dispatcher
            .load_aggregate::<Proposal>(&proposal_ref.tenant, &proposal_ref.proposal.to_string())
            .await?
            .version)
    }

    /// Synchronizes an existing shared text with its proposal.
    ///
    /// # Errors
    /// [`TextError::Busy`] when another process holds the lock, [`TextError::NotFound`] when there is no such
    /// proposal; others when a store is unavailable.
    pub(crate) async fn try_sync(&self, proposal_ref: &ProposalRef) -> Result<SyncOutcome, TextError> {
        let lock = self.shared_texts.try_lock(proposal_ref).await?.ok_or(TextError::Busy)?;
        let outcome = self.sync_locked(proposal_ref).await;
        // The transaction only holds the lock: an error of the rollback does not matter.
        let _ = lock.rollback().await;
        outcome
    }

    async fn sync_locked(&self, proposal_ref: &ProposalRef) -> Result<SyncOutcome, TextError> {
        let mut row = self.shared_texts.load_row(proposal_ref).await?;
        let mut recorded_sections = 0;
        if let Some(pending) = row.pending_command.take() {
            recorded_sections += self.record_pending_command(proposal_ref, &mut row, pending).await?;
        }
        let loaded = self
            .dispatcher
            .load_aggregate::<Proposal>(&proposal_ref.tenant, &proposal_ref.proposal.to_string())
            .await?;
        let (version, phase) = (loaded.version, loaded.state.phase());
        let proposal = loaded.state.content().ok_or(TextError::NotFound)?;
        let document = self.merge_recorded_changes(proposal_ref, &mut row, proposal).await?;

        let updates = self.shared_texts.load_updates_after(proposal_ref, row.synced_seq).await?;
        let Some(last) = updates.last().map(|update| update.seq) else {
            return Ok(SyncOutcome { version, phase, recorded_sections });
        };
        let authors = run_blocking(|| merge_and_attribute(proposal_ref, &document, &updates))?;
        let edits = changed_sections(&document, &row.texts, proposal, &authors);
        if edits.is_empty() {
            self.shared_texts.save_synced_state(proposal_ref, last, &document.encode_state(), &row.texts).await?;
            return Ok(SyncOutcome { version, phase, recorded_sections });
        }
        if phase != LifecyclePhase::Draft {
            self.shared_texts.postpone_sync(proposal_ref).await?;
            return Ok(SyncOutcome { version, phase, recorded_sections });
        }
        let mut texts = row.texts.clone();
        texts.extend(edits.iter().map(|edit| (edit.section.clone(), edit.content.to_string())));
        let pending = PendingSyncCommand {
            key: new_idempotency_key(),
            seq: last,
            texts,
            edits,
            synced_state: document.encode_state(),
        };
        self.shared_texts.save_pending_command(proposal_ref, &pending).await?;
        recorded_sections += self.record_pending_command(proposal_ref, &mut row, pending).await?;
        Ok(SyncOutcome { version: self.proposal_version(proposal_ref).await?, phase, recorded_sections })
    }

    /// Dispatches a pending command and saves the synced state. Returns the number of recorded sections.
    async fn record_pending_command(
        &self,
        proposal_ref: &ProposalRef,
        row: &mut SharedTextRow,
        pending: PendingSyncCommand,
    ) -> Result<usize, TextError> {
        let by =
            pending.edits.last().map_or_else(|| UserId::from_program("system:collaboration"), |edit| edit.by.clone());
        let caller = Caller::new(by, proposal_ref.tenant.clone());
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let edits = pending.edits.iter().map(|edit| {
            let stamp = domain::value::AuditStamp { by: edit.by.clone(), at: self.dispatcher.now() };
            let AttributedEdit { section, heading, content, based_on, .. } = edit.clone();
            (SectionChange { section, heading, content, based_on }, stamp)
        });
        let command = ProposalCommand::EditSections { edits: edits.collect() };
        let idempotency_key = IdempotencyKey::try_new(&pending.key, "")
            .map_err(|error| TextError::CorruptText { reason: error.to_string() })?;
        let conditions =
            CommandPreconditions { idempotency_key: Some(idempotency_key), ..CommandPreconditions::default() };
        let dispatched = self
            .dispatcher
            .dispatch::<Proposal>(&sender, &proposal_ref.proposal.to_string(), &conditions, command)
            .await;
        match dispatched {
            Ok(_) => {
                self.shared_texts
                    .save_synced_state(proposal_ref, pending.seq, &pending.synced_state, &pending.texts)
                    .await?;
                (row.synced_seq, row.synced_state, row.texts) =
                    (pending.seq, Some(pending.synced_state), pending.texts);
                Ok(pending.edits.len())
            }
            // A command has changed the same section: `merge_recorded_changes` merges that change, and the edits are
            // recorded after it.
            Err(CommandError::Refused(ProposalError::StaleSection { .. })) => {
                self.shared_texts.clear_pending_command(proposal_ref).await?;
                Ok(0)
            }
            Err(CommandError::Refused(reason)) => {
                let ProposalRef { tenant, proposal } = proposal_ref;
                tracing::info!(%reason, %tenant, %proposal, "recording a shared text was refused");
                self.shared_texts.clear_pending_command(proposal_ref).await?;
                self.shared_texts.postpone_sync(proposal_ref).await?;
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Merges the changes that commands made since the synced state into the text. Returns the document with them.
    async fn merge_recorded_changes(
        &self,
        proposal_ref: &ProposalRef,
        row: &mut SharedTextRow,
        proposal: &ProposalContent,
    ) -> Result<SharedText, TextError> {
        let document = run_blocking(|| SharedText::from_updates(row.synced_state.as_deref()));
        let document = document.map_err(|error| corrupt_text_error(&error))?;
        let recorded = recorded_texts(proposal);
        let known = document.state_vector();
        let removed = row.texts.keys().filter(|key| !recorded.contains_key(*key)).map(|key| (key, ""));
        let changed = recorded.iter().filter(|(key, text)| row.texts.get(*key) != Some(*text));
        let changed: Vec<_> = changed.map(|(key, text)| (key, text.as_str())).chain(removed).collect();
        let rewritten: Vec<_> = changed.iter().filter_map(|(key, text)| document.rewrite_section(key, text)).collect();
        if !rewritten.is_empty() {
            self.shared_texts
                .save_recorded_changes(proposal_ref, &document.encode_diff(&known), &document.encode_state(), &recorded)
                .await?;
        }
        row.texts = recorded;
        Ok(document)
    }
}

/// The recorded texts of a proposal's sections.
fn recorded_texts(proposal: &ProposalContent) -> SectionTexts {
    let texts = proposal.sections.iter().filter_map(|section| {
        let content = section.content.as_ref()?;
        Some((section.key.clone(), content.to_string()))
    });
    texts.collect()
}

/// Merges the updates into the document, and returns the author of the last change of each section.
fn merge_and_attribute(
    proposal_ref: &ProposalRef,
    document: &SharedText,
    updates: &[StoredUpdate],
) -> Result<BTreeMap<SectionKey, UserId>, TextError> {
    let mut authors = BTreeMap::new();
    let mut before = document.section_texts();
    for (number, update) in updates.iter().enumerate() {
        update.merge_into(document, proposal_ref)?;
        let is_attributed = updates.len() <= MAX_ATTRIBUTED_UPDATES || number + 1 == updates.len();
        let Some(by) = update.by.as_deref().filter(|_| is_attributed) else { continue };
        let after = document.section_texts();
        for (key, text) in &after {
            if before.get(key) != Some(text)
                && let Ok(by) = UserId::try_new(by)
            {
                authors.insert(key.clone(), by);
            }
        }
        before = after;
    }
    Ok(authors)
}

/// The sections whose text differs from the recorded one.
fn changed_sections(
    text: &SharedText,
    recorded: &SectionTexts,
    proposal: &ProposalContent,
    authors: &BTreeMap<SectionKey, UserId>,
) -> Vec<AttributedEdit> {
    let changed = text.section_texts().into_iter().filter_map(|(key, text)| {
        // An empty section keeps its recorded content.
        let content = (!text.trim().is_empty()).then(|| SectionContent::try_new(&text))?;
        let content = content.inspect_err(|reason| {
            // Updates that different processes accepted may exceed a limit together.
            tracing::warn!(section = %key, %reason, "section of a shared text not recorded: its content is invalid");
        });
        let content = content.ok()?;
        if recorded.get(&key).is_some_and(|known| known == content.as_str()) {
            return None;
        }
        let recorded_section = proposal.section(&key);
        let heading = recorded_section
            .map(|section| section.heading.clone())
            .or_else(|| SectionHeading::try_new(key.as_str()).ok())?;
        let by = authors.get(&key).cloned().unwrap_or_else(|| UserId::from_program("system:collaboration"));
        let based_on = recorded_section.map_or(0, |section| section.revision);
        Some(AttributedEdit { section: key, heading, content, based_on, by })
    });
    changed.collect()
}

fn corrupt_text_error(error: &RefusedUpdate) -> TextError {
    TextError::CorruptText { reason: error.to_string() }
}

#[expect(clippy::disallowed_methods, reason = "generates the idempotency keys of this program's commands")]
fn new_idempotency_key() -> String {
    format!("shared-text:{}", Uuid::now_v7())
}
