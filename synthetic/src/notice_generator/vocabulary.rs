//! The words of generated notices: what is bought, by whom, from whom, and how one writes about it.
//!
//! All texts are our own. Departments, codes and places exist; offices' buyers and companies are invented.

pub(super) mod agency;
mod care;
mod civil;
mod clinic;
pub(super) mod company;
mod military;
mod mobility;
pub(super) mod place;
pub(super) mod prose;

/// What everybody else buys.
pub(super) const GENERAL: [&[CatalogueItem]; 2] = [civil::ITEMS, military::ITEMS];

/// What hospitals buy.
pub(super) const MEDICAL: [&[CatalogueItem]; 3] = [mobility::ITEMS, clinic::ITEMS, care::ITEMS];

/// Who buys such a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarketSector {
    /// Hospitals, clinics and their suppliers.
    Medical,
    /// Fleets, depots and shipyards.
    Military,
    /// Buildings, land and services of any agency.
    Civil,
}

/// Something that is bought.
#[derive(Debug)]
pub(super) struct CatalogueItem {
    pub field: MarketSector,
    /// One of it, e.g. `folding wheelchair`.
    pub one: &'static str,
    /// Several of it.
    pub many: &'static str,
    /// As the supply catalogue names it: `WHEELCHAIR,FOLDING`.
    pub catalogue: &'static str,
    /// Product or service code.
    pub psc: &'static str,
    /// Industry.
    pub naics: &'static str,
    /// What one costs in dollars, from and to.
    pub price: (u32, u32),
    /// What it has to be or do.
    pub details: [&'static str; 3],
}

impl CatalogueItem {
    /// Whether it is work rather than goods: such codes start with a letter.
    pub(super) fn is_service(&self) -> bool {
        self.psc.starts_with(|c: char| c.is_ascii_alphabetic())
    }
}
