"""Emmett: commands on its event store in Postgres, in one process of Node.js."""

import json

from harness.append import CONNECTIONS, IN_FLIGHT, WORKLOAD, append_settings, build_figure, measure_product
from harness.installation import node_program
from harness.processes import log, run_program


def measure(stack, folder, quick):
    warm_up_s, seconds = (1, 2) if quick else (5, 15)
    url = stack.create_database("peer_emmett")
    log(f"measuring commands for {seconds} s")
    arguments = [WORKLOAD, IN_FLIGHT, CONNECTIONS, warm_up_s, seconds]
    out = run_program([node_program(folder), "append.mjs", *arguments], timeout_s=seconds + 120, cwd=folder,
                      env=stack.environment(PEER_DATABASE_URL=url))
    settings = {**append_settings(stack, CONNECTIONS), "processes": 1, "node": "24.9.0"}
    yield build_figure(measure_product(stack, quick), json.loads(out.splitlines()[-1]), settings)
