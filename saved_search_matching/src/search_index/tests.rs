//! The index finds exactly the searches that a comparison with each of them finds.

use std::{sync::Arc, time::Instant};

use domain::{
    opportunity::{
        Agency, NaicsCode, NoticeDetails, NoticeFiling, NoticeId, NoticeSource, NoticeType, OpportunityEvent, SetAside,
    },
    watchlist::{AgencyCode, NotificationFrequency, SavedSearch, SearchCriteria, SearchId, SearchName, SearchText},
};
use proptest::prelude::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use uuid::Uuid;

use super::*;

const DIMENSIONS: usize = 8;

fn search_key(number: u128) -> SearchKey {
    SearchKey {
        tenant_id: Arc::from(["acme", "zenith"][usize::try_from(number % 2).unwrap()]),
        user_id: Arc::from("ann"),
        search_id: SearchId::new(Uuid::from_u128(number)),
    }
}

fn opportunity(tenant: &str, agency: &str, naics: Option<&str>, set_aside: Option<&str>) -> MatchedOpportunity {
    let details = NoticeDetails {
        set_aside: set_aside.map(|code| SetAside::try_new(code).unwrap()),
        naics: naics.map(|code| NaicsCode::try_new(code).unwrap()),
        ..NoticeDetails::new(
            "Pumps".to_owned(),
            NoticeType::try_new("Solicitation").unwrap(),
            Agency { code: agency.to_owned(), name: agency.to_owned() },
        )
    };
    let filing = NoticeFiling {
        notice_id: NoticeId::try_new("n1").unwrap(),
        source: NoticeSource::SamCsv,
        posted_at: chrono::DateTime::UNIX_EPOCH,
        digest: String::new(),
    };
    let event = crate::search_registry::tests::recorded_event(
        tenant,
        "opportunity",
        "036:N",
        100,
        &OpportunityEvent::Discovered { filing: filing.clone(), details: Arc::new(details.clone()) },
    );
    MatchedOpportunity::from_event(&event, &filing, details)
}

/// The query of a text: its terms are its letters.
fn letter_query(text: &str) -> TextQuery {
    let mut terms: Vec<_> = text.bytes().map(|letter| (u32::from(letter), 1.0 + f32::from(letter % 3))).collect();
    terms.sort_by_key(|(dimension, _)| *dimension);
    terms.dedup_by_key(|(dimension, _)| *dimension);
    let full = terms.iter().map(|(_, weight)| weight).sum::<f32>();
    let meaning_weight = if terms.is_empty() { 1.0 } else { 0.45 };
    TextQuery::new(&letter_vector(text), terms, full, meaning_weight)
}

fn letter_vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.05; DIMENSIONS];
    for letter in text.bytes() {
        vector[usize::from(letter) % DIMENSIONS] += 1.0;
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

fn letter_text(text: &str) -> OpportunityText {
    let mut terms: Vec<_> = text.bytes().map(|letter| (u32::from(letter), 0.9)).collect();
    terms.sort_by_key(|(dimension, _)| *dimension);
    terms.dedup_by_key(|(dimension, _)| *dimension);
    OpportunityText::new(letter_vector(text), terms)
}

fn any_search() -> impl Strategy<Value = (u128, SearchCriteria, u64)> {
    let naics = prop::sample::select(vec!["33", "339", "339112", "62", "621111"]);
    let agency = prop::sample::select(vec!["036", "097"]);
    let set_aside = prop::sample::select(vec!["SBA", "SDVOSBC"]);
    // An empty text stands for one without terms, such as stop words only.
    let text = prop::option::of("[abcd]{0,3}");
    let codes = (
        prop::collection::btree_set(naics, 0..3),
        prop::collection::btree_set(agency, 0..2),
        prop::collection::btree_set(set_aside, 0..2),
    );
    let searches = (0_u128..30, text, codes, prop::sample::select(vec![0_u64, 99, 100])).prop_map(
        |(number, text, (naics, agencies, set_asides), position)| {
            let criteria = SearchCriteria {
                text: text.map(|text| SearchText::try_new(&format!("{text} .")).unwrap()),
                agencies: agencies.into_iter().map(|code| AgencyCode::try_new(code).unwrap()).collect(),
                naics: naics.into_iter().map(|code| NaicsCode::try_new(code).unwrap()).collect(),
                set_asides: set_asides.into_iter().map(|code| SetAside::try_new(code).unwrap()).collect(),
            };
            (number, criteria, position)
        },
    );
    searches.prop_filter("a search has a criterion", |(_, criteria, _)| *criteria != SearchCriteria::default())
}

fn any_opportunity() -> impl Strategy<Value = (MatchedOpportunity, String)> {
    let naics = prop::option::of(prop::sample::select(vec!["339112", "621111", "33", "541512"]));
    let agency = prop::sample::select(vec!["036", "097", "075"]);
    let set_aside = prop::option::of(prop::sample::select(vec!["SBA", "SDVOSBC", "8A"]));
    let tenant = prop::sample::select(vec!["public", "acme", "zenith"]);
    (tenant, agency, naics, set_aside, "[abcdef]{0,5}")
        .prop_map(|(tenant, agency, naics, set_aside, text)| (opportunity(tenant, agency, naics, set_aside), text))
}

/// The letters of a search's text; the dot only makes an empty one a valid text.
fn letters(text: &str) -> &str {
    text.trim_end_matches(" .").trim_end_matches('.')
}

fn insert(index: &mut SearchIndex, number: u128, criteria: SearchCriteria, position: u64) {
    let name = SearchName::try_new("s").unwrap();
    let search = SavedSearch { name, criteria, notify: NotificationFrequency::AtOnce };
    let entry = SearchEntry::new(search_key(number), &search, position);
    let query = entry.text.as_deref().filter(|text| !index.contains_text(text)).map(|text| letter_query(letters(text)));
    index.insert(entry, query);
}

fn sorted_keys<'a>(entries: impl Iterator<Item = &'a SearchEntry>) -> Vec<SearchKey> {
    let mut keys: Vec<_> = entries.map(|entry| entry.key.clone()).collect();
    keys.sort();
    keys
}

proptest! {
    #[test]
    fn the_index_finds_what_comparing_each_search_finds(
        changes in prop::collection::vec((any_search(), any::<bool>()), 0..60),
        opportunities in prop::collection::vec(any_opportunity(), 1..6),
    ) {
        let (mut index, mut scores) = (SearchIndex::default(), WordScores::default());
        for ((number, criteria, position), is_removed) in changes {
            insert(&mut index, number, criteria, position);
            if is_removed {
                index.remove(&search_key(number / 2));
            }
        }
        for (opportunity, text) in opportunities {
            let text = letter_text(&text);
            let expected = sorted_keys(index.entries().filter(|entry| {
                let is_about = |words: &str| letter_query(letters(words)).score(&text) >= MATCH_THRESHOLD;
                entry.matches_structure(&opportunity) && entry.text.as_deref().is_none_or(is_about)
            }));
            let found = index.match_opportunity(&opportunity, &text, &mut scores);
            prop_assert_eq!(sorted_keys(found.into_iter()), expected);
        }
    }

    #[test]
    fn nothing_remains_of_removed_searches(searches in prop::collection::vec(any_search(), 0..40)) {
        let mut index = SearchIndex::default();
        for (number, criteria, position) in &searches {
            insert(&mut index, *number, criteria.clone(), *position);
        }
        for (number, ..) in &searches {
            index.remove(&search_key(*number));
        }
        prop_assert_eq!(index.size(), IndexSize::default());
        prop_assert!(index.naics.is_empty() && index.agencies.is_empty() && index.set_asides.is_empty());
        prop_assert!(index.texts.is_empty());
    }
}

#[test]
fn the_query_of_a_text_is_kept_when_its_search_is_replaced_and_returned_when_no_search_has_it() {
    let mut index = SearchIndex::default();
    let entry = |text: &str, name: &str| SearchEntry {
        key: search_key(0),
        name: name.into(),
        notify: NotificationFrequency::AtOnce,
        saved_at_position: 0,
        active_since: 0,
        text: Some(text.into()),
        agencies: Box::default(),
        naics: Box::default(),
        set_asides: Box::default(),
    };
    let found = opportunity("public", "036", None, None);
    let count = |index: &SearchIndex, text: &str| {
        index.match_opportunity(&found, &letter_text(text), &mut WordScores::default()).len()
    };
    assert_eq!(index.insert(entry("ab", "first"), Some(letter_query("ab"))), None);
    assert_eq!(index.insert(entry("ab", "renamed"), None), None);
    assert_eq!(count(&index, "ab"), 1);
    let unused = index.insert(entry("cd", "other"), Some(letter_query("cd")));
    assert_eq!(unused, Some(("ab".into(), letter_query("ab"))));
    assert_eq!((count(&index, "ab"), count(&index, "cd")), (0, 1));
    assert_eq!(index.remove(&search_key(0)), Some(("cd".into(), letter_query("cd"))));
    assert_eq!(index.size(), IndexSize::default());
}

#[test]
fn criteria_of_one_kind_are_alternatives_and_kinds_add_up() {
    let mut index = SearchIndex::default();
    let criteria = SearchCriteria {
        naics: ["339", "62"].map(|code| NaicsCode::try_new(code).unwrap()).into(),
        agencies: ["036"].map(|code| AgencyCode::try_new(code).unwrap()).into(),
        ..SearchCriteria::default()
    };
    insert(&mut index, 0, criteria, 0);
    let matches =
        |found: &MatchedOpportunity| index.match_opportunity(found, &letter_text(""), &mut WordScores::default()).len();
    assert_eq!(matches(&opportunity("public", "036", Some("339112"), None)), 1);
    assert_eq!(matches(&opportunity("public", "036", Some("621111"), Some("SBA"))), 1);
    assert_eq!(matches(&opportunity("public", "097", Some("339112"), None)), 0);
    assert_eq!(matches(&opportunity("public", "036", Some("541512"), None)), 0);
    assert_eq!(matches(&opportunity("public", "036", None, None)), 0);
    assert_eq!(matches(&opportunity("acme", "036", Some("339112"), None)), 1);
    assert_eq!(matches(&opportunity("zenith", "036", Some("339112"), None)), 0, "another tenant's");
}

/// Random numbers that are the same in each run.
struct SampleNumbers(ChaCha8Rng);

impl SampleNumbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0.next_u32() % limit
    }

    /// Small numbers are more frequent than large ones, as words are.
    fn skewed_below(&mut self, limit: u32) -> u32 {
        let bound = self.below(limit) + 1;
        self.below(bound)
    }

    fn naics(&mut self) -> String {
        format!("{}", 310_000 + self.skewed_below(2_000) * 7)
    }

    /// So many different terms of a vocabulary of 20,000, ascending.
    fn terms(&mut self, count: u32, weight: f32) -> Vec<(u32, f32)> {
        let mut terms: Vec<_> = (0..count).map(|_| (self.skewed_below(20_000), weight)).collect();
        terms.sort_by_key(|(dimension, _)| *dimension);
        terms.dedup_by_key(|(dimension, _)| *dimension);
        terms
    }

    /// A search: half of them have a text, which expands to 4 to 20 terms.
    fn search(&mut self, number: u32) -> (SearchEntry, Option<TextQuery>) {
        let criteria = SearchCriteria {
            naics: (self.below(3) > 0).then(|| NaicsCode::try_new(&self.naics()).unwrap()).into_iter().collect(),
            agencies: (self.below(3) == 0).then(|| AgencyCode::try_new("036").unwrap()).into_iter().collect(),
            ..SearchCriteria::default()
        };
        let name = SearchName::try_new("s").unwrap();
        let search = SavedSearch { name, criteria, notify: NotificationFrequency::AtOnce };
        let mut entry = SearchEntry::new(search_key(u128::from(number)), &search, 0);
        if number % 2 == 1 && !(entry.naics.is_empty() && entry.agencies.is_empty()) {
            return (entry, None);
        }
        entry.text = Some(format!("text {number}").into());
        let count = 4 + self.below(16);
        let terms = self.terms(count, 3.0);
        let shift = u8::try_from(number % 251).unwrap();
        let vector: Vec<f32> = (0..=255_u8).map(|index| f32::from(index.wrapping_mul(shift)) - 127.0).collect();
        (entry, Some(TextQuery::new(&vector, terms, 12.0, 0.45)))
    }
}

/// The memory of this process.
fn resident_megabytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    (pages * 4_096) >> 20
}

/// Prints what an opportunity costs by the number of searches. Every term and code has its share of all searches, so
/// that ten times as many searches are ten times as many candidates.
#[test]
fn an_opportunity_is_matched_against_100_000_searches_within_milliseconds() {
    println!("{:>9} {:>9} {:>12} {:>9} {:>9}", "searches", "texts", "us a notice", "matches", "MB");
    for size in [1_000, 10_000, 100_000] {
        let (mut numbers, mut index) = (SampleNumbers(ChaCha8Rng::seed_from_u64(7)), SearchIndex::default());
        let before = resident_megabytes();
        for number in 0..size {
            let (entry, query) = numbers.search(number);
            index.insert(entry, query);
        }
        let megabytes = resident_megabytes() - before;
        let notices: Vec<_> = (0..100)
            .map(|_| {
                let found = opportunity("public", "036", Some(&numbers.naics()), None);
                (found, OpportunityText::new(vec![0.06; 256], numbers.terms(90, 1.0)))
            })
            .collect();
        let (mut scores, mut matches, started) = (WordScores::default(), 0, Instant::now());
        for (notice, text) in &notices {
            matches += index.match_opportunity(notice, text, &mut scores).len();
        }
        let micros = started.elapsed().as_micros() / notices.len() as u128;
        let texts = index.size().texts;
        println!("{size:>9} {texts:>9} {micros:>12} {:>9} {megabytes:>9}", matches / notices.len());
        assert!(micros < 10_000, "{micros} us for {size} searches");
    }
}
