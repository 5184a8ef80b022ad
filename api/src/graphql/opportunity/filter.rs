//! What a caller may narrow opportunities down to, checked before a store is asked.

use async_graphql::{InputObject, Result};
use chrono::{DateTime, Utc};
use domain::opportunity::{Agency, InvalidValue, Naics, NoticeType, SetAside};
use projections::{Filter, TimeRange, analytics::Selection};

use crate::graphql::{
    error::{invalid, invalid_field},
    input::bounded,
};

/// Most alternatives of one restriction.
const MAX_ALTERNATIVES: usize = 50;

/// Narrows opportunities down. Restrictions hold together; of several values in one restriction any may match.
#[derive(Debug, Default, InputObject)]
pub(super) struct OpportunityFilter {
    /// Departments, each by its code (`"036"`) or its published name (`"VETERANS AFFAIRS, DEPARTMENT OF"`).
    agency: Option<Vec<String>>,
    /// Kinds of notice, e.g. `"Solicitation"`.
    #[graphql(name = "type")]
    notice_type: Option<Vec<String>>,
    /// NAICS codes or their beginnings, e.g. `"339"` for all of medical equipment manufacturing.
    naics: Option<Vec<String>>,
    /// Set-aside codes, e.g. `"SDVOSBC"`.
    set_aside: Option<Vec<String>>,
    /// Published at this time or later.
    posted_from: Option<DateTime<Utc>>,
    /// Published at this time or earlier.
    posted_to: Option<DateTime<Utc>>,
    /// Responses are taken until this time or longer.
    deadline_from: Option<DateTime<Utc>>,
    /// Responses are taken until this time or shorter.
    deadline_to: Option<DateTime<Utc>>,
}

/// The filter of lists and figures, which can also look for words.
#[derive(Debug, Default, InputObject)]
pub(super) struct OpportunityTextFilter {
    #[graphql(flatten)]
    facts: OpportunityFilter,
    /// Words that all occur in title, description or number, in any case. For meaning rather than words see
    /// `searchOpportunities`.
    text: Option<String>,
}

impl OpportunityFilter {
    /// Checks the restrictions and brings them into the form that the stores keep.
    pub(super) fn into_filter(self) -> Result<Filter> {
        Ok(Filter {
            agencies: each("filter.agency", self.agency, |name| Ok(Agency::from_name(name)?.code))?,
            notice_types: each("filter.type", self.notice_type, |name| Ok(NoticeType::try_new(name)?.to_string()))?,
            naics: each("filter.naics", self.naics, |code| Ok(Naics::try_new(code)?.to_string()))?,
            set_asides: each("filter.setAside", self.set_aside, |code| Ok(SetAside::try_new(code)?.to_string()))?,
            posted: range("filter.postedFrom", self.posted_from, self.posted_to)?,
            deadline: range("filter.deadlineFrom", self.deadline_from, self.deadline_to)?,
        })
    }
}

impl OpportunityTextFilter {
    /// Checks the restrictions and the words.
    pub(super) fn into_selection(self) -> Result<Selection> {
        let text = self.text.map(|text| bounded("filter.text", &text)).transpose()?;
        Ok(Selection { filter: self.facts.into_filter()?, text: text.filter(|text| !text.is_empty()) })
    }
}

fn each(
    field: &str,
    values: Option<Vec<String>>,
    check: impl Fn(&str) -> Result<String, InvalidValue>,
) -> Result<Vec<String>> {
    let values = values.unwrap_or_default();
    if values.len() > MAX_ALTERNATIVES {
        return Err(invalid_field(field, format!("more than {MAX_ALTERNATIVES} values are given")));
    }
    values.iter().map(|value| check(value).map_err(|reason| invalid(field, &reason))).collect()
}

fn range(field: &str, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<TimeRange> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => Err(invalid_field(field, "the range ends before it begins".to_owned())),
        (from, to) => Ok(TimeRange { from, to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(field: &str) -> OpportunityFilter {
        let bad = Some(vec!["no! such; thing".to_owned()]);
        let later = "2026-03-02T00:00:00Z".parse().ok();
        let earlier = "2026-03-01T00:00:00Z".parse().ok();
        match field {
            "filter.agency" => {
                OpportunityFilter { agency: Some(vec!["--".to_owned()]), ..OpportunityFilter::default() }
            }
            "filter.naics" => OpportunityFilter { naics: bad, ..OpportunityFilter::default() },
            "filter.setAside" => OpportunityFilter { set_aside: bad, ..OpportunityFilter::default() },
            "filter.postedFrom" => {
                OpportunityFilter { posted_from: later, posted_to: earlier, ..OpportunityFilter::default() }
            }
            other => unreachable!("{other}"),
        }
    }

    #[test]
    fn a_bad_value_is_refused_with_the_name_of_its_field() {
        for field in ["filter.agency", "filter.naics", "filter.setAside", "filter.postedFrom"] {
            let error = named(field).into_filter().unwrap_err();
            let extensions = error.extensions.unwrap();
            assert_eq!(extensions.get("code"), Some(&"INVALID_INPUT".into()));
            assert_eq!(extensions.get("field"), Some(&field.into()));
        }
    }

    #[test]
    fn an_agency_is_found_by_its_code_and_by_its_name() {
        let agency = Some(vec!["036".to_owned(), "VETERANS AFFAIRS, DEPARTMENT OF".to_owned()]);
        let filter = OpportunityFilter { agency, ..OpportunityFilter::default() }.into_filter().unwrap();
        assert_eq!(filter.agencies, ["036", "036"]);
    }

    #[test]
    fn blank_text_restricts_nothing() {
        let filter = OpportunityTextFilter { text: Some("  ".to_owned()), ..OpportunityTextFilter::default() };
        assert_eq!(filter.into_selection().unwrap().text, None);
    }
}
