//! Invented companies and contact persons.

use crate::{
    generator_rng::GeneratorRng,
    notice_generator::vocabulary::{MarketSector, place},
};

const COMPANY_NAMES: &[&str] = &[
    "Cedar",
    "Blue Heron",
    "Summit",
    "Prairie",
    "Harbor Light",
    "Red Oak",
    "Northgate",
    "Silver Creek",
    "Lakeshore",
    "Granite",
    "Juniper",
    "Tall Pine",
    "Copper Ridge",
    "Bayview",
    "Evergreen",
    "Iron Bridge",
    "Clearwater",
    "Sandhill",
    "Mesa Verde",
    "White Birch",
    "Stonefield",
    "Larkspur",
    "Compass",
    "Keystone Valley",
    "Río Claro",
    "Old Mill",
    "Pelican",
    "Two Rivers",
    "Windmere",
    "Orchard",
];
const MEDICAL_TRADES: &[&str] = &[
    "Medical Supply",
    "Biomedical",
    "Surgical",
    "Healthcare Products",
    "Mobility",
    "Diagnostics",
    "Pharma Services",
    "Imaging Solutions",
    "Orthotics & Prosthetics",
    "Sterile Systems",
    "Dental Supply",
    "Clinical Staffing",
];
const MILITARY_TRADES: &[&str] = &[
    "Aerospace",
    "Marine Works",
    "Fasteners",
    "Defense Components",
    "Precision Machining",
    "Seal & Gasket",
    "Avionics",
    "Hydraulics",
    "Shipyard",
    "Engine Services",
];
const CIVIL_TRADES: &[&str] = &[
    "Builders",
    "Facility Services",
    "Technologies",
    "Environmental",
    "Office Interiors",
    "Security",
    "Landscaping",
    "Mechanical",
    "Systems Group",
    "Construction",
];
const LEGAL_FORMS: &[&str] = &["LLC", "Inc.", ", Inc.", "Corporation", "Co.", ", L.L.C.", "LP", "\"SDVOSB\" JV"];
const GIVEN_NAMES: &[&str] = &[
    "Avery", "Jordan", "Riley", "Morgan", "Casey", "Quinn", "Rowan", "Skyler", "Emerson", "Dakota", "Reese", "Harper",
    "Finley", "Sage", "Marlowe", "Tatum", "Noël", "José", "Imani", "Wren",
];
const FAMILY_NAMES: &[&str] = &[
    "Ashgrove",
    "Bellweather",
    "Castellan",
    "Dunmore",
    "Everhart",
    "Fairbanks",
    "Greenlee",
    "Holloway",
    "Ibarra",
    "Jessup",
    "Kettering",
    "Lindqvist",
    "Marchetti",
    "Northcott",
    "Okonjo",
    "Pemberly",
    "Quillfeather",
    "Ravenel",
    "Sørensen",
    "Thackeray",
    "Underhill",
    "Valdés",
    "Whitlock",
    "Yarborough",
];

/// Generates a company of a sector, with its address after the name as in the extract.
pub(in crate::notice_generator) fn generate_awardee(sector: MarketSector, rng: &mut GeneratorRng) -> String {
    let trades = match sector {
        MarketSector::Medical => MEDICAL_TRADES,
        MarketSector::Military => MILITARY_TRADES,
        MarketSector::Civil => CIVIL_TRADES,
    };
    let (first, trade, legal_form) = (rng.pick_from(COMPANY_NAMES), rng.pick_from(trades), rng.pick_from(LEGAL_FORMS));
    let gap = if legal_form.starts_with(',') { "" } else { " " };
    let name = format!("{first} {trade}{gap}{legal_form}");
    match rng.next_below(100) {
        // Only a name, followed by the space that separates it from an address.
        0..55 => format!("{name} "),
        55..60 => name.to_uppercase(),
        _ => {
            let place = rng.pick_from(place::PLACES);
            format!("{name} {} {} {} USA", place.city, place.state, place.zip)
        }
    }
}

/// The contact person of an office. The names are invented, `example.com` delivers no mail, and the numbers 555-01xx
/// are reserved for fiction.
#[derive(Debug, Clone)]
pub(in crate::notice_generator) struct ContactPerson {
    pub name: String,
    pub email: String,
    pub phone: String,
}

pub(in crate::notice_generator) fn generate_person(rng: &mut GeneratorRng) -> ContactPerson {
    let (given, family) = (rng.pick_from(GIVEN_NAMES), rng.pick_from(FAMILY_NAMES));
    let (area, line) = (rng.next_between(201, 979), rng.next_below(100));
    let phone = match rng.next_below(4) {
        0 => format!("{area}55501{line:02}"),
        1 => format!("({area}) 555-01{line:02}"),
        _ => format!("{area}-555-01{line:02}"),
    };
    let to_mail_name =
        |text: &str| -> String { text.chars().filter(char::is_ascii).collect::<String>().to_lowercase() };
    let email = format!("{}.{}{line}@example.com", to_mail_name(given), to_mail_name(family));
    // Some real rows have the number directly after the name.
    let name = if rng.chance_per_mille(30) { format!("{given} {family}{phone}") } else { format!("{given} {family}") };
    ContactPerson { name, email, phone }
}
