//! Shows how far the generations of a process's projections are behind, and which of them queries read.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    AnyProjection, GenerationState, LagError, ProjectionRuntime, ReadModelGeneration,
    error::format_limited_chain,
    worker_metrics::{self, WorkerLabels},
};

/// The generations whose gauges are set. A gauge keeps its value as long as the process runs, so the gauges of a
/// generation that is removed or has failed have to be set to 0.
#[derive(Debug, Default)]
pub(super) struct GenerationGauges {
    shown: BTreeSet<WorkerLabels>,
}

impl GenerationGauges {
    /// Measures the generations of these projections. A gauge that cannot be measured keeps its value.
    pub(super) async fn update(&mut self, runtime: &ProjectionRuntime, projections: &[Arc<dyn AnyProjection>]) {
        if let Err(error) = self.measure(runtime, projections).await {
            tracing::debug!(reason = format_limited_chain(&error), "measuring the lag failed");
        }
    }

    async fn measure(
        &mut self,
        runtime: &ProjectionRuntime,
        projections: &[Arc<dyn AnyProjection>],
    ) -> Result<(), LagError> {
        let generations = runtime.control.load_generations().await?;
        let active = runtime.control.load_pointer().await?.generations;
        let mut current = BTreeSet::new();
        for build in &generations {
            if let Some(projection) = find_projection(projections, &build.projection)
                && build.state != GenerationState::Failed
            {
                let labels = WorkerLabels { projection: projection.name(), generation: build.generation };
                worker_metrics::set_active(&labels, active.get(projection.name()) == Some(&build.generation));
                current.insert(labels);
            }
        }
        for removed in self.replace_shown(current) {
            worker_metrics::set_active(&removed, false);
            worker_metrics::set_lag(&removed, 0, Some(0.0));
        }
        match runtime.measure_lags(projections).await {
            Ok(lags) => {
                for projection in projections {
                    // Remembered, so that positions are known while the broker is away.
                    let _counted = runtime.partition_counts(projection.as_ref()).await;
                }
                for lag in lags {
                    if let Some(labels) = self.find_shown(&lag.projection, lag.generation) {
                        let age_s = runtime.oldest_unapplied_age_s(&lag).await;
                        worker_metrics::set_lag(&labels, lag.records, age_s);
                    }
                }
                Ok(())
            }
            // Nothing can be consumed, so the generations get older: that is known without the broker.
            Err(LagError::Kafka(error)) => {
                tracing::debug!(reason = format_limited_chain(&*error), "counting the records on the topics failed");
                for build in generations {
                    if build.state == GenerationState::Following
                        && let Some(projection) = find_projection(projections, &build.projection)
                        && let Some(labels) = self.find_shown(&build.projection, build.generation)
                        && let Ok(position) = runtime.load_applied_position(projection.as_ref(), build.generation).await
                        && let Some(age_s) = runtime.oldest_age_after(position).await
                    {
                        worker_metrics::set_lag_age(&labels, age_s);
                    }
                }
                Ok(())
            }
            Err(error @ LagError::Control(_)) => Err(error),
        }
    }

    /// Remembers the generations whose gauges are set now, and returns the ones that no longer exist.
    fn replace_shown(&mut self, current: BTreeSet<WorkerLabels>) -> Vec<WorkerLabels> {
        let removed = self.shown.difference(&current).copied().collect();
        self.shown = current;
        removed
    }

    fn find_shown(&self, projection: &str, generation: ReadModelGeneration) -> Option<WorkerLabels> {
        self.shown.iter().find(|labels| labels.projection == projection && labels.generation == generation).copied()
    }
}

fn find_projection<'a>(projections: &'a [Arc<dyn AnyProjection>], name: &str) -> Option<&'a Arc<dyn AnyProjection>> {
    projections.iter().find(|projection| projection.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_is_gone_is_reset_once() {
        let labels =
            |number| WorkerLabels { projection: "views", generation: ReadModelGeneration::try_new(number).unwrap() };
        let mut gauges = GenerationGauges::default();
        assert!(gauges.replace_shown(BTreeSet::from([labels(1)])).is_empty());
        assert!(gauges.replace_shown(BTreeSet::from([labels(1), labels(2)])).is_empty());
        assert_eq!(gauges.replace_shown(BTreeSet::from([labels(2)])), vec![labels(1)]);
        assert!(gauges.replace_shown(BTreeSet::from([labels(2)])).is_empty());
        assert_eq!(gauges.find_shown("views", labels(2).generation), Some(labels(2)));
        assert_eq!(gauges.find_shown("views", labels(1).generation), None);
    }
}
