//! Reads answers of the SAM.gov Get Opportunities Public API, in both of its published shapes: the department, sub-tier and
//! office as one path (`fullParentPathName`), or each under a name of its own.

mod element;
mod page_tally;

use domain::opportunity::{Agency, Award, Facts, Notice, NoticeId, NoticeSource, NoticeType, Place};
use serde::{Deserialize, de::IgnoredAny};

use self::element::Elements;
use super::{
    Reader, Row, RowError, SourceError,
    encoding::{Decoder, Encoding},
    field::{self, Field, LeftOut},
    loose::{self, Loose, Part},
};

/// The notices of a source as rows, page after page.
pub(super) struct PageRows {
    elements: Elements,
    decoder: Decoder,
}

impl PageRows {
    pub(super) fn new(reader: Reader, encoding: Encoding) -> Self {
        Self { elements: Elements::new(reader), decoder: Decoder::new(encoding) }
    }

    /// How notices were decoded so far.
    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// What there is to say about the pages, once all were read.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.elements.tally().finish()
    }

    pub(super) fn read(&mut self) -> Result<Option<Row>, SourceError> {
        let Some((line, json)) = self.elements.next()? else { return Ok(None) };
        let element = json.and_then(|json| loose::record::<Element>(json, &mut self.decoder));
        let mut left_out = LeftOut::default();
        if let Ok(Element { notice_id: Loose::Text(notice_id), .. }) = &element {
            self.elements.tally().add(notice_id.trim());
        }
        let outcome = element.and_then(|element| element.notice(&mut left_out));
        Ok(Some(Row { line, outcome, left_out: left_out.into_values() }))
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
    department: Loose,
    sub_tier: Loose,
    office: Loose,
    posted_date: Loose,
    r#type: Loose,
    base_type: Loose,
    archive_date: Loose,
    type_of_set_aside: Loose,
    response_dead_line: Loose,
    naics_code: Loose,
    naics_codes: CodeList,
    classification_code: Loose,
    active: Loose,
    award: Part<AwardElement>,
    description: Loose,
    place_of_performance: Part<PlaceElement>,
    ui_link: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AwardElement {
    date: Loose,
    number: Loose,
    amount: Loose,
    awardee: Part<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlaceElement {
    city: Part<Named>,
    state: Part<Named>,
    zip: Loose,
    country: Part<Named>,
}

/// A company, city, state or country.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    code: Loose,
    name: Loose,
}

/// A list of codes; anything else counts as one without items.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum CodeList {
    List(Vec<Loose>),
    Other(IgnoredAny),
    #[default]
    #[serde(skip)]
    Absent,
}

impl CodeList {
    fn first(&self) -> Option<&Loose> {
        match self {
            Self::List(list) => list.first(),
            Self::Other(_) | Self::Absent => None,
        }
    }
}

impl Element {
    /// The notice; what it may lack and cannot be read is left out.
    fn notice(&self, left_out: &mut LeftOut) -> Result<Notice, RowError> {
        Ok(Notice {
            notice_id: self.notice_id.field("noticeId")?.required_code(NoticeId::try_new)?,
            source: NoticeSource::SamApi,
            posted_at: self.posted_date.field("postedDate")?.required(Field::instant)?,
            facts: self.facts(left_out)?,
            award: left_out.optional(self.award.get("award")).and_then(|award| field::award(award.award(left_out))),
        })
    }

    fn facts(&self, left_out: &mut LeftOut) -> Result<Facts, RowError> {
        let organisation = self.organisation(left_out)?;
        let solicitation_number = self.solicitation_number.field("solicitationNumber");
        let set_aside = self.type_of_set_aside.field("typeOfSetAside");
        let place = left_out.optional(self.place_of_performance.get("placeOfPerformance"));
        Ok(Facts {
            title: self.title.field("title")?.required(Field::text)?,
            notice_type: self.r#type.field("type")?.required_code(NoticeType::try_new)?,
            agency: organisation.agency,
            solicitation_number: left_out.optional(solicitation_number.and_then(|field| field.numeral().text())),
            base_type: left_out.optional(self.base_type.field("baseType").and_then(|f| f.code(NoticeType::try_new))),
            sub_tier: organisation.sub_tier,
            office: organisation.office,
            set_aside: left_out.optional(set_aside.and_then(Field::set_aside)),
            naics: left_out.optional(self.naics().field("naicsCode").and_then(Field::naics)),
            psc: left_out
                .optional(self.classification_code.field("classificationCode").and_then(|f| f.numeral().text())),
            response_deadline: left_out
                .optional(self.response_dead_line.field("responseDeadLine").and_then(Field::instant)),
            archive_on: left_out.optional(self.archive_date.field("archiveDate").and_then(Field::day)),
            active: left_out.optional(self.active.field("active").and_then(Field::yes_or_no)),
            place: place.and_then(|place| field::place(place.place(left_out))),
            description: left_out.optional(self.description()),
            link: left_out.optional(self.ui_link.field("uiLink").and_then(Field::link)),
        })
    }

    /// Who publishes the notice: by the path of names, or by each name.
    fn organisation(&self, left_out: &mut LeftOut) -> Result<Organisation, RowError> {
        if !self.full_parent_path_name.is_blank() || self.department.is_blank() {
            return Organisation::read(&self.full_parent_path_name, left_out);
        }
        Ok(Organisation {
            agency: self.department.field("department")?.agency()?,
            sub_tier: left_out.optional(self.sub_tier.field("subTier").and_then(Field::text)),
            office: left_out.optional(self.office.field("office").and_then(Field::text)),
        })
    }

    fn naics(&self) -> &Loose {
        if self.naics_code.is_blank() { self.naics_codes.first().unwrap_or(&self.naics_code) } else { &self.naics_code }
    }

    /// The API puts the address of the text where the text should be.
    fn description(&self) -> Result<Option<String>, RowError> {
        let text = self.description.field("description")?.description()?;
        Ok(text.filter(|text| !text.starts_with("https://") && !text.starts_with("http://")))
    }
}

impl AwardElement {
    fn award(&self, left_out: &mut LeftOut) -> Award {
        let awardee = left_out.optional(self.awardee.get("award.awardee"));
        Award {
            number: left_out.optional(self.number.field("award.number").and_then(|field| field.numeral().text())),
            date: left_out.optional(self.date.field("award.date").and_then(Field::day)),
            amount: left_out.optional(self.amount.field("award.amount").and_then(Field::amount)),
            awardee: awardee.and_then(|company| {
                left_out.optional(company.name.field("award.awardee.name").and_then(Field::company))
            }),
        }
    }
}

impl PlaceElement {
    /// With the codes of state and country where there are any, as in the extract.
    fn place(&self, left_out: &mut LeftOut) -> Place {
        let city = left_out.optional(self.city.get("placeOfPerformance.city"));
        let mut short = |place: &Part<Named>, key| {
            let place = left_out.optional(place.get(key))?;
            let name = if place.code.is_blank() { &place.name } else { &place.code };
            left_out.optional(name.field(key).and_then(Field::text))
        };
        let (state, country) =
            (short(&self.state, "placeOfPerformance.state"), short(&self.country, "placeOfPerformance.country"));
        Place {
            city: city
                .and_then(|city| left_out.optional(city.name.field("placeOfPerformance.city").and_then(Field::text))),
            state,
            zip: left_out.optional(self.zip.field("placeOfPerformance.zip").and_then(|field| field.numeral().text())),
            country,
        }
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
    fn read(path: &Loose, left_out: &mut LeftOut) -> Result<Self, RowError> {
        const KEY: &str = "fullParentPathName";
        let names = match path {
            Loose::Text(path) => segments(path),
            Loose::Absent | Loose::Other => vec![],
        };
        let mut name =
            |text: Option<&&str>| left_out.optional(Field::new(KEY, text.copied().unwrap_or_default()).text());
        path.field(KEY)?;
        Ok(Self {
            agency: Field::new(KEY, names.first().copied().unwrap_or_default()).agency()?,
            sub_tier: name(names.get(1)),
            office: name(names.get(2..).and_then(<[&str]>::last)),
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
