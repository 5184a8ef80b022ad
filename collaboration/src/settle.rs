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
    authority::Authority,
    bus::{Bus, Sender},
    caller::Caller,
    condition::{Conditions, Once},
    error::CommandError,
};
use domain::{
    proposal::{Content, Edit, Heading, Manuscript, Phase, Proposal, ProposalCommand, ProposalError, SectionKey},
    store::AggregateStores,
    value::{ProposalId, TenantId, UserId},
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    error::{RefusedUpdate, TextError},
    store::{Book, Intent, Kept, PgTexts, Place, Texts, Written},
    text::SharedText,
};

/// How often it is tried to settle a text that another process is busy with, and how long apart: 5 s altogether.
const ATTEMPTS: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);

/// Updates that are told apart by who wrote them; of more, the last author is taken for all.
const TOLD_APART: usize = 200;

/// Where a text and its proposal are after they were brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The proposal's version.
    pub version: u64,
    /// How far the proposal is: it is written as a draft only.
    pub phase: Phase,
    /// Sections that were recorded.
    pub recorded: usize,
}

/// Brings texts and events together.
pub struct Settling<S> {
    texts: PgTexts,
    bus: Arc<Bus<S>>,
}

impl<S> Clone for Settling<S> {
    fn clone(&self) -> Self {
        Self { texts: self.texts.clone(), bus: Arc::clone(&self.bus) }
    }
}

impl<S: AggregateStores> Settling<S> {
    /// Over the texts of that database and the log behind that bus.
    pub fn new(texts: PgTexts, bus: Arc<Bus<S>>) -> Self {
        Self { texts, bus }
    }

    /// Records what was written together in that proposal so far. Does nothing where nobody wrote together.
    ///
    /// # Errors
    /// [`TextError`] when a store is away or another process is at it for seconds.
    pub async fn settle_now(&self, tenant: &TenantId, proposal: ProposalId) -> Result<(), TextError> {
        let place = Place { tenant: tenant.clone(), proposal };
        let book = self.texts.book(&place).await?;
        if book.seq == book.base_seq && book.intent.is_none() {
            return Ok(());
        }
        self.settle_patiently(&place).await.map(|_| ())
    }

    /// The same as [`Self::settle`], after whoever is at it.
    pub(crate) async fn settle_patiently(&self, place: &Place) -> Result<Settled, TextError> {
        let mut attempts_left = ATTEMPTS;
        loop {
            attempts_left -= 1;
            match self.settle(place).await {
                Err(TextError::Busy) if attempts_left > 0 => sleep(BETWEEN).await,
                settled => return settled,
            }
        }
    }

    pub(crate) fn texts(&self) -> &PgTexts {
        &self.texts
    }

    /// The version of the proposal, as it is now.
    pub(crate) async fn version(&self, place: &Place) -> Result<u64, TextError> {
        Ok(self.bus.on_record::<Proposal>(&place.tenant, &place.proposal.to_string()).await?.version)
    }

    /// Brings a text that was opened and its proposal together.
    pub(crate) async fn settle(&self, place: &Place) -> Result<Settled, TextError> {
        let lock = self.texts.lock(place).await?.ok_or(TextError::Busy)?;
        let settled = self.settle_alone(place).await;
        // Nothing was written over it: its end is all that counts, and its connection ends with it anyway.
        let _ = lock.rollback().await;
        settled
    }

    async fn settle_alone(&self, place: &Place) -> Result<Settled, TextError> {
        let mut book = self.texts.book(place).await?;
        let mut recorded = 0;
        if let Some(intent) = book.intent.take() {
            recorded += self.record(place, &mut book, intent).await?;
        }
        let found = self.bus.on_record::<Proposal>(&place.tenant, &place.proposal.to_string()).await?;
        let (version, phase) = (found.version, found.state.phase());
        let manuscript = found.state.manuscript().ok_or(TextError::NotFound)?;
        let base = self.take_over(place, &mut book, manuscript).await?;

        let later = self.texts.later(place, book.base_seq).await?;
        let Some(last) = later.last().map(|kept| kept.seq) else { return Ok(Settled { version, phase, recorded }) };
        let authors = authors(place, &base, &later)?;
        let written = written(&base, &book.texts, manuscript, &authors);
        if written.is_empty() {
            self.texts.rebase(place, last, &base.whole(), &book.texts).await?;
            return Ok(Settled { version, phase, recorded });
        }
        if phase != Phase::Draft {
            self.texts.rest(place).await?;
            return Ok(Settled { version, phase, recorded });
        }
        let mut texts = book.texts.clone();
        texts.extend(written.iter().map(|edit| (edit.section.clone(), edit.content.to_string())));
        let intent = Intent { key: new_key(), seq: last, texts, edits: written, base: base.whole() };
        self.texts.intend(place, &intent).await?;
        recorded += self.record(place, &mut book, intent).await?;
        Ok(Settled { version: self.version(place).await?, phase, recorded })
    }

    /// Gives the command of an intent, and takes its base over. Tells how many sections were recorded.
    async fn record(&self, place: &Place, book: &mut Book, intent: Intent) -> Result<usize, TextError> {
        let by = intent.edits.last().map_or_else(|| UserId::ours("system:collaboration"), |edit| edit.by.clone());
        let caller = Caller::new(by, place.tenant.clone());
        let sender = Sender { caller, authority: Authority::System };
        let edits = intent.edits.iter().map(|edit| {
            let stamp = domain::value::Stamp { by: edit.by.clone(), at: self.bus.now() };
            let Written { section, heading, content, based_on, .. } = edit.clone();
            (Edit { section, heading, content, based_on }, stamp)
        });
        let command = ProposalCommand::EditTogether { edits: edits.collect() };
        let once = Once::try_new(&intent.key, "").map_err(|error| TextError::Kept { reason: error.to_string() })?;
        let conditions = Conditions { once: Some(once), ..Conditions::default() };
        let given = self.bus.give::<Proposal>(&sender, &place.proposal.to_string(), &conditions, command).await;
        match given {
            Ok(_) => {
                self.texts.rebase(place, intent.seq, &intent.base, &intent.texts).await?;
                (book.base_seq, book.base, book.texts) = (intent.seq, Some(intent.base), intent.texts);
                Ok(intent.edits.len())
            }
            // Somebody changed the same by a command: that is taken over first, and then it is tried anew.
            Err(CommandError::Rejected(ProposalError::StaleSection { .. })) => {
                self.texts.give_up(place).await?;
                Ok(0)
            }
            Err(CommandError::Rejected(reason)) => {
                tracing::info!(%reason, tenant = %place.tenant, proposal = %place.proposal, "a shared text is not recorded");
                self.texts.give_up(place).await?;
                self.texts.rest(place).await?;
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Brings into the text what commands changed since its base; the answer is the base after that.
    async fn take_over(
        &self,
        place: &Place,
        book: &mut Book,
        manuscript: &Manuscript,
    ) -> Result<SharedText, TextError> {
        let base = SharedText::of(book.base.as_deref()).map_err(|error| unreadable(&error))?;
        let said = said(manuscript);
        let known = base.known();
        let gone = book.texts.keys().filter(|key| !said.contains_key(*key)).map(|key| (key, ""));
        let changed = said.iter().filter(|(key, text)| book.texts.get(*key) != Some(*text));
        let changed: Vec<_> = changed.map(|(key, text)| (key, text.as_str())).chain(gone).collect();
        let rewritten: Vec<_> = changed.iter().filter_map(|(key, text)| base.rewrite(key, text)).collect();
        if !rewritten.is_empty() {
            self.texts.take_over(place, &base.since(&known), &base.whole(), &said).await?;
        }
        book.texts = said;
        Ok(base)
    }
}

/// What the sections of a proposal say.
fn said(manuscript: &Manuscript) -> Texts {
    let written = manuscript.sections.iter().filter_map(|section| {
        let content = section.content.as_ref()?;
        Some((section.key.clone(), content.to_string()))
    });
    written.collect()
}

/// Merges the updates into the base, and tells who changed each section last.
fn authors(place: &Place, base: &SharedText, later: &[Kept]) -> Result<BTreeMap<SectionKey, UserId>, TextError> {
    let mut authors = BTreeMap::new();
    let mut before = base.texts();
    for (number, kept) in later.iter().enumerate() {
        kept.merge_into(base, place)?;
        let is_looked_at = later.len() <= TOLD_APART || number + 1 == later.len();
        let Some(by) = kept.by.as_deref().filter(|_| is_looked_at) else { continue };
        let after = base.texts();
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
fn written(
    text: &SharedText,
    recorded: &Texts,
    manuscript: &Manuscript,
    authors: &BTreeMap<SectionKey, UserId>,
) -> Vec<Written> {
    let changed = text.texts().into_iter().filter_map(|(key, text)| {
        // A section that says nothing stays on record as it was.
        let content = (!text.trim().is_empty()).then(|| Content::try_new(&text))?;
        let content = content.inspect_err(|reason| {
            // Edits that were each taken by another process can be too much together.
            tracing::warn!(section = %key, %reason, "a section of a shared text cannot be recorded as it is");
        });
        let content = content.ok()?;
        if recorded.get(&key).is_some_and(|known| known == content.as_str()) {
            return None;
        }
        let known = manuscript.section(&key);
        let heading = known.map(|section| section.heading.clone()).or_else(|| Heading::try_new(key.as_str()).ok())?;
        let by = authors.get(&key).cloned().unwrap_or_else(|| UserId::ours("system:collaboration"));
        let based_on = known.map_or(0, |section| section.revision);
        Some(Written { section: key, heading, content, based_on, by })
    });
    changed.collect()
}

fn unreadable(error: &RefusedUpdate) -> TextError {
    TextError::Kept { reason: error.to_string() }
}

#[expect(clippy::disallowed_methods, reason = "keys of commands of this program are minted here")]
fn new_key() -> String {
    format!("shared-text:{}", Uuid::now_v7())
}
