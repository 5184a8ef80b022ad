//! A connection whose other side is gone without having closed it.

use std::{net::SocketAddr, sync::Arc};

use futures::future::{join_all, pending};
use projections::{opportunity_search::OpportunitySearch, storage::qdrant::QdrantConfig};
use tests::{embedding_model, engines, eventually};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Requests that use every connection of a client.
const REQUESTS: usize = 6;

#[tokio::test]
async fn requests_over_dead_connections_end_in_time_and_later_ones_are_answered() {
    let url = url::Url::parse(engines().await.variable("QDRANT_URL")).unwrap();
    let server = url.socket_addrs(|| None).unwrap()[0];
    let (freeze, frozen) = watch::channel(false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = tokio::spawn(forward(listener, server, frozen));
    let config = QdrantConfig { url: format!("http://{address}"), timeout_ms: 1_000, ..QdrantConfig::default() };
    let search = OpportunitySearch::new(&config, Arc::new(embedding_model().await)).unwrap();
    let ping_often = async || join_all((0..REQUESTS).map(|_| search.ping())).await;
    eventually(async || ping_often().await.into_iter().collect::<Result<Vec<_>, _>>()).await;

    freeze.send(true).unwrap();
    assert!(ping_often().await.iter().all(Result::is_err), "nothing answers");
    freeze.send(false).unwrap();
    eventually(async || ping_often().await.into_iter().collect::<Result<Vec<_>, _>>()).await;
    proxy.abort();
}

/// Forwards connections. Those that are open while it is frozen stay open, and nothing passes through them ever again.
async fn forward(listener: TcpListener, server: SocketAddr, frozen: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let mut frozen = frozen.clone();
        connections.spawn(async move {
            let mut upstream = TcpStream::connect(server).await?;
            tokio::select! {
                ended = copy_bidirectional(&mut client, &mut upstream) => ended.map(drop),
                () = async { drop(frozen.wait_for(|is_frozen| *is_frozen).await) } => pending().await,
            }
        });
    }
}
