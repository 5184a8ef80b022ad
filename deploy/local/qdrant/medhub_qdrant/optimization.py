"""Optimization of a shard in another process.

The engine's `optimize` holds the interpreter's lock until it ends, which takes seconds, or minutes if it builds graphs;
meanwhile no request would be answered. It therefore runs in a separate process on a copy of the shard. Changes that
arrive meanwhile are recorded and applied to the copy before it replaces the shard.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import qdrant_edge as edge

from .errors import is_engine_error

#: Maximum number of points in recorded changes: applying them takes about 0.3 s, during which all requests wait.
_MAX_RECORDED_POINTS = 5_000
_MAX_RECORDED_CHANGES = 5_000

#: Time limit for copying a shard, in seconds; changes wait for it.
_COPY_TIMEOUT = 60.0


class OptimizationError(Exception):
    """An optimization was abandoned; the shard is unchanged."""


class ShardOptimization:
    """One optimization: a copy of a shard, the process that works on it, and the changes that the copy lacks."""

    def __init__(self, source: Path, target: Path) -> None:
        self.source = source
        self.target = target
        self._process: asyncio.subprocess.Process | None = None
        self._recorded: list[edge.UpdateOperation] = []
        self._recorded_points = 0
        self._failure: str | None = None
        #: Whether it was abandoned because too many changes arrived.
        self.is_outrun = False

    async def copy_shard(self) -> None:
        """Starts the process and waits until it has copied the shard, which must not change before."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"{__package__}.optimizer",
            str(self.source),
            str(self.target),
            str(os.getpid()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            copied = await asyncio.wait_for(self._read_line(), _COPY_TIMEOUT)
        except asyncio.TimeoutError:
            raise OptimizationError("copying the shard took too long") from None
        if copied != "copied":
            raise OptimizationError("copying the shard failed")

    def record_change(self, operation: edge.UpdateOperation, points: int) -> None:
        """Records a change that the copy lacks; too many of them abandon the optimization."""
        self._recorded.append(operation)
        self._recorded_points += points
        if self._recorded_points > _MAX_RECORDED_POINTS or len(self._recorded) > _MAX_RECORDED_CHANGES:
            self.is_outrun = True
            self.abandon("too many changes arrived meanwhile")

    def abandon(self, reason: str) -> None:
        """Kills the process and discards the recorded changes; `wait_for_process` then raises."""
        self._failure = self._failure or reason
        self._recorded.clear()
        if self._process is not None and self._process.returncode is None:
            # `Process.kill` would collect the exit status of a process that has just ended, before `wait` can.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def end_process(self, reason: str) -> None:
        """Abandons the optimization and waits until the process has ended."""
        self.abandon(reason)
        if self._process is not None:
            await self._process.wait()

    async def wait_for_process(self) -> bool:
        """Waits for the process; returns whether it changed the copy."""
        outcome = await self._read_line()
        assert self._process is not None
        code = await self._process.wait()
        if self._failure is not None:
            raise OptimizationError(self._failure)
        if code != 0 or outcome not in ("optimized", "unchanged"):
            raise OptimizationError(f"its process ended with {code}")
        return outcome == "optimized"

    def open_shard(self) -> edge.EdgeShard:
        """Opens the optimized copy and applies the recorded changes to it."""
        if self._failure is not None:
            raise OptimizationError(self._failure)
        shard = edge.EdgeShard.load(str(self.target))
        for operation in self._recorded:
            try:
                shard.update(operation)
            except BaseException as error:
                # The shard has refused the change too.
                if not is_engine_error(error):
                    raise
        return shard

    async def close(self, *, keep_copy: bool) -> None:
        """Ends the process if it still runs, and removes the copy unless it has replaced the shard."""
        await self.end_process("closed")
        if not keep_copy:
            shutil.rmtree(self.target, ignore_errors=True)

    async def _read_line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()
