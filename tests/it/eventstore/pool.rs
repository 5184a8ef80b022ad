//! The pool of connections that everything of a process shares.

use std::{future::poll_fn, pin::pin, task::Poll};

use eventstore::postgres::{PostgresConfig, open_pool};
use sqlx::Row as _;
use tests::{TestNamespace, empty_database};

/// More often than a `begin` goes to sleep, the check of its connection included.
const MAX_POLLS: usize = 12;

#[tokio::test]
async fn a_transaction_whose_beginning_was_cut_off_is_not_handed_to_others() {
    let url = empty_database(&TestNamespace::new()).await;
    let pool = open_pool(&PostgresConfig { url: url.into(), max_connections: 1, ..PostgresConfig::default() }).unwrap();
    for polls in 1..=MAX_POLLS {
        {
            let (mut begin, mut left) = (pin!(pool.begin()), polls);
            poll_fn(|context| {
                left -= 1;
                // Dropped where it stands, as a time-out does.
                if begin.as_mut().poll(context).is_ready() || left == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }

        let outside = "select transaction_timestamp() = statement_timestamp()";
        let row = sqlx::raw_sql(outside).fetch_one(&pool).await.unwrap();

        assert!(row.try_get::<bool, _>(0).unwrap(), "after {polls} polls the next one is in a transaction");
    }
}
