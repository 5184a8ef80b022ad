"""Waits until the health service says what it should of the server and of tasks: ADDRESS SERVER TASKS."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

# How long something may take that has to happen, in seconds: the machine may be busy.
PATIENCE = 120

address, *wanted = sys.argv[1:]
health = health_pb2_grpc.HealthStub(grpc.insecure_channel(address))
for name, wanted in zip(["", "medhub.tasks.v1.TaskService"], wanted):
    # Watching tells every change, so nothing is asked again and again.
    for answer in health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE):
        if health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) == wanted:
            break
print("as it should be")
