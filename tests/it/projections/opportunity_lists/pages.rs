//! Pages, counts and facets compared with those that the test computes from all opportunities.

use std::{cmp::Reverse, collections::BTreeMap};

use domain::{
    envelope::RawEnvelope,
    opportunity::{Award, NaicsCode, Notice, NoticeType, PlaceOfPerformance, SetAside, UsdCents},
};
use projections::{
    OpportunityCriteria, TimeRange,
    opportunity_lists::{OpportunityItem, OpportunityListRequest, OpportunityLists, OpportunityOrder},
};
use tests::opportunity_history::{MemoryLog, march, notice};

use super::{FACETS, apply, newest};

const ORDERS: [OpportunityOrder; 6] = [
    OpportunityOrder::PostedNewest,
    OpportunityOrder::PostedOldest,
    OpportunityOrder::DeadlineSoonest,
    OpportunityOrder::DeadlineLatest,
    OpportunityOrder::AmountHighest,
    OpportunityOrder::AmountLowest,
];

/// 60 opportunities with few different values, so that there are ties, and some without a deadline or an award.
pub(super) fn varied_history() -> Vec<RawEnvelope> {
    let agencies = ["VETERANS AFFAIRS, DEPARTMENT OF", "DEPT OF DEFENSE", "HOMELAND SECURITY, DEPARTMENT OF"];
    let mut log = MemoryLog::default();
    for n in 0_u32..60 {
        let word = ["pump", "wheelchair", "valve", "forklift"][(n % 4) as usize];
        let title = format!("{n:02}--{word}s for unit {}", n % 5);
        let mut varied =
            notice(&format!("n{n}"), agencies[(n % 3) as usize], &format!("Q-{n}"), &title, "6530", n % 6 + 1);
        let details = &mut varied.details;
        details.notice_type = NoticeType::try_new(["Solicitation", "Award Notice"][usize::from(n % 7 == 0)]).unwrap();
        details.set_aside = (n % 2 == 0).then(|| SetAside::try_new(["SBA", "WOSB"][(n % 4 / 2) as usize]).unwrap());
        details.naics = NaicsCode::try_new(["339112", "339113", "334510", "541512"][(n / 3 % 4) as usize]).ok();
        details.response_deadline = (n % 3 != 1).then(|| march(10 + n % 5));
        details.place =
            (n % 5 == 0).then(|| PlaceOfPerformance { state: Some("VA".to_owned()), ..PlaceOfPerformance::default() });
        let amount = (n % 2 == 0).then(|| UsdCents(i64::from(n % 8) * 100));
        let award = (n % 3 == 0).then(|| Award { number: Some(format!("A{n}")), amount, ..Award::default() });
        log.record(Notice { award, ..varied });
    }
    log.events
}

async fn varied_lists() -> (OpportunityLists, Vec<OpportunityItem>) {
    let lists = tests::lists().await;
    apply(&lists, &varied_history()).await;
    let all = newest(&lists).await;
    assert_eq!(all.len(), 60);
    (lists, all)
}

/// Reads a whole list in pages.
async fn read_pages(
    lists: &OpportunityLists,
    criteria: &OpportunityCriteria,
    text: Option<&str>,
    order: OpportunityOrder,
    limit: u32,
) -> (Vec<String>, u64) {
    let (mut ids, mut after) = (vec![], None);
    loop {
        let request = OpportunityListRequest::try_new(criteria.clone(), text.map(str::to_owned), order, after, limit);
        let request = request.unwrap();
        let page = lists.fetch_page(&request.clone().with_total()).await.unwrap();
        let total = page.total.unwrap();
        assert!(total.exact && page.items.len() <= limit as usize);
        let uncounted = lists.fetch_page(&request).await.unwrap();
        assert_eq!((&uncounted.items, uncounted.has_next, uncounted.total), (&page.items, page.has_next, None));
        after = page.items.last().map(|item| item.cursor.to_string().parse().unwrap());
        ids.extend(page.items.into_iter().map(|item| item.entry.id));
        if !page.has_next {
            return (ids, total.count);
        }
    }
}

/// Sorts as a list of this order is sorted: what has no value is last, by its id.
fn sort_items(items: &mut [&OpportunityItem], order: OpportunityOrder) {
    type Key<'a> = (bool, i64, &'a str);
    let key = |value: Option<i64>, item| -> Key<'_> {
        let item: &OpportunityItem = item;
        (value.is_none(), value.unwrap_or_default(), &item.entry.id)
    };
    let posted = |item: &OpportunityItem| Some(-item.entry.posted_at.timestamp_micros());
    let deadline = |item: &OpportunityItem| item.entry.response_deadline.map(|deadline| deadline.timestamp_micros());
    let amount = |item: &OpportunityItem| item.awarded_cents;
    let value: &dyn Fn(&OpportunityItem) -> Option<i64> = match order {
        OpportunityOrder::PostedNewest | OpportunityOrder::PostedOldest | OpportunityOrder::Relevance => &posted,
        OpportunityOrder::DeadlineSoonest | OpportunityOrder::DeadlineLatest => &deadline,
        OpportunityOrder::AmountHighest | OpportunityOrder::AmountLowest => &amount,
    };
    let is_descending = matches!(
        order,
        OpportunityOrder::PostedOldest | OpportunityOrder::DeadlineLatest | OpportunityOrder::AmountHighest
    );
    items.sort_by(|a, b| {
        let (a, b) = (key(value(a), a), key(value(b), b));
        if is_descending && !a.0 && !b.0 { b.cmp(&a) } else { a.cmp(&b) }
    });
}

pub(super) fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Criteria that together use every way of reading a page and of counting it.
pub(super) fn all_criteria() -> Vec<OpportunityCriteria> {
    let criteria = OpportunityCriteria::default();
    let days = TimeRange { from: "2026-03-02T00:00:00Z".parse().ok(), to: "2026-03-04T23:59:59.999999Z".parse().ok() };
    let hours = TimeRange { from: Some(march(3)), to: Some(march(5)) };
    let deadline_days =
        TimeRange { from: "2026-03-11T00:00:00Z".parse().ok(), to: "2026-03-12T23:59:59.999999Z".parse().ok() };
    let deadline_hours = TimeRange { from: Some(march(10)), to: Some(march(13)) };
    vec![
        criteria.clone(),
        OpportunityCriteria { agencies: texts(&["036"]), ..criteria.clone() },
        OpportunityCriteria { agencies: texts(&["036", "097", "036"]), ..criteria.clone() },
        OpportunityCriteria { notice_types: texts(&["Award Notice"]), ..criteria.clone() },
        OpportunityCriteria { naics: texts(&["33"]), ..criteria.clone() },
        OpportunityCriteria { naics: texts(&["3391", "541512"]), ..criteria.clone() },
        OpportunityCriteria { naics: texts(&["99"]), ..criteria.clone() },
        OpportunityCriteria { naics: texts(&["999999"]), ..criteria.clone() },
        OpportunityCriteria { posted: days, ..criteria.clone() },
        OpportunityCriteria { posted: hours, ..criteria.clone() },
        OpportunityCriteria { posted: days, agencies: texts(&["097"]), ..criteria.clone() },
        OpportunityCriteria { deadline: hours, ..criteria.clone() },
        OpportunityCriteria { deadline: deadline_days, ..criteria.clone() },
        OpportunityCriteria { deadline: deadline_days, agencies: texts(&["036", "097"]), ..criteria.clone() },
        OpportunityCriteria { deadline: TimeRange { to: None, ..deadline_hours }, ..criteria.clone() },
        OpportunityCriteria { deadline: deadline_hours, notice_types: texts(&["Solicitation"]), ..criteria.clone() },
        OpportunityCriteria { deadline: deadline_hours, posted: hours, ..criteria.clone() },
        OpportunityCriteria { posted: days, deadline: deadline_days, ..criteria.clone() },
        OpportunityCriteria { posted: days, notice_types: texts(&["Solicitation"]), ..criteria.clone() },
        OpportunityCriteria { notice_types: texts(&["Solicitation"]), naics: texts(&["33"]), ..criteria.clone() },
        OpportunityCriteria {
            agencies: texts(&["036", "097"]),
            notice_types: texts(&["Solicitation"]),
            posted: days,
            ..criteria.clone()
        },
        OpportunityCriteria {
            deadline: TimeRange { from: Some(march(11)), to: Some(march(13)) },
            set_asides: texts(&["SBA", "WOSB"]),
            ..criteria.clone()
        },
        OpportunityCriteria { agencies: texts(&["036"]), set_asides: texts(&["SBA"]), ..criteria.clone() },
        OpportunityCriteria {
            agencies: texts(&["036", "070"]),
            set_asides: texts(&["SBA", "WOSB"]),
            naics: texts(&["339"]),
            ..criteria
        },
    ]
}

fn matches(item: &OpportunityItem, criteria: &OpportunityCriteria) -> bool {
    let is_in = |range: TimeRange, time: Option<chrono::DateTime<chrono::Utc>>| {
        range.is_open()
            || time
                .is_some_and(|time| range.from.is_none_or(|from| time >= from) && range.to.is_none_or(|to| time <= to))
    };
    let any = |values: &[String], found: Option<&str>| {
        values.is_empty() || found.is_some_and(|found| values.iter().any(|value| value == found))
    };
    any(&criteria.agencies, Some(&item.entry.agency_code))
        && any(&criteria.notice_types, Some(&item.entry.notice_type))
        && any(&criteria.set_asides, item.entry.set_aside.as_deref())
        && (criteria.naics.is_empty()
            || item
                .entry
                .naics
                .as_ref()
                .is_some_and(|code| criteria.naics.iter().any(|prefix| code.starts_with(prefix))))
        && is_in(criteria.posted, Some(item.entry.posted_at))
        && is_in(criteria.deadline, item.entry.response_deadline)
}

#[tokio::test]
async fn every_order_with_every_filter_is_read_without_gap_or_repetition() {
    let (lists, all) = varied_lists().await;
    for criteria in all_criteria() {
        let mut selected: Vec<_> = all.iter().filter(|item| matches(item, &criteria)).collect();
        for order in ORDERS {
            sort_items(&mut selected, order);
            let expected: Vec<_> = selected.iter().map(|item| item.entry.id.clone()).collect();
            let found = read_pages(&lists, &criteria, None, order, 7).await;
            assert_eq!(found, (expected, selected.len() as u64), "{order:?} {criteria:?}");
        }
    }
}

#[tokio::test]
async fn facets_and_statistics_equal_a_count_of_the_list() {
    let (lists, all) = varied_lists().await;
    for (criteria, text) in all_criteria().into_iter().map(|criteria| (criteria, None)).chain([
        (OpportunityCriteria::default(), Some("wheelchair")),
        (OpportunityCriteria { agencies: texts(&["036"]), ..OpportunityCriteria::default() }, Some("unit 3")),
    ]) {
        let has_words = |item: &OpportunityItem| match text {
            Some("unit 3") => item.entry.title.ends_with("unit 3"),
            Some(word) => item.entry.title.contains(word),
            None => true,
        };
        let selected: Vec<_> = all.iter().filter(|item| matches(item, &criteria) && has_words(item)).collect();
        let facets = lists.fetch_facets(&criteria, text, &FACETS).await.unwrap();
        for (index, dimension) in FACETS.into_iter().enumerate() {
            let value = |item: &&OpportunityItem| -> Option<String> {
                match index {
                    0 => Some(item.entry.agency_code.clone()),
                    1 => Some(item.entry.notice_type.clone()),
                    2 => item.entry.set_aside.clone(),
                    3 => item.entry.naics.as_ref().map(|code| code[..2].to_owned()),
                    _ => item.entry.place_state.clone(),
                }
            };
            let mut counts = BTreeMap::<String, u64>::new();
            selected.iter().filter_map(value).for_each(|value| *counts.entry(value).or_default() += 1);
            let mut expected: Vec<_> = counts.into_iter().collect();
            expected.sort_by_key(|(_, count)| Reverse(*count));
            let found: Vec<_> = facets
                .iter()
                .filter(|facet| facet.dimension == dimension && facet.exact)
                .map(|facet| (facet.value.clone(), facet.count))
                .collect();
            assert_eq!(found, expected, "{dimension:?} {criteria:?} {text:?}");
        }
        let statistics = lists.fetch_statistics(&criteria, text).await.unwrap();
        let cents: i64 = selected.iter().filter_map(|item| item.awarded_cents).sum();
        let awarded = selected.iter().filter(|item| item.awards > 0).count() as u64;
        let total = statistics.total;
        assert_eq!(
            (total.opportunities, total.awarded, total.awarded_cents),
            (selected.len() as u64, awarded, cents),
            "{criteria:?} {text:?}"
        );
        assert!(!statistics.is_lower_bound);
        let count_by = |value: &dyn Fn(&OpportunityItem) -> String| {
            let mut counts = BTreeMap::<String, u64>::new();
            for item in &selected {
                *counts.entry(value(item)).or_default() += 1;
            }
            counts
        };
        let by_day: BTreeMap<_, _> =
            statistics.by_day.iter().map(|day| (day.day.to_string(), day.totals.opportunities)).collect();
        let by_type: BTreeMap<_, _> =
            statistics.by_type.iter().map(|by| (by.notice_type.clone(), by.totals.opportunities)).collect();
        let by_agency: BTreeMap<_, _> =
            statistics.by_agency.iter().map(|by| (by.code.clone(), by.totals.opportunities)).collect();
        assert_eq!(
            [by_day, by_type, by_agency],
            [
                count_by(&|item| item.entry.posted_at.date_naive().to_string()),
                count_by(&|item| item.entry.notice_type.clone()),
                count_by(&|item| item.entry.agency_code.clone()),
            ],
            "{criteria:?} {text:?}"
        );
        assert!(statistics.by_agency.iter().all(|agency| !agency.name.is_empty()));
    }
}

#[tokio::test]
async fn words_must_all_occur_and_may_be_the_beginning_of_longer_ones() {
    let (lists, all) = varied_lists().await;
    let criteria = OpportunityCriteria::default();
    for (text, expected) in [
        ("WHEELCHAIR", 15),
        ("wheelchairs unit", 15),
        ("lift", 0),
        ("fork", 15),
        ("Q-7", 1),
        ("Q 1", 12),
        ("notice n12", 1),
        ("pump valve", 0),
        ("' & | ! : * \\ (", 60),
    ] {
        for order in [OpportunityOrder::PostedNewest, OpportunityOrder::Relevance] {
            let (ids, total) = read_pages(&lists, &criteria, Some(text), order, 4).await;
            let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
            assert_eq!((ids.len(), distinct.len(), total), (expected, expected, expected as u64), "{text:?} {order:?}");
        }
    }
    let (newest_first, _) = read_pages(&lists, &criteria, Some("pumps"), OpportunityOrder::PostedNewest, 50).await;
    let pumps: Vec<_> =
        all.iter().filter(|item| item.entry.title.contains("pumps")).map(|item| item.entry.id.clone()).collect();
    assert_eq!(newest_first, pumps);
}

#[tokio::test]
async fn a_word_in_the_title_is_more_relevant_than_one_in_the_description() {
    let lists = tests::lists().await;
    let mut log = MemoryLog::default();
    for (id, title, description, day) in
        [("n1", "Drydock", "with a crane", 9), ("n2", "Crane", "for a drydock", 1), ("n3", "Other", "thing", 10)]
    {
        let mut written = notice(id, "DEPT OF DEFENSE", id, title, "6530", day);
        written.details.description = Some(description.to_owned());
        log.record(written);
    }
    apply(&lists, &log.events).await;
    let criteria = OpportunityCriteria::default();

    let best = read_pages(&lists, &criteria, Some("crane"), OpportunityOrder::Relevance, 1).await;

    let newest = read_pages(&lists, &criteria, Some("crane"), OpportunityOrder::PostedNewest, 1).await;
    assert_eq!(best.0, newest.0.into_iter().rev().collect::<Vec<_>>());
    assert!(best.0[0].contains("N2"), "{best:?}");
}

#[tokio::test]
async fn a_list_that_grows_is_read_without_gap_or_repetition() {
    let lists = tests::lists().await;
    let events = varied_history();
    let (before, later) = events.split_at(events.len() / 2);
    apply(&lists, before).await;
    let known: Vec<_> = newest(&lists).await.into_iter().map(|item| item.entry.id).collect();
    for order in ORDERS {
        let (mut found, mut after, mut later) = (vec![], None, later.chunks(3));
        loop {
            let request =
                OpportunityListRequest::try_new(OpportunityCriteria::default(), None, order, after, 5).unwrap();
            let page = lists.fetch_page(&request).await.unwrap();
            after = page.items.last().map(|item| item.cursor.clone());
            found.extend(page.items.into_iter().map(|item| item.entry.id));
            if !page.has_next {
                break;
            }
            if let Some(batch) = later.next() {
                apply(&lists, batch).await;
            }
        }
        let distinct: std::collections::BTreeSet<_> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "{order:?}: repeated");
        // An award that comes while the list is read may move an opportunity in the order of amounts.
        let moves = matches!(order, OpportunityOrder::AmountHighest | OpportunityOrder::AmountLowest);
        assert!(moves || known.iter().all(|id| found.contains(id)), "{order:?}: a gap");
    }
}

#[tokio::test]
async fn beyond_a_bound_a_count_is_a_lower_bound() {
    let lists = tests::lists().await;
    let mut log = MemoryLog::default();
    for n in 0..1_010 {
        let mut valve = notice(&format!("n{n}"), "DEPT OF DEFENSE", &format!("N{n}"), "Valve", "6530", n % 28 + 1);
        valve.details.set_aside = (n % 10 == 0).then(|| SetAside::try_new("SBA").unwrap());
        log.record(valve);
    }
    apply(&lists, &log.events).await;
    let page = async |text: Option<&str>, criteria: OpportunityCriteria| {
        let text = text.map(str::to_owned);
        let request = OpportunityListRequest::try_new(criteria, text, OpportunityOrder::default(), None, 20).unwrap();
        let page = lists.fetch_page(&request.with_total()).await.unwrap();
        let total = page.total.unwrap();
        (page.items.len(), page.has_next, total.count, total.exact)
    };
    let agency = OpportunityCriteria { agencies: texts(&["097"]), ..OpportunityCriteria::default() };
    assert_eq!(page(None, agency.clone()).await, (20, true, 1_010, true));
    assert_eq!(page(Some("valve"), agency).await, (20, true, 1_000, false));
    let facets = lists.fetch_facets(&OpportunityCriteria::default(), Some("valve"), &FACETS).await.unwrap();
    assert!(facets.iter().any(|facet| facet.value == "SBA") && facets.iter().all(|facet| !facet.exact), "{facets:?}");
}
