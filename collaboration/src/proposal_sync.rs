//! Bringing a shared text and its proposal's events together, in both directions.
//!
//! ```text
//! events ──what commands changed since the base, as an update──▶ text
//! text   ──what was written since the base, as one command──────▶ events, and it is the new base
//! ```
//!
//! The base is the document that says what the events say. What a command changed is worked out against the base and not
//! against what was written since, and merges with that as any editor's update does. What is recorded is noted with the key
//! of its command before the command is given: whoever comes after a crash gives it again with that key, so that a text is
//! neither lost nor taken for somebody else's and doubled.
//!
//! A section that says nothing cannot be on record: it stays as it was there until something is written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    blocking_work::run_blocking,
    error::{RefusedUpdate, TextError},
    shared_text::SharedText,
    shared_text_store::{
        AttributedEdit, ProposalRef, SectionTexts, SharedTextRow, SharedTextStore, StoredUpdate, SyncIntent,
    },
};

/// How often it is tried to settle a text that another process is busy with, and how long apart: 5 s altogether.
const SYNC_ATTEMPTS: u32 = 100;
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Updates that are told apart by who wrote them; of more, the last author is taken for all.
const MAX_ATTRIBUTED_UPDATES: usize = 200;

/// Where a text and its proposal are after they were brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncOutcome {
    /// The proposal's version.
    pub version: u64,
    /// How far the proposal is: it is written as a draft only.
    pub phase: LifecyclePhase,
    /// Sections that were recorded.
    pub recorded_sections: usize,
}

/// Brings texts and events together.
pub struct ProposalSync<S> {
    shared_texts: SharedTextStore,
    bus: Arc<CommandDispatcher<S>>,
}

impl<S> Clone for ProposalSync<S> {
    fn clone(&self) -> Self {
        Self { shared_texts: self.shared_texts.clone(), bus: Arc::clone(&self.bus) }
    }
}

impl<S: AggregateStores> ProposalSync<S> {
    /// Over the texts of that database and the log behind that bus.
    pub fn new(texts: SharedTextStore, bus: Arc<CommandDispatcher<S>>) -> Self {
        Self { shared_texts: texts, bus }
    }

    /// Records what was written together in that proposal so far. Does nothing where nobody wrote together.
    ///
    /// # Errors
    /// [`TextError`] when a store is away or another process is at it for seconds.
    pub async fn sync_now(&self, tenant: &TenantId, proposal: ProposalId) -> Result<(), TextError> {
        let place = ProposalRef { tenant: tenant.clone(), proposal };
        let book = self.shared_texts.load_row(&place).await?;
        if book.seq == book.base_seq && book.intent.is_none() {
            return Ok(());
        }
        self.sync_with_retry(&place).await.map(|_| ())
    }

    /// The same as [`Self::try_sync`], after whoever is at it.
    pub(crate) async fn sync_with_retry(&self, place: &ProposalRef) -> Result<SyncOutcome, TextError> {
        let mut attempts_left = SYNC_ATTEMPTS;
        loop {
            attempts_left -= 1;
            match self.try_sync(place).await {
                Err(TextError::Busy) if attempts_left > 0 => sleep(RETRY_DELAY).await,
                settled => return settled,
            }
        }
    }

    pub(crate) fn shared_texts(&self) -> &SharedTextStore {
        &self.shared_texts
    }

    /// The version of the proposal, as it is now.
    pub(crate) async fn proposal_version(&self, place: &ProposalRef) -> Result<u64, TextError> {
        Ok(self.bus.load_aggregate::<Proposal>(&place.tenant, &place.proposal.to_string()).await?.version)
    }

    /// Brings a text that was opened and its proposal together.
    pub(crate) async fn try_sync(&self, place: &ProposalRef) -> Result<SyncOutcome, TextError> {
        let lock = self.shared_texts.try_lock(place).await?.ok_or(TextError::Busy)?;
        let settled = self.sync_locked(place).await;
        // Nothing was written over it: its end is all that counts, and its connection ends with it anyway.
        let _ = lock.rollback().await;
        settled
    }

    async fn sync_locked(&self, place: &ProposalRef) -> Result<SyncOutcome, TextError> {
        let mut book = self.shared_texts.load_row(place).await?;
        let mut recorded = 0;
        if let Some(intent) = book.intent.take() {
            recorded += self.record_intent(place, &mut book, intent).await?;
        }
        let found = self.bus.load_aggregate::<Proposal>(&place.tenant, &place.proposal.to_string()).await?;
        let (version, phase) = (found.version, found.state.phase());
        let manuscript = found.state.content().ok_or(TextError::NotFound)?;
        let base = self.merge_recorded_changes(place, &mut book, manuscript).await?;

        let later = self.shared_texts.load_updates_after(place, book.base_seq).await?;
        let Some(last) = later.last().map(|kept| kept.seq) else {
            return Ok(SyncOutcome { version, phase, recorded_sections: recorded });
        };
        let authors = run_blocking(|| merge_and_attribute(place, &base, &later))?;
        let written = changed_sections(&base, &book.texts, manuscript, &authors);
        if written.is_empty() {
            self.shared_texts.save_base(place, last, &base.encode_state(), &book.texts).await?;
            return Ok(SyncOutcome { version, phase, recorded_sections: recorded });
        }
        if phase != LifecyclePhase::Draft {
            self.shared_texts.postpone_sync(place).await?;
            return Ok(SyncOutcome { version, phase, recorded_sections: recorded });
        }
        let mut texts = book.texts.clone();
        texts.extend(written.iter().map(|edit| (edit.section.clone(), edit.content.to_string())));
        let intent =
            SyncIntent { key: new_idempotency_key(), seq: last, texts, edits: written, base: base.encode_state() };
        self.shared_texts.save_intent(place, &intent).await?;
        recorded += self.record_intent(place, &mut book, intent).await?;
        Ok(SyncOutcome { version: self.proposal_version(place).await?, phase, recorded_sections: recorded })
    }

    /// Gives the command of an intent, and takes its base over. Tells how many sections were recorded.
    async fn record_intent(
        &self,
        place: &ProposalRef,
        book: &mut SharedTextRow,
        intent: SyncIntent,
    ) -> Result<usize, TextError> {
        let by =
            intent.edits.last().map_or_else(|| UserId::from_program("system:collaboration"), |edit| edit.by.clone());
        let caller = Caller::new(by, place.tenant.clone());
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let edits = intent.edits.iter().map(|edit| {
            let stamp = domain::value::AuditStamp { by: edit.by.clone(), at: self.bus.now() };
            let AttributedEdit { section, heading, content, based_on, .. } = edit.clone();
            (SectionChange { section, heading, content, based_on }, stamp)
        });
        let command = ProposalCommand::EditSections { edits: edits.collect() };
        let once = IdempotencyKey::try_new(&intent.key, "")
            .map_err(|error| TextError::CorruptText { reason: error.to_string() })?;
        let conditions = CommandPreconditions { idempotency_key: Some(once), ..CommandPreconditions::default() };
        let given = self.bus.dispatch::<Proposal>(&sender, &place.proposal.to_string(), &conditions, command).await;
        match given {
            Ok(_) => {
                self.shared_texts.save_base(place, intent.seq, &intent.base, &intent.texts).await?;
                (book.base_seq, book.base, book.texts) = (intent.seq, Some(intent.base), intent.texts);
                Ok(intent.edits.len())
            }
            // Somebody changed the same by a command: that is taken over first, and then it is tried anew.
            Err(CommandError::Refused(ProposalError::StaleSection { .. })) => {
                self.shared_texts.clear_intent(place).await?;
                Ok(0)
            }
            Err(CommandError::Refused(reason)) => {
                tracing::info!(%reason, tenant = %place.tenant, proposal = %place.proposal, "a shared text is not recorded");
                self.shared_texts.clear_intent(place).await?;
                self.shared_texts.postpone_sync(place).await?;
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Brings into the text what commands changed since its base; the answer is the base after that.
    async fn merge_recorded_changes(
        &self,
        place: &ProposalRef,
        book: &mut SharedTextRow,
        manuscript: &ProposalContent,
    ) -> Result<SharedText, TextError> {
        let base = run_blocking(|| SharedText::from_updates(book.base.as_deref()));
        let base = base.map_err(|error| corrupt_text_error(&error))?;
        let said = recorded_texts(manuscript);
        let known = base.state_vector();
        let gone = book.texts.keys().filter(|key| !said.contains_key(*key)).map(|key| (key, ""));
        let changed = said.iter().filter(|(key, text)| book.texts.get(*key) != Some(*text));
        let changed: Vec<_> = changed.map(|(key, text)| (key, text.as_str())).chain(gone).collect();
        let rewritten: Vec<_> = changed.iter().filter_map(|(key, text)| base.rewrite_section(key, text)).collect();
        if !rewritten.is_empty() {
            self.shared_texts
                .save_recorded_changes(place, &base.encode_diff(&known), &base.encode_state(), &said)
                .await?;
        }
        book.texts = said;
        Ok(base)
    }
}

/// What the sections of a proposal say.
fn recorded_texts(manuscript: &ProposalContent) -> SectionTexts {
    let written = manuscript.sections.iter().filter_map(|section| {
        let content = section.content.as_ref()?;
        Some((section.key.clone(), content.to_string()))
    });
    written.collect()
}

/// Merges the updates into the base, and tells who changed each section last.
fn merge_and_attribute(
    place: &ProposalRef,
    base: &SharedText,
    later: &[StoredUpdate],
) -> Result<BTreeMap<SectionKey, UserId>, TextError> {
    let mut authors = BTreeMap::new();
    let mut before = base.section_texts();
    for (number, kept) in later.iter().enumerate() {
        kept.merge_into(base, place)?;
        let is_looked_at = later.len() <= MAX_ATTRIBUTED_UPDATES || number + 1 == later.len();
        let Some(by) = kept.by.as_deref().filter(|_| is_looked_at) else { continue };
        let after = base.section_texts();
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

/// The sections that say something else than the proposal does.
fn changed_sections(
    text: &SharedText,
    recorded: &SectionTexts,
    manuscript: &ProposalContent,
    authors: &BTreeMap<SectionKey, UserId>,
) -> Vec<AttributedEdit> {
    let changed = text.section_texts().into_iter().filter_map(|(key, text)| {
        // A section that says nothing stays on record as it was.
        let content = (!text.trim().is_empty()).then(|| SectionContent::try_new(&text))?;
        let content = content.inspect_err(|reason| {
            // Edits that were each taken by another process can be too much together.
            tracing::warn!(section = %key, %reason, "a section of a shared text cannot be recorded as it is");
        });
        let content = content.ok()?;
        if recorded.get(&key).is_some_and(|known| known == content.as_str()) {
            return None;
        }
        let known = manuscript.section(&key);
        let heading =
            known.map(|section| section.heading.clone()).or_else(|| SectionHeading::try_new(key.as_str()).ok())?;
        let by = authors.get(&key).cloned().unwrap_or_else(|| UserId::from_program("system:collaboration"));
        let based_on = known.map_or(0, |section| section.revision);
        Some(AttributedEdit { section: key, heading, content, based_on, by })
    });
    changed.collect()
}

fn corrupt_text_error(error: &RefusedUpdate) -> TextError {
    TextError::CorruptText { reason: error.to_string() }
}

#[expect(clippy::disallowed_methods, reason = "keys of commands of this program are minted here")]
fn new_idempotency_key() -> String {
    format!("shared-text:{}", Uuid::now_v7())
}
