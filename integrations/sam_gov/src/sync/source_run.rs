//! What a run over any source has.

use commands::caller::Caller;
use domain::event_store::BatchStore;

use super::{
    SyncOptions, SyncSource, SyncSummary, listed_notice_recorder::ListedNoticeRecorder, sync_store::SyncStore,
};
use crate::SamGovConfig;

/// One run over a source: its settings, its state, and what it has recorded.
pub(super) struct SourceRun<'a, L> {
    /// The name that the state is saved under.
    pub(super) name: &'a str,
    pub(super) config: &'a SamGovConfig,
    pub(super) options: &'a SyncOptions,
    pub(super) state: &'a SyncStore,
    pub(super) recorder: ListedNoticeRecorder<'a, L>,
    pub(super) summary: SyncSummary,
}

impl<'a, L: BatchStore> SourceRun<'a, L> {
    pub(super) fn new(
        source: SyncSource,
        name: &'a str,
        config: &'a SamGovConfig,
        options: &'a SyncOptions,
        log: L,
        state: &'a SyncStore,
    ) -> Self {
        let caller = Caller::for_program("system:sam-gov-sync");
        let recorder = ListedNoticeRecorder::new(config, log, state, caller, source);
        Self { name, config, options, state, recorder, summary: SyncSummary::new(source) }
    }
}
