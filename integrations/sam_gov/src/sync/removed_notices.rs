//! Finds notices that have left the extract, and archives their opportunities.
//!
//! The extract lists active notices only. A notice leaves it when SAM.gov archives it, or when its agency withdraws it;
//! either way the opportunity has ended. An opportunity is archived when none of its notices is listed any more and its
//! current notice was. Two guards keep an extract that is not whole from ending opportunities: a notice has to be
//! absent from several versions in a row, and a version that lacks a large share of the notices is refused.

use std::collections::{HashMap, HashSet};

use commands::{
    append_batch::{self, AppendBatch},
    caller::Caller,
};
use domain::{
    clock::{Clock, SystemClock},
    event_store::BatchStore,
    opportunity::{Opportunity, OpportunityCommand},
};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::{
    SyncError, SyncSource,
    sync_store::{ListedNotice, SyncStore},
};

/// More rows than any extract has; each costs some 20 bytes of memory.
const MAX_ROWS: usize = 4_000_000;
/// Opportunities that are archived in one transaction.
const BATCH_STREAMS: usize = 500;

/// The notices of an extract, as digests of their ids.
#[derive(Default)]
pub(super) struct PresentNotices(HashSet<u128>);

impl PresentNotices {
    /// # Errors
    /// [`SyncError::TooManyRows`].
    pub(super) fn add(&mut self, notice_id: &str) -> Result<(), SyncError> {
        if self.0.len() >= MAX_ROWS {
            return Err(SyncError::TooManyRows { limit: MAX_ROWS });
        }
        self.0.insert(hash_id(notice_id));
        Ok(())
    }

    fn contains(&self, notice_id: &str) -> bool {
        self.0.contains(&hash_id(notice_id))
    }
}

fn hash_id(notice_id: &str) -> u128 {
    let digest = Sha256::digest(notice_id.as_bytes());
    digest.iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

/// Archives the opportunities of notices that have left the extract.
pub(super) struct RemovedNotices<'a, L> {
    pub(super) state: &'a SyncStore,
    pub(super) log: &'a L,
    pub(super) caller: &'a Caller,
    /// The share of its notices, in percent, that an extract may lack.
    pub(super) max_percent: u32,
    /// Consecutive extracts without a notice before its opportunity is archived.
    pub(super) absences_before_archive: u32,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RemovalCounts {
    /// Notices that are absent for the first time.
    pub(super) missing: u64,
    /// Opportunities that were archived.
    pub(super) archived: u64,
}

impl<L: BatchStore> RemovedNotices<'_, L> {
    /// # Errors
    /// [`SyncError::TooManyRemoved`] when the extract lacks too many notices; nothing is changed then.
    pub(super) async fn archive_absent(&self, present: &PresentNotices) -> Result<RemovalCounts, SyncError> {
        let source = SyncSource::Extract.name();
        let (mut listed, mut absent) = (0_u64, Vec::new());
        {
            let mut notices = std::pin::pin!(self.state.stream_present_notices(source));
            while let Some(notice) = notices.try_next().await? {
                listed += 1;
                if !present.contains(&notice.notice_id) {
                    absent.push(notice);
                }
            }
        }
        // Those that were absent before do not make this extract less credible.
        let missing = to_u64(absent.iter().filter(|notice| notice.absences == 0).count());
        if missing * 100 > listed * u64::from(self.max_percent) {
            return Err(SyncError::TooManyRemoved { missing, listed, percent: self.max_percent });
        }
        let (due, waiting): (Vec<_>, Vec<_>) =
            absent.into_iter().partition(|notice| notice.absences + 1 >= self.absences_before_archive);
        let archived = self.archive_opportunities(source, due).await?;
        let waiting: Vec<_> = waiting.into_iter().map(|notice| notice.notice_id).collect();
        self.state.count_absences(source, &waiting).await?;
        Ok(RemovalCounts { missing, archived })
    }

    /// Archives the opportunities of these notices, unless the extract lists another notice of it.
    async fn archive_opportunities(&self, source: &str, due: Vec<ListedNotice>) -> Result<u64, SyncError> {
        let due_ids: Vec<_> = due.iter().map(|notice| notice.notice_id.clone()).collect();
        let mut notices_by_opportunity: HashMap<String, Vec<String>> = HashMap::new();
        for notice in due {
            notices_by_opportunity.entry(notice.opportunity_id).or_default().push(notice.notice_id);
        }
        let mut opportunities: Vec<_> = notices_by_opportunity.keys().cloned().collect();
        opportunities.sort_unstable();
        let mut archived = 0;
        for batch in opportunities.chunks(BATCH_STREAMS) {
            let still_listed: HashSet<_> =
                self.state.listed_opportunities(source, batch, &due_ids).await?.into_iter().collect();
            let ended: Vec<_> = batch.iter().filter(|id| !still_listed.contains(*id)).cloned().collect();
            archived += self.archive_batch(ended, &notices_by_opportunity).await?;
            let notices = batch.iter().filter_map(|id| notices_by_opportunity.get(id)).flatten().cloned();
            self.state.mark_removed(source, &notices.collect::<Vec<_>>()).await?;
        }
        Ok(archived)
    }

    /// Archives those whose current notice is among the removed ones; returns their number.
    async fn archive_batch(&self, ids: Vec<String>, removed: &HashMap<String, Vec<String>>) -> Result<u64, SyncError> {
        let stamp = self.caller.stamp(SystemClock.now());
        let decide = |batch: &mut AppendBatch<Opportunity>| {
            for id in &ids {
                batch.decide_stream(id, |opportunity| {
                    let current = opportunity.record().map(|record| record.notice_id.as_str());
                    let is_removed =
                        removed.get(id).is_some_and(|ids| ids.iter().any(|id| Some(id.as_str()) == current));
                    let command = OpportunityCommand::Archive { stamp: stamp.clone() };
                    if is_removed { opportunity.decide(command).unwrap_or_default() } else { vec![] }
                });
            }
        };
        let ((), events) = append_batch::decide_and_append(self.log, self.caller, ids.clone(), decide).await?;
        Ok(events)
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
