"""The sections of the benchmark, each of which compares candidates in one run."""

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]  # psutil ships no types

from benchmarks.bench.candidates import Candidate, bare_flask, express, fastapi, fastify, has_node, service
from benchmarks.bench.criteria import Criterion
from benchmarks.bench.rounds import Figures, Plan, alternate, load_on
from benchmarks.bench.webdis import Webdis
from benchmarks.wrk import EVENT, run_wrk, write_script
from tests.fixtures.servers.nginx import Nginx
from tests.fixtures.servers.valkey import Valkey

OURS, BARE, RAW = "this service", "bare Flask view", "raw WSGI callable"
GUNICORNS = "bare Flask view, gunicorn's own worker"
FASTAPI, EXPRESS, FASTIFY = "FastAPI + uvicorn", "Express + BullMQ", "Fastify + ioredis"
# How many times a peer's requests a second this service aims at.
_AIMS = {GUNICORNS: 1.7, FASTAPI: 2.0, EXPRESS: 1.8, FASTIFY: 0.5}
_MAX_SERVER_US = 75.0
_BATCH = 100
_EARLY, _LATE = 50_000, 500_000


class Row(NamedTuple):
    """A row of a section's table."""

    name: str
    figures: Figures
    note: str = ""


class Outcome(NamedTuple):
    """The result of a section."""

    title: str
    rows: list[Row]
    criteria: list[Criterion]
    skipped: list[str]


def _flask(stack: ExitStack, plan: Plan) -> dict[str, Candidate]:
    apps = {
        OURS: "wsgi:app",
        BARE: "benchmarks.peers.flask_bare:app",
        RAW: "benchmarks.peers.raw_wsgi:app",
    }
    return {
        name: stack.enter_context(service(name, app=app, workers=plan.workers)) for name, app in apps.items()
    }


def peers(plan: Plan) -> Outcome:
    """Compare this service with its peers, directly and through nginx."""
    skipped = []
    with ExitStack() as stack:
        candidates = _flask(stack, plan)
        candidates[GUNICORNS] = stack.enter_context(bare_flask(GUNICORNS, plan.workers))
        candidates[FASTAPI] = stack.enter_context(fastapi(plan.workers))
        if has_node():
            candidates[EXPRESS] = stack.enter_context(express(plan.workers))
            candidates[FASTIFY] = stack.enter_context(fastify(plan.workers))
        else:
            skipped.append(f"{EXPRESS} and {FASTIFY}: node is not installed")
        direct = alternate({name: load_on(each, plan) for name, each in candidates.items()}, plan, "directly")
        rows = [Row(name, figures) for name, figures in direct.items()]
        if plan.is_quick:
            skipped.append("everything through nginx: --quick leaves it out")
        elif shutil.which("nginx") is None:
            skipped.append("everything through nginx: nginx is not installed")
        else:
            runs = {
                name: load_on(each, plan, url=_behind_nginx(stack, each)) for name, each in candidates.items()
            }
            proxied = alternate(runs, plan, "through nginx")
            rows += [Row(name, figures, "through nginx") for name, figures in proxied.items()]
    criteria = [
        Criterion(f"requests/s v {name}", aim, direct[OURS].per_second / direct[name].per_second)
        for name, aim in _AIMS.items()
        if name in direct
    ]
    server_us = direct[OURS].server_us
    criteria.append(Criterion("CPU of the server in µs a request", _MAX_SERVER_US, server_us, at_least=False))
    return Outcome("comparison", rows, criteria, skipped)


def _behind_nginx(stack: ExitStack, candidate: Candidate) -> str:
    nginx = stack.enter_context(Nginx(candidate.address))
    return f"{nginx.url}/ingest/events"


def batch(plan: Plan) -> Outcome:
    """Compare batches of a hundred with single events, and with webdis' single appends."""
    skipped = []
    with ExitStack() as stack:
        ours = stack.enter_context(service(workers=plan.workers))
        folder = ours.script.parent / "batch"
        folder.mkdir()
        script = write_script(folder, ours.key, body=json.dumps({"events": [EVENT] * _BATCH}))
        runs = {
            "single events": load_on(ours, plan),
            f"batches of {_BATCH}": load_on(
                ours, plan, url=f"http://{ours.address}/ingest/batch", script=script
            ),
        }
        if shutil.which("webdis"):
            runs["webdis, single XADD"] = stack.enter_context(Webdis(plan.workers)).load(plan)
        else:
            skipped.append("webdis: it is not installed")
        figures = alternate(runs, plan, "batches")
    batched = figures[f"batches of {_BATCH}"]
    events = Figures(
        batched.per_second * _BATCH,
        batched.p50_ms,
        batched.p99_ms,
        batched.server_us / _BATCH,
        batched.broker_us / _BATCH,
    )
    rows = [
        Row(name, events, "events/s; CPU per event") if name == f"batches of {_BATCH}" else Row(name, each)
        for name, each in figures.items()
    ]
    criteria = []
    if "webdis, single XADD" in figures:
        ratio = events.per_second / figures["webdis, single XADD"].per_second
        criteria.append(Criterion(f"events/s in batches of {_BATCH} v webdis' single rate", 1.0, ratio))
    return Outcome("batches", rows, criteria, skipped)


def tail(plan: Plan) -> Outcome:
    """Measure the slowest responses at half of the saturating load, through nginx."""
    if shutil.which("nginx") is None:
        return Outcome("half load", [], [], ["the slowest responses at half load: nginx is not installed"])
    with ExitStack() as stack:
        runs = {}
        for name in (OURS, BARE):
            app = "wsgi:app" if name == OURS else "benchmarks.peers.flask_bare:app"
            candidate = stack.enter_context(service(name, app=app, workers=plan.workers))
            url = _behind_nginx(stack, candidate)
            plan.progress(f"half load: maximum rate of {name}")
            max_rate = run_wrk(
                url, candidate.script, connections=plan.connections, seconds=plan.seconds
            ).per_second
            # The average pause with which all connections together send at half of that rate.
            pause_ms = plan.connections / (max_rate / 2) * 1000
            folder = candidate.script.parent / "half"
            folder.mkdir()
            script = write_script(folder, candidate.key, pause_ms=pause_ms)
            runs[name] = load_on(candidate, plan, url=url, script=script)
        figures = alternate(runs, plan, "half load")
    ratio = figures[OURS].p99_ms / figures[BARE].p99_ms
    criteria = [Criterion("p99 at half load through nginx v a bare Flask view", 2.0, ratio, at_least=False)]
    rows = [Row(name, each, "through nginx") for name, each in figures.items()]
    return Outcome("at half of the saturating load", rows, criteria, [])


def memory(plan: Plan) -> Outcome:
    """Measure the growth of a worker's memory over many events."""
    with service(workers=plan.workers) as ours:
        sizes: dict[int, float] = {}
        answered = 0
        figures = None
        for mark in (_EARLY, _LATE):
            while answered < mark * plan.workers:
                plan.progress(f"memory: {answered:,} of {_LATE * plan.workers:,} events")
                seconds = min(10.0, max(1.0, (mark * plan.workers - answered) / 6000))
                load = run_wrk(ours.url, ours.script, connections=plan.connections, seconds=seconds)
                answered += load.answers
                figures = load
            sizes[mark] = _resident_mib(ours.pid)
    growth = (sizes[_LATE] / sizes[_EARLY] - 1) * 100
    assert figures is not None
    note = f"{sizes[_EARLY]:.1f} MiB per worker at {_EARLY:,} events, {sizes[_LATE]:.1f} MiB at {_LATE:,}"
    row = Row(OURS, Figures(figures.per_second, figures.p50_ms, figures.p99_ms, 0, 0), note)
    criterion = Criterion("growth of a worker's resident memory in %", 5.0, growth, at_least=False)
    return Outcome("memory", [row], [criterion], [])


def _resident_mib(pid: int) -> float:
    """Return the resident memory of the largest worker."""
    return float(max(each.memory_info().rss for each in psutil.Process(pid).children()) / 2**20)


def durability(plan: Plan) -> Outcome:
    """Measure the cost of waiting for the disk, with 64 connections."""
    plan = replace(plan, connections=64)
    fsync: dict[str, str | int] = {"VIGILRY_DURABILITY": "fsync"}
    with ExitStack() as stack:
        candidates = {
            "memory": stack.enter_context(service(workers=plan.workers)),
            "fsync, appendfsync always": stack.enter_context(
                service(workers=plan.workers, valkey=Valkey(appendfsync="always"), settings=fsync)
            ),
            "fsync, appendfsync everysec": stack.enter_context(
                service(workers=plan.workers, valkey=Valkey(appendfsync="everysec"), settings=fsync)
            ),
        }
        runs = {name: load_on(each, plan) for name, each in candidates.items()}
        figures = alternate(runs, plan, "durability")
    ratio = figures["fsync, appendfsync always"].per_second / figures["memory"].per_second
    rows = [Row(name, each, "64 connections") for name, each in figures.items()]
    return Outcome("durability", rows, [Criterion("requests/s of fsync v memory", 0.9, ratio)], [])


SECTIONS = {"peers": peers, "batch": batch, "tail": tail, "memory": memory, "durability": durability}
QUICK = ("peers", "batch")
