"""The server of y-websocket: one shared text and its editors, compared with `/together`."""

import json

from harness.installation import node_program
from harness.processes import free_port, log, run_program, running_program, wait_until
from harness.stack import is_ready, post_graphql

EDITORS = 50
EDITS_PER_S = 20
SIGN_IN = "mutation($tenant: String) { developmentLogin(user: \"peer\", tenant: $tenant) { token } }"
REGISTER = 'mutation { registerCompany(tenant: "peers", name: "Peers") { __typename } }'
DRAFT = """
mutation($opportunity: String!) {
  draftProposal(input: { opportunityId: $opportunity, title: "Peers", outline: [{ key: "approach", heading: "Approach" }] }) {
    ... on Accepted { id }
  }
}
"""


def measure(stack, folder, quick):
    editors, seconds, fast_edits = (5, 1, 100) if quick else (EDITORS, 15, 3_000)
    sizes = [editors, EDITS_PER_S, seconds, fast_edits]
    log("measuring the peer")
    peer = measure_peer(stack, folder, sizes)
    with stack.service(100) as address:
        log("measuring the product")
        room, token = draft_proposal(f"{address}/graphql")
        url = f"{address.replace('http', 'ws', 1)}/together"
        ours = run_editors(folder, url, room, f"medhub-together,bearer.{token}", sizes)
    settings = {"editors": editors, "edits_per_s": EDITS_PER_S, "seconds": seconds, "node": "24.9.0", "yjs": "13.6.27",
                "peer_stores": "LevelDB, after it has sent the edit on, without waiting for the disk",
                "ours_stores": "Postgres, committed before it is sent on", "postgres": stack.postgres_settings()}
    yield {"measure": "edit-delay-p99", "unit": "ms", "less_is_better": True, "figure": peer["p99_ms"], "p50_ms": peer["p50_ms"],
           "ours": ours["p99_ms"], "ours_p50_ms": ours["p50_ms"], "ours_is": "/together, the same editors", "settings": settings}
    yield {"measure": "edits", "unit": "edits/s", "figure": round(peer["edits_per_s"]), "ours": round(ours["edits_per_s"]),
           "ours_is": "/together, the same editors", "settings": {**settings, "edits": fast_edits, "pending_edits": 16}}


def measure_peer(stack, folder, sizes) -> dict:
    port, log_file = free_port(), stack.folder / "y-websocket.log"
    environment = stack.environment(HOST="127.0.0.1", PORT=str(port), YPERSISTENCE=str(stack.folder / "leveldb"))
    command = [node_program(folder), "node_modules/@y/websocket-server/src/server.js"]
    with log_file.open("w") as out, running_program(command, cwd=folder, env=environment, stdout=out, stderr=out) as child:
        is_up = lambda: is_ready(f"http://127.0.0.1:{port}")
        wait_until("starting the server of y-websocket", is_up, timeout_s=60, child=child, log_file=log_file)
        return run_editors(folder, f"ws://127.0.0.1:{port}", "peers", "", sizes)


def run_editors(folder, url: str, room: str, protocols: str, sizes: list) -> dict:
    out = run_program([node_program(folder), "edit.mjs", url, room, protocols, *sizes], timeout_s=180, cwd=folder)
    return json.loads(out.splitlines()[-1])


def draft_proposal(graphql: str) -> tuple[str, str]:
    """Founds a company with a proposal; returns the proposal's id and the token of its author."""
    founder = post_graphql(graphql, SIGN_IN)["developmentLogin"]["token"]
    post_graphql(graphql, REGISTER, token=founder)
    token = post_graphql(graphql, SIGN_IN, {"tenant": "peers"})["developmentLogin"]["token"]
    page = post_graphql(graphql, "{ opportunities(first: 1) { edges { node { id } } } }", token=token)
    opportunity = page["opportunities"]["edges"][0]["node"]["id"]
    return post_graphql(graphql, DRAFT, {"opportunity": opportunity}, token)["draftProposal"]["id"], token
