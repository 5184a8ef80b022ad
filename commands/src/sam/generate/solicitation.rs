//! A generated solicitation: what its notices have in common, and what changes from one to the next.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    calendar::{self, Form},
    description,
    vocabulary::{
        self, Field, Item,
        agency::{AGENCIES, Agency, Office},
        place::{ABROAD, PLACES, Place},
        prose,
    },
};
use crate::dice::Dice;

/// The kinds of notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    SourcesSought,
    Presolicitation,
    Solicitation,
    Combined,
    Special,
    Justification,
    Surplus,
    Award,
}

impl Kind {
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
    pub(super) fn first(dice: &mut Dice) -> Self {
        dice.weighted(&[
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
    fn matured(self, dice: &mut Dice) -> Self {
        match self {
            Self::SourcesSought => dice.weighted(&[(Self::Presolicitation, 4), (Self::Combined, 3), (self, 3)]),
            Self::Presolicitation => dice.weighted(&[(Self::Solicitation, 7), (self, 3)]),
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
pub(super) struct Solicitation {
    pub agency: &'static Agency,
    pub office: &'static Office,
    pub item: &'static Item,
    /// The agency's number; empty in rare cases.
    pub number: String,
    pub base: Kind,
    pub kind: Kind,
    pub title: String,
    /// Code and text.
    pub set_aside: (&'static str, &'static str),
    /// The item's industry, or its first digits, or nothing.
    pub naics: &'static str,
    pub place: Option<Place>,
    pub due: Option<DateTime<Utc>>,
    pub form: Form,
    pub count: u32,
    pub days: u32,
    pub amendments: u32,
    pub text: Option<u64>,
    pub person: u64,
}

impl Solicitation {
    /// A new one; `serial` makes its number unique.
    pub(super) fn open(kind: Kind, serial: u64, posted: DateTime<Utc>, dice: &mut Dice) -> Self {
        let item = item(dice);
        let agency = agency(item.field, dice);
        let office = &agency.offices[dice.index(agency.offices.len())];
        let mut new = Self {
            agency,
            office,
            item,
            number: number(office, serial, dice),
            base: kind,
            kind,
            title: String::new(),
            set_aside: dice.weighted(SET_ASIDES),
            naics: naics(item, dice),
            place: place(dice),
            due: (kind != Kind::Award).then(|| calendar::deadline(posted, dice)),
            form: Form::any(dice),
            count: count(item, dice),
            days: dice.between(1, 24) * 5,
            amendments: 0,
            text: dice.per_mille(620).then(|| dice.seed()),
            person: dice.seed(),
        };
        if dice.per_mille(120) {
            new.due = None;
        }
        new.title = new.first_title(dice);
        new
    }

    /// The same solicitation one amendment later.
    pub(super) fn amend(&mut self, dice: &mut Dice) {
        self.amendments += 1;
        self.kind = self.kind.matured(dice);
        if dice.per_mille(500) {
            self.due = self.due.map(|due| due + TimeDelta::days(i64::from(dice.between(2, 21))));
        }
        if dice.per_mille(150) {
            self.count += self.count / 4 + 1;
        }
    }

    /// Its number as somebody else would type it.
    pub(super) fn retyped(&self, dice: &mut Dice) -> String {
        let number = &self.number;
        if number.len() < 10 || !number.is_ascii() {
            return number.clone();
        }
        match dice.below(1_000) {
            0..20 => format!("{number} "),
            20..25 => format!(" {number}"),
            25..45 => format!("{}-{}-{}-{}", &number[..6], &number[6..8], &number[8..9], &number[9..]),
            45..55 => number.to_lowercase(),
            55..60 => format!("{} {}", &number[..6], &number[6..]),
            _ => number.clone(),
        }
    }

    fn first_title(&self, dice: &mut Dice) -> String {
        let stock = self.item.field == Field::Military && !self.item.is_service();
        if stock || dice.per_mille(120) {
            let class = self.item.psc.get(..2).unwrap_or(self.item.psc);
            return format!("{class}--{}", self.item.catalogue);
        }
        let equipment = self.item.field == Field::Medical && !self.item.is_service();
        let templates = if equipment { prose::TITLE } else { prose::PLAIN_TITLE };
        let mut title = String::new();
        description::fill(dice.pick(templates), self, &mut title);
        title
    }
}

fn item(dice: &mut Dice) -> &'static Item {
    let table = if dice.per_mille(650) { dice.pick(&vocabulary::MEDICAL) } else { dice.pick(&vocabulary::GENERAL) };
    &table[dice.index(table.len())]
}

fn agency(field: Field, dice: &mut Dice) -> &'static Agency {
    let fitting = || AGENCIES.iter().filter(|agency| agency.field == field);
    let mut left = dice.below(fitting().map(|agency| agency.weight).sum());
    fitting()
        .find(|agency| {
            let drawn = left < agency.weight;
            left = left.saturating_sub(agency.weight);
            drawn
        })
        .unwrap_or(&AGENCIES[0])
}

/// Office, fiscal year, kind of instrument, serial number in base 36.
fn number(office: &Office, serial: u64, dice: &mut Dice) -> String {
    if dice.per_mille(3) {
        return String::new();
    }
    let mut digits = [0_u8; 5];
    let mut rest = serial;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[usize::try_from(rest % 36).unwrap_or_default()];
        rest /= 36;
    }
    format!("{}26{}{}", office.aac, dice.pick(&['Q', 'R', 'T', 'B']), String::from_utf8_lossy(&digits))
}

fn naics(item: &Item, dice: &mut Dice) -> &'static str {
    match dice.below(1_000) {
        0..28 => "",
        28..34 => &item.naics[..5],
        34..35 => &item.naics[..4],
        35..37 => &item.naics[..3],
        _ => item.naics,
    }
}

fn place(dice: &mut Dice) -> Option<Place> {
    match dice.below(100) {
        0..38 => None,
        38..41 => Some(dice.pick(ABROAD)),
        _ => Some(dice.pick(PLACES)),
    }
}

fn count(item: &Item, dice: &mut Dice) -> u32 {
    match item.price.1 {
        _ if item.is_service() => dice.between(1, 5),
        0..200 => dice.between(4, 400) * 25,
        200..6_000 => dice.between(2, 240),
        _ => dice.between(1, 9),
    }
}
