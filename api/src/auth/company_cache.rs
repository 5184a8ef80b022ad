//! Who belongs to which company, as the log says: looked up for each request, and remembered for a moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cqrs_es::EventStore;
use domain::{company::Company, value::TenantId};
use eventstore::store::PgEventStore;

use super::AuthenticationError;

/// Most companies that are remembered at the same time.
const MAX_COMPANIES: usize = 10_000;

/// Companies, and when they were looked up.
type CachedCompanies = HashMap<TenantId, (Instant, Arc<Company>)>;

/// Looks companies up.
#[derive(Clone)]
pub(super) struct CompanyCache {
    store: PgEventStore<Company>,
    cached: Arc<Mutex<CachedCompanies>>,
    /// How long what was looked up counts; a change that this process makes counts at once.
    max_age: Duration,
}

impl CompanyCache {
    pub(super) fn new(store: PgEventStore<Company>, fresh: Duration) -> Self {
        Self { store, cached: Arc::default(), max_age: fresh }
    }

    /// A company as it is now, or was a moment ago. An unknown tenant is one that nobody has registered.
    pub(super) async fn load_company(&self, tenant: &TenantId) -> Result<Arc<Company>, AuthenticationError> {
        let now = Instant::now();
        if let Some((at, company)) = self.lock().get(tenant)
            && now.duration_since(*at) < self.max_age
        {
            return Ok(Arc::clone(company));
        }
        let context = self.store.load_aggregate(tenant.as_str()).await;
        let context = context.map_err(|error| AuthenticationError::Unavailable(Box::new(error)))?;
        let company = Arc::new(context.aggregate);
        let mut remembered = self.lock();
        if remembered.len() >= MAX_COMPANIES {
            remembered.retain(|_, (at, _)| now.duration_since(*at) < self.max_age);
            if remembered.len() >= MAX_COMPANIES {
                remembered.clear();
            }
        }
        remembered.insert(tenant.clone(), (now, Arc::clone(&company)));
        Ok(company)
    }

    /// Looks a company up anew at the next request.
    pub(super) fn invalidate(&self, tenant: &TenantId) {
        self.lock().remove(tenant);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CachedCompanies> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
