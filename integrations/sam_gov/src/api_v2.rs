//! Reads answers of the SAM.gov Get Opportunities Public API, in both of its published shapes: the department, sub-tier and
//! office as one path (`fullParentPathName`), or each under a name of its own.

mod element;
mod page_tally;

use domain::opportunity::{
    Agency, Award, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType, PlaceOfPerformance,
};
use serde::{Deserialize, de::IgnoredAny};

use self::element::ElementScanner;
use super::{
    NoticeRowError, ParsedRow, SourceError, SourceReader,
    encoding::{SourceEncoding, TextDecoder},
    field::{self, NoticeField, OmittedValues},
    loose_json::{self, LooseObject, LooseText},
};

/// The notices of a source as rows, page after page.
pub(super) struct ApiNoticeReader {
    elements: ElementScanner,
    decoder: TextDecoder,
}

impl ApiNoticeReader {
    pub(super) fn new(reader: SourceReader, encoding: SourceEncoding) -> Self {
        Self { elements: ElementScanner::new(reader), decoder: TextDecoder::new(encoding) }
    }

    /// How notices were decoded so far.
    pub(super) fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }

    /// What there is to say about the pages, once all were read.
    pub(super) fn collect_warnings(&mut self) -> Vec<String> {
        self.elements.tally().finish()
    }

    pub(super) fn next_row(&mut self) -> Result<Option<ParsedRow>, SourceError> {
        let Some((line, json)) = self.elements.next_element()? else { return Ok(None) };
        let element = json.and_then(|json| loose_json::parse_record::<NoticeElement>(json, &mut self.decoder));
        let mut left_out = OmittedValues::default();
        if let Ok(NoticeElement { notice_id: LooseText::Text(notice_id), .. }) = &element {
            self.elements.tally().add_notice(notice_id.trim());
        }
        let outcome = element.and_then(|element| element.to_notice(&mut left_out));
        Ok(Some(ParsedRow { line, outcome, omitted_values: left_out.into_errors() }))
    }
}

/// The keys that are read. `pointOfContact` is not among them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NoticeElement {
    notice_id: LooseText,
    title: LooseText,
    solicitation_number: LooseText,
    full_parent_path_name: LooseText,
    department: LooseText,
    sub_tier: LooseText,
    office: LooseText,
    posted_date: LooseText,
    r#type: LooseText,
    base_type: LooseText,
    archive_date: LooseText,
    type_of_set_aside: LooseText,
    response_dead_line: LooseText,
    naics_code: LooseText,
    naics_codes: CodeList,
    classification_code: LooseText,
    active: LooseText,
    award: LooseObject<AwardElement>,
    description: LooseText,
    place_of_performance: LooseObject<PlaceElement>,
    ui_link: LooseText,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AwardElement {
    date: LooseText,
    number: LooseText,
    amount: LooseText,
    awardee: LooseObject<NamedCode>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlaceElement {
    city: LooseObject<NamedCode>,
    state: LooseObject<NamedCode>,
    zip: LooseText,
    country: LooseObject<NamedCode>,
}

/// A company, city, state or country.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedCode {
    code: LooseText,
    name: LooseText,
}

/// A list of codes; anything else counts as one without items.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum CodeList {
    List(Vec<LooseText>),
    Other(IgnoredAny),
    #[default]
    #[serde(skip)]
    Absent,
}

impl CodeList {
    fn first(&self) -> Option<&LooseText> {
        match self {
            Self::List(list) => list.first(),
            Self::Other(_) | Self::Absent => None,
        }
    }
}

impl NoticeElement {
    /// The notice; what it may lack and cannot be read is left out.
    fn to_notice(&self, left_out: &mut OmittedValues) -> Result<Notice, NoticeRowError> {
        Ok(Notice {
            notice_id: self.notice_id.to_field("noticeId")?.parse_required_code(NoticeId::try_new)?,
            source: NoticeSource::SamApi,
            posted_at: self.posted_date.to_field("postedDate")?.parse_required(NoticeField::parse_instant)?,
            facts: self.to_details(left_out)?,
            award: left_out
                .take_optional(self.award.get("award"))
                .and_then(|award| field::non_empty_award(award.to_award(left_out))),
        })
    }

    fn to_details(&self, left_out: &mut OmittedValues) -> Result<NoticeDetails, NoticeRowError> {
        let organisation = self.agency_hierarchy(left_out)?;
        let solicitation_number = self.solicitation_number.to_field("solicitationNumber");
        let set_aside = self.type_of_set_aside.to_field("typeOfSetAside");
        let place = left_out.take_optional(self.place_of_performance.get("placeOfPerformance"));
        Ok(NoticeDetails {
            title: self.title.to_field("title")?.parse_required(NoticeField::parse_text)?,
            notice_type: self.r#type.to_field("type")?.parse_required_code(NoticeType::try_new)?,
            agency: organisation.agency,
            solicitation_number: left_out
                .take_optional(solicitation_number.and_then(|field| field.as_numeral().parse_text())),
            base_type: left_out
                .take_optional(self.base_type.to_field("baseType").and_then(|f| f.parse_code(NoticeType::try_new))),
            sub_tier: organisation.sub_tier,
            office: organisation.office,
            set_aside: left_out.take_optional(set_aside.and_then(NoticeField::parse_set_aside)),
            naics: left_out.take_optional(self.first_naics().to_field("naicsCode").and_then(NoticeField::parse_naics)),
            psc: left_out.take_optional(
                self.classification_code.to_field("classificationCode").and_then(|f| f.as_numeral().parse_text()),
            ),
            response_deadline: left_out.take_optional(
                self.response_dead_line.to_field("responseDeadLine").and_then(NoticeField::parse_instant),
            ),
            archive_on: left_out
                .take_optional(self.archive_date.to_field("archiveDate").and_then(NoticeField::parse_day)),
            active: left_out.take_optional(self.active.to_field("active").and_then(NoticeField::parse_bool)),
            place: place.and_then(|place| field::non_empty_place(place.to_place(left_out))),
            description: left_out.take_optional(self.description_text()),
            link: left_out.take_optional(self.ui_link.to_field("uiLink").and_then(NoticeField::parse_link)),
        })
    }

    /// Who publishes the notice: by the path of names, or by each name.
    fn agency_hierarchy(&self, left_out: &mut OmittedValues) -> Result<AgencyHierarchy, NoticeRowError> {
        if !self.full_parent_path_name.is_blank() || self.department.is_blank() {
            return AgencyHierarchy::from_path(&self.full_parent_path_name, left_out);
        }
        Ok(AgencyHierarchy {
            agency: self.department.to_field("department")?.parse_agency()?,
            sub_tier: left_out.take_optional(self.sub_tier.to_field("subTier").and_then(NoticeField::parse_text)),
            office: left_out.take_optional(self.office.to_field("office").and_then(NoticeField::parse_text)),
        })
    }

    fn first_naics(&self) -> &LooseText {
        if self.naics_code.is_blank() { self.naics_codes.first().unwrap_or(&self.naics_code) } else { &self.naics_code }
    }

    /// The API puts the address of the text where the text should be.
    fn description_text(&self) -> Result<Option<String>, NoticeRowError> {
        let text = self.description.to_field("description")?.parse_description()?;
        Ok(text.filter(|text| !text.starts_with("https://") && !text.starts_with("http://")))
    }
}

impl AwardElement {
    fn to_award(&self, left_out: &mut OmittedValues) -> Award {
        let awardee = left_out.take_optional(self.awardee.get("award.awardee"));
        Award {
            number: left_out
                .take_optional(self.number.to_field("award.number").and_then(|field| field.as_numeral().parse_text())),
            date: left_out.take_optional(self.date.to_field("award.date").and_then(NoticeField::parse_day)),
            amount: left_out.take_optional(self.amount.to_field("award.amount").and_then(NoticeField::parse_amount)),
            awardee: awardee.and_then(|company| {
                left_out.take_optional(company.name.to_field("award.awardee.name").and_then(NoticeField::parse_company))
            }),
        }
    }
}

impl PlaceElement {
    /// With the codes of state and country where there are any, as in the extract.
    fn to_place(&self, left_out: &mut OmittedValues) -> PlaceOfPerformance {
        let city = left_out.take_optional(self.city.get("placeOfPerformance.city"));
        let mut short = |place: &LooseObject<NamedCode>, key| {
            let place = left_out.take_optional(place.get(key))?;
            let name = if place.code.is_blank() { &place.name } else { &place.code };
            left_out.take_optional(name.to_field(key).and_then(NoticeField::parse_text))
        };
        let (state, country) =
            (short(&self.state, "placeOfPerformance.state"), short(&self.country, "placeOfPerformance.country"));
        PlaceOfPerformance {
            city: city.and_then(|city| {
                left_out.take_optional(city.name.to_field("placeOfPerformance.city").and_then(NoticeField::parse_text))
            }),
            state,
            zip: left_out.take_optional(
                self.zip.to_field("placeOfPerformance.zip").and_then(|field| field.as_numeral().parse_text()),
            ),
            country,
        }
    }
}

/// Who publishes the notice.
struct AgencyHierarchy {
    agency: Agency,
    sub_tier: Option<String>,
    office: Option<String>,
}

impl AgencyHierarchy {
    /// Takes a path of names apart: department, agency, any number of commands, office.
    fn from_path(path: &LooseText, left_out: &mut OmittedValues) -> Result<Self, NoticeRowError> {
        const KEY: &str = "fullParentPathName";
        let names = match path {
            LooseText::Text(path) => split_path(path),
            LooseText::Absent | LooseText::Other => vec![],
        };
        let mut name = |text: Option<&&str>| {
            left_out.take_optional(NoticeField::new(KEY, text.copied().unwrap_or_default()).parse_text())
        };
        path.to_field(KEY)?;
        Ok(Self {
            agency: NoticeField::new(KEY, names.first().copied().unwrap_or_default()).parse_agency()?,
            sub_tier: name(names.get(1)),
            office: name(names.get(2..).and_then(<[&str]>::last)),
        })
    }
}

/// Splits a path at its dots. A dot before a space, or behind a single letter, belongs to a name: `U.S. MINT`.
fn split_path(path: &str) -> Vec<&str> {
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
            split_path("DEPT OF DEFENSE.DEPT OF THE NAVY.NAVSEA"),
            ["DEPT OF DEFENSE", "DEPT OF THE NAVY", "NAVSEA"]
        );
        assert_eq!(split_path("PEACE CORPS"), ["PEACE CORPS"]);
    }

    #[test]
    fn a_dot_inside_a_name_does_not_split_it() {
        assert_eq!(split_path("U.S. MINT.U.S. MINT.ST. LOUIS BRANCH"), ["U.S. MINT", "U.S. MINT", "ST. LOUIS BRANCH"]);
    }
}
