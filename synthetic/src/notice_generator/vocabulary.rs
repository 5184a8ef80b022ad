//! The vocabulary of generated notices: items, agencies, companies, places and sentences.
//!
//! The texts are written for this project. Departments, codes and places are real; contact persons and companies are
//! invented.

pub(super) mod agency;
mod care;
mod civil;
mod clinic;
pub(super) mod company;
mod military;
mod mobility;
pub(super) mod place;
pub(super) mod prose;

/// Items that other agencies buy.
pub(super) const GENERAL: [&[CatalogueItem]; 2] = [civil::ITEMS, military::ITEMS];

/// Items that hospitals buy.
pub(super) const MEDICAL: [&[CatalogueItem]; 3] = [mobility::ITEMS, clinic::ITEMS, care::ITEMS];

/// The sector of the agencies that buy an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarketSector {
    /// Hospitals, clinics and their suppliers.
    Medical,
    /// Fleets, depots and shipyards.
    Military,
    /// Buildings, land and services of any agency.
    Civil,
}

/// An item of goods or a service.
#[derive(Debug)]
pub(super) struct CatalogueItem {
    pub sector: MarketSector,
    /// Singular name, e.g. `folding wheelchair`.
    pub one: &'static str,
    /// Plural name.
    pub many: &'static str,
    /// Name in the supply catalogue, e.g. `WHEELCHAIR,FOLDING`.
    pub catalogue: &'static str,
    /// Product or service code.
    pub psc: &'static str,
    /// NAICS code.
    pub naics: &'static str,
    /// Minimum and maximum price of one item, in dollars.
    pub price: (u32, u32),
    /// Sentences on the required properties.
    pub details: [&'static str; 3],
}

impl CatalogueItem {
    /// Whether it is a service: the codes of services start with a letter.
    pub(super) fn is_service(&self) -> bool {
        self.psc.starts_with(|c: char| c.is_ascii_alphabetic())
    }
}
