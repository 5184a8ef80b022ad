//! Records the notices of a source that have changed since the source listed them last.

use std::collections::HashMap;

use commands::{
    append_batch::{self, AppendBatch},
    caller::Caller,
};
use domain::{
    event_store::BatchStore,
    opportunity::{Notice, Opportunity, OpportunityCommand, OpportunityEvent},
};

use super::{
    SyncError, SyncSource,
    sync_store::{ListedNotice, SyncStore},
};
use crate::{SamGovConfig, notice_import::ImportSummary};

/// Records notices of one source.
pub(super) struct ListedNoticeRecorder<'a, L> {
    log: L,
    state: &'a SyncStore,
    caller: Caller,
    source: SyncSource,
    /// Number of absences at which a notice counts as removed, even if the run ended before marking it.
    absences_before_archive: u32,
}

/// A notice of a source.
pub(super) struct SourceNotice {
    pub(super) notice: Notice,
    /// The address of its text, if the source does not give the text itself.
    pub(super) description_url: Option<String>,
}

/// A notice that the source did not list before in this form.
pub(super) struct ChangedNotice {
    pub(super) notice: Notice,
    /// The address of its text, if the text is still to be fetched.
    pub(super) description_url: Option<String>,
    /// Whether the source lists it again after it had left.
    is_relisted: bool,
    /// Digest of the notice as listed, without a text that was fetched.
    listed_digest: String,
}

impl<'a, L: BatchStore> ListedNoticeRecorder<'a, L> {
    pub(super) fn new(config: &SamGovConfig, log: L, state: &'a SyncStore, caller: Caller, source: SyncSource) -> Self {
        let absences_before_archive = config.absences_before_archive.max(1);
        Self { log, state, caller, source, absences_before_archive }
    }

    pub(super) fn log(&self) -> &L {
        &self.log
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The changed ones among `notices`; all others are counted as unchanged. With `fetches_descriptions` a notice
    /// whose text is still to be fetched counts as changed.
    pub(super) async fn select_changed(
        &self,
        notices: Vec<SourceNotice>,
        fetches_descriptions: bool,
        counts: &mut ImportSummary,
    ) -> Result<Vec<ChangedNotice>, SyncError> {
        let ids: Vec<_> = notices.iter().map(|listed| listed.notice.notice_id.to_string()).collect();
        let known = self.state.load_notices(self.source.name(), &ids).await?;
        let (mut changed, mut present_again) = (Vec::new(), HashMap::new());
        for (SourceNotice { notice, description_url }, id) in notices.into_iter().zip(&ids) {
            let listed_digest = notice.digest();
            let known = known.get(id);
            let is_relisted =
                known.is_some_and(|known| known.removed || known.absences >= self.absences_before_archive);
            let wants_text = fetches_descriptions && description_url.is_some();
            let is_unchanged = known.is_some_and(|known| {
                known.digest == listed_digest && !is_relisted && !(known.description_due && wants_text)
            });
            if is_unchanged {
                counts.rows += 1;
                counts.unchanged += 1;
                if let Some(known) = known.filter(|known| known.absences > 0) {
                    present_again.insert(id.clone(), known);
                }
            } else {
                changed.push(ChangedNotice { notice, description_url, is_relisted, listed_digest });
            }
        }
        // Saving it resets the number of its absences.
        self.state.save_notices(self.source.name(), &present_again.into_values().collect::<Vec<_>>()).await?;
        Ok(changed)
    }

    /// Records changed notices in one transaction, then saves them as listed. If the process dies in between, the next
    /// run decides about them again, which leads to no further events.
    pub(super) async fn record_changed(
        &self,
        changed: &[ChangedNotice],
        counts: &mut ImportSummary,
    ) -> Result<(), SyncError> {
        if changed.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = changed.iter().map(|changed| changed.notice.opportunity_id().to_string()).collect();
        let decide = |batch: &mut AppendBatch<Opportunity>| {
            let changed_with_ids = changed.iter().zip(&ids);
            changed_with_ids
                .filter(|(changed, id)| batch.decide_stream(id, |state| changed.decide_events(state)) > 0)
                .count()
        };
        let (imported, events) = append_batch::decide_and_append(&self.log, &self.caller, ids.clone(), decide).await?;
        let (rows, imported) = (to_u64(changed.len()), to_u64(imported));
        counts.rows += rows;
        counts.imported += imported;
        counts.unchanged += rows - imported;
        counts.events += events;
        // An id that occurs twice in a batch is saved as it was listed last.
        let listed: HashMap<_, _> = changed
            .iter()
            .zip(ids)
            .map(|(changed, opportunity_id)| changed.to_listed(opportunity_id))
            .map(|listed| (listed.notice_id.clone(), listed))
            .collect();
        Ok(self.state.save_notices(self.source.name(), &listed.values().collect::<Vec<_>>()).await?)
    }
}

impl ChangedNotice {
    /// The events that the notice leads to. The commands are never refused.
    fn decide_events(&self, opportunity: &Opportunity) -> Vec<OpportunityEvent> {
        let notice = Box::new(self.notice.clone());
        let command = if self.is_relisted {
            OpportunityCommand::RelistNotice(notice)
        } else {
            OpportunityCommand::RecordNotice(notice)
        };
        opportunity.decide(command).unwrap_or_default()
    }

    fn to_listed(&self, opportunity_id: String) -> ListedNotice {
        ListedNotice {
            notice_id: self.notice.notice_id.to_string(),
            opportunity_id,
            digest: self.listed_digest.clone(),
            description_due: self.description_url.is_some(),
            absences: 0,
            absent_from: None,
            removed: false,
        }
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
