"""Calls TaskService with messages built from reflection; ends with an error if an answer is not as expected."""

import sys
import time

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

# How long an expected condition may take, in seconds: the machine may be busy.
TIMEOUT_S = 120

address, worker, writer, foreign, operation = sys.argv[1:]
channel = grpc.insecure_channel(address)
reflected = ProtoReflectionDescriptorDatabase(channel)
services = set(reflected.get_services())
assert {"medhub.tasks.v1.TaskService", "grpc.health.v1.Health"} <= services, services
pool = descriptor_pool.DescriptorPool(reflected)
service = pool.FindServiceByName("medhub.tasks.v1.TaskService")


def call(name, token, origin=(), **fields):
    method = service.methods_by_name[name]
    request = message_factory.GetMessageClass(method.input_type)(**fields)
    answer = message_factory.GetMessageClass(method.output_type)
    stub = channel.unary_unary(
        f"/{service.full_name}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return stub(request, metadata=[*origin, *([("authorization", f"Bearer {token}")] if token else [])], timeout=TIMEOUT_S)


def refused(code, name, token, **fields):
    try:
        answer = call(name, token, **fields)
    except grpc.RpcError as error:
        assert error.code() == code, (name, fields, error)
        return error.details()
    raise AssertionError((name, fields, answer))


def eventually(query, is_expected):
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            answer = query()
            if is_expected(answer):
                return answer
        except grpc.RpcError as error:
            answer = error
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


Code = grpc.StatusCode
health = health_pb2_grpc.HealthStub(channel)
for name in ["", "medhub.tasks.v1.TaskService"]:
    status = health.Check(health_pb2.HealthCheckRequest(service=name)).status
    assert status == health_pb2.HealthCheckResponse.SERVING, (name, status)

task_request = {"kind": 1, "subject_kind": 1, "subject_id": "doc-1", "parameters": {"language": "en"}}
refused(Code.UNAUTHENTICATED, "ProcessTask", None, request=task_request)
refused(Code.UNAUTHENTICATED, "ProcessTask", "forged", request=task_request)
refused(Code.PERMISSION_DENIED, "ProcessTask", worker, request=task_request)
refused(Code.INVALID_ARGUMENT, "ProcessTask", writer, request={**task_request, "kind": 0})
refused(Code.INVALID_ARGUMENT, "ProcessTask", writer)
refused(Code.INVALID_ARGUMENT, "GetTaskStatus", worker, task_id="no uuid")

created = call("ProcessTask", writer, request=task_request, idempotency_key="once")
repeated = call("ProcessTask", writer, request=task_request, idempotency_key="once")
assert (repeated.task_id, repeated.repeated, created.repeated) == (created.task_id, True, False), (created, repeated)
refused(Code.ALREADY_EXISTS, "ProcessTask", writer, request={**task_request, "subject_id": "doc-2"}, idempotency_key="once")
refused(Code.INVALID_ARGUMENT, "ProcessTask", writer, request=task_request, idempotency_key=f"task-result:{created.task_id}")

task = created.task_id
refused(Code.PERMISSION_DENIED, "ProcessTask", writer, task_id=task, start={"worker": "w1"})
refused(Code.NOT_FOUND, "GetTaskStatus", foreign, task_id=task)
refused(Code.INVALID_ARGUMENT, "ProcessTask", worker, origin=[("x-causation-id", "7")], task_id=task, start={"worker": "w1"})
origin = [("x-correlation-id", operation), ("x-causation-id", operation)]
call("ProcessTask", worker, origin=origin, task_id=task, start={"worker": "w1"})
refused(Code.ABORTED, "ProcessTask", worker, task_id=task, start={"worker": "w1"}, expected_version=1)
details = refused(Code.FAILED_PRECONDITION, "ProcessTask", worker, task_id=task, start={"worker": "w2"})
assert details.startswith("ALREADY_STARTED"), details
call("ProcessTask", worker, task_id=task, report={"worker": "w1", "percent": 40, "note": "half of it"})
progress = eventually(lambda: call("GetTaskStatus", worker, task_id=task), lambda task: task.percent == 40)
assert (progress.status, progress.worker, progress.parameters["language"]) == (2, "w1", "en"), progress
call("ProcessTask", worker, task_id=task, complete={"worker": "w1", "result": "30 pages"})
refused(Code.FAILED_PRECONDITION, "ProcessTask", writer, task_id=task, cancel={"reason": "too late"})

ids = [call("ProcessTask", writer, request={**task_request, "subject_id": f"more-{number}"}).task_id for number in range(3)]
failed = call("ProcessTask", worker, task_id=ids[0], start={"worker": "w1"})
call("ProcessTask", worker, task_id=ids[0], fail={"worker": "w1", "reason": "no text", "retry": False})
eventually(lambda: call("ListTasks", worker, status=4), lambda page: page.total_size == 1 and page.tasks[0].failure == "no text")
page = eventually(lambda: call("ListTasks", worker, page_size=3), lambda page: page.total_size == 4)
rest = call("ListTasks", worker, page_size=3, page_token=page.next_page_token)
assert (len(page.tasks), len(rest.tasks), rest.next_page_token) == (3, 1, ""), (page, rest)
assert call("ListTasks", foreign).total_size == 0
refused(Code.INVALID_ARGUMENT, "ListTasks", worker, page_size=101)
refused(Code.INVALID_ARGUMENT, "ListTasks", worker, page_token="none")
refused(Code.OUT_OF_RANGE, "ProcessTask", writer, request={**task_request, "subject_id": "x" * 300_000})

# Workers claim what is requested, each task once.
claim = {"kinds": [4], "worker": "w1", "lease_seconds": 5, "wait_seconds": 20}
refused(Code.PERMISSION_DENIED, "ClaimTask", writer, **claim)
refused(Code.INVALID_ARGUMENT, "ClaimTask", worker, **{**claim, "kinds": []})
refused(Code.INVALID_ARGUMENT, "ClaimTask", worker, **{**claim, "worker": ""})
refused(Code.INVALID_ARGUMENT, "ClaimTask", worker, **{**claim, "lease_seconds": 601})
refused(Code.INVALID_ARGUMENT, "ClaimTask", worker, **{**claim, "wait_seconds": 21})
assert not call("ClaimTask", worker, **{**claim, "wait_seconds": 0}).HasField("task")
generation = {**task_request, "kind": 4, "subject_kind": 4, "subject_id": "036:X"}
requested = call("ProcessTask", writer, request=generation).task_id
claimed = eventually(lambda: call("ClaimTask", worker, **claim), lambda answer: answer.HasField("task")).task
assert (claimed.task_id, claimed.subject_id, claimed.parameters["language"]) == (requested, "036:X", "en"), claimed
assert len(claimed.correlation_id) == len(claimed.request_event_id) == 36, claimed
assert not call("ClaimTask", worker, **{**claim, "worker": "w2", "wait_seconds": 0}).HasField("task")
assert call("RenewClaim", worker, task_id=requested, worker="w1", lease_seconds=5).held
assert not call("RenewClaim", worker, task_id=requested, worker="w2").held
call("ProcessTask", worker, task_id=requested, start={"worker": "w1"})
# w1 dies: the task is given to w2, and w1's attempt has failed.
taken = eventually(lambda: call("ClaimTask", worker, **{**claim, "worker": "w2"}), lambda answer: answer.HasField("task")).task
assert (taken.task_id, taken.failures) == (requested, 1), taken
call("ProcessTask", worker, task_id=requested, start={"worker": "w2"})
refused(Code.FAILED_PRECONDITION, "ProcessTask", worker, task_id=requested, complete={"worker": "w1", "result": "late"})
call("ProcessTask", worker, task_id=requested, complete={"worker": "w2", "result": "done"})
eventually(lambda: call("RenewClaim", worker, task_id=requested, worker="w2"), lambda answer: not answer.held)
print("all checks passed")
