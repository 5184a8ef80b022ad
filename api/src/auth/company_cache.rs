//! Cache of companies, for members' roles and API keys.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cqrs_es::EventStore;
use domain::{company::Company, value::TenantId};
use eventstore::store::PgEventStore;

use super::AuthenticationError;

/// Maximum number of cached companies.
const MAX_COMPANIES: usize = 10_000;

/// Companies with the time of their lookup.
type CachedCompanies = HashMap<TenantId, (Instant, Arc<Company>)>;

#[derive(Clone)]
pub(super) struct CompanyCache {
    store: PgEventStore<Company>,
    cached: Arc<Mutex<CachedCompanies>>,
    /// Maximum age of cached companies; changes by this process invalidate them at once.
    max_age: Duration,
}

impl CompanyCache {
    pub(super) fn new(store: PgEventStore<Company>, max_age: Duration) -> Self {
        Self { store, cached: Arc::default(), max_age }
    }

    /// Returns a company, at most `max_age` old. An unknown tenant gives an unregistered company.
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
        let mut cached = self.lock();
        if cached.len() >= MAX_COMPANIES {
            cached.retain(|_, (at, _)| now.duration_since(*at) < self.max_age);
            if cached.len() >= MAX_COMPANIES {
                cached.clear();
            }
        }
        cached.insert(tenant.clone(), (now, Arc::clone(&company)));
        Ok(company)
    }

    /// Discards the cached state of a company.
    pub(super) fn invalidate(&self, tenant: &TenantId) {
        self.lock().remove(tenant);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CachedCompanies> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
