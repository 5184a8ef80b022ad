//! Several processes of every role, which are killed, added and replaced one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use futures::future::try_join_all;
use nix::sys::signal::Signal;

use super::{FleetRole, OlderProgram, address_list::AddressList, client_load::ServedAddresses};
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
    /// Host and port of its gRPC edge, if it has one.
    grpc_address: Option<String>,
    /// Whether it runs the older program.
    is_older: bool,
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
    servers: ServedAddresses,
    /// Addresses and roles of processes that were killed.
    killed: BTreeMap<String, FleetRole>,
    /// Addresses of processes of the older program that were stopped.
    stopped_older: BTreeSet<String>,
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
            servers: ServedAddresses::default(),
            killed: BTreeMap::new(),
            stopped_older: BTreeSet::new(),
            disturbed_since_ms: None,
            disturbances: vec![],
            kills: 0,
            replaced: 0,
        }
    }

    /// The addresses of the processes that serve clients.
    pub(super) fn servers(&self) -> &ServedAddresses {
        &self.servers
    }

    /// Whether a process with this address was killed.
    pub(super) fn was_killed(&self, address: &str) -> bool {
        self.killed.contains_key(address)
    }

    /// Whether a process of the older program with this address was stopped.
    pub(super) fn was_older(&self, address: &str) -> bool {
        self.stopped_older.contains(address)
    }

    /// Waits until a process of a role has logged a text.
    pub(super) async fn wait_for_log(&self, role: FleetRole, text: &str) -> anyhow::Result<()> {
        wait_until(WAIT_TIMEOUT, async || {
            for member in self.members.iter().filter(|member| member.role == role) {
                if member.process.has_logged(text)? {
                    return Ok(());
                }
            }
            anyhow::bail!("no process {role:?} has logged {text:?}")
        })
        .await
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
            let is_older = self.runs_older_program(role, release);
            processes.push((role, is_older, self.start_process(role, release)?));
        }
        let starting = processes.into_iter();
        let members =
            try_join_all(starting.map(|(role, is_older, process)| FleetMember::when_ready(role, is_older, process)));
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
                self.killed.extend(member.addresses().map(|address| (address.to_owned(), role)));
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
            if roles.contains(role) {
                self.withdraw_address(address);
            }
        }
        self.replaced += replaced.len();
        let older = replaced.iter().filter(|member| member.is_older);
        self.stopped_older.extend(older.flat_map(|member| member.addresses().map(str::to_owned)));
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

    /// The ends of all logs.
    pub(super) fn log_tails(&self) -> String {
        let tail = |member: &FleetMember| format!("\n  {}{}", member.process.name(), member.process.log_tail());
        self.members.iter().map(tail).collect::<Vec<_>>().concat()
    }

    fn start_process(&mut self, role: FleetRole, release: FleetRelease) -> anyhow::Result<ProductProcess> {
        self.started += 1;
        let args = ["serve", "--role", role.name()];
        let older = self.older.as_ref().filter(|_| self.runs_older_program(role, release));
        let name = format!("{}-{}", role.name(), self.started);
        let mut settings = self.variables.clone();
        if !role.has_clients() {
            // Nobody has to learn first that it is about to stop.
            settings.remove(STOP_DELAY);
        }
        let Some(older) = older else {
            return ProductProcess::start(&settings, &self.logs, &name, &args);
        };
        let settings = older.filter_settings(&settings);
        ProductProcess::start_build(older.path(), &settings, &self.logs, &format!("{name}-older"), &args)
    }

    fn runs_older_program(&self, role: FleetRole, release: FleetRelease) -> bool {
        release == FleetRelease::Base && self.older.as_ref().is_some_and(|older| older.has_role(role))
    }

    fn add_member(&mut self, member: FleetMember) {
        match member.role {
            FleetRole::Registry => self.registries.add(member.address.clone()),
            FleetRole::Api => {
                self.servers.http.add(member.address.clone());
                member.grpc_address.iter().for_each(|address| self.servers.grpc.add(address.clone()));
            }
            FleetRole::Relay | FleetRole::Projections | FleetRole::Work | FleetRole::Processes => {}
        }
        self.members.push(member);
    }

    /// Takes an address from all lists.
    fn withdraw_address(&self, address: &str) {
        for list in [&self.registries, &self.servers.http, &self.servers.grpc] {
            list.remove(address);
        }
    }

    /// Stops a process as a load balancer sees it: it is told to stop, reports that it is not ready, and gets no new
    /// requests from then on; those that it has got are answered.
    async fn stop_member(&self, mut member: FleetMember) -> anyhow::Result<()> {
        member.process.send_signal(Signal::SIGTERM);
        if member.role.has_clients() {
            wait_until(WAIT_TIMEOUT, async || {
                let report = member.process.fetch_readiness().await;
                let goes_on = report.is_ok_and(|report| report["stopping"] != true);
                anyhow::ensure!(!goes_on || member.is_older, "{} does not report its stop", member.process.name());
                Ok(())
            })
            .await?;
            member.addresses().for_each(|address| self.withdraw_address(address));
        }
        member.process.wait_for_end().await
    }
}

impl FleetMember {
    /// Waits until a process is ready.
    async fn when_ready(role: FleetRole, is_older: bool, mut process: ProductProcess) -> anyhow::Result<Self> {
        let address = process.wait_for_address(ProductEdge::Http).await?;
        let ready = wait_until(WAIT_TIMEOUT, async || {
            let report = process.fetch_readiness().await?;
            anyhow::ensure!(report["ready"] == true, "{} is not ready: {report}", process.name());
            Ok(())
        });
        ready.await.with_context(|| process.log_tail())?;
        let grpc_address =
            if role == FleetRole::Api { Some(process.wait_for_address(ProductEdge::Grpc).await?) } else { None };
        Ok(Self { role, process, address, grpc_address, is_older })
    }

    /// Its addresses.
    fn addresses(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.address.as_str()).chain(self.grpc_address.as_deref())
    }
}

fn unix_time_ms() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    i64::try_from(since.as_millis()).context("reading the clock")
}
