//! A process that is told to stop first says that it is not ready, and goes on meanwhile.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{ProductEdge, ProductProcess, eventually, shared_product};

#[tokio::test]
async fn a_process_that_is_told_to_stop_is_not_ready_and_answers_until_the_delay_is_over() {
    let product = shared_product().await;
    let mut variables = product.variables().clone();
    // Ended by a second signal, so that no time decides.
    variables.insert("MEDHUB__SERVE__STOP_DELAY_MS".to_owned(), "3600000".to_owned());
    let args = ["serve", "--role", "api"];
    let mut api = ProductProcess::start(&variables, product.folder(), "api-to-stop", &args).unwrap();
    let address = format!("http://{}", api.wait_for_address(ProductEdge::Http).await.unwrap());
    let wait_for = async |stopping: bool| {
        eventually(async || {
            let response = reqwest::get(format!("{address}/ready")).await.map_err(|error| error.to_string())?;
            let (status, report) = (response.status(), response.json::<Value>().await.unwrap());
            let expected = if stopping { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            if status == expected && report["stopping"] == stopping { Ok(()) } else { Err(report.to_string()) }
        })
        .await;
    };
    wait_for(false).await;

    api.send_signal(nix::sys::signal::Signal::SIGTERM);
    wait_for(true).await;
    let query = tests::new_http_client().post(format!("{address}/graphql")).json(&json!({ "query": "{ __typename }" }));
    let answer: Value = query.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["__typename"], "Query", "{answer}");
    api.stop().await.unwrap();
}
