"""Apicurio Registry on the same Postgres, over Confluent's REST API, compared with the product's schema registry."""

import base64
import json
import urllib.parse

from harness.http_load import send_requests
from harness.installation import find_java
from harness.processes import free_port, log, running_program, wait_until
from harness.stack import is_ready, post_json

AT_ONCE = 16
SUBJECTS = 200
# More than any registry takes in the time of a measurement, so that each request is a new subject.
NEW_SUBJECTS = 60_000


def schema_of(name: str) -> str:
    fields = [{"name": f"field_{number}", "type": ["null", "string"], "default": None} for number in range(20)]
    return json.dumps({"type": "record", "name": name, "namespace": "medhub.peers", "fields": fields})


class Registry:
    """One of the two registries."""

    def __init__(self, url: str):
        parts = urllib.parse.urlparse(url)
        self.base_url = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        self.path = parts.path.rstrip("/")
        self.headers = {"content-type": "application/vnd.schemaregistry.v1+json"}
        if parts.username:
            login = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
            self.headers["authorization"] = f"Basic {login}"

    def register_line(self, subject: str) -> str:
        body = json.dumps({"schema": schema_of(subject)})
        return f"POST {self.path}/subjects/{subject}-value/versions {body}"

    def prepare(self) -> list[int]:
        """Registers subjects; returns the ids of their schemas."""
        answers = [post_json(f"{self.base_url}{self.path}/subjects/known{number}-value/versions",
                             {"schema": schema_of(f"known{number}")}, self.headers) for number in range(SUBJECTS)]
        return [answer["id"] for answer in answers]

    def measure(self, ids: list[int], seconds: int) -> dict[str, dict]:
        kinds = {
            "schema-by-id": [f"GET {self.path}/schemas/ids/{one}" for one in ids],
            "schema-again": [self.register_line(f"known{number}") for number in range(SUBJECTS)],
            "schema-new": [self.register_line(f"new{number}") for number in range(NEW_SUBJECTS)],
        }
        figures = {}
        for kind, lines in kinds.items():
            log(f"measuring {self.base_url}: {kind}")
            if kind != "schema-new":
                # As long as the measurement: Java compiles while it runs.
                send_requests(self.base_url, lines, self.headers, at_once=AT_ONCE, seconds=seconds)
            figures[kind] = send_requests(self.base_url, lines, self.headers, at_once=AT_ONCE, seconds=seconds)
        return figures


def measure(stack, folder, quick):
    seconds = 1 if quick else 8
    login = urllib.parse.urlparse(stack.variables["SCHEMA_REGISTRY_URL"]).netloc.split("@")[0]
    # Another process than that of the stack, which limits the requests of each caller.
    with stack.serve("--role", "registry") as address:
        ours = Registry(address.replace("://", f"://{login}@"))
        ours_figures = ours.measure(ours.prepare(), seconds)
    stack.create_database("peer_apicurio")
    url, port = stack.database("peer_apicurio"), free_port()
    environment = stack.environment(
        APICURIO_STORAGE_KIND="sql", APICURIO_STORAGE_SQL_KIND="postgresql",
        APICURIO_DATASOURCE_URL=f"jdbc:postgresql://{url.hostname}:{url.port}/peer_apicurio",
        APICURIO_DATASOURCE_USERNAME=url.username, APICURIO_DATASOURCE_PASSWORD="none",
        QUARKUS_HTTP_HOST="127.0.0.1", QUARKUS_HTTP_PORT=str(port), QUARKUS_MANAGEMENT_PORT=str(free_port()),
        QUARKUS_LOG_LEVEL="WARN")
    command, log_file = [find_java(), "-jar", "quarkus-run.jar"], stack.folder / "apicurio.log"
    with log_file.open("w") as out, running_program(command, cwd=folder / "apicurio", env=environment, stdout=out,
                                                    stderr=out) as child:
        peer = Registry(f"http://127.0.0.1:{port}/apis/ccompat/v7")
        is_up = lambda: is_ready(f"{peer.base_url}{peer.path}/subjects")
        wait_until("starting Apicurio Registry", is_up, timeout_s=90, child=child, log_file=log_file)
        peer_figures = peer.measure(peer.prepare(), seconds)
    settings = {"at_once": AT_ONCE, "subjects": SUBJECTS, "schema_bytes": len(schema_of("known1")),
                "storage": "the same Postgres", "postgres": stack.postgres_settings()}
    for kind, figures in peer_figures.items():
        mine = ours_figures[kind]
        yield {"measure": kind, "unit": "requests/s", "figure": round(figures["requests_per_s"]), "p50_ms": figures["p50_ms"],
               "p99_ms": figures["p99_ms"], "ours": round(mine["requests_per_s"]), "ours_p50_ms": mine["p50_ms"],
               "ours_p99_ms": mine["p99_ms"], "ours_is": "the same requests by the same client (wrk)", "settings": settings}
