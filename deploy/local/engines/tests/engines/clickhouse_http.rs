//! The local ClickHouse through plain HTTP, as curl and dashboards use it.

use std::time::Duration;

use medhub_engines::{EngineError, clickhouse::ClickHouseServerConfig};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    child_process::ChildProcess,
    process::{libchdb_path, start_engine},
};

struct HttpServerFixture {
    process: ChildProcess,
    client: Client,
    folder: TempDir,
}

impl HttpServerFixture {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let process = start_engine(folder.path()).await;
        Self { process, client: Client::new(), folder }
    }

    async fn post_statement(&self, parameters: &str, body: impl Into<reqwest::Body>) -> Response {
        let url = format!("http://{}/?{parameters}", self.process.address);
        self.client.post(url).basic_auth("default", Some("secret")).body(body).send().await.unwrap()
    }

    async fn query_text(&self, parameters: &str, body: impl Into<reqwest::Body>) -> String {
        let response = self.post_statement(parameters, body).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }

    async fn get_as(&self, user: &str, password: &str, query: &str) -> Response {
        let url = format!("http://{}/", self.process.address);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        self.client
            .get(url)
            .header("X-ClickHouse-User", user)
            .header("X-ClickHouse-Key", password)
            .send()
            .await
            .unwrap()
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

#[tokio::test]
async fn ping_and_an_authorized_empty_get_return_ok() {
    let http = HttpServerFixture::start().await;
    for path in ["ping", ""] {
        let response = reqwest::get(format!("http://{}/{path}", http.process.address)).await.unwrap();
        let expected = if path.is_empty() { StatusCode::FORBIDDEN } else { StatusCode::OK };
        assert_eq!(response.status(), expected, "/{path}");
    }
    assert_eq!(http.get_as("default", "secret", "").await.text().await.unwrap(), "Ok.\n");
}

#[tokio::test]
async fn results_have_the_requested_format() {
    let http = HttpServerFixture::start().await;
    assert_eq!(http.query_text("", "select 1 as a, 'b' as b").await, "1\tb\n");
    assert_eq!(http.query_text("default_format=CSVWithNames", "select 1 as a").await, "\"a\"\n1\n");
    let json: Value =
        serde_json::from_str(&http.query_text("", "select number from numbers(3) format JSON").await).unwrap();
    assert_eq!(json["rows"], 3);
    let response = http.post_statement("query_id=mine", "select 1 format JSONEachRow").await;
    assert_eq!(header(&response, "X-ClickHouse-Format"), "JSONEachRow");
    assert_eq!(header(&response, "X-ClickHouse-Query-Id"), "mine");
    assert!(header(&response, "X-ClickHouse-Summary").contains("\"result_rows\":\"1\""));
}

#[tokio::test]
async fn a_result_in_many_chunks_is_one_document() {
    let http = HttpServerFixture::start().await;
    let query = "select number as n from numbers(1000000) where number % 250000 = 1 settings max_block_size = 1000";
    assert_eq!(http.query_text("default_format=TSVWithNames", query).await, "n\n1\n250001\n500001\n750001\n");
    let all = http.query_text("default_format=CSVWithNames", "select number as n from numbers(1000000)").await;
    assert_eq!(all.lines().count(), 1_000_001);
    assert_eq!(all.matches("\"n\"").count(), 1);
    assert_eq!(http.query_text("default_format=TSVWithNames", "select 1 as n where 0").await, "n\n");
}

#[tokio::test]
async fn data_of_an_insert_may_be_the_body_or_follow_the_statement() {
    let http = HttpServerFixture::start().await;
    http.query_text("", "create table t (a UInt64, b String) engine = MergeTree order by a").await;
    let response =
        http.post_statement("query=insert%20into%20t%20format%20JSONEachRow", "{\"a\":1,\"b\":\"x\"}\n{\"a\":2}").await;
    assert!(header(&response, "X-ClickHouse-Summary").contains("\"written_rows\":\"2\""));
    http.query_text("", "insert into t (a, b) format CSV\n3,\"c;\nd\"\n").await;
    http.query_text("", "insert into t values (4, concat('e', 'f'))").await;
    http.query_text("query=insert%20into%20t%20values", "(5, '')").await;
    let mut large = b"insert into t values ".to_vec();
    (0..900_000).for_each(|n| large.extend(format!("({n}, 'a value of some length'),").bytes()));
    large.pop();
    assert!(large.len() > 16 << 20);
    http.query_text("", large).await;
    assert_eq!(http.query_text("", "select count(), uniqExact(a) from t").await, "900005\t900000\n");
    assert_eq!(http.query_text("", "select b from t where a = 3 and b like 'c%'").await, "c;\\nd\n");
}

#[tokio::test]
async fn errors_have_code_text_and_status() {
    let http = HttpServerFixture::start().await;
    for (parameters, statement, status, code) in [
        ("", "select * from nowhere", 404, "60"),
        ("", "selec", 400, "62"),
        ("", "", 400, "62"),
        ("no_such_setting=1", "select 1", 404, "115"),
        ("database=nowhere", "select 1", 404, "81"),
        ("", "select 1; select 2", 400, "62"),
        ("", "select 1 into outfile '/tmp/medhub-must-not-exist'", 501, "48"),
        ("role=x", "select 1", 501, "48"),
        ("session_id=x&session_check=1", "select 1", 404, "372"),
        ("session_id=x", "create temporary table t (a UInt8)", 501, "48"),
    ] {
        let response = http.post_statement(parameters, statement).await;
        assert_eq!(header(&response, "X-ClickHouse-Exception-Code"), code, "{statement}");
        assert_eq!(response.status().as_u16(), status, "{statement}");
        let text = response.text().await.unwrap();
        assert!(text.starts_with(&format!("Code: {code}. DB::Exception: ")), "{text}");
    }
    let bad = http.post_statement("query=insert%20into%20system.one%20format%20RowBinary", "x").await;
    assert!(!bad.text().await.unwrap().contains("spool"), "the error contains no file name of the server");
}

#[tokio::test]
async fn settings_end_with_their_request() {
    let http = HttpServerFixture::start().await;
    assert_eq!(http.query_text("max_threads=3", "select getSetting('max_threads')").await, "3\n");
    http.query_text("", "set max_block_size = 7").await;
    assert_ne!(http.query_text("", "select getSetting('max_block_size')").await, "7\n");
    assert_eq!(http.query_text("param_a=5", "select {a:UInt8} + 1").await, "6\n");
}

#[tokio::test]
async fn a_session_restores_its_settings() {
    let http = HttpServerFixture::start().await;
    http.query_text("session_id=a&session_timeout=60", "set max_block_size = 7").await;
    assert_eq!(http.query_text("session_id=a", "select getSetting('max_block_size')").await, "7\n");
    assert_eq!(http.query_text("session_id=a&max_block_size=8", "select getSetting('max_block_size')").await, "8\n");
    assert_eq!(http.query_text("session_id=a&close_session=1", "select getSetting('max_block_size')").await, "7\n");
    for other in ["session_id=a", "session_id=b", ""] {
        assert_ne!(http.query_text(other, "select getSetting('max_block_size')").await, "7\n", "{other}");
    }
    let wrong = http.post_statement("session_id=c", "set no_such_setting = 1").await;
    assert_eq!(header(&wrong, "X-ClickHouse-Exception-Code"), "115");
    assert_eq!(
        http.query_text("session_id=c", "select 1").await,
        "1\n",
        "a failed statement is not part of the session"
    );
}

#[tokio::test]
async fn the_analyst_may_send_the_default_parameters_of_tools() {
    let http = HttpServerFixture::start().await;
    let sent = "max_execution_time=30&result_overflow_mode=break&max_result_rows=200&log_comment=grafana&session_id=a\
        &session_timeout=60&extremes=0&readonly=2&max_result_bytes=0&wait_end_of_query=1&enable_http_compression=1\
        &send_progress_in_http_headers=1&max_block_size=100&use_client_time_zone=1&client_protocol_version=54468";
    let url = format!("http://{}/?{sent}", http.process.address);
    for (statement, status, expected) in [
        ("select getSetting('max_result_rows')", 200, "200"),
        ("select getSetting('log_comment')", 200, "grafana"),
        ("create temporary table t (a UInt8)", 501, ""),
        ("create table t (a UInt8) engine = Memory", 500, ""),
        ("select * from url('http://127.0.0.1:1/', 'CSV', 'a String')", 500, ""),
    ] {
        let request = http.client.post(&url).basic_auth("analyst", Some("analyst")).body(statement);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{statement}");
        let text = response.text().await.unwrap();
        assert!(
            if status == 200 { text.trim() == expected } else { text.starts_with("Code: ") },
            "{statement}: {text}"
        );
    }
}

#[tokio::test]
async fn compressed_requests_and_results_are_supported() {
    let http = HttpServerFixture::start().await;
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let url = |parameters: &str| format!("http://{}/?{parameters}", http.process.address);
    let post = |parameters: &str| http.client.post(url(parameters)).basic_auth("default", Some("secret"));
    let response = post("").header("Content-Encoding", "gzip").body(gzip("select 1 + 1")).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "2\n");
    http.query_text("", "create table t (a UInt64) engine = MergeTree order by a").await;
    let insert = post("query=insert%20into%20t%20format%20CSV").header("Content-Encoding", "gzip");
    assert_eq!(insert.body(gzip("1\n2\n3\n")).send().await.unwrap().status(), StatusCode::OK);
    // Blocks of a result are accepted as the data of an insert.
    let blocks =
        http.post_statement("compress=1", "select a + 10 from t order by a format CSV").await.bytes().await.unwrap();
    assert_eq!((blocks[16], &blocks[blocks.len() - 3..]), (0x82, &b"13\n"[..]));
    let insert = http.post_statement("decompress=1&query=insert%20into%20t%20format%20CSV", blocks).await;
    assert_eq!(insert.status(), StatusCode::OK);
    assert_eq!(http.query_text("", "select sum(a), count() from t").await, "42\t6\n");
    let refused = post("").header("Content-Encoding", "br").body("x").send().await.unwrap();
    assert_eq!(header(&refused, "X-ClickHouse-Exception-Code"), "48");
    let invalid = post("").header("Content-Encoding", "gzip").body("select 1").send().await.unwrap();
    assert_eq!(header(&invalid, "X-ClickHouse-Exception-Code"), "36");
}

#[tokio::test]
async fn native_blocks_have_the_revision_that_the_client_names() {
    let http = HttpServerFixture::start().await;
    let query = "select number as n, toString(number) as s from numbers(2)";
    let http = &http;
    let native = |revision: u64| async move {
        let parameters = format!("default_format=Native&client_protocol_version={revision}");
        http.post_statement(&parameters, query).await.bytes().await.unwrap()
    };
    let numbers: Vec<u8> = [0_u64, 1].into_iter().flat_map(u64::to_le_bytes).collect();
    let plain = [b"\x02\x02\x01n\x06UInt64", &numbers[..], b"\x01s\x06String\x010\x011"].concat();
    assert_eq!(native(0).await, plain);
    let head = [1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0];
    assert_eq!(native(54_448).await, [&head[..], &plain].concat());
    let marked = [&head[..], b"\x02\x02\x01n\x06UInt64\0", &numbers, b"\x01s\x06String\0\x010\x011"].concat();
    assert_eq!(native(54_483).await, marked);
}

#[tokio::test]
async fn the_analyst_can_only_read() {
    let http = HttpServerFixture::start().await;
    http.query_text("", "create table t (a UInt64) engine = MergeTree order by a").await;
    let read = http.get_as("analyst", "analyst", "select count() from t").await;
    assert_eq!(read.status(), StatusCode::OK);
    for statement in ["insert into t values (1)", "drop table t", "select file('/etc/hostname')", "set readonly = 0"] {
        let refused = http.get_as("analyst", "analyst", statement).await;
        assert_eq!(header(&refused, "X-ClickHouse-Exception-Code"), "164", "{statement}");
    }
    let get = http.get_as("default", "secret", "drop table t").await;
    assert_eq!(header(&get, "X-ClickHouse-Exception-Code"), "164", "a GET changes nothing");
    for (user, password) in [("default", "wrong"), ("analyst", ""), ("nobody", "secret")] {
        let refused = http.get_as(user, password, "select 1").await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{user}");
        assert_eq!(header(&refused, "X-ClickHouse-Exception-Code"), "516", "{user}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let http = HttpServerFixture::start().await;
    http.query_text("", "create table t (a String) engine = MergeTree order by a").await;
    let response = http.post_statement("query=insert%20into%20t%20format%20RawBLOB", vec![b'x'; 65 << 20]).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(http.query_text("", "select count() from t").await, "0\n");
}

#[tokio::test]
async fn a_running_statement_finishes_before_the_server_stops() {
    let http = HttpServerFixture::start().await;
    let running = http.post_statement("", "select sleep(1)");
    let stop = async {
        while http.query_text("", "select count() from system.processes where query like '%sleep(1)%'").await == "1\n" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        http.process.terminate();
    };
    let (response, ()) = tokio::join!(running, stop);
    assert_eq!(response.text().await.unwrap(), "0\n");
    assert!(http.process.wait().await.success());
}

#[tokio::test]
async fn a_folder_in_use_and_a_missing_library_are_reported() {
    let http = HttpServerFixture::start().await;
    // The server writes its address before it has opened its folder; a first answer means that the folder is open.
    http.query_text("", "select 1").await;
    let address = "127.0.0.1:0".parse().unwrap();
    let serve = |config| medhub_engines::clickhouse::serve(config, CancellationToken::new());
    let locked = serve(ClickHouseServerConfig::new(address, http.folder.path().join("clickhouse"), libchdb_path()))
        .await
        .unwrap_err();
    assert!(matches!(locked, EngineError::Locked { pid: Some(_), .. }), "{locked:?}");
    let other = TempDir::new().unwrap();
    let missing =
        serve(ClickHouseServerConfig::new(address, other.path(), other.path().join("libchdb.so"))).await.unwrap_err();
    assert!(matches!(missing, EngineError::LibraryMissing { .. }), "{missing:?}");
}
