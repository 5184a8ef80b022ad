//! Filters of opportunities, validated before they reach a store.

use async_graphql::{InputObject, Result};
use chrono::{DateTime, Utc};
use domain::opportunity::{Agency, InvalidValue, NaicsCode, NoticeType, SetAside};
use projections::{OpportunityCriteria, TimeRange, opportunity_analytics::OpportunitySelection};

use crate::graphql::{
    error::{invalid_field, invalid_value},
    input_validation::parse_bounded_text,
};

/// Maximum number of values in one restriction.
const MAX_ALTERNATIVES: usize = 50;

/// Filters opportunities. All restrictions must match; within one restriction any value may match.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "OpportunityFilter")]
pub(super) struct OpportunityFilterInput {
    /// Departments, each by its code (`"036"`) or its published name (`"VETERANS AFFAIRS, DEPARTMENT OF"`).
    agency: Option<Vec<String>>,
    /// Notice types, e.g. `"Solicitation"`.
    #[graphql(name = "type")]
    notice_type: Option<Vec<String>>,
    /// NAICS codes or prefixes, e.g. `"339"` for all of medical equipment manufacturing.
    naics: Option<Vec<String>>,
    /// Set-aside codes, e.g. `"SDVOSBC"`.
    set_aside: Option<Vec<String>>,
    /// Published at this time or later.
    posted_from: Option<DateTime<Utc>>,
    /// Published at this time or earlier.
    posted_to: Option<DateTime<Utc>>,
    /// Response deadline at this time or later.
    deadline_from: Option<DateTime<Utc>>,
    /// Response deadline at this time or earlier.
    deadline_to: Option<DateTime<Utc>>,
}

/// Filter of lists and statistics, which also matches words.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "OpportunityTextFilter")]
pub(super) struct OpportunityTextFilterInput {
    #[graphql(flatten)]
    criteria: OpportunityFilterInput,
    /// Words that must all occur in the title, description or number, ignoring case; a word of three characters or more
    /// also matches longer words that begin with it. For search by meaning see `searchOpportunities`.
    text: Option<String>,
}

impl OpportunityFilterInput {
    /// Validates the restrictions and normalizes them to the form that the read models store.
    pub(super) fn into_filter(self) -> Result<OpportunityCriteria> {
        Ok(OpportunityCriteria {
            agencies: parse_alternatives("filter.agency", self.agency, |name| Ok(Agency::from_name(name)?.code))?,
            notice_types: parse_alternatives("filter.type", self.notice_type, |name| {
                Ok(NoticeType::try_new(name)?.to_string())
            })?,
            naics: parse_alternatives("filter.naics", self.naics, |code| Ok(NaicsCode::try_new(code)?.to_string()))?,
            set_asides: parse_alternatives("filter.setAside", self.set_aside, |code| {
                Ok(SetAside::try_new(code)?.to_string())
            })?,
            posted: parse_time_range("filter.postedFrom", self.posted_from, self.posted_to)?,
            deadline: parse_time_range("filter.deadlineFrom", self.deadline_from, self.deadline_to)?,
        })
    }
}

impl OpportunityTextFilterInput {
    /// Validates the restrictions and the words.
    pub(super) fn into_selection(self) -> Result<OpportunitySelection> {
        let text = self.text.map(|text| parse_bounded_text("filter.text", &text)).transpose()?;
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            // Postgres cannot compare with it, and no stored text contains it.
            return Err(invalid_field("filter.text", "the text contains a NUL character".to_owned()));
        }
        let text = text.filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| !text.chars().any(char::is_alphanumeric)) {
            return Err(invalid_field("filter.text", "the text has no letter and no digit".to_owned()));
        }
        Ok(OpportunitySelection { filter: self.criteria.into_filter()?, text })
    }
}

fn parse_alternatives(
    field: &str,
    values: Option<Vec<String>>,
    check: impl Fn(&str) -> Result<String, InvalidValue>,
) -> Result<Vec<String>> {
    let values = values.unwrap_or_default();
    if values.len() > MAX_ALTERNATIVES {
        return Err(invalid_field(field, format!("there are more than {MAX_ALTERNATIVES} values")));
    }
    values.iter().map(|value| check(value).map_err(|reason| invalid_value(field, &reason))).collect()
}

fn parse_time_range(field: &str, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<TimeRange> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            Err(invalid_field(field, "the end of the range is before its start".to_owned()))
        }
        (from, to) => Ok(TimeRange { from, to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_with_invalid(field: &str) -> OpportunityFilterInput {
        let bad = Some(vec!["no! such; thing".to_owned()]);
        let later = "2026-03-02T00:00:00Z".parse().ok();
        let earlier = "2026-03-01T00:00:00Z".parse().ok();
        match field {
            "filter.agency" => {
                OpportunityFilterInput { agency: Some(vec!["--".to_owned()]), ..OpportunityFilterInput::default() }
            }
            "filter.naics" => OpportunityFilterInput { naics: bad, ..OpportunityFilterInput::default() },
            "filter.setAside" => OpportunityFilterInput { set_aside: bad, ..OpportunityFilterInput::default() },
            "filter.postedFrom" => {
                OpportunityFilterInput { posted_from: later, posted_to: earlier, ..OpportunityFilterInput::default() }
            }
            other => unreachable!("{other}"),
        }
    }

    #[test]
    fn an_invalid_value_is_refused_with_the_name_of_its_field() {
        for field in ["filter.agency", "filter.naics", "filter.setAside", "filter.postedFrom"] {
            let error = filter_with_invalid(field).into_filter().unwrap_err();
            let extensions = error.extensions.unwrap();
            assert_eq!(extensions.get("code"), Some(&"INVALID_INPUT".into()));
            assert_eq!(extensions.get("field"), Some(&field.into()));
        }
    }

    #[test]
    fn an_agency_is_found_by_its_code_and_by_its_name() {
        let agency = Some(vec!["036".to_owned(), "VETERANS AFFAIRS, DEPARTMENT OF".to_owned()]);
        let filter = OpportunityFilterInput { agency, ..OpportunityFilterInput::default() }.into_filter().unwrap();
        assert_eq!(filter.agencies, ["036", "036"]);
    }

    #[test]
    fn blank_text_restricts_nothing() {
        let filter =
            OpportunityTextFilterInput { text: Some("  ".to_owned()), ..OpportunityTextFilterInput::default() };
        assert_eq!(filter.into_selection().unwrap().text, None);
    }

    #[test]
    fn text_without_a_word_is_refused() {
        let filter =
            OpportunityTextFilterInput { text: Some("***".to_owned()), ..OpportunityTextFilterInput::default() };
        let extensions = filter.into_selection().unwrap_err().extensions.unwrap();
        assert_eq!(extensions.get("field"), Some(&"filter.text".into()));
    }
}
