//! What is like an opportunity, and what suits a taste.

use projections::opportunity_search::RecommendationPreferences;

use super::*;
use tests::opportunity_history::notice;

/// Two wheelchairs, two ships, two valves.
fn pairs() -> Vec<RawEnvelope> {
    let mut log = tests::opportunity_history::MemoryLog::default();
    for (number, title, code) in [
        ("C-1", "Wheelchairs and patient lifts", "6530"),
        ("C-2", "Hospital wheelchairs", "6530"),
        ("S-1", "Drydock repair of a ship", "J998"),
        ("S-2", "Ship repair and drydocking", "J998"),
        ("V-1", "Check valves", "4820"),
        ("V-2", "Gate valves", "4820"),
    ] {
        log.record(notice(&number.to_lowercase(), "DEPT OF DEFENSE", number, title, code, 1));
    }
    log.events
}

fn id(number: &str) -> String {
    format!("097:{number}")
}

#[tokio::test]
async fn the_most_similar_comes_first_and_never_itself() {
    let own = SearchFixture::holding(&pairs()).await;
    for (one, other) in [("C1", "C2"), ("S2", "S1"), ("V1", "V2")] {
        let hits = own
            .search
            .find_similar(&id(one), &OpportunityCriteria::default(), PUBLIC_TENANT, 10)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(hits.len(), 5);
        assert_eq!(hits[0].id, id(other));
        assert!(hits.iter().all(|hit| hit.id != id(one)) && hits[0].score <= 1.001 && hits[0].score > hits[4].score);
    }
    let medical = OpportunityCriteria { naics: vec!["339113".to_owned()], ..OpportunityCriteria::default() };
    let hits = own.search.find_similar(&id("V1"), &medical, PUBLIC_TENANT, 10).await.unwrap().unwrap();
    assert_eq!(
        {
            let mut found = names(hits);
            found.sort();
            found
        },
        [id("C1"), id("C2")]
    );
}

#[tokio::test]
async fn nothing_is_similar_to_what_is_not_there() {
    let own = SearchFixture::holding(&pairs()).await;
    assert_eq!(
        own.search.find_similar("097:X", &OpportunityCriteria::default(), PUBLIC_TENANT, 10).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_recommendation_follows_likes_dislikes_and_words() {
    let own = SearchFixture::holding(&pairs()).await;
    let recommended = async |likes: &[&str], dislikes: &[&str], text: Option<&str>| {
        let ids = |numbers: &[&str]| numbers.iter().map(|number| id(number)).collect();
        let taste =
            RecommendationPreferences { likes: ids(likes), dislikes: ids(dislikes), text: text.map(str::to_owned) };
        names(own.search.recommend(&taste, &OpportunityCriteria::default(), PUBLIC_TENANT, 10).await.unwrap())
    };

    assert_eq!(recommended(&["C1"], &[], None).await[0], id("C2"));
    assert_eq!(recommended(&[], &[], Some("repairing ships in a drydock")).await.len(), 6);
    assert!(recommended(&[], &[], Some("repairing ships in a drydock")).await[0].starts_with("097:S"));
    let torn = recommended(&["C1", "S1"], &["S2"], None).await;
    assert_eq!(torn[0], id("C2"));
    assert!(["C1", "S1", "S2"].iter().all(|named| !torn.contains(&id(named))), "{torn:?}");
    assert_eq!(recommended(&["X", "V1"], &["Y"], None).await[0], id("V2"));
    assert_eq!(recommended(&[], &["C1"], None).await, [""; 0]);
}
