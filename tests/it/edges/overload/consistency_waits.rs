//! Queries that wait for a read model.

use tests::token_for_everything_until;

use super::*;

/// As many as twice the room.
const QUERIES_BEYOND: usize = 2 * CAPACITY;

/// Of three queries that the process works on, one may wait.
pub(super) async fn waiting_queries_leave_room_for_others(product: &ProductHandle) {
    let user = SignedInUser::register_company(product, "bea", &unique_name("acme")).await;
    let change =
        user.apply_change("createResource(input: { name: \"Beds\", kind: OTHER, body: \"Beds.\" })", json!({}));
    let token = token_for_everything_until(&change.await.token);
    let (incarnation, _position) = token.split_once('.').unwrap();
    // As if the read model stood still.
    let unreached = format!("{incarnation}.9000000000000000");
    let query = |number: usize| {
        let body = json!({ "query": counting_query(number), "extensions": { "consistencyToken": unreached } });
        HttpResponse::from_request(tests::new_http_client().post(format!("{}/graphql", product.http())).json(&body))
    };
    let waiting = tokio::spawn(query(0));
    wait_for_running_requests(product, 1).await;

    for number in 0..QUERIES_BEYOND {
        let answer = query(number).await;
        assert_eq!(error_code(&answer.body), "NOT_YET", "{}", answer.body);
    }
    let rest = build_request(product, "GET", "/api/v1/resources", Some(&user.token));
    let rest = HttpResponse::from_request(rest.header("consistency-token", &unreached)).await;
    assert_eq!((rest.status.as_u16(), rest.problem_code()), (503, "NOT_YET"), "{}", rest.body);
    let refused = "medhub_consistency_waits_refused_total";
    let of_lists = read_counter(product, refused, &[r#"projection="lists""#]).await;
    assert_eq!(of_lists, QUERIES_BEYOND as u64);
    assert_eq!(read_counter(product, refused, &[r#"projection="workspace""#]).await, 1);
    for number in 0..QUERIES_BEYOND {
        let answer = send_query(tests::new_http_client(), product.http().to_owned(), counting_query(number)).await;
        assert!(answer.body["errors"].is_null(), "{}", answer.body);
    }
    assert!(!waiting.is_finished());

    waiting.abort();
    wait_for_running_requests(product, 0).await;
    let next = tokio::spawn(query(0));
    wait_for_running_requests(product, 1).await;
    next.abort();
    wait_for_running_requests(product, 0).await;
}

async fn wait_for_running_requests(product: &ProductHandle, running: usize) {
    eventually(async || {
        let ready = get(product, "/ready").await;
        anyhow::ensure!(ready.body["load"]["running"] == running, "{}", ready.body);
        anyhow::Ok(())
    })
    .await;
}
