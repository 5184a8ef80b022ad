//! The list of all processes. A new process is a file or folder next to this one, and a name in the list below.

use std::sync::Arc;

use projections::runtime::AnyProjection;

use crate::{
    AnyProcess, InstanceStore, Process as _, ProcessProjection, any_process::ProcessType,
    document_analysis_process::DocumentAnalysisProcess, proposal_generation_process::ProposalGenerationProcess,
    saved_search_alert_process::SavedSearchAlertProcess,
};

/// Declares the lists of processes from one list: those that events of the log are fed to, and those that get their inputs
/// otherwise.
macro_rules! processes {
    (by_events: [$($by_events:ty),+ $(,)?], by_others: [$($by_others:ty),* $(,)?] $(,)?) => {
        /// Names of all processes.
        pub const PROCESS_NAMES: &[&str] = &[$(<$by_events>::NAME,)+ $(<$by_others>::NAME,)*];

        /// All processes.
        pub fn all_processes() -> Vec<Arc<dyn AnyProcess>> {
            vec![
                $(Arc::new(ProcessType::<$by_events>::new()),)+
                $(Arc::new(ProcessType::<$by_others>::new()),)*
            ]
        }

        /// The projections that feed events to the processes that react to events of the log.
        pub fn all_process_projections(store: &InstanceStore) -> Vec<Arc<dyn AnyProjection>> {
            vec![$(Arc::new(ProcessProjection::<$by_events>::new(store.clone())),)+]
        }
    };
}

processes! {
    by_events: [DocumentAnalysisProcess, ProposalGenerationProcess],
    // Their inputs come from `saved_search_matching`.
    by_others: [SavedSearchAlertProcess],
}
