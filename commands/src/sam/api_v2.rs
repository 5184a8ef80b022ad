//! Reads pages of the SAM.gov Get Opportunities Public API, version 2.

mod element;

use domain::opportunity::{Agency, Award, Facts, Notice, NoticeId, NoticeSource, NoticeType, Place};
use serde::Deserialize;

use self::element::Elements;
use super::{
    Reader, Row, RowError, SourceError,
    field::{self, Field},
    loose::{self, Loose},
};

/// The elements of `opportunitiesData` as rows, page after page.
pub(super) struct PageRows(Elements);

impl PageRows {
    pub(super) fn new(reader: Reader) -> Self {
        Self(Elements::new(reader))
    }

    pub(super) fn read(&mut self) -> Result<Option<Row>, SourceError> {
        let Some((line, json)) = self.0.next()? else { return Ok(None) };
        let outcome = json.and_then(loose::record::<Element>).and_then(|element| element.notice());
        Ok(Some(Row { line, outcome }))
    }
}

/// The keys that are read. `pointOfContact` is not among them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Element {
    notice_id: Loose,
    title: Loose,
    solicitation_number: Loose,
    full_parent_path_name: Loose,
    posted_date: Loose,
    r#type: Loose,
    base_type: Loose,
    archive_date: Loose,
    type_of_set_aside: Loose,
    response_dead_line: Loose,
    naics_code: Loose,
    naics_codes: Option<Vec<Loose>>,
    classification_code: Loose,
    active: Loose,
    award: Option<AwardElement>,
    description: Loose,
    place_of_performance: Option<PlaceElement>,
    ui_link: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AwardElement {
    date: Loose,
    number: Loose,
    amount: Loose,
    awardee: Option<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlaceElement {
    city: Option<Named>,
    state: Option<Named>,
    zip: Loose,
    country: Option<Named>,
}

/// A company, city, state or country.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    code: Loose,
    name: Loose,
}

impl Element {
    fn notice(&self) -> Result<Notice, RowError> {
        Ok(Notice {
            notice_id: self.notice_id.field("noticeId")?.required_code(NoticeId::try_new)?,
            source: NoticeSource::SamApi,
            posted_at: self.posted_date.field("postedDate")?.required(Field::instant)?,
            facts: self.facts()?,
            award: self.award.as_ref().map(AwardElement::award).transpose()?.and_then(field::award),
        })
    }

    fn facts(&self) -> Result<Facts, RowError> {
        let organisation = Organisation::read(&self.full_parent_path_name)?;
        Ok(Facts {
            title: self.title.field("title")?.required(Field::text)?,
            notice_type: self.r#type.field("type")?.required_code(NoticeType::try_new)?,
            agency: organisation.agency,
            solicitation_number: self.solicitation_number.field("solicitationNumber")?.text()?,
            base_type: self.base_type.field("baseType")?.code(NoticeType::try_new)?,
            sub_tier: organisation.sub_tier,
            office: organisation.office,
            set_aside: self.type_of_set_aside.field("typeOfSetAside")?.set_aside()?,
            naics: self.naics().field("naicsCode")?.naics()?,
            psc: self.classification_code.field("classificationCode")?.text()?,
            response_deadline: self.response_dead_line.field("responseDeadLine")?.instant()?,
            archive_on: self.archive_date.field("archiveDate")?.day()?,
            active: self.active.field("active")?.yes_or_no()?,
            place: self.place_of_performance.as_ref().map(PlaceElement::place).transpose()?.and_then(field::place),
            description: self.description()?,
            link: self.ui_link.field("uiLink")?.link()?,
        })
    }

    fn naics(&self) -> &Loose {
        let listed = self.naics_codes.as_deref().unwrap_or_default();
        if self.naics_code.is_blank() { listed.first().unwrap_or(&self.naics_code) } else { &self.naics_code }
    }

    /// The API puts the address of the text where the text should be.
    fn description(&self) -> Result<Option<String>, RowError> {
        let text = self.description.field("description")?.description()?;
        Ok(text.filter(|text| !text.starts_with("https://") && !text.starts_with("http://")))
    }
}

impl AwardElement {
    fn award(&self) -> Result<Award, RowError> {
        let awardee = self.awardee.as_ref().map(|company| company.name.field("award.awardee.name")?.company());
        Ok(Award {
            number: self.number.field("award.number")?.text()?,
            date: self.date.field("award.date")?.day()?,
            amount: self.amount.field("award.amount")?.amount()?,
            awardee: awardee.transpose()?.flatten(),
        })
    }
}

impl PlaceElement {
    /// With the codes of state and country where there are any, as in the extract.
    fn place(&self) -> Result<Place, RowError> {
        let short = |place: &Option<Named>| match place {
            Some(place) if place.code.is_blank() => place.name.field("placeOfPerformance")?.text(),
            Some(place) => place.code.field("placeOfPerformance")?.text(),
            None => Ok(None),
        };
        let city = self.city.as_ref().map(|city| city.name.field("placeOfPerformance.city")?.text());
        Ok(Place {
            city: city.transpose()?.flatten(),
            state: short(&self.state)?,
            zip: self.zip.field("placeOfPerformance.zip")?.text()?,
            country: short(&self.country)?,
        })
    }
}

/// Who publishes the notice.
struct Organisation {
    agency: Agency,
    sub_tier: Option<String>,
    office: Option<String>,
}

impl Organisation {
    /// Takes a path of names apart: department, agency, any number of commands, office.
    fn read(path: &Loose) -> Result<Self, RowError> {
        const KEY: &str = "fullParentPathName";
        let names = match path {
            Loose::Text(path) => segments(path),
            Loose::Absent | Loose::Other => vec![],
        };
        let name = |text: Option<&&str>| Field::new(KEY, text.copied().unwrap_or_default()).text();
        path.field(KEY)?;
        Ok(Self {
            agency: Field::new(KEY, names.first().copied().unwrap_or_default()).agency()?,
            sub_tier: name(names.get(1))?,
            office: name(names.get(2..).and_then(<[&str]>::last))?,
        })
    }
}

/// Splits a path at its dots. A dot before a space, or behind a single letter, belongs to a name: `U.S. MINT`.
fn segments(path: &str) -> Vec<&str> {
    let mut names = vec![];
    let mut start = 0;
    for (at, _) in path.match_indices('.') {
        let name = &path[start..at];
        let last_word = name.rsplit([' ', '.']).next().unwrap_or(name);
        let initial = last_word.chars().count() == 1 && last_word.chars().all(char::is_alphabetic);
        if !initial && !path[at + 1..].starts_with(' ') {
            names.push(name);
            start = at + 1;
        }
    }
    names.push(&path[start..]);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_into_its_names() {
        assert_eq!(
            segments("DEPT OF DEFENSE.DEPT OF THE NAVY.NAVSEA"),
            ["DEPT OF DEFENSE", "DEPT OF THE NAVY", "NAVSEA"]
        );
        assert_eq!(segments("PEACE CORPS"), ["PEACE CORPS"]);
    }

    #[test]
    fn a_dot_inside_a_name_does_not_split_it() {
        assert_eq!(segments("U.S. MINT.U.S. MINT.ST. LOUIS BRANCH"), ["U.S. MINT", "U.S. MINT", "ST. LOUIS BRANCH"]);
    }
}
