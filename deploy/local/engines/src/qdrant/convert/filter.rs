//! Filters: conditions on payload, ids and vectors.

use qdrant_client::qdrant::{self, condition::ConditionOneOf, r#match::MatchValue};
use qdrant_edge::{
    AnyVariants, Condition, DateTimeWrapper, FieldCondition, Filter, HasVectorCondition, IsEmptyCondition,
    IsNullCondition, Match, MatchAny, MatchExcept, MatchPhrase, MatchText, MatchTextAny, MinShould, Nested,
    NestedCondition, PointId, Range, RangeInterface, ValueVariants, ValuesCount, external::ordered_float::OrderedFloat,
};
use tonic::Status;

use super::{path, point_ids, size};
use crate::qdrant::refusal::{unsupported, wrong};

/// A filter that may be missing.
pub(crate) fn optional(filter: Option<qdrant::Filter>) -> Result<Option<Filter>, Status> {
    filter.map(filter_from).transpose()
}

/// A filter.
pub(crate) fn filter_from(filter: qdrant::Filter) -> Result<Filter, Status> {
    let qdrant::Filter { should, must, must_not, min_should } = filter;
    let min_should = match min_should {
        Some(qdrant::MinShould { conditions, min_count }) => {
            Some(MinShould { conditions: all(conditions)?, min_count: size(min_count)? })
        }
        None => None,
    };
    Ok(Filter { should: some(should)?, min_should, must: some(must)?, must_not: some(must_not)? })
}

/// The filter, and none of these points.
pub(crate) fn without(filter: Option<Filter>, ids: &[PointId]) -> Option<Filter> {
    if ids.is_empty() {
        return filter;
    }
    let mut filter = filter.unwrap_or_default();
    filter.must_not.get_or_insert_default().push(Condition::HasId(ids.iter().copied().collect()));
    Some(filter)
}

fn some(conditions: Vec<qdrant::Condition>) -> Result<Option<Vec<Condition>>, Status> {
    if conditions.is_empty() { Ok(None) } else { all(conditions).map(Some) }
}

fn all(conditions: Vec<qdrant::Condition>) -> Result<Vec<Condition>, Status> {
    conditions.into_iter().map(condition).collect()
}

fn condition(condition: qdrant::Condition) -> Result<Condition, Status> {
    Ok(match condition.condition_one_of.ok_or_else(|| wrong("a condition is empty"))? {
        ConditionOneOf::Field(field) => Condition::Field(field_condition(field)?),
        ConditionOneOf::IsEmpty(empty) => Condition::IsEmpty(IsEmptyCondition::from(path(&empty.key)?)),
        ConditionOneOf::IsNull(null) => Condition::IsNull(IsNullCondition::from(path(&null.key)?)),
        ConditionOneOf::HasId(has) => Condition::HasId(point_ids(has.has_id)?.into_iter().collect()),
        ConditionOneOf::HasVector(has) => Condition::HasVector(HasVectorCondition::from(has.has_vector)),
        ConditionOneOf::Filter(filter) => Condition::Filter(filter_from(filter)?),
        ConditionOneOf::Nested(nested) => {
            let filter = filter_from(nested.filter.unwrap_or_default())?;
            Condition::Nested(NestedCondition::new(Nested { key: path(&nested.key)?, filter }))
        }
        ConditionOneOf::Slice(_) => return Err(unsupported("slice conditions")),
    })
}

fn field_condition(condition: qdrant::FieldCondition) -> Result<FieldCondition, Status> {
    let qdrant::FieldCondition {
        key,
        r#match,
        range,
        geo_bounding_box,
        geo_radius,
        values_count,
        geo_polygon,
        datetime_range,
        is_empty,
        is_null,
    } = condition;
    if geo_bounding_box.is_some() || geo_radius.is_some() || geo_polygon.is_some() {
        return Err(unsupported("geographic conditions"));
    }
    let range = match (range, datetime_range) {
        (Some(_), Some(_)) => return Err(wrong("a condition has two ranges")),
        (Some(range), None) => Some(number_range(&range)),
        (None, Some(range)) => Some(time_range(&range)?),
        (None, None) => None,
    };
    let r#match = match r#match.map(|found| found.match_value) {
        Some(Some(value)) => Some(match_value(value)?),
        Some(None) => return Err(wrong("a match has no value")),
        None => None,
    };
    let values_count = values_count.map(count).transpose()?;
    if r#match.is_none() && range.is_none() && values_count.is_none() && is_empty.is_none() && is_null.is_none() {
        return Err(wrong(format!("the condition on `{key}` is empty")));
    }
    Ok(FieldCondition {
        key: path(&key)?,
        r#match,
        range,
        geo_bounding_box: None,
        geo_radius: None,
        geo_polygon: None,
        values_count,
        is_empty,
        is_null,
    })
}

fn match_value(value: MatchValue) -> Result<Match, Status> {
    let one = |value| Match::new_value(value);
    Ok(match value {
        MatchValue::Keyword(text) => one(ValueVariants::String(text)),
        MatchValue::Integer(number) => one(ValueVariants::Integer(number)),
        MatchValue::Boolean(flag) => one(ValueVariants::Bool(flag)),
        MatchValue::Text(text) => Match::Text(MatchText { text }),
        MatchValue::TextAny(text_any) => Match::TextAny(MatchTextAny { text_any }),
        MatchValue::Phrase(phrase) => Match::Phrase(MatchPhrase { phrase }),
        MatchValue::Keywords(list) => {
            Match::Any(MatchAny { any: AnyVariants::Strings(list.strings.into_iter().collect()) })
        }
        MatchValue::Integers(list) => {
            Match::Any(MatchAny { any: AnyVariants::Integers(list.integers.into_iter().collect()) })
        }
        MatchValue::ExceptKeywords(list) => {
            Match::Except(MatchExcept { except: AnyVariants::Strings(list.strings.into_iter().collect()) })
        }
        MatchValue::ExceptIntegers(list) => {
            Match::Except(MatchExcept { except: AnyVariants::Integers(list.integers.into_iter().collect()) })
        }
        MatchValue::Prefix(_) | MatchValue::Substring(_) => return Err(unsupported("prefix and substring matches")),
    })
}

fn number_range(range: &qdrant::Range) -> RangeInterface {
    let qdrant::Range { lt, gt, gte, lte } = *range;
    let [lt, gt, gte, lte] = [lt, gt, gte, lte].map(|bound| bound.map(OrderedFloat));
    RangeInterface::Float(Range { lt, gt, gte, lte })
}

fn time_range(range: &qdrant::DatetimeRange) -> Result<RangeInterface, Status> {
    let qdrant::DatetimeRange { lt, gt, gte, lte } = range;
    let bound = |time: &Option<prost_types::Timestamp>| time.as_ref().map(time_from).transpose();
    Ok(RangeInterface::DateTime(Range { lt: bound(lt)?, gt: bound(gt)?, gte: bound(gte)?, lte: bound(lte)? }))
}

/// A point in time, in the engine's resolution of microseconds.
pub(crate) fn time_from(time: &prost_types::Timestamp) -> Result<DateTimeWrapper, Status> {
    let microseconds =
        time.seconds.checked_mul(1_000_000).and_then(|all| all.checked_add(i64::from(time.nanos / 1000)));
    microseconds.and_then(DateTimeWrapper::from_timestamp).ok_or_else(|| wrong("a time is out of range"))
}

fn count(count: qdrant::ValuesCount) -> Result<ValuesCount, Status> {
    let qdrant::ValuesCount { lt, gt, gte, lte } = count;
    let bound = |bound: Option<u64>| bound.map(size).transpose();
    Ok(ValuesCount { lt: bound(lt)?, gt: bound(gt)?, gte: bound(gte)?, lte: bound(lte)? })
}
