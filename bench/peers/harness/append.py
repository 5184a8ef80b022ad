"""What the peers that append have in common: the workload, and the product's own figure."""

import json
from pathlib import Path

from .processes import log

# Commands at the same time, as in `medhub bench append`.
IN_FLIGHT = 64
# Connections to Postgres: the default of the product.
CONNECTIONS = 20
WORKLOAD = Path(__file__).parent.parent / "workload.json"


def workload_bytes() -> int:
    """The size of the payload of an event, as compact JSON."""
    return len(json.dumps(json.loads(WORKLOAD.read_text()), separators=(",", ":")).encode())


def append_settings(stack, connections: int) -> dict:
    return {
        "commands": "load the stream, decide, append one event: two commands for each new stream",
        "in_flight": IN_FLIGHT,
        "connections": connections,
        "payload_bytes": workload_bytes(),
        "postgres": stack.postgres_settings(),
    }


def measure_product(stack, quick: bool) -> dict:
    """The product's single commands, by `medhub bench append`."""
    log("measuring the product's commands")
    rounds, seconds = (1, 2) if quick else (3, 18)
    [report] = stack.medhub("bench", "append", "--in-flight", IN_FLIGHT, "--rounds", rounds, "--seconds", seconds)
    return report


def build_figure(report: dict, peer: dict, settings: dict) -> dict:
    """A figure of a peer and the product's."""
    return {
        "measure": "commands",
        "unit": "events/s",
        "figure": round(peer["events_per_s"]),
        "p50_ms": peer["p50_ms"],
        "p99_ms": peer["p99_ms"],
        "ours": round(report["events_per_s"]),
        "ours_p50_ms": report["p50_ms"],
        "ours_p99_ms": report["p99_ms"],
        "ours_is": "medhub bench append",
        "pgbench": round(report["raw"]["events_per_s"]),
        "settings": {**settings, "ours_payload_bytes": report["payload_bytes"], "ours_connections": CONNECTIONS},
    }
