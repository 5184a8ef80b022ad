//! Formats one notice as a row of 47 columns.

use chrono::{DateTime, TimeDelta, Utc};
use csv::StringRecord;

use super::{
    award::GeneratedAward,
    calendar, description,
    solicitation::{GeneratedSolicitation, NoticeKind},
    vocabulary::{MarketSector, company},
};
use crate::generator_rng::GeneratorRng;

/// One notice of a solicitation.
pub(super) struct GeneratedNotice<'a> {
    pub solicitation: &'a GeneratedSolicitation,
    pub kind: NoticeKind,
    pub posted: DateTime<Utc>,
    pub award: GeneratedAward,
}

impl GeneratedNotice<'_> {
    pub(super) fn to_record(&self, rng: &mut GeneratorRng) -> StringRecord {
        let id = rng.next_hex(32);
        let mut record = StringRecord::with_capacity(2_048, 47);
        self.push_origin(&id, rng, &mut record);
        self.push_terms(rng, &mut record);
        self.push_place(rng, &mut record);
        self.push_award(&mut record);
        self.push_contacts(&mut record);
        self.push_office(&mut record);
        record.push_field("");
        record.push_field(&format!("https://sam.gov/workspace/contract/opp/{id}/view"));
        record.push_field(&description::write_description(self.solicitation, self.kind));
        record
    }

    /// `NoticeId` to `BaseType`.
    fn push_origin(&self, id: &str, rng: &mut GeneratorRng, record: &mut StringRecord) {
        let GeneratedSolicitation { agency, office, .. } = self.solicitation;
        let amendment = self.solicitation.amendments;
        let title = &self.solicitation.title;
        record.push_field(id);
        if amendment > 0 && amendment.is_multiple_of(3) {
            record.push_field(&format!("{title} (Amendment {amendment:04})"));
        } else {
            record.push_field(title);
        }
        record.push_field(&self.solicitation.retype_number(rng));
        for text in [agency.department, agency.cgac, agency.sub_tier, agency.fpds, office.name, office.aac] {
            record.push_field(text);
        }
        record.push_field(&calendar::format_posted(self.posted, rng));
        record.push_field(self.kind.name());
        record.push_field(self.solicitation.base.name());
    }

    /// `ArchiveType` to `ClassificationCode`.
    fn push_terms(&self, rng: &mut GeneratorRng, record: &mut StringRecord) {
        let GeneratedSolicitation { item, set_aside, naics, form, .. } = self.solicitation;
        let due = self.solicitation.due.filter(|_| self.kind != NoticeKind::Award || rng.chance_per_mille(80));
        let is_custom = rng.chance_per_mille(220);
        let days = if is_custom { rng.next_between(20, 400) } else { 15 };
        let archive = self.posted.max(due.unwrap_or(self.posted)) + TimeDelta::days(i64::from(days));
        record.push_field(if is_custom { "autocustom" } else { "auto15" });
        record.push_field(&archive.date_naive().to_string());
        record.push_field(set_aside.0);
        record.push_field(set_aside.1);
        record.push_field(&due.map(|due| form.format(due)).unwrap_or_default());
        record.push_field(naics);
        let has_short_psc = item.sector == MarketSector::Military && !item.is_service();
        record.push_field(if has_short_psc { &item.psc[..2] } else { item.psc });
    }

    /// `PopStreetAddress` to `Active`.
    fn push_place(&self, rng: &mut GeneratorRng, record: &mut StringRecord) {
        let has_street = rng.chance_per_mille(12);
        let (floor, number) = (rng.next_between(1, 9), rng.next_between(1, 9_900));
        match self.solicitation.place {
            Some(place) => {
                let street = if has_street { format!("{number} Example Avenue, Floor {floor}") } else { String::new() };
                record.push_field(&street);
                for text in [place.city, place.state, place.zip, place.country] {
                    record.push_field(text);
                }
            }
            None => (0..5).for_each(|_| record.push_field("")),
        }
        record.push_field(if rng.chance_per_mille(20) { "No" } else { "Yes" });
    }

    /// `AwardNumber` to `Awardee`.
    fn push_award(&self, record: &mut StringRecord) {
        let GeneratedAward { number, date, amount, awardee } = &self.award;
        for text in [number, date, amount, awardee] {
            record.push_field(text);
        }
    }

    /// `PrimaryContactTitle` to `SecondaryContactFax`, the same for every notice of a solicitation.
    fn push_contacts(&self, record: &mut StringRecord) {
        let mut rng = GeneratorRng::new(self.solicitation.person);
        let first = company::generate_person(&mut rng);
        let title = if rng.chance_per_mille(50) { "Contract Specialist" } else { "" };
        let phone = if rng.chance_per_mille(250) { first.phone.as_str() } else { "" };
        for text in [title, &first.name, &first.email, phone, "", ""] {
            record.push_field(text);
        }
        if rng.chance_per_mille(110) {
            let second = company::generate_person(&mut rng);
            for text in [&second.name, &second.email, &second.phone] {
                record.push_field(text);
            }
            record.push_field("");
        } else {
            (0..4).for_each(|_| record.push_field(""));
        }
    }

    /// `OrganizationType` to `CountryCode`.
    fn push_office(&self, record: &mut StringRecord) {
        let office = self.solicitation.office;
        for text in ["OFFICE", office.state, office.city, office.zip, "USA"] {
            record.push_field(text);
        }
    }
}
