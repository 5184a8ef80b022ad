"""The local engines in a separate data folder, and the product's commands on them."""

import json
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from .processes import log, run_program, running_program, stop_group, wait_until

START_TIMEOUT_S = 120
# An engine whose variable is set would be used instead of a local one, and its settings changed.
ENGINE_VARIABLES = ["DATABASE_URL", "SCHEMA_REGISTRY_URL", "REDIS_URL", "KAFKA_BROKERS", "CLICKHOUSE_URL", "QDRANT_URL"]
# The same settings as those with which `medhub bench all` starts a service of its own.
SERVICE_SETTINGS = {
    "MEDHUB__LIMITS__ENABLED": "false",
    "MEDHUB__AUTH__DEVELOPMENT_LOGIN": "true",
    "MEDHUB__HTTP__LISTEN": "127.0.0.1:0",
    "MEDHUB__GRPC__LISTEN": "127.0.0.1:0",
    "MEDHUB__MAIL__TRANSPORT": "none",
    "MEDHUB__SAM_GOV__API_INTERVAL_S": "0",
    "MEDHUB__SAM_GOV__EXTRACT_INTERVAL_S": "0",
    "MEDHUB__LOG__FORMAT": "json",
    "MEDHUB__LOG__FILTER": "info,apache_avro=error,librdkafka=off,rdkafka=off",
}


class LocalStack:
    """Engines of `medhub-local up --engines-only`, with logical decoding, for all that is measured."""

    def __init__(self, program: Path, parent: Path):
        self.program, self.parent = program, parent
        self.variables: dict[str, str] = {}

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="medhub-peers-", dir=self.parent))
        # As root, Postgres runs as another user.
        self.folder.chmod(0o755)
        try:
            self._start()
            # Debezium needs it, and what it costs is paid by the product, too.
            self.psql("alter system set wal_level = 'logical'")
            self._stop()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        log_file = self.folder / "up.log"
        command = [self.program, "--data", self.folder / "stack", "up", "--engines-only"]
        environment = {name: value for name, value in os.environ.items() if name not in ENGINE_VARIABLES}
        with log_file.open("a") as out:
            self.child = subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=out)
        healthy = lambda: self._local("status").returncode == 0
        wait_until("starting the engines", healthy, timeout_s=START_TIMEOUT_S, child=self.child, log_file=log_file)
        lines = [line for line in self._local("env").stdout.splitlines() if line.startswith("export ")]
        pairs = (shlex.split(line)[1].split("=", 1) for line in lines)
        self.variables = dict(pairs)

    def _stop(self) -> None:
        if getattr(self, "child", None):
            stop_group(self.child)
            self.child = None

    def _local(self, *arguments) -> subprocess.CompletedProcess:
        command = [self.program, "--data", self.folder / "stack", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of this process with the addresses of the engines."""
        return {**os.environ, **self.variables, **more}

    def database(self, name: str | None = None) -> urllib.parse.ParseResult:
        """The URL of the stack's database, or of another one on its server."""
        url = urllib.parse.urlparse(self.variables["DATABASE_URL"])
        return url._replace(path=f"/{name}") if name else url

    def psql(self, sql: str, database: str | None = None) -> str:
        command = ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", self.database(database).geturl(), "-c", sql]
        return run_program(command, timeout_s=START_TIMEOUT_S).strip()

    def create_database(self, name: str) -> str:
        """Creates an empty database for a peer and returns its URL."""
        self.psql(f"create database {name}")
        return self.database(name).geturl()

    def postgres_settings(self) -> dict[str, str]:
        names = ["server_version", "fsync", "synchronous_commit", "wal_level", "shared_buffers"]
        return {name: self.psql(f"show {name}") for name in names}

    def medhub(self, *arguments, timeout_s: float = 300, accepted: tuple[int, ...] = (0,)) -> list[dict]:
        """Runs a command of the product, and returns the JSON objects that it prints."""
        command = [self.program, "--data", self.folder / "stack", "medhub", *arguments]
        out = run_program(command, timeout_s=timeout_s, accepted=accepted, env=self.environment())
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def import_notices(self, notices: int) -> None:
        """Records generated notices, the same ones in each run, in the log of the stack's database."""
        file = self.folder / "notices.csv"
        self.medhub("migrate")
        self.medhub("generate", "--rows", notices, "--out", file)
        # 3: some rows were refused; the generator makes invalid ones on purpose.
        self.medhub("import", file, accepted=(0, 3))

    @contextmanager
    def serve(self, *arguments: str):
        """A process of the product, without limits of requests; yields its address."""
        log_file = self.folder / "product.log"
        command = [self.program, "--data", self.folder / "stack", "medhub", "serve", *arguments]
        settings = {**SERVICE_SETTINGS, "MEDHUB__OBJECTS__DIR": str(self.folder / "objects"),
                    "MEDHUB__AUTH__HS256_SECRET": secrets.token_hex(32), "MEDHUB__ADMIN__TOKEN": secrets.token_hex(16)}
        with (log_file.open("w") as out,
              running_program(command, env=self.environment(**settings), stdout=out, stderr=out) as child):
            wait = {"timeout_s": START_TIMEOUT_S, "child": child, "log_file": log_file}
            address = wait_until("starting the product", lambda: find_address(log_file), **wait)
            wait_until("the product", lambda: is_ready(f"{address}/ready"), **wait)
            yield address

    @contextmanager
    def service(self, notices: int):
        """The product with this many generated notices in all read models; yields its address."""
        log(f"importing {notices} generated notices")
        self.import_notices(notices)
        with self.serve() as address:
            log("waiting until the read models are complete")
            wait_until("the read models", lambda: not self._lag(), timeout_s=START_TIMEOUT_S)
            yield address

    def _lag(self) -> bool:
        """Whether the lists have fewer opportunities than the log."""
        logged = self.psql("select count(distinct aggregate_id) from events where aggregate_type = 'opportunity'")
        return self.psql(f"select count(*) from {self.lists_schema()}.opportunities") != logged

    def lists_schema(self) -> str:
        """The schema of the lists' newest generation."""
        return self.psql("select quote_ident(schemaname) from pg_tables where tablename = 'opportunities' "
                         "order by schemaname desc limit 1")


def find_address(log_file: Path) -> str | None:
    """The address of the HTTP edge, which the service logs: the kernel has assigned the port."""
    for line in log_file.read_text(errors="replace").splitlines():
        if '"edge":"HTTP"' in line and '"listening"' in line:
            return f"http://{json.loads(line)['address']}"
    return None


def is_ready(url: str) -> bool:
    """Whether a request is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status < 400
    except (urllib.error.URLError, OSError):
        return False


def answers_graphql(url: str) -> bool:
    """Whether a GraphQL service answers the least request."""
    try:
        return post_graphql(url, "{ __typename }") != {}
    except (urllib.error.URLError, OSError):
        return False


def post_json(url: str, body: dict, headers: dict | None = None) -> dict:
    """Sends a JSON body and returns the answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def post_graphql(url: str, query: str, variables: dict | None = None, token: str | None = None) -> dict:
    """Sends a GraphQL document and returns its data."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = post_json(url, {"query": query, "variables": variables or {}}, headers)
    if answer.get("errors"):
        raise RuntimeError(f"{url}: {answer['errors']}")
    return answer["data"]
