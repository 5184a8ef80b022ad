//! Who belongs to which company, as the log says: looked up for each request, and remembered for a moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cqrs_es::EventStore;
use domain::{company::Company, value::TenantId};
use eventstore::store::PgStore;

use super::Unauthenticated;

/// Most companies that are remembered at the same time.
const MOST: usize = 10_000;

/// Companies, and when they were looked up.
type Remembered = HashMap<TenantId, (Instant, Arc<Company>)>;

/// Looks companies up.
#[derive(Clone)]
pub(super) struct Directory {
    store: PgStore<Company>,
    remembered: Arc<Mutex<Remembered>>,
    /// How long what was looked up counts; a change that this process makes counts at once.
    fresh: Duration,
}

impl Directory {
    pub(super) fn new(store: PgStore<Company>, fresh: Duration) -> Self {
        Self { store, remembered: Arc::default(), fresh }
    }

    /// A company as it is now, or was a moment ago. An unknown tenant is one that nobody has registered.
    pub(super) async fn company(&self, tenant: &TenantId) -> Result<Arc<Company>, Unauthenticated> {
        let now = Instant::now();
        if let Some((at, company)) = self.lock().get(tenant)
            && now.duration_since(*at) < self.fresh
        {
            return Ok(Arc::clone(company));
        }
        let context = self.store.load_aggregate(tenant.as_str()).await;
        let context = context.map_err(|error| Unauthenticated::Unavailable(Box::new(error)))?;
        let company = Arc::new(context.aggregate);
        let mut remembered = self.lock();
        if remembered.len() >= MOST {
            remembered.retain(|_, (at, _)| now.duration_since(*at) < self.fresh);
            if remembered.len() >= MOST {
                remembered.clear();
            }
        }
        remembered.insert(tenant.clone(), (now, Arc::clone(&company)));
        Ok(company)
    }

    /// Looks a company up anew at the next request.
    pub(super) fn forget(&self, tenant: &TenantId) {
        self.lock().remove(tenant);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
