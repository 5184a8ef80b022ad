//! Finds notices that have left the extract, and archives their opportunities.
//!
//! ```text
//! absent notices ──▶ limits ──▶ count absences ──▶ archive ──▶ mark as removed
//! ```
//!
//! The extract lists active notices only. A notice leaves it when SAM.gov archives it, or when its agency withdraws it;
//! either way the opportunity has ended. An opportunity is archived when none of its notices is listed any more and its
//! current notice was. Guards keep an incomplete extract from ending opportunities: a notice has to be absent from
//! several consecutive versions, and a version is refused if it lacks a large share of the notices or would archive
//! many at once.
//!
//! Each step may be repeated after a crash: an absence counts once for a version, and a notice that is listed again
//! after its absences were counted reopens its opportunity, whether it was marked or not.

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
use tokio_util::sync::CancellationToken;

use super::{
    SyncError, SyncSource,
    notice_id_set::NoticeIdSet,
    sync_store::{ListedNotice, SyncStore},
};

/// Opportunities that are archived in one transaction.
const BATCH_STREAMS: usize = 500;

/// Archives the opportunities of notices that have left the extract.
pub(super) struct RemovedNotices<'a, L> {
    pub(super) state: &'a SyncStore,
    pub(super) log: &'a L,
    pub(super) caller: &'a Caller,
    pub(super) limits: RemovalLimits,
    /// The SHA-256 of the extract.
    pub(super) version: &'a str,
}

/// What an extract may lack.
#[derive(Debug, Clone, Copy)]
pub(super) struct RemovalLimits {
    /// The share of its notices, in percent, that an extract may lack.
    pub(super) max_absent_percent: u32,
    /// The share of its notices, in percent, that may count as removed at once.
    pub(super) max_due_percent: u32,
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
    /// Whether it was stopped before all of them were.
    pub(super) is_stopped: bool,
}

impl RemovalLimits {
    /// # Errors
    /// [`SyncError::TooManyAbsent`], [`SyncError::TooManyDue`].
    fn check(self, listed: u64, absent: u64, due: u64) -> Result<(), SyncError> {
        let exceeds = |count: u64, percent: u32| count.saturating_mul(100) > listed.saturating_mul(percent.into());
        if exceeds(absent, self.max_absent_percent) {
            return Err(SyncError::TooManyAbsent { absent, listed, percent: self.max_absent_percent });
        }
        if exceeds(due, self.max_due_percent) {
            return Err(SyncError::TooManyDue { due, listed, percent: self.max_due_percent });
        }
        Ok(())
    }
}

impl<L: BatchStore> RemovedNotices<'_, L> {
    /// # Errors
    /// [`SyncError::TooManyAbsent`] or [`SyncError::TooManyDue`] when the extract lacks too many notices; nothing is
    /// changed then.
    pub(super) async fn archive_absent(
        &self,
        present: &NoticeIdSet,
        stop: &CancellationToken,
    ) -> Result<RemovalCounts, SyncError> {
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
        let missing = to_u64(absent.iter().filter(|notice| notice.absences_before(self.version) == 0).count());
        let absent_ids: Vec<_> = absent.iter().map(|notice| notice.notice_id.clone()).collect();
        let is_due =
            |notice: &ListedNotice| notice.absences_before(self.version) + 1 >= self.limits.absences_before_archive;
        let due: Vec<_> = absent.into_iter().filter(is_due).collect();
        self.limits.check(listed, to_u64(absent_ids.len()), to_u64(due.len()))?;
        self.state.count_absences(source, &absent_ids, self.version).await?;
        let (archived, is_stopped) = self.archive_opportunities(source, &due, stop).await?;
        Ok(RemovalCounts { missing, archived, is_stopped })
    }

    /// Archives the opportunities of these notices, unless the extract lists another notice of it; returns their number
    /// and whether it was stopped.
    async fn archive_opportunities(
        &self,
        source: &str,
        due: &[ListedNotice],
        stop: &CancellationToken,
    ) -> Result<(u64, bool), SyncError> {
        let due_ids: HashSet<_> = due.iter().map(|notice| notice.notice_id.as_str()).collect();
        let mut opportunities: Vec<_> = due.iter().map(|notice| notice.opportunity_id.clone()).collect();
        opportunities.sort_unstable();
        opportunities.dedup();
        let mut archived = 0;
        for batch in opportunities.chunks(BATCH_STREAMS) {
            if stop.is_cancelled() {
                return Ok((archived, true));
            }
            // The current notice may have left before the others.
            let mut removed: HashMap<String, Vec<String>> = HashMap::new();
            let mut still_listed = HashSet::new();
            for notice in self.state.load_opportunity_notices(source, batch).await? {
                if notice.removed || due_ids.contains(notice.notice_id.as_str()) {
                    removed.entry(notice.opportunity_id).or_default().push(notice.notice_id);
                } else {
                    still_listed.insert(notice.opportunity_id);
                }
            }
            let ended: Vec<_> = batch.iter().filter(|id| !still_listed.contains(*id)).cloned().collect();
            archived += self.archive_batch(ended, &removed).await?;
            self.state.mark_removed(source, &removed.into_values().flatten().collect::<Vec<_>>()).await?;
        }
        Ok((archived, false))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_absent_notices_count_and_those_that_are_due_have_a_limit_of_their_own() {
        let limits = RemovalLimits { max_absent_percent: 20, max_due_percent: 10, absences_before_archive: 2 };
        assert!(limits.check(100, 20, 10).is_ok());
        assert!(matches!(limits.check(100, 21, 0), Err(SyncError::TooManyAbsent { absent: 21, listed: 100, .. })));
        // Two extracts that are cut off at the same notice.
        assert!(matches!(limits.check(100, 19, 19), Err(SyncError::TooManyDue { due: 19, listed: 100, .. })));
        assert!(limits.check(0, 0, 0).is_ok());
    }
}
