//! A connection to the server, or to all servers of the cluster.

use redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
};

use crate::{
    acknowledgement::ReplicaAcknowledgement,
    slot_pipeline::send_by_slot,
    topology::{ClusterTopology, PrimaryNode},
};

/// A connection, or those to all servers of a cluster. It reconnects by itself. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct RedisConnection {
    target: ConnectionTarget,
    acknowledgement: Option<ReplicaAcknowledgement>,
}

#[derive(Clone)]
pub(crate) enum ConnectionTarget {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

impl RedisConnection {
    pub(crate) fn new(target: ConnectionTarget) -> Self {
        Self { target, acknowledgement: None }
    }

    /// The connection for writes that replicas have to acknowledge: a pipeline, unless it is a transaction, fails if they
    /// do not. In a cluster, the server waits once for the commands of each slot. Others should not share the connection,
    /// because a server executes nothing else of it while it waits. Without a replica it is the connection as it is.
    #[must_use]
    pub fn with_acknowledgement(self, acknowledgement: ReplicaAcknowledgement) -> Self {
        Self { acknowledgement: Some(acknowledgement).filter(|acknowledgement| acknowledgement.replicas > 0), ..self }
    }

    /// Which servers have keys, at this moment.
    ///
    /// # Errors
    /// [`RedisError`] when a server is unavailable, slots are moving, or the cluster does not agree on its primaries.
    pub async fn read_topology(&self) -> RedisResult<ClusterTopology> {
        match &self.target {
            ConnectionTarget::Server(_) => Ok(ClusterTopology::for_single_server()),
            ConnectionTarget::Cluster(_) => match self.ask_for_topology().await {
                Ok(topology) => Ok(topology),
                Err(_changed) => {
                    // The library looks for the primaries when a server answers that another one has a key's slot.
                    drop(self.query_primaries(redis::cmd("EXISTS").arg("topology")).await);
                    self.ask_for_topology().await
                }
            },
        }
    }

    async fn ask_for_topology(&self) -> RedisResult<ClusterTopology> {
        let infos = self.query_primaries(redis::cmd("CLUSTER").arg("INFO")).await?;
        let nodes = self.query_primaries(redis::cmd("CLUSTER").arg("NODES")).await?;
        ClusterTopology::from_answers(infos, nodes)
    }

    /// Sends a command about no key to every primary.
    ///
    /// # Errors
    /// [`RedisError`] when one of them is unavailable or refuses it.
    pub async fn query_primaries(&self, command: &Cmd) -> RedisResult<Vec<(PrimaryNode, Value)>> {
        let cluster = match &self.target {
            ConnectionTarget::Server(_) => {
                return Ok(vec![(PrimaryNode::ONLY, self.query_primary(&PrimaryNode::ONLY, command).await?)]);
            }
            ConnectionTarget::Cluster(cluster) => cluster,
        };
        let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answer = cluster.clone().route_command(command.clone(), all).await?.extract_error()?;
        let Value::Map(answers) = answer else {
            return Err(RedisError::from((
                ErrorKind::UnexpectedReturnType,
                "the answers of all primaries have no form",
            )));
        };
        let parse = |(address, answer): (Value, Value)| {
            RedisResult::Ok((PrimaryNode::from_address(address)?, answer.extract_error()?))
        };
        answers.into_iter().map(parse).collect()
    }

    /// Sends a command to one primary.
    ///
    /// # Errors
    /// [`RedisError`] when it is unavailable or refuses the command.
    pub async fn query_primary(&self, primary: &PrimaryNode, command: &Cmd) -> RedisResult<Value> {
        let answer = match (&self.target, &primary.address) {
            (ConnectionTarget::Server(server), _) => server.clone().req_packed_command(command).await?,
            (ConnectionTarget::Cluster(cluster), Some((host, port))) => {
                let node = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                cluster.clone().route_command(command.clone(), RoutingInfo::SingleNode(node)).await?
            }
            (ConnectionTarget::Cluster(cluster), None) => cluster.clone().req_packed_command(command).await?,
        };
        answer.extract_error()
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.target {
            ConnectionTarget::Server(server) => server.req_packed_command(command),
            ConnectionTarget::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let is_transaction = pipeline.is_transaction();
        let acknowledgement = self.acknowledgement.filter(|_| !is_transaction);
        match &mut self.target {
            ConnectionTarget::Server(server) => match acknowledgement {
                None => server.req_packed_commands(pipeline, offset, count),
                Some(acknowledgement) => Box::pin(async move {
                    let mut acknowledged = pipeline.clone();
                    acknowledged.add_command(acknowledgement.command());
                    let mut answers = server.req_packed_commands(&acknowledged, offset, count + 1).await?;
                    acknowledgement.check(answers.pop())?;
                    Ok(answers)
                }),
            },
            ConnectionTarget::Cluster(cluster) => {
                if is_transaction {
                    // All of its keys have one slot, which the library finds the server by.
                    cluster.req_packed_commands(pipeline, offset, count)
                } else {
                    Box::pin(send_by_slot(cluster, pipeline, acknowledgement))
                }
            }
        }
    }

    fn get_db(&self) -> i64 {
        match &self.target {
            ConnectionTarget::Server(server) => server.get_db(),
            ConnectionTarget::Cluster(cluster) => cluster.get_db(),
        }
    }
}
