//! What a process without room sheds over gRPC and over WebSockets, and what goes on there.

use reqwest::RequestBuilder;
use tests::{GrpcTaskClient, ProposalEditor};

use super::*;

const QUERY: &str = "{ tasks(first: 1) { totalCount } }";

const COMMAND: &str = "mutation { outcome: createResource(input: { name: \"Lifts\", kind: OTHER, body: \"Lifts.\" }) {
    ... on Accepted { version } } }";

/// Lets an append take as long as there is a row. Waiting for a lock would end after a few seconds.
const HOLD_APPENDS: &str = "
create table held_appends as select true as is_held;
create function hold_append() returns trigger language plpgsql as $$
begin
    while exists (select from held_appends) loop
        perform pg_sleep(0.01);
    end loop;
    return null;
end $$;
create trigger hold_append before insert on events for each statement execute function hold_append();";

fn assert_shed_over_websocket(answer: &Value) {
    assert_eq!(error_code(answer), "UNAVAILABLE", "{answer}");
    assert_eq!(answer["errors"][0]["extensions"]["retryAfterSeconds"], 1, "{answer}");
}

fn assert_shed_over_grpc<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) {
    let refused = answer.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    assert_eq!(refused.metadata().get("retry-after").unwrap(), "1", "{refused}");
}

fn grpc_client(product: &ProductHandle, user: &SignedInUser<'_>) -> GrpcTaskClient {
    GrpcTaskClient::new(product.variable("MEDHUB__GRPC__LISTEN"), &user.token).unwrap()
}

/// Opens a connection with a subscription, which takes no room.
async fn subscribe(product: &ProductHandle, user: &SignedInUser<'_>) -> GraphqlSubscriber {
    let payload = json!({ "authorization": format!("Bearer {}", user.token) });
    let document = "subscription { opportunityDashboard { total } }";
    let mut subscriber = GraphqlSubscriber::subscribe(product.http(), payload, document).await.unwrap();
    let first = subscriber.next_answer().await.unwrap().unwrap();
    assert!(first["data"]["opportunityDashboard"]["total"].is_u64(), "{first}");
    subscriber
}

/// While queries take all the room that they may have. Returns how many were shed.
pub(super) async fn queries_are_shed_over_grpc_and_websockets(
    product: &ProductHandle,
    user: &SignedInUser<'_>,
) -> usize {
    let grpc = grpc_client(product, user);
    assert_shed_over_grpc(grpc.count_tasks().await);
    assert_eq!(grpc.request_task("document-1").await.unwrap(), 1);
    assert!(grpc.is_serving().await.unwrap());

    let mut subscriber = subscribe(product, user).await;
    assert_shed_over_websocket(&subscriber.send_document("2", QUERY).await.unwrap());
    let accepted = subscriber.send_document("3", COMMAND).await.unwrap();
    assert_eq!(accepted["data"]["outcome"]["version"], 1, "{accepted}");
    editors_go_on(product, user).await;
    2
}

/// Editors wait for each other most of the time, so that they take no room.
async fn editors_go_on(product: &ProductHandle, user: &SignedInUser<'_>) {
    let draft = "draftProposal(input: { opportunityId: \"036:36C24526Q0001\", title: \"Beds\",
        outline: [{ key: \"approach\", heading: \"Our approach\" }] })";
    let drafted = user.apply_change(draft, json!({})).await;
    let protocols = format!("medhub-together, bearer.{}", user.token);
    let open = async || ProposalEditor::open(product.http(), &drafted.id, &protocols).await.unwrap();
    let (mut writer, mut reader) = (open().await, open().await);
    writer.write_section("approach", "Ramps.").await.unwrap();
    reader.receive_until(|editor| editor.section_text("approach").unwrap() == "Ramps.").await.unwrap();
}

fn create_resource(product: &ProductHandle, user: &SignedInUser<'_>) -> RequestBuilder {
    let body = json!({ "name": "Ramps", "kind": "past_performance", "body": "Ramps." });
    build_request(product, "POST", "/api/v1/resources", Some(&user.token)).json(&body)
}

/// While queries take all the room that they may have, and a command the rest, commands are refused too, and reports go
/// on. Returns how many were shed.
pub(super) async fn commands_are_shed_when_nothing_has_room(product: &ProductHandle, user: &SignedInUser<'_>) -> u64 {
    let (grpc, mut subscriber) = (grpc_client(product, user), subscribe(product, user).await);
    let mut database = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    database.execute(HOLD_APPENDS).await.unwrap();
    let running = tokio::spawn(HttpResponse::from_request(create_resource(product, user)));
    eventually(async || {
        let ready = get(product, "/ready").await;
        anyhow::ensure!(ready.body["load"]["running"] == CAPACITY, "{}", ready.body);
        anyhow::Ok(())
    })
    .await;

    let refused = HttpResponse::from_request(create_resource(product, user)).await;
    assert_eq!((refused.status, refused.problem_code()), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));
    assert_shed_over_grpc(grpc.request_task("document-2").await);
    assert_shed_over_websocket(&subscriber.send_document("2", COMMAND).await.unwrap());
    let operator = product.send_graphql("{ projections { generation } }", Value::Null).await;
    assert!(operator["errors"].is_null(), "{operator}");
    let ready = get(product, "/ready").await;
    assert_eq!((ready.status, &ready.body["ready"]), (StatusCode::OK, &json!(true)), "{}", ready.body);
    assert!(grpc.is_serving().await.unwrap());

    database.execute("delete from held_appends").await.unwrap();
    let answered = running.await.unwrap();
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.body);
    3
}
