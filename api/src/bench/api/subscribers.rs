//! Many subscribers that each have to hear of every change.

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
    Line, PATIENCE, Scene,
    load::{Target, ticks},
};
use crate::bench::{Figures, cpu, micros, waits};

/// Changes that everybody hears of.
const CHANGES: usize = 20;

/// Time between two of them.
const EVERY: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens that many subscriptions, changes opportunities, and times from a change's answer until each subscriber was told.
pub(super) async fn measure(target: &Target, scene: &Scene, count: usize) -> anyhow::Result<Line> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        sockets.push(subscribe(&target.http).await.context("subscribing")?);
    }
    // Pongs of the protocol's own are no answers: one round trip shows that a subscription has begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (began, cpu_before) = (Instant::now(), cpu::of_this_process());
    let made = Arc::new(Mutex::new(std::collections::HashMap::<(String, u64), Instant>::new()));
    let hearing: Vec<_> = sockets.into_iter().map(|socket| tokio::spawn(hear(socket))).collect();
    let mut pace = ticks(EVERY);
    for number in 0..CHANGES {
        pace.tick().await;
        let id = scene.opportunities.get(number % scene.opportunities.len()).cloned().unwrap_or_default();
        let document = json!({
            "query": "mutation($id: String!, $title: String!) { amendOpportunity(input: { id: $id, title: $title }) {
                ... on OpportunityAccepted { version } } }",
            "variables": { "id": id, "title": format!("Changed by a benchmark, {}", uuid::Uuid::new_v4()) },
        });
        let asked = Instant::now();
        let answer = target.graphql(Some(&scene.operator), &document).await?;
        let version = answer["amendOpportunity"]["version"].as_u64().context("the change was refused")?;
        made.lock().await.insert((id, version), asked);
    }
    let (mut all, mut told) = (waits()?, 0_u64);
    for heard in hearing {
        let heard = heard.await??;
        let made = made.lock().await;
        anyhow::ensure!(heard.len() == CHANGES, "a subscriber heard of {} of {CHANGES} changes", heard.len());
        for (change, at) in heard {
            let asked = made.get(&change).with_context(|| format!("nobody made the change {change:?}"))?;
            all.saturating_record(micros(at.duration_since(*asked)).max(1));
            told += 1;
        }
    }
    let figures = Figures::new(told, began.elapsed(), cpu::of_this_process().saturating_sub(cpu_before), Some(&all));
    Ok(Line { bench: "api", kind: "subscribers", figures, ratio: None, raw_is: None, rate: Some(2), at_once: count })
}

async fn subscribe(http: &str) -> anyhow::Result<Socket> {
    let mut request = format!("{}/graphql", http.replacen("http", "ws", 1)).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = connect_async(request).await?;
    socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await?;
    next(&mut socket).await?;
    let document = "subscription { opportunityChanges { opportunityId version } }";
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": document } });
    socket.send(Message::text(subscribe.to_string())).await?;
    Ok(socket)
}

/// All changes that a subscriber is told of, and when.
async fn hear(mut socket: Socket) -> anyhow::Result<Vec<((String, u64), Instant)>> {
    let mut heard = Vec::with_capacity(CHANGES);
    while heard.len() < CHANGES {
        let said = timeout(PATIENCE, next(&mut socket)).await.context("a subscriber waits in vain")??;
        let change = &said["payload"]["data"]["opportunityChanges"];
        let id = change["opportunityId"].as_str().with_context(|| said.to_string())?.to_owned();
        heard.push(((id, change["version"].as_u64().unwrap_or_default()), Instant::now()));
    }
    Ok(heard)
}

async fn next(socket: &mut Socket) -> anyhow::Result<Value> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => anyhow::bail!("the connection ended: {other:?}"),
        }
    }
}
