"""PostGraphile: pages of a list from the table of the product's lists, over GraphQL."""

import json

from harness.http_load import send_requests
from harness.installation import node_program
from harness.processes import free_port, log, running_program, wait_until
from harness.stack import answers_graphql, post_graphql

NOTICES = 20_000
PAGE_ROWS = 20
CONNECTIONS = 20
# One later page begins after every so many rows, as in `medhub bench api`.
CURSOR_STEP = 7
OURS = {
    "first": "query { opportunities(first: 20) { edges { node { id title } } } }",
    "cursors": "query { opportunities(first: 100) { edges { cursor } } }",
    "later": "query($after: String) { opportunities(first: 20, after: $after) { edges { node { id title } } } }",
    "counted": "query { opportunities(first: 20) { totalCount edges { node { id title } } } }",
    "count": "query { opportunities(first: 1) { totalCount } }",
}


def peer_document(arguments: str, fields: str, variables: str = "") -> str:
    return f"query{variables} {{ allOpportunities({arguments}, orderBy: [POSTED_RANK_ASC]) {{ {fields} }} }}"


PEER = {
    "first": peer_document("first: 20", "edges { node { rowId title } }"),
    "cursors": peer_document("first: 100", "edges { cursor }"),
    "later": peer_document("first: 20, after: $after", "edges { node { rowId title } }", "($after: Cursor)"),
    "counted": peer_document("first: 20", "totalCount edges { node { rowId title } }"),
    "count": peer_document("first: 1", "totalCount"),
}


class GraphqlService:
    """One of the two services, with its documents."""

    def __init__(self, address: str, field: str, documents: dict, token: str | None):
        self.address, self.field, self.documents, self.token = address, field, documents, token
        self.headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}

    def ask(self, document: str, variables: dict | None = None) -> dict:
        return post_graphql(f"{self.address}/graphql", document, variables, self.token)[self.field]

    def request_lines(self, kind: str) -> list[str]:
        """The requests of a kind, after one of each was answered with a whole page."""
        variables = [None]
        if kind == "later":
            cursors = [edge["cursor"] for edge in self.ask(self.documents["cursors"])["edges"]]
            variables = [{"after": cursor} for cursor in cursors[::CURSOR_STEP]]
        document = self.documents[kind]
        for one in variables:
            rows = len(self.ask(document, one)["edges"])
            if rows != PAGE_ROWS:
                raise RuntimeError(f"{self.address} answers with {rows} rows")
        return [f"POST /graphql {json.dumps({'query': document, 'variables': one or {}})}" for one in variables]

    def measure(self, kind: str, at_once: int, seconds: int) -> dict:
        lines = self.request_lines(kind)
        send_requests(self.address, lines, self.headers, at_once=at_once, seconds=max(1, seconds // 2))
        return send_requests(self.address, lines, self.headers, at_once=at_once, seconds=seconds)


def measure(stack, folder, quick):
    notices, seconds = (2_000, 1) if quick else (NOTICES, 8)
    with stack.service(notices) as address:
        token = post_graphql(f"{address}/graphql", 'mutation { developmentLogin(user: "peer") { token } }')
        ours = GraphqlService(address, "opportunities", OURS, token["developmentLogin"]["token"])
        schema, port = stack.lists_schema(), free_port()
        command = [node_program(folder), "serve.mjs", schema, port, CONNECTIONS]
        environment = stack.environment(NODE_ENV="production", GRAPHILE_ENV="production")
        log_file = stack.folder / "postgraphile.log"
        with log_file.open("w") as out, running_program(command, cwd=folder, env=environment, stdout=out, stderr=out) as child:
            url = f"http://127.0.0.1:{port}"
            is_up = lambda: answers_graphql(f"{url}/graphql")
            wait_until("starting PostGraphile", is_up, timeout_s=60, child=child, log_file=log_file)
            peer = GraphqlService(url, "allOpportunities", PEER, None)
            rows = [service.ask(service.documents["count"])["totalCount"] for service in (ours, peer)]
            if rows[0] != rows[1]:
                raise RuntimeError(f"the services have {rows} rows")
            for kind, at_once in [("first", 1), ("first", 64), ("later", 1), ("later", 64), ("counted", 64)]:
                log(f"measuring pages: {kind}, {at_once} at once")
                yield page_figure(kind, at_once, peer.measure(kind, at_once, seconds), ours.measure(kind, at_once, seconds),
                                  {"rows": rows[0], "page_rows": PAGE_ROWS, "connections": CONNECTIONS, "processes": 1,
                                   "postgres": stack.postgres_settings()})


def page_figure(kind: str, at_once: int, peer: dict, ours: dict, settings: dict) -> dict:
    return {
        "measure": f"page-{kind}",
        "unit": "requests/s",
        "figure": round(peer["requests_per_s"]),
        "p50_ms": peer["p50_ms"],
        "p99_ms": peer["p99_ms"],
        "ours": round(ours["requests_per_s"]),
        "ours_p50_ms": ours["p50_ms"],
        "ours_p99_ms": ours["p99_ms"],
        "ours_is": "the same requests by the same client (wrk)",
        "settings": {"at_once": at_once, **settings},
    }
