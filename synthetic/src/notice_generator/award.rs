//! Number, date, amount and awardee of an award notice, with the irregularities of real ones.

use chrono::{DateTime, TimeDelta, Utc};

use super::{solicitation::GeneratedSolicitation, vocabulary::company};
use crate::generator_rng::GeneratorRng;

/// The four award columns.
#[derive(Debug, Default)]
pub(super) struct GeneratedAward {
    pub number: String,
    pub date: String,
    pub amount: String,
    pub awardee: String,
}

impl GeneratedAward {
    /// An award of that solicitation, made a few days before it is published.
    pub(super) fn for_solicitation(
        solicitation: &GeneratedSolicitation,
        posted: DateTime<Utc>,
        rng: &mut GeneratorRng,
    ) -> Self {
        let date = (posted - TimeDelta::days(i64::from(rng.next_between(0, 6)))).date_naive();
        Self {
            number: format_number(solicitation, rng),
            date: date.to_string(),
            amount: format_amount(solicitation, rng),
            awardee: if rng.chance_per_mille(4) {
                "null ".to_owned()
            } else {
                company::generate_awardee(solicitation.item.sector, rng)
            },
        }
    }

    /// The columns of a notice without an award; the awardee is `null ` in some of them.
    pub(super) fn without_award(rng: &mut GeneratorRng) -> Self {
        let awardee = if rng.chance_per_mille(10) { "null ".to_owned() } else { String::new() };
        Self { awardee, ..Self::default() }
    }
}

fn format_number(solicitation: &GeneratedSolicitation, rng: &mut GeneratorRng) -> String {
    if rng.chance_per_mille(8) {
        return "VARIOUS".to_owned();
    }
    let (kind, serial) = (rng.pick_from(&['P', 'C', 'F', 'D']), rng.next_hex(4).to_uppercase());
    match rng.next_below(10) {
        0 => format!("{}-26-{kind}-{serial}", solicitation.office.aac),
        _ => format!("{}26{kind}{serial}", solicitation.office.aac),
    }
}

fn format_amount(solicitation: &GeneratedSolicitation, rng: &mut GeneratorRng) -> String {
    let (low, high) = solicitation.item.price;
    let count = if solicitation.item.is_service() { 1 } else { solicitation.count };
    let dollars = u64::from(rng.next_between(low, high)) * u64::from(count);
    let cents = rng.next_below(100);
    match rng.next_below(2_000) {
        0..240 => "350000.00".to_owned(),
        240..300 => String::new(),
        300..312 => "0".to_owned(),
        312..320 => "0.00".to_owned(),
        320..460 => dollars.to_string(),
        460..500 => format!("{dollars}.{}", cents / 10),
        500..503 => format!("{dollars}.{cents:02}000000"),
        503 => "20000000000.00".to_owned(),
        _ => format!("{dollars}.{cents:02}"),
    }
}
