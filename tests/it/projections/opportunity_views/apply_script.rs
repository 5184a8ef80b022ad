//! What the script that writes states and figures promises: all of a call or nothing, whatever its size.

use projections::{
    opportunity_views::{EngagementKind, KeyShard, LeaderboardPeriod},
    runtime::ProjectionError,
};

use super::{
    ViewsFixture, apply, attempt,
    engagement::{now, viewed},
    in_shard, stream_key,
};
use tests::opportunity_history::SHIP;

/// Ids whose figures are written by one call of the script.
fn ids_of_one_shard() -> impl Iterator<Item = String> {
    let shard = KeyShard::for_id(SHIP);
    (0_u32..).map(|number| format!("036:X{number:07}")).filter(move |id| KeyShard::for_id(id) == shard)
}

#[tokio::test]
async fn nothing_of_a_call_is_written_if_one_of_its_figures_is_damaged() {
    let opened = ViewsFixture::new().await;
    let ids: Vec<_> = ids_of_one_shard().take(2).collect();
    let events = [viewed("visit", 1, &ids[0], now()), viewed("visit", 2, &ids[1], now())];
    let (first, second) = (stream_key("engagement", &ids[0]), stream_key("engagement", &ids[1]));
    let board = in_shard(SHIP, "top:viewed");
    for (damaged, is_rejected) in [(&second, true), (&board, false)] {
        opened.on::<()>("SET", damaged, &["not ours"]).await;

        let outcome = attempt(&opened.views, &events).await;

        assert_eq!(matches!(outcome, Err(ProjectionError::Rejected(_))), is_rejected, "{damaged} {outcome:?}");
        assert!(outcome.is_err(), "{damaged}");
        // The first count was added before the second one failed.
        assert_eq!(opened.on::<u64>("EXISTS", &first, &[]).await, 0, "{damaged}");
        opened.on::<()>("DEL", damaged, &[]).await;
        assert_eq!(opened.on::<u64>("EXISTS", &board, &[]).await, 0, "{damaged}");
    }
    apply(&opened.views, &events).await;
    for id in &ids {
        assert_eq!(opened.views.load_engagement(id).await.unwrap().views, 1);
    }
}

#[tokio::test]
async fn more_members_than_one_command_takes_are_counted() {
    let opened = ViewsFixture::new().await;
    let ids: Vec<_> = ids_of_one_shard().take(4_100).collect();
    let events: Vec<_> = (1..).zip(&ids).map(|(sequence, id)| viewed("visit", sequence, id, now())).collect();

    apply(&opened.views, &events).await;

    let board = opened.views.load_leaderboard(EngagementKind::Viewed, LeaderboardPeriod::AllTime, 5_000).await.unwrap();
    assert_eq!(board.len(), ids.len());
    assert!(board.iter().all(|entry| entry.count == 1));
}
