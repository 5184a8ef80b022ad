//! The flags as the log has them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::{
    envelope::{EventDecodeError, RawEnvelope},
    event_store::StoreError,
    feature_flag::{FeatureFlag, FeatureFlagEvent, FlagKey},
    log_reader::LogReader,
};

/// Events per read of the log.
const PAGE_EVENTS: u32 = 1_000;

/// A flag with its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagRecord {
    /// The flag's key.
    pub key: FlagKey,
    /// The flag's state.
    pub state: FeatureFlag,
    /// Number of recorded changes; 0 if the flag was never defined.
    pub version: u64,
    /// When it was last changed; `None` if it was never defined.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who changed it last; empty if it was never defined.
    pub changed_by: String,
}

impl FlagRecord {
    /// A flag that is not defined.
    pub(super) fn undefined(key: FlagKey) -> Self {
        Self { key, state: FeatureFlag::default(), version: 0, changed_at: None, changed_by: String::new() }
    }

    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), EventDecodeError> {
        self.state.evolve(event.decode::<FeatureFlagEvent>()?);
        self.version = event.sequence;
        self.changed_at = Some(event.recorded_at);
        self.changed_by.clone_from(&event.metadata.user_id);
        Ok(())
    }
}

/// All flags of the log, by key.
#[derive(Debug, Default)]
pub(super) struct FlagRecords {
    flags: BTreeMap<String, FlagRecord>,
    /// Number of events that were read.
    events: u64,
}

impl FlagRecords {
    /// Reads all flags. A flag with an event that this release cannot read stays as it was before that event, so that all
    /// programs of a release agree, however long they run.
    pub(super) async fn load(log: &dyn LogReader) -> Result<Self, StoreError> {
        let mut records = Self::default();
        let mut unreadable: Option<String> = None;
        let mut after = (String::new(), 0);
        loop {
            let page = log.load_type(FeatureFlag::TYPE, (&after.0, after.1), PAGE_EVENTS).await?;
            let Some(last) = page.last() else { break };
            after = (last.aggregate_id.clone(), last.sequence);
            for event in &page {
                records.events += 1;
                if unreadable.as_ref() == Some(&event.aggregate_id) {
                    continue;
                }
                if let Err(error) = records.apply_event(event) {
                    tracing::warn!(
                        flag = event.aggregate_id,
                        error,
                        sequence = event.sequence,
                        "an event of a feature flag cannot be read, the flag keeps its previous state"
                    );
                    unreadable = Some(event.aggregate_id.clone());
                }
            }
        }
        records.flags.retain(|_, record| record.version > 0);
        Ok(records)
    }

    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), Box<dyn std::error::Error + 'static>> {
        if !self.flags.contains_key(&event.aggregate_id) {
            let key = FlagKey::try_new(&event.aggregate_id)?;
            self.flags.insert(event.aggregate_id.clone(), FlagRecord::undefined(key));
        }
        match self.flags.get_mut(&event.aggregate_id) {
            Some(record) => Ok(record.apply_event(event)?),
            None => Ok(()),
        }
    }

    /// The flag with this key.
    pub(super) fn find(&self, key: &str) -> Option<&FlagRecord> {
        self.flags.get(key)
    }

    /// All flags, by their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &FlagRecord> {
        self.flags.values()
    }

    /// Number of events of all flags.
    pub(super) fn events(&self) -> u64 {
        self.events
    }
}
