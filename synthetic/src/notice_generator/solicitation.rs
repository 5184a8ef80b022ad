//! A generated solicitation: the values that its notices share, and how an amendment changes them.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    calendar::{self, TimestampForm},
    description,
    vocabulary::{
        self, CatalogueItem, MarketSector,
        agency::{AGENCIES, BuyingAgency, ContractingOffice},
        place::{ABROAD, DeliveryPlace, PLACES},
        prose,
    },
};
use crate::generator_rng::GeneratorRng;

/// The kinds of notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoticeKind {
    SourcesSought,
    Presolicitation,
    Solicitation,
    Combined,
    Special,
    Justification,
    Surplus,
    Award,
}

impl NoticeKind {
    /// The name in the extract.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SourcesSought => "Sources Sought",
            Self::Presolicitation => "Presolicitation",
            Self::Solicitation => "Solicitation",
            Self::Combined => "Combined Synopsis/Solicitation",
            Self::Special => "Special Notice",
            Self::Justification => "Justification",
            Self::Surplus => "Sale of Surplus Property",
            Self::Award => "Award Notice",
        }
    }

    /// The kind of a first notice.
    pub(super) fn pick_first(rng: &mut GeneratorRng) -> Self {
        rng.pick_weighted(&[
            (Self::Combined, 370),
            (Self::Solicitation, 220),
            (Self::SourcesSought, 110),
            (Self::Presolicitation, 90),
            (Self::Special, 65),
            (Self::Justification, 20),
            (Self::Surplus, 5),
            (Self::Award, 120),
        ])
    }

    /// Whether amendments and awards can follow.
    pub(super) fn stays_open(self) -> bool {
        match self {
            Self::SourcesSought | Self::Presolicitation | Self::Solicitation | Self::Combined => true,
            Self::Special | Self::Justification | Self::Surplus | Self::Award => false,
        }
    }

    /// The kind of the next amendment.
    fn pick_next(self, rng: &mut GeneratorRng) -> Self {
        match self {
            Self::SourcesSought => rng.pick_weighted(&[(Self::Presolicitation, 4), (Self::Combined, 3), (self, 3)]),
            Self::Presolicitation => rng.pick_weighted(&[(Self::Solicitation, 7), (self, 3)]),
            Self::Solicitation | Self::Combined | Self::Special | Self::Justification | Self::Surplus | Self::Award => {
                self
            }
        }
    }
}

/// Set-aside codes with their texts and weights.
const SET_ASIDES: &[((&str, &str), u32)] = &[
    (("", ""), 46),
    (("NONE", "No Set aside used"), 9),
    (("SBA", "Total Small Business Set-Aside (FAR 19.5)"), 25),
    (("SDVOSBC", "Service-Disabled Veteran-Owned Small Business Set Aside"), 9),
    (("WOSB", "Women-Owned Small Business"), 3),
    (("HZC", "HUBZone Set Aside"), 2),
    (("8A", "8a Competed"), 2),
    (("8AN", "8(a) Sole Source"), 1),
    (("SDVOSBS", "SDVOSB Sole Source"), 1),
    (("EDWOSB", "SBA Certified Economically Disadvantaged WOSB (EDWOSB) Program Set-Aside (FAR 19.15)"), 1),
    (("VSA", "Veteran Set Aside"), 1),
];

/// The values that the notices of one solicitation share. Texts and persons are stored as seeds, so that thousands of
/// open solicitations take little memory.
#[derive(Debug, Clone)]
pub(super) struct GeneratedSolicitation {
    pub agency: &'static BuyingAgency,
    pub office: &'static ContractingOffice,
    pub item: &'static CatalogueItem,
    /// The agency's number; empty in rare cases.
    pub number: String,
    pub base: NoticeKind,
    pub kind: NoticeKind,
    pub title: String,
    /// Code and text.
    pub set_aside: (&'static str, &'static str),
    /// The item's industry, or its first digits, or nothing.
    pub naics: &'static str,
    pub place: Option<DeliveryPlace>,
    pub due: Option<DateTime<Utc>>,
    pub form: TimestampForm,
    pub count: u32,
    pub days: u32,
    pub amendments: u32,
    pub text: Option<u64>,
    pub person: u64,
}

impl GeneratedSolicitation {
    /// Opens a solicitation; `serial` makes its number unique.
    pub(super) fn open(kind: NoticeKind, serial: u64, posted: DateTime<Utc>, rng: &mut GeneratorRng) -> Self {
        let item = pick_item(rng);
        let agency = pick_agency(item.sector, rng);
        let office = &agency.offices[rng.next_index(agency.offices.len())];
        let mut solicitation = Self {
            agency,
            office,
            item,
            number: generate_number(office, serial, rng),
            base: kind,
            kind,
            title: String::new(),
            set_aside: rng.pick_weighted(SET_ASIDES),
            naics: pick_naics(item, rng),
            place: pick_place(rng),
            due: (kind != NoticeKind::Award).then(|| calendar::pick_deadline(posted, rng)),
            form: TimestampForm::pick(rng),
            count: pick_count(item, rng),
            days: rng.next_between(1, 24) * 5,
            amendments: 0,
            text: rng.chance_per_mille(620).then(|| rng.next_seed()),
            person: rng.next_seed(),
        };
        if rng.chance_per_mille(120) {
            solicitation.due = None;
        }
        solicitation.title = solicitation.generate_title(rng);
        solicitation
    }

    /// Changes the solicitation by one amendment.
    pub(super) fn amend(&mut self, rng: &mut GeneratorRng) {
        self.amendments += 1;
        self.kind = self.kind.pick_next(rng);
        if rng.chance_per_mille(500) {
            self.due = self.due.map(|due| due + TimeDelta::days(i64::from(rng.next_between(2, 21))));
        }
        if rng.chance_per_mille(150) {
            self.count += self.count / 4 + 1;
        }
    }

    /// Its number, sometimes with the spaces, hyphens or lower case of a manual entry.
    pub(super) fn retype_number(&self, rng: &mut GeneratorRng) -> String {
        let number = &self.number;
        if number.len() < 10 || !number.is_ascii() {
            return number.clone();
        }
        match rng.next_below(1_000) {
            0..20 => format!("{number} "),
            20..25 => format!(" {number}"),
            25..45 => format!("{}-{}-{}-{}", &number[..6], &number[6..8], &number[8..9], &number[9..]),
            45..55 => number.to_lowercase(),
            55..60 => format!("{} {}", &number[..6], &number[6..]),
            _ => number.clone(),
        }
    }

    fn generate_title(&self, rng: &mut GeneratorRng) -> String {
        let has_stock_title = self.item.sector == MarketSector::Military && !self.item.is_service();
        if has_stock_title || rng.chance_per_mille(120) {
            let class = self.item.psc.get(..2).unwrap_or(self.item.psc);
            return format!("{class}--{}", self.item.catalogue);
        }
        let is_equipment = self.item.sector == MarketSector::Medical && !self.item.is_service();
        let templates = if is_equipment { prose::TITLE } else { prose::PLAIN_TITLE };
        let mut title = String::new();
        description::fill_template(rng.pick_from(templates), self, &mut title);
        title
    }
}

fn pick_item(rng: &mut GeneratorRng) -> &'static CatalogueItem {
    let table = if rng.chance_per_mille(650) {
        rng.pick_from(&vocabulary::MEDICAL)
    } else {
        rng.pick_from(&vocabulary::GENERAL)
    };
    &table[rng.next_index(table.len())]
}

fn pick_agency(sector: MarketSector, rng: &mut GeneratorRng) -> &'static BuyingAgency {
    let agencies = || AGENCIES.iter().filter(|agency| agency.sector == sector);
    let mut rest = rng.next_below(agencies().map(|agency| agency.weight).sum());
    agencies()
        .find(|agency| {
            let is_drawn = rest < agency.weight;
            rest = rest.saturating_sub(agency.weight);
            is_drawn
        })
        .unwrap_or(&AGENCIES[0])
}

/// Generates a number of office, fiscal year, kind of instrument, and serial number in base 36.
fn generate_number(office: &ContractingOffice, serial: u64, rng: &mut GeneratorRng) -> String {
    if rng.chance_per_mille(3) {
        return String::new();
    }
    let mut digits = [0_u8; 5];
    let mut rest = serial;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[usize::try_from(rest % 36).unwrap_or_default()];
        rest /= 36;
    }
    format!("{}26{}{}", office.aac, rng.pick_from(&['Q', 'R', 'T', 'B']), String::from_utf8_lossy(&digits))
}

fn pick_naics(item: &CatalogueItem, rng: &mut GeneratorRng) -> &'static str {
    match rng.next_below(1_000) {
        0..28 => "",
        28..34 => &item.naics[..5],
        34..35 => &item.naics[..4],
        35..37 => &item.naics[..3],
        _ => item.naics,
    }
}

fn pick_place(rng: &mut GeneratorRng) -> Option<DeliveryPlace> {
    match rng.next_below(100) {
        0..38 => None,
        38..41 => Some(rng.pick_from(ABROAD)),
        _ => Some(rng.pick_from(PLACES)),
    }
}

fn pick_count(item: &CatalogueItem, rng: &mut GeneratorRng) -> u32 {
    match item.price.1 {
        _ if item.is_service() => rng.next_between(1, 5),
        0..200 => rng.next_between(4, 400) * 25,
        200..6_000 => rng.next_between(2, 240),
        _ => rng.next_between(1, 9),
    }
}
