//! Reads the resources of a company; the comparison uses the beginning of each.

use std::sync::Arc;

use domain::{
    resource::{ResourceContent, ResourceTag},
    value::TenantId,
};
use futures::future::BoxFuture;

/// Most resources of a company that are read, the newest ones.
const MAX_RESOURCES: usize = 200;

/// Resources of a page: they may have 400 kB each, and are in memory as the read model's reply and as states.
const PAGE_SIZE: u32 = 10;

/// How much of the text of a resource is used, in bytes.
const MAX_TEXT_BYTES: usize = 20_000;

/// How much text of all resources is used, in bytes. What follows is not read.
const MAX_TOTAL_BYTES: usize = 2 << 20;

/// The resources cannot be read now.
#[derive(Debug, thiserror::Error)]
#[error("reading the resources of the company")]
pub struct ResourceReadError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl ResourceReadError {
    /// Wraps the error of a read model.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// A page of a company's resources.
#[derive(Debug, Clone, Default)]
pub struct ResourcePage {
    /// The resources, newest first.
    pub resources: Vec<ResourceContent>,
    /// The cursor of the next page; `None` after the last one.
    pub next: Option<String>,
}

/// Reads the resources of companies.
pub trait ResourceReader: Send + Sync {
    /// At most `limit` resources of a company, newest first, after the cursor of a page before.
    ///
    /// # Errors
    /// [`ResourceReadError`] when they cannot be read now.
    fn read_page<'a>(
        &'a self,
        tenant: &'a TenantId,
        limit: u32,
        after: Option<String>,
    ) -> BoxFuture<'a, Result<ResourcePage, ResourceReadError>>;
}

/// The texts of a company's newest resources, each cut, until there is enough text.
///
/// # Errors
/// [`ResourceReadError`] when a page cannot be read now.
pub(crate) async fn read_resource_texts(
    reader: &Arc<dyn ResourceReader>,
    tenant: &TenantId,
) -> Result<Vec<String>, ResourceReadError> {
    let (mut texts, mut bytes, mut after) = (Vec::new(), 0, None);
    // Pages may be empty, so their number is bounded, too.
    for _ in 0..MAX_RESOURCES {
        let page = reader.read_page(tenant, PAGE_SIZE, after).await?;
        for content in page.resources {
            let text = format_resource(&content);
            bytes += text.len();
            if texts.len() >= MAX_RESOURCES || bytes > MAX_TOTAL_BYTES {
                return Ok(texts);
            }
            texts.push(text);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(texts)
}

/// Name, tags and the beginning of the text of a resource.
pub(super) fn format_resource(content: &ResourceContent) -> String {
    let body = content.body.as_str();
    let tags: Vec<_> = content.tags.iter().map(ResourceTag::as_str).collect();
    let body = body.get(..body.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or(body);
    format!("{}\n{}\n{body}", content.name.as_str(), tags.join(" "))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use domain::resource::{ResourceBody, ResourceKind, ResourceName};
    use futures::FutureExt as _;

    use super::*;

    /// A company with many resources whose texts are as long as allowed.
    struct LargestResources {
        body: ResourceBody,
        read: AtomicUsize,
    }

    impl ResourceReader for LargestResources {
        fn read_page<'a>(
            &'a self,
            _: &'a TenantId,
            limit: u32,
            after: Option<String>,
        ) -> BoxFuture<'a, Result<ResourcePage, ResourceReadError>> {
            let begin = after.map_or(0, |after| after.parse::<usize>().unwrap());
            let end = begin + limit as usize;
            self.read.fetch_add(limit as usize, Ordering::Relaxed);
            let resource = |number: usize| {
                let name = ResourceName::try_new(&format!("resource {number}")).unwrap();
                ResourceContent::new(name, ResourceKind::Certification, self.body.clone())
            };
            let next = (end < 1_000).then(|| end.to_string());
            async move { Ok(ResourcePage { resources: (begin..end).map(resource).collect(), next }) }.boxed()
        }
    }

    async fn read(body: &str) -> (usize, usize, usize) {
        let reader =
            Arc::new(LargestResources { body: ResourceBody::try_new(body).unwrap(), read: AtomicUsize::default() });
        let dynamic: Arc<dyn ResourceReader> = Arc::<LargestResources>::clone(&reader);
        let texts = read_resource_texts(&dynamic, &TenantId::try_new("acme").unwrap()).await.unwrap();
        let bytes = texts.iter().map(String::len).sum();
        (texts.len(), bytes, reader.read.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn the_largest_resources_are_read_until_there_is_enough_text() {
        let (count, bytes, read) = read(&"\u{1f4a7}".repeat(100_000)).await;
        assert!(count == 104 && bytes <= MAX_TOTAL_BYTES, "{count} resources, {bytes} bytes");
        assert!(read <= 110, "{read}");
    }

    #[tokio::test]
    async fn the_newest_resources_are_read() {
        let (count, _, read) = read("short").await;
        assert_eq!(count, MAX_RESOURCES);
        assert!(read <= MAX_RESOURCES + 10, "{read}");
    }
}
