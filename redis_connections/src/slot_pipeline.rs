//! Sends a pipeline to a cluster: the commands of each slot in their order, different slots at the same time.

use std::collections::BTreeMap;

use futures::future::{join, join_all};
use redis::{
    Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
    aio::ConnectionLike,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};

use crate::{acknowledgement::ReplicaAcknowledgement, slot::key_slot};

/// Commands about no key.
const WITHOUT_KEY: [&[u8]; 4] = [b"CLUSTER", b"INFO", b"PING", b"SCRIPT"];

/// Commands whose first argument is a script, and the second the number of keys.
const SCRIPTS: [&[u8]; 2] = [b"EVAL", b"EVALSHA"];

/// The commands of a pipeline that are about one slot.
struct SlotPart {
    /// Their places in the pipeline.
    indexes: Vec<usize>,
    commands: Pipeline,
}

/// The answers of a pipeline that is no transaction, in its order. The commands of a slot are executed in their order; the
/// pipeline must be safe to repeat, since a part of it may be sent again.
pub(crate) async fn send_by_slot(
    cluster: &ClusterConnection,
    pipeline: &Pipeline,
    acknowledgement: Option<ReplicaAcknowledgement>,
) -> RedisResult<Vec<Value>> {
    let (parts, without_key) = split_by_slot(pipeline);
    let sent_parts = parts.into_iter().map(|(slot, part)| {
        let cluster = cluster.clone();
        async move {
            let answers = send_part(cluster, slot, &part.commands, acknowledgement).await?;
            RedisResult::Ok(part.indexes.into_iter().zip(answers).collect::<Vec<_>>())
        }
    });
    let sent_commands = without_key.into_iter().map(|(index, command)| {
        let mut cluster = cluster.clone();
        async move {
            let answer = cluster.req_packed_command(&command).await?;
            RedisResult::Ok(vec![(index, answer)])
        }
    });
    // All of them end, also after a failure, so that none is executed after the caller has gone on.
    let (of_parts, of_commands) = join(join_all(sent_parts), join_all(sent_commands)).await;
    let mut answers = Vec::with_capacity(pipeline.len());
    for part in of_parts.into_iter().chain(of_commands) {
        answers.extend(part?);
    }
    answers.sort_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

async fn send_part(
    mut cluster: ClusterConnection,
    slot: u16,
    commands: &Pipeline,
    acknowledgement: Option<ReplicaAcknowledgement>,
) -> RedisResult<Vec<Value>> {
    let server = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
    let mut part = commands.clone();
    if let Some(acknowledgement) = acknowledgement {
        part.add_command(acknowledgement.command());
    }
    let count = part.len();
    let answered = cluster.route_pipeline(part, 0, count, server.clone()).await;
    match (answered, acknowledgement) {
        (Ok(mut answers), Some(acknowledgement)) => {
            acknowledgement.check(answers.pop())?;
            Ok(answers)
        }
        // While a slot moves, each command has to ask for it by itself, and the library does that for single ones only.
        (Err(error), None) if is_slot_moving(&error) => {
            let mut answers = Vec::with_capacity(count);
            for command in commands.cmd_iter() {
                let routing = RoutingInfo::SingleNode(server.clone());
                answers.push(cluster.route_command(command.clone(), routing).await?);
            }
            Ok(answers)
        }
        (answered, _) => answered,
    }
}

fn is_slot_moving(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Ask | Moved | TryAgain))
}

fn split_by_slot(pipeline: &Pipeline) -> (BTreeMap<u16, SlotPart>, Vec<(usize, Cmd)>) {
    let (mut parts, mut without_key) = (BTreeMap::<u16, SlotPart>::new(), vec![]);
    for (index, command) in pipeline.cmd_iter().enumerate() {
        match first_key(command) {
            Some(key) => {
                let part =
                    parts.entry(key_slot(key)).or_insert_with(|| SlotPart { indexes: vec![], commands: redis::pipe() });
                part.indexes.push(index);
                part.commands.add_command(command.clone());
            }
            None => without_key.push((index, command.clone())),
        }
    }
    (parts, without_key)
}

fn first_key(command: &Cmd) -> Option<&[u8]> {
    let mut arguments =
        command.args_iter().map(|argument| if let Arg::Simple(bytes) = argument { bytes } else { &[] as &[u8] });
    let name = arguments.next()?;
    let is_one_of = |names: &[&[u8]]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_one_of(&WITHOUT_KEY) {
        return None;
    }
    if is_one_of(&SCRIPTS) {
        let keys = arguments.nth(1)?;
        return arguments.next().filter(|_| keys != b"0");
    }
    arguments.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_split_by_slot_and_keeps_the_order_of_each() {
        let mut pipeline = redis::pipe();
        pipeline.get("{a}1").get("{b}1").cmd("EVALSHA").arg("digest").arg(2).arg("{a}2").arg("{a}3");
        pipeline.ping().set("{a}1", 1).cmd("EVAL").arg("return 1").arg(0);

        let (parts, without_key) = split_by_slot(&pipeline);

        let indexes = |key: &str| parts[&key_slot(key)].indexes.clone();
        assert_eq!((indexes("{a}"), indexes("{b}"), parts.len()), (vec![0, 2, 4], vec![1], 2));
        assert_eq!(parts[&key_slot("{a}")].commands.len(), 3);
        assert_eq!(without_key.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [3, 5]);
    }
}
