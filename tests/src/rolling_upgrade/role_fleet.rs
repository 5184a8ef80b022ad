//! Several processes of every role, which are killed, added and replaced one after the other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use futures::future::{join_all, try_join_all};

use super::{FleetRole, OlderProgram, address_list::AddressList};
use crate::{
    ProductEdge, ProductProcess, WAIT_TIMEOUT,
    faults::{bounded_wait::wait_until, log_audit::DisturbancePeriod},
};

/// The setting for how long a process accepts requests after it was told to stop.
pub(super) const STOP_DELAY: &str = "MEDHUB__SERVE__STOP_DELAY_MS";

/// Which program a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FleetRelease {
    /// The older program if there is one and it has the role; else this release.
    Base,
    /// This release.
    Current,
}

/// A process of the fleet.
#[derive(Debug)]
struct FleetMember {
    role: FleetRole,
    process: ProductProcess,
    /// Host and port of its HTTP edge.
    address: String,
}

/// The processes of all roles.
#[derive(Debug)]
pub(super) struct RoleFleet {
    variables: BTreeMap<String, String>,
    older: Option<OlderProgram>,
    logs: PathBuf,
    members: Vec<FleetMember>,
    started: usize,
    /// The processes of the role `registry`, which others reach at one address.
    registries: AddressList,
    /// The processes of the role `api`.
    servers: AddressList,
    /// Addresses and roles of processes that were killed.
    killed: BTreeMap<String, FleetRole>,
    /// Since when a relay has been away that was killed.
    disturbed_since_ms: Option<i64>,
    /// Periods in which a relay was killed or replaced.
    disturbances: Vec<DisturbancePeriod>,
    kills: usize,
    replaced: usize,
}

impl RoleFleet {
    pub(super) fn new(
        variables: BTreeMap<String, String>,
        older: Option<OlderProgram>,
        logs: &Path,
        registries: AddressList,
    ) -> Self {
        Self {
            variables,
            older,
            logs: logs.to_owned(),
            members: vec![],
            started: 0,
            registries,
            servers: AddressList::default(),
            killed: BTreeMap::new(),
            disturbed_since_ms: None,
            disturbances: vec![],
            kills: 0,
            replaced: 0,
        }
    }

    /// The addresses of the processes that serve clients.
    pub(super) fn servers(&self) -> &AddressList {
        &self.servers
    }

    pub(super) fn was_killed(&self, address: &str) -> bool {
        self.killed.contains_key(address)
    }

    pub(super) fn disturbances(&self) -> Vec<DisturbancePeriod> {
        self.disturbances.clone()
    }

    /// Number of kills, and of processes that were replaced gracefully.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.kills, self.replaced)
    }

    /// Starts all processes of these roles at the same time, and waits until they are ready.
    pub(super) async fn start_roles(&mut self, roles: &[FleetRole], release: FleetRelease) -> anyhow::Result<()> {
        let all = roles.iter().flat_map(|role| std::iter::repeat_n(*role, role.size()));
        let mut processes = vec![];
        for role in all {
            processes.push((role, self.start_process(role, release)?));
        }
        let members = try_join_all(processes.into_iter().map(|(role, process)| FleetMember::when_ready(role, process)));
        for member in members.await? {
            self.add_member(member);
        }
        Ok(())
    }

    /// Kills one process of each role at the same moment. Nobody takes its address from the list until its role is
    /// replaced.
    pub(super) fn kill_one_of_each_role(&mut self) -> anyhow::Result<()> {
        self.disturbed_since_ms.get_or_insert(unix_time_ms()?);
        for role in FleetRole::ALL {
            if let Some(index) = self.members.iter().position(|member| member.role == role) {
                let mut member = self.members.remove(index);
                member.process.kill9()?;
                self.killed.insert(member.address, role);
                self.kills += 1;
            }
        }
        Ok(())
    }

    /// Replaces every process of these roles: adds as many of `release`, and once they are ready, stops the others
    /// gracefully, one of each role after the other.
    pub(super) async fn roll(&mut self, roles: &[FleetRole], release: FleetRelease) -> anyhow::Result<()> {
        let from_ms = unix_time_ms()?;
        let (mut replaced, remaining): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.members).into_iter().partition(|member| roles.contains(&member.role));
        self.members = remaining;
        self.start_roles(roles, release).await?;
        for (address, role) in &self.killed {
            if let Some(list) = self.list_of(*role).filter(|_| roles.contains(role)) {
                list.remove(address);
            }
        }
        self.replaced += replaced.len();
        while !replaced.is_empty() {
            let mut stopping: Vec<FleetMember> = vec![];
            let mut later = vec![];
            for member in replaced {
                let is_role_stopping = stopping.iter().any(|other| other.role == member.role);
                let group = if is_role_stopping { &mut later } else { &mut stopping };
                group.push(member);
            }
            try_join_all(stopping.into_iter().map(|member| self.stop_member(member))).await?;
            replaced = later;
        }
        if roles.contains(&FleetRole::Relay) {
            let from_ms = self.disturbed_since_ms.take().unwrap_or(from_ms);
            let fault = "killed and replaced relays".to_owned();
            self.disturbances.push(DisturbancePeriod { fault, from_ms, until_ms: unix_time_ms()? });
        }
        Ok(())
    }

    /// Stops all processes gracefully; returns the errors of those that did not end so.
    pub(super) async fn stop(&mut self) -> Vec<String> {
        let (registries, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.members).into_iter().partition(|member| member.role == FleetRole::Registry);
        let mut stopped = vec![];
        // The registries last: the others need one to complete their work.
        for members in [others, registries] {
            stopped.extend(join_all(members.into_iter().map(|member| self.stop_member(member))).await);
        }
        stopped.into_iter().filter_map(|stopped| Some(format!("{:#}", stopped.err()?))).collect()
    }

    /// The ends of all logs.
    pub(super) fn log_tails(&self) -> String {
        let tail = |member: &FleetMember| format!("\n  {}{}", member.process.name(), member.process.log_tail());
        self.members.iter().map(tail).collect::<Vec<_>>().concat()
    }

    fn start_process(&mut self, role: FleetRole, release: FleetRelease) -> anyhow::Result<ProductProcess> {
        self.started += 1;
        let args = ["serve", "--role", role.name()];
        let older = self.older.as_ref().filter(|older| release == FleetRelease::Base && older.has_role(role));
        let name = format!("{}-{}", role.name(), self.started);
        let mut settings = self.variables.clone();
        if self.list_of(role).is_none() {
            // Nobody has to learn first that it is about to stop.
            settings.remove(STOP_DELAY);
        }
        let Some(older) = older else {
            return ProductProcess::start(&settings, &self.logs, &name, &args);
        };
        let settings = older.filter_settings(&settings);
        ProductProcess::start_build(older.path(), &settings, &self.logs, &format!("{name}-older"), &args)
    }

    fn add_member(&mut self, member: FleetMember) {
        if let Some(list) = self.list_of(member.role) {
            list.add(member.address.clone());
        }
        self.members.push(member);
    }

    /// The list of addresses that has the processes of a role.
    fn list_of(&self, role: FleetRole) -> Option<&AddressList> {
        match role {
            FleetRole::Registry => Some(&self.registries),
            FleetRole::Api => Some(&self.servers),
            FleetRole::Relay | FleetRole::Projections | FleetRole::Work | FleetRole::Processes => None,
        }
    }

    async fn stop_member(&self, mut member: FleetMember) -> anyhow::Result<()> {
        if let Some(list) = self.list_of(member.role) {
            list.remove(&member.address);
        }
        member.process.stop().await
    }
}

impl FleetMember {
    /// Waits until a process is ready.
    async fn when_ready(role: FleetRole, mut process: ProductProcess) -> anyhow::Result<Self> {
        let address = process.wait_for_address(ProductEdge::Http).await?;
        let ready = wait_until(WAIT_TIMEOUT, async || {
            let report = process.fetch_readiness().await?;
            anyhow::ensure!(report["ready"] == true, "{} is not ready: {report}", process.name());
            Ok(())
        });
        ready.await.with_context(|| process.log_tail())?;
        Ok(Self { role, process, address })
    }
}

fn unix_time_ms() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    i64::try_from(since.as_millis()).context("reading the clock")
}
