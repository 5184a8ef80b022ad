//! How pages are read: by how many statements, from which tables, and from which generation.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use projections::{
    OpportunityCriteria,
    opportunity_lists::{OpportunityListCursor, OpportunityListRequest, OpportunityLists, OpportunityOrder},
    runtime::{Projection, ReadModelGeneration},
    storage::postgres::ListsConfig,
};
use sqlx::{Executor as _, postgres::PgConnectOptions};
use tests::{engines, eventually, unique_name};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

use super::{
    apply,
    pages::{texts, varied_history},
};

/// The first message of a client that asks for TLS; the server that refuses it waits for another first message.
const SSL_REQUEST: [u8; 4] = 80_877_103_i32.to_be_bytes();

/// Messages of clients to Postgres by their kind: `Q` is a statement without parameters, such as `begin`, `P` prepares a
/// statement, and `E` executes a prepared one.
#[derive(Clone, Default)]
struct SentMessages(Arc<Mutex<BTreeMap<u8, usize>>>);

impl SentMessages {
    /// The messages since the last call: statements without parameters, prepared and executed ones.
    fn take(&self) -> [usize; 3] {
        let sent = std::mem::take(&mut *self.0.lock().unwrap());
        [b'Q', b'P', b'E'].map(|kind| sent.get(&kind).copied().unwrap_or_default())
    }

    async fn forward(self, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) -> io::Result<()> {
        let mut is_started = false;
        loop {
            let kind = if is_started { Some(client.read_u8().await?) } else { None };
            let length = client.read_i32().await?;
            let mut body = vec![0; usize::try_from(length - 4).unwrap()];
            client.read_exact(&mut body).await?;
            if let Some(kind) = kind {
                *self.0.lock().unwrap().entry(kind).or_default() += 1;
            }
            is_started |= body != SSL_REQUEST;
            let head = kind.into_iter().chain(length.to_be_bytes());
            server.write_all(&head.chain(body).collect::<Vec<_>>()).await?;
        }
    }
}

/// Listens in front of Postgres; returns the URL of the database through it.
async fn start_recorder(url: &str, sent: SentMessages) -> String {
    let server: PgConnectOptions = url.parse().unwrap();
    let address = format!("{}:{}", server.get_host(), server.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.unwrap();
            let ((from_client, mut to_client), (mut from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(sent.clone().forward(from_client, to_server));
            tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
        }
    });
    format!("postgres://{}@{own}/{}", server.get_username(), server.get_database().unwrap())
}

/// Another client of the same lists.
fn client_of(lists: &OpportunityLists, url: &str) -> OpportunityLists {
    let schema_prefix = lists.schema().strip_suffix("g1").unwrap().to_owned();
    OpportunityLists::new(&ListsConfig { schema_prefix, ..ListsConfig::default() }, url).unwrap()
}

async fn varied_lists() -> OpportunityLists {
    let lists = tests::lists().await;
    apply(&lists, &varied_history()).await;
    lists
}

fn request(
    criteria: OpportunityCriteria,
    text: Option<&str>,
    order: OpportunityOrder,
    after: Option<OpportunityListCursor>,
) -> OpportunityListRequest {
    OpportunityListRequest::try_new(criteria, text.map(str::to_owned), order, after, 5).unwrap()
}

/// A page of every kind that is one statement.
async fn simple_requests(lists: &OpportunityLists) -> Vec<OpportunityListRequest> {
    let all = OpportunityCriteria::default();
    let agencies = |codes: &[&str]| OpportunityCriteria { agencies: texts(codes), ..OpportunityCriteria::default() };
    let sector = OpportunityCriteria { naics: texts(&["33"]), ..OpportunityCriteria::default() };
    let mut requests = vec![];
    for criteria in [all, agencies(&["036"]), agencies(&["036", "097"]), sector] {
        for order in
            [OpportunityOrder::PostedNewest, OpportunityOrder::DeadlineSoonest, OpportunityOrder::AmountHighest]
        {
            let first = request(criteria.clone(), None, order, None);
            let page = lists.fetch_page(&first).await.unwrap();
            let later = request(criteria.clone(), None, order, Some(page.items[1].cursor.clone()));
            requests.extend([first.clone(), first.with_total(), later.clone(), later.with_total()]);
        }
    }
    requests
}

#[tokio::test]
async fn a_page_is_one_statement() {
    let lists = varied_lists().await;
    let requests = simple_requests(&lists).await;
    let sent = SentMessages::default();
    let url = start_recorder(engines().await.variable("DATABASE_URL"), sent.clone()).await;
    let recorded = client_of(&lists, &url);
    for request in &requests {
        let prepared = recorded.fetch_page(request).await.unwrap();
        sent.take();
        for _ in 0..3 {
            assert_eq!(recorded.fetch_page(request).await.unwrap(), prepared);
        }
        assert_eq!(sent.take(), [0, 0, 3], "{request:?}");
        assert_eq!(lists.fetch_page(request).await.unwrap(), prepared);
    }

    // Several conditions: how many opportunities they leave is read first, in the same transaction.
    let criteria = OpportunityCriteria {
        agencies: texts(&["036"]),
        set_asides: texts(&["SBA"]),
        ..OpportunityCriteria::default()
    };
    recorded.fetch_page(&request(criteria, None, OpportunityOrder::PostedNewest, None)).await.unwrap();
    let [unprepared, _, executed] = sent.take();
    assert!(unprepared >= 1 && executed == 2, "{unprepared} {executed}");
}

#[tokio::test]
async fn a_page_without_its_number_does_not_read_counters() {
    let lists = varied_lists().await;
    let requests = simple_requests(&lists).await;
    let mut blocker = tests::shared_database().await.acquire().await.unwrap().detach();
    let (counters, triples) = (format!("{}.counters", lists.schema()), format!("{}.triple_counters", lists.schema()));
    let lock = format!("begin; lock table {counters}, {triples} in access exclusive mode");
    blocker.execute(lock.as_str()).await.unwrap();

    // Every second one asks for the number.
    for request in requests.iter().step_by(2) {
        let page = lists.fetch_page(request).await.unwrap();
        assert_eq!((page.total, page.items.is_empty()), (None, false), "{request:?}");
    }
    for order in [OpportunityOrder::PostedNewest, OpportunityOrder::Relevance] {
        let words = request(OpportunityCriteria::default(), Some("wheelchair"), order, None);
        assert_eq!(lists.fetch_page(&words).await.unwrap().items.len(), 5, "{order:?}");
    }
    let counted = async { lists.fetch_page(&requests[1]).await.unwrap().total.unwrap().count };
    let observer = tests::shared_database().await;
    let release = async {
        let waits = "select exists (select from pg_locks where not granted and relation = $1::regclass)";
        eventually(async || {
            let waits = sqlx::query_scalar::<_, bool>(waits).bind(&counters).fetch_one(&observer).await;
            if waits? { anyhow::Ok(()) } else { anyhow::bail!("nobody reads the counters") }
        })
        .await;
        blocker.execute("rollback").await.unwrap();
    };
    let (count, ()) = tokio::join!(counted, release);
    assert_eq!(count, 60);
}

#[tokio::test]
async fn a_page_is_read_although_the_server_has_ended_its_sessions() {
    let lists = varied_lists().await;
    let name = unique_name("list_reader");
    let url = format!("{}?application_name={name}", engines().await.variable("DATABASE_URL"));
    let client = client_of(&lists, &url);
    let request = request(OpportunityCriteria::default(), None, OpportunityOrder::PostedNewest, None).with_total();
    let expected = client.fetch_page(&request).await.unwrap();
    for _ in 0..2 {
        let end = "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity where application_name = $1";
        let ended: i64 = sqlx::query_scalar(end).bind(&name).fetch_one(&tests::shared_database().await).await.unwrap();
        assert!(ended >= 1);
        assert_eq!(client.fetch_page(&request).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_list_goes_on_in_another_generation() {
    let first = varied_lists().await;
    let second = first.with_generation(ReadModelGeneration::try_new(2).unwrap());
    second.prepare().await.unwrap();
    apply(&second, &varied_history()).await;
    for order in [OpportunityOrder::PostedNewest, OpportunityOrder::DeadlineSoonest, OpportunityOrder::AmountLowest] {
        let (mut ids, mut after) = (vec![], None);
        // Each page from the other generation, as if it had been switched to in between.
        for lists in [&first, &second].into_iter().cycle() {
            let request = request(OpportunityCriteria::default(), None, order, after);
            let page = lists.fetch_page(&request).await.unwrap();
            after = page.items.last().map(|item| item.cursor.clone());
            ids.extend(page.items.into_iter().map(|item| item.entry.id));
            if !page.has_next {
                break;
            }
        }
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (60, 60), "{order:?}");
    }
    first.discard().await.unwrap();
    let newest = request(OpportunityCriteria::default(), None, OpportunityOrder::PostedNewest, None);
    let error = first.fetch_page(&newest).await.unwrap_err();
    let error = format!("{:#}", anyhow::Error::new(error));
    assert!(error.contains("medhub rebuild lists"), "{error}");
    assert_eq!(second.fetch_page(&newest).await.unwrap().items.len(), 5);
}
