use std::collections::BTreeSet;

use cqrs_es::{Aggregate, DomainEvent};
use domain::{
    envelope::EventMetadata,
    opportunity::OpportunityId,
    proposal::{Proposal, ProposalEvent, ProposalOutline, ProposalTitle},
    value::{AuditStamp, UserId},
};
use proptest::prelude::*;
use redis_connections::key_slot;

use super::*;
use crate::{
    fixture::{discovered, recorded_event},
    runtime::Projection,
    storage::redis::RedisConfig,
};

fn drafted(tenant: &str, number: u32, opportunity: u32) -> RawEnvelope {
    let stamp = AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-01T00:00:00Z".parse().unwrap() };
    let event = ProposalEvent::Drafted {
        opportunity_id: OpportunityId::parse(&format!("036:W{opportunity}")).unwrap(),
        title: ProposalTitle::try_new("Lifts").unwrap(),
        outline: ProposalOutline::default(),
        stamp,
    };
    RawEnvelope {
        tenant_id: tenant.to_owned(),
        aggregate_type: Proposal::TYPE.to_owned(),
        aggregate_id: format!("{tenant}:{number}"),
        event_type: event.event_type(),
        event_version: event.event_version(),
        metadata: EventMetadata::default(),
        payload: serde_json::to_string(&event).unwrap(),
        ..recorded_event(1, &discovered("x"))
    }
}

proptest! {
    #[test]
    fn every_script_call_has_the_keys_of_one_tenant(
        drafts in prop::collection::btree_map(("(acme|other|a-b)", 0..20_u32), 0..5_u32, 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _guard = runtime.enter();
        let views = TenantViews::new(&RedisConfig::default()).unwrap();
        let events: Vec<_> =
            drafts.iter().map(|((tenant, number), about)| drafted(tenant, *number, *about)).collect();
        let changes: Vec<_> = events.iter().flat_map(|event| TenantViews::project(event).unwrap()).collect();
        let calls = views.store.first_calls(&views.group_by_stream(&changes));

        let tenants: BTreeSet<_> = drafts.keys().map(|(tenant, _)| tenant).collect();
        prop_assert_eq!(calls.len(), tenants.len());
        for call in &calls {
            let slots: BTreeSet<_> = call.keys().iter().map(key_slot).collect();
            prop_assert_eq!(slots.len(), 1, "{:?}", call);
        }
    }
}
