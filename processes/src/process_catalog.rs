//! The list of all processes. A new one is a file or folder beside this one, and its lines here.

use std::sync::Arc;

use projections::runtime::AnyProjection;

use crate::{
    AnyProcess, InstanceStore, Process as _, ProcessProjection, any_process::ProcessType,
    document_analysis::DocumentAnalysis, proposal_generation::GenerationSupervision,
    saved_search_alerts::SavedSearchAlerts,
};

/// Names of all processes.
pub const PROCESS_NAMES: [&str; 3] = [DocumentAnalysis::NAME, GenerationSupervision::NAME, SavedSearchAlerts::NAME];

/// All processes.
pub fn all_processes() -> Vec<Arc<dyn AnyProcess>> {
    vec![
        Arc::new(ProcessType::<DocumentAnalysis>::new()),
        Arc::new(ProcessType::<GenerationSupervision>::new()),
        Arc::new(ProcessType::<SavedSearchAlerts>::new()),
    ]
}

/// The projections that feed events to the processes that react to events of the log. Inputs of [`SavedSearchAlerts`]
/// come from `saved_search_matching`.
pub fn all_process_projections(store: &InstanceStore) -> Vec<Arc<dyn AnyProjection>> {
    vec![
        Arc::new(ProcessProjection::<DocumentAnalysis>::new(store.clone())),
        Arc::new(ProcessProjection::<GenerationSupervision>::new(store.clone())),
    ]
}
