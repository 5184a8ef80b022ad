//! The feature flags of the log, cached for all parts of a program.
//!
//! [`FeatureFlags::variant`] answers from memory and never fails: an unknown flag has the control. A part of the
//! program counts the events of flags once a second, and reads them again when the number has grown. Which variant a
//! tenant has follows from the flag and the tenant alone, so that all programs agree, before and after a restart.

mod flag_pins;
mod flag_records;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use cqrs_es::Aggregate;
use domain::{
    event_store::StoreError,
    feature_flag::{AssignmentReason, FeatureFlag, FlagAssignment, KnownExperiment, VariantName},
    log_reader::LogReader,
    value::TenantId,
};
use metrics::gauge;
use tokio::{
    sync::Mutex,
    time::{Duration, Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use self::flag_records::FlagRecords;
pub use self::{flag_pins::FlagPins, flag_records::FlagRecord};

/// Interval of looking for changes: how long another program may use the flags as they were before a change.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Answers which variant of a flag a tenant has. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct FeatureFlags {
    shared: Arc<SharedFlags>,
}

struct SharedFlags {
    /// `None` if only the pins count.
    log: Option<Arc<dyn LogReader>>,
    pins: FlagPins,
    records: RwLock<Arc<FlagRecords>>,
    /// Held during a refresh, so that an older result never replaces a newer one.
    refresh: Mutex<()>,
    /// When the last refresh that succeeded began; at first, when this was created.
    confirmed_at: RwLock<Instant>,
}

impl FeatureFlags {
    /// Answers by the flags in `log` and the pins of this program. Nothing is read before [`Self::refresh`].
    pub fn new(log: Arc<dyn LogReader>, pins: FlagPins) -> Self {
        Self::with_log(Some(log), pins)
    }

    /// Answers by pins alone, without a log; all other flags have the control.
    pub fn pinned(pins: FlagPins) -> Self {
        Self::with_log(None, pins)
    }

    fn with_log(log: Option<Arc<dyn LogReader>>, pins: FlagPins) -> Self {
        let records = RwLock::new(Arc::new(FlagRecords::default()));
        let confirmed_at = RwLock::new(Instant::now());
        Self { shared: Arc::new(SharedFlags { log, pins, records, refresh: Mutex::new(()), confirmed_at }) }
    }

    /// The variant of a tenant; [`domain::feature_flag::CONTROL`] for a flag that is not known. Without I/O.
    ///
    /// A caller that does not know the variant treats it as the control.
    pub fn variant(&self, key: &str, tenant: &TenantId) -> VariantName {
        self.assignment(key, tenant).variant
    }

    /// Whether a plain flag, whose variants are `off` and `on`, is on for a tenant. Without I/O.
    pub fn is_on(&self, key: &str, tenant: &TenantId) -> bool {
        self.variant(key, tenant).is_on()
    }

    /// The variant of a tenant, and why. Without I/O.
    pub fn assignment(&self, key: &str, tenant: &TenantId) -> FlagAssignment {
        if let Some(variant) = self.shared.pins.find(key) {
            return FlagAssignment { variant: variant.clone(), reason: AssignmentReason::Pinned };
        }
        match self.records().find(key) {
            Some(record) => record.state.compute_assignment(&record.key, tenant),
            None => FlagAssignment { variant: VariantName::control(), reason: AssignmentReason::Undefined },
        }
    }

    /// All flags by their keys: the flags of the log, and the experiments that are not defined yet.
    pub fn list(&self) -> Vec<FlagRecord> {
        let records = self.records();
        let mut list: Vec<_> = records.iter().cloned().collect();
        let known = KnownExperiment::ALL.iter().map(|experiment| experiment.key());
        list.extend(known.filter(|key| records.find(key.as_str()).is_none()).map(FlagRecord::undefined));
        list.sort_by(|a, b| a.key.cmp(&b.key));
        list
    }

    /// The variants that the settings of this program name.
    pub fn pins(&self) -> &FlagPins {
        &self.shared.pins
    }

    /// Reads the flags again if there are new events.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read; the flags stay as they were read last.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let Some(log) = &self.shared.log else { return Ok(()) };
        let _guard = self.shared.refresh.lock().await;
        let began_at = Instant::now();
        if log.count_type(FeatureFlag::TYPE).await? != self.records().events() {
            let records = FlagRecords::load(&**log).await?;
            tracing::info!(events = records.events(), "read the feature flags");
            *self.shared.records.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(records);
        }
        *self.shared.confirmed_at.write().unwrap_or_else(PoisonError::into_inner) = began_at;
        Ok(())
    }

    /// How long ago the flags were last known to agree with the log. Changes since then may be missing.
    pub fn age(&self) -> Duration {
        self.shared.confirmed_at.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Refreshes once a second until `stop` is cancelled, and reports the age of the flags, also while the log hangs.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(self.refresh_until(&stop), self.report_age_until(&stop));
    }

    async fn report_age_until(&self, stop: &CancellationToken) {
        let mut ticks = interval(REFRESH_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => gauge!("medhub_feature_flags_age_seconds").set(self.age()),
            }
        }
    }

    async fn refresh_until(&self, stop: &CancellationToken) {
        let mut ticks = interval(REFRESH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_outdated = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                refreshed = self.refresh() => {
                    match &refreshed {
                        Err(error) if !is_outdated => tracing::warn!(
                            error = error as &dyn std::error::Error,
                            "feature flags unavailable, they stay as they were read last"
                        ),
                        Ok(()) if is_outdated => tracing::info!("feature flags available again"),
                        Ok(()) | Err(_) => {}
                    }
                    is_outdated = refreshed.is_err();
                }
            }
        }
    }

    fn records(&self) -> Arc<FlagRecords> {
        Arc::clone(&self.shared.records.read().unwrap_or_else(PoisonError::into_inner))
    }
}
