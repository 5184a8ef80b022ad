//! Measures many subscribers that must each receive every change.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    ApiBenchFixture, ApiBenchReport, REQUEST_TIMEOUT,
    request_load::{TargetService, steady_interval},
};
use crate::{BenchFigures, cpu_time, new_wait_histogram, to_micros};

/// Pause between two changes.
const CHANGE_INTERVAL: Duration = Duration::from_millis(500);

type SubscriberSocket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens `count` subscriptions, changes opportunities `change_count` times, and times from the request of a change until each subscriber
/// receives it.
pub(super) async fn measure_subscribers(
    target: &TargetService,
    fixture: &ApiBenchFixture,
    count: usize,
    change_count: usize,
) -> anyhow::Result<ApiBenchReport> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        sockets.push(open_subscription(&target.base_url).await.context("subscribing")?);
    }
    // The protocol does not acknowledge a subscription, so wait until all of them have begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (started, cpu_before) = (Instant::now(), cpu_time::process_cpu_time());
    let sent_times = Arc::new(Mutex::new(std::collections::HashMap::<(String, u64), Instant>::new()));
    let receivers: Vec<_> =
        sockets.into_iter().map(|socket| tokio::spawn(receive_changes(socket, change_count))).collect();
    let mut ticks = steady_interval(CHANGE_INTERVAL);
    for number in 0..change_count {
        ticks.tick().await;
        let id = fixture.opportunity_ids.get(number % fixture.opportunity_ids.len()).cloned().unwrap_or_default();
        let document = json!({
            "query": "mutation($id: String!, $title: String!) { amendOpportunity(input: { id: $id, title: $title }) {
                ... on OpportunityAccepted { version } } }",
            "variables": { "id": id, "title": format!("Changed by a benchmark, {}", uuid::Uuid::new_v4()) },
        });
        let sent_at = Instant::now();
        let data = target.post_graphql(Some(&fixture.operator_token), &document).await?;
        let version = data["amendOpportunity"]["version"].as_u64().context("the change was refused")?;
        sent_times.lock().await.insert((id, version), sent_at);
    }
    let (mut all, mut received) = (new_wait_histogram()?, 0_u64);
    for receiver in receivers {
        let changes = receiver.await??;
        let sent_times = sent_times.lock().await;
        anyhow::ensure!(
            changes.len() == change_count,
            "a subscriber received {} of {change_count} changes",
            changes.len()
        );
        for (change, received_at) in changes {
            let sent_at = sent_times.get(&change).with_context(|| format!("unknown change {change:?}"))?;
            all.saturating_record(to_micros(received_at.duration_since(*sent_at)).max(1));
            received += 1;
        }
    }
    let figures = BenchFigures::new(
        received,
        started.elapsed(),
        cpu_time::process_cpu_time().saturating_sub(cpu_before),
        Some(&all),
    );
    Ok(ApiBenchReport {
        bench: "api",
        kind: "subscribers",
        figures,
        ratio: None,
        raw_is: None,
        rate: Some(2),
        at_once: count,
    })
}

async fn open_subscription(base_url: &str) -> anyhow::Result<SubscriberSocket> {
    let mut request = format!("{}/graphql", base_url.replacen("http", "ws", 1)).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = connect_async(request).await?;
    socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await?;
    next_message(&mut socket).await?;
    let document = "subscription { opportunityChanges { opportunityId version } }";
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": document } });
    socket.send(Message::text(subscribe.to_string())).await?;
    Ok(socket)
}

/// Receives all changes, with the time of arrival.
async fn receive_changes(
    mut socket: SubscriberSocket,
    change_count: usize,
) -> anyhow::Result<Vec<((String, u64), Instant)>> {
    let mut changes = Vec::with_capacity(change_count);
    while changes.len() < change_count {
        let message =
            timeout(REQUEST_TIMEOUT, next_message(&mut socket)).await.context("waiting for a change timed out")??;
        let change = &message["payload"]["data"]["opportunityChanges"];
        let id = change["opportunityId"].as_str().with_context(|| message.to_string())?.to_owned();
        changes.push(((id, change["version"].as_u64().unwrap_or_default()), Instant::now()));
    }
    Ok(changes)
}

async fn next_message(socket: &mut SubscriberSocket) -> anyhow::Result<Value> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => anyhow::bail!("the connection ended: {other:?}"),
        }
    }
}
