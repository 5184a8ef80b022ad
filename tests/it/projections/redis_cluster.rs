//! What is written to Redis in a cluster of three primaries and their replicas.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
};

use domain::{envelope::RawEnvelope, error_chain::format_error_chain, opportunity::OpportunityId, value::TenantId};
use projections::{
    change_feed::ChangeFeed,
    opportunity_views::OpportunityViews,
    response_cache::{CacheLookup, ResponseCache, VisitActionsQuery},
    runtime::{Projection, ProjectionError, ReadModelGeneration, VerifyScope},
    storage::redis::RedisConfig,
    tenant_views::{ListGroup, TenantViews},
};
use serde_json::{Value, json};
use tests::{
    CertificateAuthority, EnvironmentVariables, ProductInstance, RedisCluster, WAIT_TIMEOUT, engines, eventually,
    opportunity_history::{MemoryLog, history, notice},
    output_text,
};
use tokio::sync::oneshot;

use super::{apply, opportunity_views::engagement, tenant_views::worked};
use crate::graphql::{DISCOVER_MUTATION, bed_opportunity_input, send_mutation};

/// Longest wait of a client that waits for a replica to come back: more than a test takes.
const PATIENT_MS: u64 = 240_000;

/// Opportunities that are written while the cluster changes: several for each primary.
const OPPORTUNITIES: u32 = 60;

#[tokio::test]
async fn read_models_work_in_a_cluster_and_neither_a_moved_slot_nor_a_failover_loses_anything() {
    let mut cluster = RedisCluster::start().await;
    let config = RedisConfig {
        url: cluster.address(),
        cluster: true,
        acknowledging_replicas: 1,
        timeout_ms: 2_000,
        ..RedisConfig::default()
    };
    write_read_and_remove_every_read_model(&config).await;
    assert_eq!(cluster.list_keys().await, Vec::<String>::new());
    a_product_uses_the_cluster(&cluster).await;
    write_while_the_cluster_changes(&mut cluster, &RedisConfig { key_prefix: "changing:".to_owned(), ..config }).await;
}

#[tokio::test]
async fn read_models_work_in_a_cluster_whose_servers_and_clients_use_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::new(folder.path(), "authority");
    let cluster = RedisCluster::start_with_tls(&authority).await;
    let client = authority.issue("medhub");
    let mut config =
        RedisConfig { url: cluster.address(), cluster: true, acknowledging_replicas: 1, ..RedisConfig::default() };
    config.tls.ca_file = Some(authority.file().to_owned());
    // The servers ask for a certificate.
    OpportunityViews::new(&config).unwrap().ping().await.unwrap_err();
    config.tls.certificate_file = Some(client.certificate);
    config.tls.key_file = Some(client.key);
    write_read_and_remove_every_read_model(&config).await;
    assert_eq!(cluster.list_keys().await, Vec::<String>::new());

    let stranger = CertificateAuthority::new(folder.path(), "stranger");
    config.tls.ca_file = Some(stranger.file().to_owned());
    let text = format_error_chain(&OpportunityViews::new(&config).unwrap().ping().await.unwrap_err());
    assert!(text.contains("UnknownIssuer"), "{text}");
}

async fn write_read_and_remove_every_read_model(config: &RedisConfig) {
    let views = OpportunityViews::new(config).unwrap();
    let tenant_views = TenantViews::new(config).unwrap();
    let (feed, cache) = (ChangeFeed::new(config).unwrap(), ResponseCache::new(config).unwrap());
    let mut subscription = feed.subscribe().await.unwrap();

    let events = [history(), engagement()].concat();
    Projection::prepare(&views).await.unwrap();
    Projection::prepare(&tenant_views).await.unwrap();
    apply(&views, &events).await;
    apply(&tenant_views, &worked()).await;
    let all = [events.clone(), worked()].concat();
    apply(&feed, &all).await;
    apply(&cache, &events).await;

    // A message reaches every server, not only the one with its stream.
    for _ in &all {
        tokio::time::timeout(WAIT_TIMEOUT, subscription.next())
            .await
            .expect("a message")
            .unwrap()
            .expect("a connection");
    }
    assert_no_difference(&views, &events).await;
    assert_eq!(views.count_views().await.unwrap(), 3);
    let acme = TenantId::try_new("acme").unwrap();
    let drafts = tenant_views.count_aggregates::<domain::proposal::Proposal>(&acme, &ListGroup::all()).await;
    assert_eq!(drafts.unwrap(), 3);
    let query = VisitActionsQuery { tenant: "public".to_owned(), user_id: None, page_url: None, first: 1 };
    cache.store_response(&query, 0, "[]").await.unwrap();
    assert_eq!(cache.look_up(&query).await.unwrap(), CacheLookup::Hit("[]".to_owned()));
    let last = history().iter().map(|event| event.position).max();
    assert_eq!(cache.opportunities_position().await.unwrap(), last.unwrap());
    assert_eq!(views.server_warnings().await.unwrap(), Vec::<String>::new());
    let more = RedisConfig { acknowledging_replicas: 2, ..config.clone() };
    let warnings = OpportunityViews::new(&more).unwrap().server_warnings().await.unwrap();
    assert_eq!(warnings.iter().filter(|warning| warning.contains("has 1 replicas, but 2")).count(), 3, "{warnings:?}");

    Projection::discard(&views).await.unwrap();
    Projection::discard(&tenant_views).await.unwrap();
    Projection::discard(&feed).await.unwrap();
    Projection::discard(&cache).await.unwrap();
}

/// Compares what is stored with what the events say, as `medhub verify` does.
async fn assert_no_difference(views: &OpportunityViews, events: &[RawEnvelope]) {
    for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
        let mut fold = views.fold(&scope);
        for event in events {
            fold.apply_event(event).unwrap();
        }
        let (mut wanted, mut stored) = (fold.expected_rows(), views.read_back(&scope).await.unwrap());
        wanted.sort();
        stored.sort();
        assert_eq!(stored, wanted);
    }
}

async fn a_product_uses_the_cluster(cluster: &RedisCluster) {
    let settings = |url: String, is_cluster: &str| {
        let settings = [("REDIS_URL", url), ("MEDHUB__REDIS__CLUSTER", is_cluster.to_owned())];
        EnvironmentVariables::from(settings.map(|(name, value)| (name.to_owned(), value)))
    };
    let product = ProductInstance::start_with(settings(cluster.address(), "true")).await;
    let entered = send_mutation(&product, DISCOVER_MUTATION, bed_opportunity_input("cluster-1", "36C24526Q0001")).await;
    let read = "query($id: String!) { opportunity(id: $id) { version } }";
    eventually(async || {
        let answer = product.send_graphql(read, json!({ "id": entered["id"] })).await;
        anyhow::ensure!(answer["data"]["opportunity"]["version"] == 1, "{answer}");
        anyhow::Ok(())
    })
    .await;
    let verified = product.run_medhub(&["verify", "views", "workspace"]).await;
    assert!(verified.status.success(), "{}", output_text(&verified));

    let single_server = engines().await.variable("REDIS_URL").to_owned();
    let (as_server, as_cluster) = tokio::join!(
        diagnose_redis(&product, settings(cluster.primary_url(), "false")),
        diagnose_redis(&product, settings(single_server, "true")),
    );
    let finding = as_server["findings"][0]["text"].as_str().unwrap_or_default();
    assert!(finding.contains("one of 3 primaries") && finding.contains("MEDHUB__REDIS__CLUSTER"), "{as_server}");
    let advice = as_cluster["advice"].as_str().unwrap_or_default();
    assert!(advice.contains("set MEDHUB__REDIS__CLUSTER to false"), "{as_cluster}");
}

/// What `medhub doctor` says of Redis with these settings.
async fn diagnose_redis(product: &ProductInstance, settings: EnvironmentVariables) -> Value {
    let mut doctor = product.medhub_command(&["doctor", "--json"]);
    doctor.envs(settings);
    let output = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["engines"].as_array().unwrap().iter().find(|engine| engine["engine"] == "redis").unwrap().clone()
}

/// A slot is moved and a primary is killed while events are written. Nothing is lost, since only what a replica has counts
/// as written.
async fn write_while_the_cluster_changes(cluster: &mut RedisCluster, config: &RedisConfig) {
    let views = OpportunityViews::new(config).unwrap();
    Projection::prepare(&views).await.unwrap();
    let mut log = MemoryLog::default();
    for day in 3..9 {
        for number in 0..OPPORTUNITIES {
            let (id, title) = (format!("n{number}-{day}"), format!("Patient lift {number}, change {day}"));
            let agency = "VETERANS AFFAIRS, DEPARTMENT OF";
            log.record(notice(&id, agency, &format!("N-{number}"), &title, "6530", day));
        }
    }
    let (before, later) = log.events.split_at(log.events.len() / 3);
    let (during_move, during_failover) = later.split_at(later.len() / 2);
    let ids: Vec<_> =
        before.iter().map(|event| super::id(&event.aggregate_id)).collect::<BTreeSet<_>>().into_iter().collect();
    write_all(&views, before, None).await;
    // To be dropped.
    let earlier = Projection::with_generation(&views, ReadModelGeneration::try_new(2).unwrap());
    Projection::prepare(&earlier).await.unwrap();
    write_all(&earlier, before, None).await;

    let moving = cluster.begin_moving(&key_of_largest_tag(&cluster.list_keys().await, &config.key_prefix)).await;
    assert_eq!(views.get_many(&ids).await.unwrap().len(), ids.len(), "keys that have moved are found");
    all_keys_cannot_be_gone_through(&views, &earlier).await;
    let (begun, under_way) = oneshot::channel();
    tokio::join!(write_all(&views, during_move, Some(begun)), async {
        under_way.await.unwrap();
        // Never only some of the rows, at any point of the move.
        let ((), ()) = tokio::join!(cluster.finish_moving(&moving), scan_until_complete(&views, ids.len()));
    });
    eventually(async || Projection::discard(&earlier).await).await;
    let left = cluster.list_keys().await;
    let of_earlier = format!("{}g2:", config.key_prefix);
    assert!(!left.iter().any(|key| key.starts_with(&of_earlier)), "{left:?}");

    let patient = OpportunityViews::new(&RedisConfig { timeout_ms: PATIENT_MS, ..config.clone() }).unwrap();
    assert_eq!(patient.get_many(&ids).await.unwrap().len(), ids.len());
    let (begun, under_way) = oneshot::channel();
    tokio::join!(write_all(&views, during_failover, Some(begun)), async {
        under_way.await.unwrap();
        cluster.fail_over().await;
        // Until it has a replica again, no server acknowledges the new primary's writes.
        let mut waiting = pin!(write_all(&patient, before, None));
        tokio::select! {
            () = &mut waiting => panic!("a write counts that no replica has"),
            () = read_all(&views, &ids) => {}
        }
        cluster.restart_failed().await;
        waiting.await;
    });

    assert_no_difference(&views, &log.events).await;
    assert_eq!(views.count_views().await.unwrap(), u64::from(OPPORTUNITIES));
    Projection::discard(&views).await.unwrap();
    let left = cluster.list_keys().await;
    assert!(!left.iter().any(|key| key.starts_with(&config.key_prefix)), "{left:?}");
}

/// While a slot is on two primaries, a scan could see a key of it twice or never.
async fn all_keys_cannot_be_gone_through(views: &OpportunityViews, earlier: &OpportunityViews) {
    let refused = views.read_back(&VerifyScope::all_buckets()).await.unwrap_err();
    assert!(format_error_chain(&refused).contains("a slot is moving"), "{refused:?}");
    let refused = Projection::discard(earlier).await.unwrap_err();
    assert!(format_error_chain(&refused).contains("a slot is moving"), "{refused:?}");
}

/// Reads all rows back until it succeeds, and checks that none is missing then.
async fn scan_until_complete(views: &OpportunityViews, opportunities: usize) {
    let rows = eventually(async || views.read_back(&VerifyScope::all_buckets()).await).await;
    let found = rows.iter().filter(|row| row.table == "opportunity").count();
    assert_eq!(found, opportunities, "{rows:?}");
}

/// Reads all views, again while servers change their roles.
async fn read_all(views: &OpportunityViews, ids: &[OpportunityId]) {
    eventually(async || {
        let found = views.get_many(ids).await?.len();
        anyhow::ensure!(found == ids.len(), "{found} of {} views", ids.len());
        Ok(())
    })
    .await;
}

/// Writes events as a worker does: each batch again until the store takes it. Says when the first attempt begins.
async fn write_all(views: &OpportunityViews, events: &[RawEnvelope], mut begun: Option<oneshot::Sender<()>>) {
    for batch in events.chunks(20) {
        let changes: Vec<_> = batch.iter().flat_map(|event| OpportunityViews::project(event).unwrap()).collect();
        if let Some(begun) = begun.take() {
            begun.send(()).unwrap();
        }
        eventually(async || match Projection::apply(views, &changes).await {
            Err(error @ ProjectionError::Unavailable(_)) => Err(error),
            outcome => Ok(outcome),
        })
        .await
        .unwrap();
    }
}

/// A key whose hash tag most keys with the prefix have.
fn key_of_largest_tag(keys: &[String], prefix: &str) -> String {
    let mut tags = BTreeMap::<_, Vec<_>>::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        if let Some((_, tagged)) = key.split_once('{') {
            tags.entry(tagged.split('}').next()).or_default().push(key);
        }
    }
    let largest = tags.into_values().max_by_key(Vec::len).unwrap();
    largest[0].clone()
}
