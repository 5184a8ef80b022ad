"""Axon Framework: commands on its event store in Postgres, by JDBC."""

import json

from harness.append import IN_FLIGHT, WORKLOAD, append_settings, build_figure, measure_product
from harness.installation import find_java
from harness.processes import log, run_program

# A command keeps its connection until it has committed, so fewer than commands in flight would wait for each other.
CONNECTIONS = IN_FLIGHT


def measure(stack, folder, quick):
    # A longer warm-up than that of the others: Java compiles while it runs.
    warm_up_s, seconds = (2, 2) if quick else (15, 15)
    stack.create_database("peer_axon")
    url = stack.database("peer_axon")
    jdbc = f"jdbc:postgresql://{url.hostname}:{url.port}/peer_axon"
    log(f"measuring commands for {seconds} s after {warm_up_s} s")
    program = [find_java(), "-cp", "target/axon-1.jar:lib/*", "peer.AppendLoad"]
    arguments = [jdbc, url.username, WORKLOAD, IN_FLIGHT, CONNECTIONS, warm_up_s, seconds]
    out = run_program([*program, *arguments], timeout_s=warm_up_s + seconds + 120, cwd=folder)
    settings = {**append_settings(stack, CONNECTIONS), "store": "JdbcEventStorageEngine", "serializer": "Jackson"}
    yield build_figure(measure_product(stack, quick), json.loads(out.splitlines()[-1]), settings)
