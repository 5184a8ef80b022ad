//! How far a rebuild is, as it goes on.

use std::time::Duration;

use async_graphql::{Context, Result, Subscription};
use futures::{Stream, StreamExt, stream};
use projections::runtime::{ControlStore, RebuildRecord};
use tokio::time::sleep;

use super::{guard::OperatorOnly, rebuild::RebuildNode, selection};
use crate::graphql::error;

/// How often it is looked; a rebuild writes down where it is as often.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What happens to rebuilds.
#[derive(Default)]
pub(in crate::graphql) struct RebuildSubscription;

#[Subscription]
impl RebuildSubscription {
    /// How far the rebuild is that began last, by whatever means and in whatever process: at once, then after every
    /// change. Ends when the rebuild is over or was cut off, at once where there was none. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rebuild_progress(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<RebuildNode>> + use<>> {
        let control = selection::context_stores(ctx)?.runtime.control().clone();
        let first = control.last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        let changes = stream::unfold(first.clone(), move |told| poll_next_progress(control.clone(), told));
        Ok(stream::iter(first.map(|first| Ok(RebuildNode::from(first)))).chain(changes))
    }
}

/// What is told after `told`; nothing after its end.
async fn poll_next_progress(
    control: ControlStore,
    told: Option<RebuildRecord>,
) -> Option<(Result<RebuildNode>, Option<RebuildRecord>)> {
    let told = told.filter(|told| !told.state.is_over())?;
    loop {
        sleep(POLL_INTERVAL).await;
        match control.last_rebuild().await {
            Ok(None) => return None,
            Ok(Some(now)) if now.progress.id != told.progress.id => return None,
            Ok(Some(now)) if now == told => {}
            Ok(Some(now)) => return Some((Ok(RebuildNode::from(now.clone())), Some(now))),
            Err(error) => return Some((Err(error::unavailable(&error)), None)),
        }
    }
}
