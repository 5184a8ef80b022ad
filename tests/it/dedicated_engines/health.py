"""Waits until the health service reports the expected statuses of server and tasks: ADDRESS SERVER TASKS."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

# How long a status may take to appear, in seconds: the machine may be busy.
TIMEOUT_S = 120

address, *expected_statuses = sys.argv[1:]
health = health_pb2_grpc.HealthStub(grpc.insecure_channel(address))
for name, expected in zip(["", "medhub.tasks.v1.TaskService"], expected_statuses):
    # A watch delivers every change, so there is no polling.
    for answer in health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT_S):
        if health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) == expected:
            break
print("statuses as expected")
