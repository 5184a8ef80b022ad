//! Real notices through the whole system: imported by the command line, queried by GraphQL, consistent in every store.

mod bad_input;
mod import;
mod search;
mod sync;
mod visits;

use std::path::Path;

use tests::{
    EnvironmentVariables, ProductInstance,
    notice_import::{import_file, wait_for_agreed_counts},
    run_beside_others,
};
use tokio::sync::OnceCell;

/// A product with the real notices, shared by all tests that only read.
async fn product_with_real_notices(csv: &Path) -> &'static ProductInstance {
    static SHARED: OnceCell<ProductInstance> = OnceCell::const_new();
    run_beside_others();
    SHARED
        .get_or_init(async || {
            let product = ProductInstance::start_shared(EnvironmentVariables::new()).await;
            import_file(&product, csv, &[]).await;
            wait_for_agreed_counts(&product).await;
            product
        })
        .await
}
