//! Reads responses of the SAM.gov Get Opportunities Public API, in both of its published shapes: department, sub-tier
//! and office as one path (`fullParentPathName`), or each under its own key.

mod element;
mod page_tally;

use domain::opportunity::{
    Agency, Award, MAX_RESOURCE_LINKS, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType, PlaceOfPerformance,
    ResourceLink, ResourceLinks,
};
use serde::Deserialize;
use serde_json::Value;

use self::element::ElementScanner;
use super::{
    NoticeRowError, ParsedRow, SourceError, SourceReader,
    encoding::{SourceEncoding, TextDecoder},
    field::{self, NoticeField, OmittedValues},
    loose_json::{self, LooseList, LooseObject, LooseText},
};

/// Reads the notices of a source as rows, page after page.
pub(super) struct ApiNoticeReader {
    elements: ElementScanner,
    decoder: TextDecoder,
}

impl ApiNoticeReader {
    pub(super) fn new(reader: SourceReader, encoding: SourceEncoding) -> Self {
        Self { elements: ElementScanner::new(reader), decoder: TextDecoder::new(encoding) }
    }

    pub(super) fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }

    /// The warnings about the pages, to be called when all were read.
    pub(super) fn collect_warnings(&mut self) -> Vec<String> {
        self.elements.tally().finish()
    }

    pub(super) fn next_row(&mut self) -> Result<Option<ParsedRow>, SourceError> {
        let Some((line, json)) = self.elements.next_element()? else { return Ok(None) };
        let element = json.and_then(|json| loose_json::parse_record::<NoticeElement>(json, &mut self.decoder));
        let mut omitted = OmittedValues::default();
        if let Ok(NoticeElement { notice_id: LooseText::Text(notice_id), .. }) = &element {
            self.elements.tally().add_notice(notice_id.trim());
        }
        let outcome = element.and_then(|element| element.to_notice(&mut omitted));
        Ok(Some(ParsedRow::new(line, outcome, omitted.into_errors())))
    }
}

/// Parses one notice of a page that was parsed already.
pub(crate) fn parse_element(element: &Value, line: u64) -> ParsedRow {
    let mut omitted = OmittedValues::default();
    let parsed = NoticeElement::deserialize(element).map_err(|_wrong_shape| NoticeRowError::WrongShape);
    let outcome = parsed.and_then(|element| element.to_notice(&mut omitted));
    ParsedRow::new(line, outcome, omitted.into_errors())
}

/// The keys of a notice that are read. `pointOfContact` is not among them.
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
    naics_codes: LooseList,
    classification_code: LooseText,
    active: LooseText,
    award: LooseObject<AwardElement>,
    description: LooseText,
    place_of_performance: LooseObject<PlaceElement>,
    ui_link: LooseText,
    additional_info_link: LooseText,
    resource_links: LooseList,
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

impl NoticeElement {
    /// The notice, without optional values that cannot be parsed.
    fn to_notice(&self, omitted: &mut OmittedValues) -> Result<Notice, NoticeRowError> {
        Ok(Notice {
            notice_id: self.notice_id.to_field("noticeId")?.parse_required_code(NoticeId::try_new)?,
            source: NoticeSource::SamApi,
            posted_at: self.posted_date.to_field("postedDate")?.parse_required(NoticeField::parse_instant)?,
            details: self.to_details(omitted)?,
            award: omitted
                .omit_unparsable(self.award.get("award"))
                .and_then(|award| field::non_empty_award(award.to_award(omitted))),
        })
    }

    fn to_details(&self, omitted: &mut OmittedValues) -> Result<NoticeDetails, NoticeRowError> {
        let hierarchy = self.agency_hierarchy(omitted)?;
        let solicitation_number = self.solicitation_number.to_field("solicitationNumber");
        let set_aside = self.type_of_set_aside.to_field("typeOfSetAside");
        let place = omitted.omit_unparsable(self.place_of_performance.get("placeOfPerformance"));
        Ok(NoticeDetails {
            title: self.title.to_field("title")?.parse_required(NoticeField::parse_text)?,
            notice_type: self.r#type.to_field("type")?.parse_required_code(NoticeType::try_new)?,
            agency: hierarchy.agency,
            solicitation_number: omitted
                .omit_unparsable(solicitation_number.and_then(|field| field.as_numeral().parse_text())),
            base_type: omitted
                .omit_unparsable(self.base_type.to_field("baseType").and_then(|f| f.parse_code(NoticeType::try_new))),
            sub_tier: hierarchy.sub_tier,
            office: hierarchy.office,
            set_aside: omitted.omit_unparsable(set_aside.and_then(NoticeField::parse_set_aside)),
            naics: omitted.omit_unparsable(self.first_naics().to_field("naicsCode").and_then(NoticeField::parse_naics)),
            psc: omitted.omit_unparsable(
                self.classification_code.to_field("classificationCode").and_then(|f| f.as_numeral().parse_text()),
            ),
            response_deadline: omitted.omit_unparsable(
                self.response_dead_line.to_field("responseDeadLine").and_then(NoticeField::parse_instant),
            ),
            archive_on: omitted
                .omit_unparsable(self.archive_date.to_field("archiveDate").and_then(NoticeField::parse_day)),
            active: omitted.omit_unparsable(self.active.to_field("active").and_then(NoticeField::parse_bool)),
            place: place.and_then(|place| field::non_empty_place(place.to_place(omitted))),
            description: omitted.omit_unparsable(self.description_text()),
            link: omitted.omit_unparsable(self.ui_link.to_field("uiLink").and_then(NoticeField::parse_link)),
            resource_links: self.resource_links(omitted),
        })
    }

    /// The agency that publishes the notice, from the path of names or from the single names.
    fn agency_hierarchy(&self, omitted: &mut OmittedValues) -> Result<AgencyHierarchy, NoticeRowError> {
        if !self.full_parent_path_name.is_blank() || self.department.is_blank() {
            return AgencyHierarchy::from_path(&self.full_parent_path_name, omitted);
        }
        Ok(AgencyHierarchy {
            agency: self.department.to_field("department")?.parse_agency()?,
            sub_tier: omitted.omit_unparsable(self.sub_tier.to_field("subTier").and_then(NoticeField::parse_text)),
            office: omitted.omit_unparsable(self.office.to_field("office").and_then(NoticeField::parse_text)),
        })
    }

    fn first_naics(&self) -> &LooseText {
        if self.naics_code.is_blank() { self.naics_codes.first().unwrap_or(&self.naics_code) } else { &self.naics_code }
    }

    /// The URLs of the notice's files, then the URL of further information. The API writes null both for no files and
    /// for an unknown value, so only an empty list removes files. Without a list, or if all of its URLs are invalid,
    /// the files are unknown, and further information alone would replace those on record.
    fn resource_links(&self, omitted: &mut OmittedValues) -> Option<ResourceLinks> {
        const KEY: &str = "resourceLinks";
        let items = omitted.omit_unparsable(self.resource_links.items(KEY))?;
        if items.len() > MAX_RESOURCE_LINKS {
            let too_many = NoticeField::new(KEY, "").malformed_error("a list of at most 250 URLs");
            omitted.omit_unparsable::<()>(Err(too_many));
        }
        let mut links = Vec::new();
        for item in items.iter().take(MAX_RESOURCE_LINKS) {
            let link = item.to_field(KEY).and_then(|field| field.parse_code(ResourceLink::try_new));
            links.extend(omitted.omit_unparsable(link));
        }
        if links.is_empty() && !items.is_empty() {
            return None;
        }
        if links.len() < MAX_RESOURCE_LINKS {
            let link = self.additional_info_link.to_field("additionalInfoLink").and_then(NoticeField::parse_link);
            // Agencies write other text there, too.
            links.extend(omitted.omit_unparsable(link).and_then(|link| ResourceLink::try_new(&link).ok()));
        }
        ResourceLinks::try_new(links).ok()
    }

    /// The notice's text; absent if the API gives only the address of the text.
    fn description_text(&self) -> Result<Option<String>, NoticeRowError> {
        let text = self.description.to_field("description")?.parse_description()?;
        Ok(text.filter(|text| !text.starts_with("https://") && !text.starts_with("http://")))
    }
}

impl AwardElement {
    fn to_award(&self, omitted: &mut OmittedValues) -> Award {
        let awardee = omitted.omit_unparsable(self.awardee.get("award.awardee"));
        Award {
            number: omitted.omit_unparsable(
                self.number.to_field("award.number").and_then(|field| field.as_numeral().parse_text()),
            ),
            date: omitted.omit_unparsable(self.date.to_field("award.date").and_then(NoticeField::parse_day)),
            amount: omitted.omit_unparsable(self.amount.to_field("award.amount").and_then(NoticeField::parse_amount)),
            awardee: awardee.and_then(|company| {
                omitted
                    .omit_unparsable(company.name.to_field("award.awardee.name").and_then(NoticeField::parse_company))
            }),
        }
    }
}

impl PlaceElement {
    /// The place, with the codes of state and country in preference to their names, as in the extract.
    fn to_place(&self, omitted: &mut OmittedValues) -> PlaceOfPerformance {
        let city = omitted.omit_unparsable(self.city.get("placeOfPerformance.city"));
        let mut code_or_name = |place: &LooseObject<NamedCode>, key| {
            let place = omitted.omit_unparsable(place.get(key))?;
            let name = if place.code.is_blank() { &place.name } else { &place.code };
            omitted.omit_unparsable(name.to_field(key).and_then(NoticeField::parse_text))
        };
        let (state, country) = (
            code_or_name(&self.state, "placeOfPerformance.state"),
            code_or_name(&self.country, "placeOfPerformance.country"),
        );
        PlaceOfPerformance {
            city: city.and_then(|city| {
                omitted.omit_unparsable(city.name.to_field("placeOfPerformance.city").and_then(NoticeField::parse_text))
            }),
            state,
            zip: omitted.omit_unparsable(
                self.zip.to_field("placeOfPerformance.zip").and_then(|field| field.as_numeral().parse_text()),
            ),
            country,
        }
    }
}

/// The agency that publishes a notice, with its sub-tier and office.
struct AgencyHierarchy {
    agency: Agency,
    sub_tier: Option<String>,
    office: Option<String>,
}

impl AgencyHierarchy {
    /// Splits a path of names: department, agency, any number of commands, office.
    fn from_path(path: &LooseText, omitted: &mut OmittedValues) -> Result<Self, NoticeRowError> {
        const KEY: &str = "fullParentPathName";
        let names = match path {
            LooseText::Text(path) => split_path(path),
            LooseText::Absent | LooseText::Other => vec![],
        };
        let mut parse_name = |text: Option<&&str>| {
            omitted.omit_unparsable(NoticeField::new(KEY, text.copied().unwrap_or_default()).parse_text())
        };
        path.to_field(KEY)?;
        Ok(Self {
            agency: NoticeField::new(KEY, names.first().copied().unwrap_or_default()).parse_agency()?,
            sub_tier: parse_name(names.get(1)),
            office: parse_name(names.get(2..).and_then(<[&str]>::last)),
        })
    }
}

/// Splits a path at its dots. A dot before a space, or after a single letter, belongs to a name: `U.S. MINT`.
fn split_path(path: &str) -> Vec<&str> {
    let mut names = vec![];
    let mut start = 0;
    for (at, _) in path.match_indices('.') {
        let name = &path[start..at];
        let last_word = name.rsplit([' ', '.']).next().unwrap_or(name);
        let is_initial = last_word.chars().count() == 1 && last_word.chars().all(char::is_alphabetic);
        if !is_initial && !path[at + 1..].starts_with(' ') {
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
