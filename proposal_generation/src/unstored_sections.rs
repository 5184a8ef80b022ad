//! Sections that were paid for, and that neither the log nor the ledger has.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use domain::{proposal::SectionKey, proposal_generation::GenerationId, value::TenantId};
use language_models::PaidSection;

use crate::WrittenSection;

/// Sections that are kept at most; the oldest ones give way.
const MAX_SECTIONS: usize = 64;

/// Keeps sections in memory while Postgres does not answer, for a later attempt of this program.
#[derive(Default)]
pub(crate) struct UnstoredSections(Mutex<VecDeque<UnstoredSection>>);

struct UnstoredSection {
    tenant: TenantId,
    generation: GenerationId,
    section: SectionKey,
    written: WrittenSection,
}

impl UnstoredSection {
    fn matches(&self, section: PaidSection<'_>) -> bool {
        self.tenant == *section.tenant && self.generation == section.generation && self.section == *section.section
    }
}

impl UnstoredSections {
    /// Keeps a section until it is taken.
    pub(crate) fn add(&self, section: PaidSection<'_>, written: WrittenSection) {
        let PaidSection { tenant, generation, section } = section;
        let mut sections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sections.len() >= MAX_SECTIONS {
            sections.pop_front();
        }
        let (tenant, section) = (tenant.clone(), section.clone());
        sections.push_back(UnstoredSection { tenant, generation, section, written });
    }

    /// The section, which is not kept any more.
    pub(crate) fn take(&self, section: PaidSection<'_>) -> Option<WrittenSection> {
        let mut sections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = sections.iter().position(|kept| kept.matches(section))?;
        sections.remove(index).map(|kept| kept.written)
    }
}
