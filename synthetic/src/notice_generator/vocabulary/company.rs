//! Who sells and who may be asked: invented companies and persons.

use crate::{
    generator_rng::GeneratorRng,
    notice_generator::vocabulary::{MarketSector, place},
};

const FIRST: &[&str] = &[
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
const MEDICAL: &[&str] = &[
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
const MILITARY: &[&str] = &[
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
const CIVIL: &[&str] = &[
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
const LEGAL: &[&str] = &["LLC", "Inc.", ", Inc.", "Corporation", "Co.", ", L.L.C.", "LP", "\"SDVOSB\" JV"];
const GIVEN: &[&str] = &[
    "Avery", "Jordan", "Riley", "Morgan", "Casey", "Quinn", "Rowan", "Skyler", "Emerson", "Dakota", "Reese", "Harper",
    "Finley", "Sage", "Marlowe", "Tatum", "Noël", "José", "Imani", "Wren",
];
const FAMILY: &[&str] = &[
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

/// A company of that field, with its address behind the name as the extract has it.
pub(in crate::notice_generator) fn generate_awardee(field: MarketSector, dice: &mut GeneratorRng) -> String {
    let trade = match field {
        MarketSector::Medical => MEDICAL,
        MarketSector::Military => MILITARY,
        MarketSector::Civil => CIVIL,
    };
    let (first, trade, legal) = (dice.pick_from(FIRST), dice.pick_from(trade), dice.pick_from(LEGAL));
    let gap = if legal.starts_with(',') { "" } else { " " };
    let name = format!("{first} {trade}{gap}{legal}");
    match dice.next_below(100) {
        // Only a name, with the space that stands where the address would follow.
        0..55 => format!("{name} "),
        55..60 => name.to_uppercase(),
        _ => {
            let place = dice.pick_from(place::PLACES);
            format!("{name} {} {} {} USA", place.city, place.state, place.zip)
        }
    }
}

/// The office's person for questions. Nobody: the names are made up, `example.com` delivers no mail, and 555-01xx
/// numbers are kept free for fiction.
#[derive(Debug, Clone)]
pub(in crate::notice_generator) struct ContactPerson {
    pub name: String,
    pub email: String,
    pub phone: String,
}

/// Makes somebody up.
pub(in crate::notice_generator) fn generate_person(dice: &mut GeneratorRng) -> ContactPerson {
    let (given, family) = (dice.pick_from(GIVEN), dice.pick_from(FAMILY));
    let (area, line) = (dice.next_between(201, 979), dice.next_below(100));
    let phone = match dice.next_below(4) {
        0 => format!("{area}55501{line:02}"),
        1 => format!("({area}) 555-01{line:02}"),
        _ => format!("{area}-555-01{line:02}"),
    };
    let mail = |text: &str| -> String { text.chars().filter(char::is_ascii).collect::<String>().to_lowercase() };
    let email = format!("{}.{}{line}@example.com", mail(given), mail(family));
    // Real rows run name and number together now and then.
    let name = if dice.chance_per_mille(30) { format!("{given} {family}{phone}") } else { format!("{given} {family}") };
    ContactPerson { name, email, phone }
}
