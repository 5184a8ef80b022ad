//! A generated solicitation: what its notices have in common, and what changes from one to the next.

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
    /// As the extract writes it.
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
    pub(super) fn pick_first(dice: &mut GeneratorRng) -> Self {
        dice.pick_weighted(&[
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

    /// What it becomes with an amendment.
    fn pick_next(self, dice: &mut GeneratorRng) -> Self {
        match self {
            Self::SourcesSought => dice.pick_weighted(&[(Self::Presolicitation, 4), (Self::Combined, 3), (self, 3)]),
            Self::Presolicitation => dice.pick_weighted(&[(Self::Solicitation, 7), (self, 3)]),
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

/// What the notices of one solicitation share. Texts and persons are kept as seeds, so that thousands of open
/// solicitations take little memory.
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
    /// A new one; `serial` makes its number unique.
    pub(super) fn open(kind: NoticeKind, serial: u64, posted: DateTime<Utc>, dice: &mut GeneratorRng) -> Self {
        let item = pick_item(dice);
        let agency = pick_agency(item.field, dice);
        let office = &agency.offices[dice.next_index(agency.offices.len())];
        let mut new = Self {
            agency,
            office,
            item,
            number: generate_number(office, serial, dice),
            base: kind,
            kind,
            title: String::new(),
            set_aside: dice.pick_weighted(SET_ASIDES),
            naics: pick_naics(item, dice),
            place: pick_place(dice),
            due: (kind != NoticeKind::Award).then(|| calendar::pick_deadline(posted, dice)),
            form: TimestampForm::pick(dice),
            count: pick_count(item, dice),
            days: dice.next_between(1, 24) * 5,
            amendments: 0,
            text: dice.chance_per_mille(620).then(|| dice.next_seed()),
            person: dice.next_seed(),
        };
        if dice.chance_per_mille(120) {
            new.due = None;
        }
        new.title = new.generate_title(dice);
        new
    }

    /// The same solicitation one amendment later.
    pub(super) fn amend(&mut self, dice: &mut GeneratorRng) {
        self.amendments += 1;
        self.kind = self.kind.pick_next(dice);
        if dice.chance_per_mille(500) {
            self.due = self.due.map(|due| due + TimeDelta::days(i64::from(dice.next_between(2, 21))));
        }
        if dice.chance_per_mille(150) {
            self.count += self.count / 4 + 1;
        }
    }

    /// Its number as somebody else would type it.
    pub(super) fn retype_title(&self, dice: &mut GeneratorRng) -> String {
        let number = &self.number;
        if number.len() < 10 || !number.is_ascii() {
            return number.clone();
        }
        match dice.next_below(1_000) {
            0..20 => format!("{number} "),
            20..25 => format!(" {number}"),
            25..45 => format!("{}-{}-{}-{}", &number[..6], &number[6..8], &number[8..9], &number[9..]),
            45..55 => number.to_lowercase(),
            55..60 => format!("{} {}", &number[..6], &number[6..]),
            _ => number.clone(),
        }
    }

    fn generate_title(&self, dice: &mut GeneratorRng) -> String {
        let stock = self.item.field == MarketSector::Military && !self.item.is_service();
        if stock || dice.chance_per_mille(120) {
            let class = self.item.psc.get(..2).unwrap_or(self.item.psc);
            return format!("{class}--{}", self.item.catalogue);
        }
        let equipment = self.item.field == MarketSector::Medical && !self.item.is_service();
        let templates = if equipment { prose::TITLE } else { prose::PLAIN_TITLE };
        let mut title = String::new();
        description::fill_template(dice.pick_from(templates), self, &mut title);
        title
    }
}

fn pick_item(dice: &mut GeneratorRng) -> &'static CatalogueItem {
    let table = if dice.chance_per_mille(650) {
        dice.pick_from(&vocabulary::MEDICAL)
    } else {
        dice.pick_from(&vocabulary::GENERAL)
    };
    &table[dice.next_index(table.len())]
}

fn pick_agency(field: MarketSector, dice: &mut GeneratorRng) -> &'static BuyingAgency {
    let fitting = || AGENCIES.iter().filter(|agency| agency.field == field);
    let mut left = dice.next_below(fitting().map(|agency| agency.weight).sum());
    fitting()
        .find(|agency| {
            let drawn = left < agency.weight;
            left = left.saturating_sub(agency.weight);
            drawn
        })
        .unwrap_or(&AGENCIES[0])
}

/// Office, fiscal year, kind of instrument, serial number in base 36.
fn generate_number(office: &ContractingOffice, serial: u64, dice: &mut GeneratorRng) -> String {
    if dice.chance_per_mille(3) {
        return String::new();
    }
    let mut digits = [0_u8; 5];
    let mut rest = serial;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[usize::try_from(rest % 36).unwrap_or_default()];
        rest /= 36;
    }
    format!("{}26{}{}", office.aac, dice.pick_from(&['Q', 'R', 'T', 'B']), String::from_utf8_lossy(&digits))
}

fn pick_naics(item: &CatalogueItem, dice: &mut GeneratorRng) -> &'static str {
    match dice.next_below(1_000) {
        0..28 => "",
        28..34 => &item.naics[..5],
        34..35 => &item.naics[..4],
        35..37 => &item.naics[..3],
        _ => item.naics,
    }
}

fn pick_place(dice: &mut GeneratorRng) -> Option<DeliveryPlace> {
    match dice.next_below(100) {
        0..38 => None,
        38..41 => Some(dice.pick_from(ABROAD)),
        _ => Some(dice.pick_from(PLACES)),
    }
}

fn pick_count(item: &CatalogueItem, dice: &mut GeneratorRng) -> u32 {
    match item.price.1 {
        _ if item.is_service() => dice.next_between(1, 5),
        0..200 => dice.next_between(4, 400) * 25,
        200..6_000 => dice.next_between(2, 240),
        _ => dice.next_between(1, 9),
    }
}
