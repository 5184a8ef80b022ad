"""Debezium Server: an outbox table to Kafka, beside the relay on the same rows."""

import os
import shutil
import signal
import subprocess
import time
from statistics import median

from harness.installation import find_java
from harness.processes import free_port, log, run_program, running_program, wait_until

PARTITIONS = 4
TOPIC = "peer.outbox"
# Java compiles while it runs.
WARM_UP_ROUNDS = 2
# As many payloads, of the same generator, as `medhub bench relay` repeats.
SAMPLE_ROWS = 1_000
OUTBOX = """
create table payloads (number int generated always as identity, payload json not null);
create table outbox (
    id uuid primary key default gen_random_uuid(), aggregatetype text not null, aggregateid text not null,
    type text not null, payload json not null
);
"""
FILL = """
insert into outbox (aggregatetype, aggregateid, type, payload)
select 'opportunity', gen_random_uuid(), 'opportunity.discovered', payload
from generate_series({first}, {last}) as row
join payloads on payloads.number = 1 + row % (select count(*) from payloads)
"""
FILL_ROWS = 20_000


def measure(stack, folder, quick):
    events, rounds = (5_000, 1) if quick else (100_000, 3)
    prepare_outbox(stack)
    server = folder / "debezium-server"
    shutil.copy(folder / "application.properties", server / "config/application.properties")
    offsets = stack.folder / "offsets.dat"
    url = stack.database("peer_debezium")
    environment = stack.environment(
        PEER_HOST=url.hostname, PEER_PORT=str(url.port), PEER_USER=url.username, PEER_DATABASE="peer_debezium",
        PEER_OFFSETS=str(offsets), PEER_TOPIC=TOPIC, PEER_BROKERS=stack.variables["KAFKA_BROKERS"],
        PEER_HTTP_PORT=str(free_port()))
    java, log_file = find_java(), stack.folder / "debezium.log"
    watch = [java, "-cp", server / "lib/*", folder / "WatchTopic.java", stack.variables["KAFKA_BROKERS"], TOPIC, PARTITIONS]
    runner = next(server.glob("*-runner.jar"))
    serve = [java, "-cp", f"{runner}:config:lib/*", "io.debezium.server.Main"]
    with running_program(watch, text=True, stdout=subprocess.PIPE, reads_input=True) as watcher, log_file.open("w") as out:
        if watcher.stdout.readline().strip() != "ready":
            raise RuntimeError("the topic cannot be watched")
        with running_program(serve, cwd=server, env=environment, stdout=out, stderr=out) as debezium:
            is_streaming = lambda: stack.psql("select count(*) from pg_replication_slots where active") == "1"
            wait_until("starting Debezium Server", is_streaming, timeout_s=90, child=debezium, log_file=log_file)
            outbox = Outbox(stack, watcher, debezium)
            log("warming up")
            for _ in range(WARM_UP_ROUNDS):
                outbox.measure_round(events)
            figures = []
            for number in range(1, rounds + 1):
                figures.append(outbox.measure_round(events))
                log(f"round {number} of {rounds}: {figures[-1]:.0f} events/s")
    log("measuring the product's relay")
    [report] = stack.medhub("bench", "relay", "--events", events, "--rounds", rounds, "--seconds", 0)
    yield {
        "measure": "relay",
        "unit": "events/s",
        "figure": round(median(figures)),
        "rounds": [round(figure) for figure in figures],
        "ours": round(report["events_per_s"]),
        "ours_is": "medhub bench relay",
        "raw_produce": round(report["raw"]["events_per_s"]),
        "settings": {
            "events": events,
            "partitions": PARTITIONS,
            "acks": "all",
            "idempotence": True,
            "max_batch_size": 8192,
            "payload_bytes": report["payload_bytes"],
            "value": "the payload as text; ours is Avro with the registry's ids",
            "postgres": stack.postgres_settings(),
        },
    }


def prepare_outbox(stack) -> None:
    """Creates an empty outbox, and the payloads of generated notices as the product records them."""
    stack.import_notices(SAMPLE_ROWS)
    stack.create_database("peer_debezium")
    stack.psql(OUTBOX, "peer_debezium")
    copy_out = "copy (select payload from events where event_type = 'opportunity.discovered') to stdout"
    rows = stack.folder / "payloads.copy"
    rows.write_text(stack.psql(copy_out) + "\n")
    run_program(["psql", "-q", stack.database("peer_debezium").geturl(), "-c", f"\\copy payloads (payload) from '{rows}'"],
                timeout_s=60)


class Outbox:
    """The outbox table, and how long it takes until its rows are in Kafka."""

    def __init__(self, stack, watcher, debezium):
        self.stack, self.watcher, self.debezium = stack, watcher, debezium
        self.rows = 0

    def measure_round(self, events: int) -> float:
        """Fills the outbox while Debezium Server stands still, then lets it catch up; returns events per second."""
        os.killpg(self.debezium.pid, signal.SIGSTOP)
        try:
            for first in range(self.rows + 1, self.rows + events + 1, FILL_ROWS):
                last = min(first + FILL_ROWS - 1, self.rows + events)
                self.stack.psql(FILL.format(first=first, last=last), "peer_debezium")
            self.rows += events
            self.watcher.stdin.write(f"{self.rows}\n")
            self.watcher.stdin.flush()
        finally:
            start = time.time()
            os.killpg(self.debezium.pid, signal.SIGCONT)
        line = self.watcher.stdout.readline().strip()
        if not line:
            raise RuntimeError("not all rows arrived in Kafka")
        return events / (int(line) / 1e6 - start)
