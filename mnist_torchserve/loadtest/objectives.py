"""Service-level objectives, as objectives.toml holds them.

Needs nothing but the standard library, since Locust's own process judges a run as well.
"""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

FILE = Path(__file__).with_name("objectives.toml")


class ObjectivesError(Exception):
    """The objectives cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Endpoint:
    """Objectives of one endpoint; times in ms."""

    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    failure_ratio: float | None = None
    min_rps: float | None = None


@dataclass(frozen=True)
class Profile:
    """A load, and the objectives that must be met under it."""

    summary: str
    locustfile: str  # from the checkout's root
    users: int
    spawn_rate: float  # users per second
    run_time: float  # s
    processes: int = 1  # of Locust
    reset_stats: bool = True  # whether the statistics begin when all users are there
    options: list[str] = field(default_factory=list)  # of the locustfile
    recognised: float | None = None  # least share of the digits whose prediction is right
    arrivals: float | None = None  # least share of the intended arrivals that were achieved
    growth: bool = False  # whether memory, open files and latency must not grow
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True)
class Climb:
    """How the breaking point is looked for."""

    first: int  # users of the first step
    factor: float  # from one step to the next
    settle: int  # s before a step is measured
    hold: int  # s that it is measured
    recovered: float  # ratio of the unloaded p50 afterwards to that before, at most


@dataclass(frozen=True)
class Growth:
    """How many times the second quarter's value the last quarter's may be, of a soak."""

    memory: float
    open_files: float
    latency: float


@dataclass(frozen=True)
class Trend:
    """How far from the median of earlier runs a run may be, by ratio."""

    latency: float
    throughput: float
    earlier: int  # runs that it takes to have a median


@dataclass(frozen=True)
class Versions:
    """What the second of two versions must keep of the first."""

    agreement: float  # least share of equal predictions
    recognised: float  # most that the share of right predictions may fall
    confidence: float  # most that the mean confidence may move
    latency: float  # ratio of p95


@dataclass(frozen=True)
class Alerts:
    """What an operator is called for, beside the latency of the seed profile and the confidence of versions."""

    error_ratio: float  # of predictions
    refusal_ratio: float  # above its mean of a day
    queue: float  # ms


@dataclass(frozen=True)
class Objectives:
    """All of objectives.toml."""

    profile: dict[str, Profile]
    climb: Climb
    growth: Growth
    trend: Trend
    versions: Versions
    alerts: Alerts

    def __getitem__(self, name: str) -> Profile:
        if name not in self.profile:
            raise ObjectivesError(f"There is no profile `{name}`: choose one of {', '.join(self.profile)}.")
        return self.profile[name]


def load(path: Path = FILE) -> Objectives:
    """Read a file of objectives.

    Raises:
        ObjectivesError: it is not there, is no TOML, lacks a key, or has one that nobody reads.
    """
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ObjectivesError(f"The objectives {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ObjectivesError(f"The objectives {path} are no TOML: {error}.") from None
    try:
        return _objectives(table)
    except ObjectivesError as error:
        raise ObjectivesError(f"The objectives {path} are wrong: {error}") from None


def _objectives(table: dict[str, Any]) -> Objectives:
    _check(Objectives, table, "the file")
    profiles = {}
    for name, profile in table["profile"].items():
        where = f"[profile.{name}]"
        endpoints = {
            endpoint: _build(Endpoint, limits, f'[profile.{name}.endpoints."{endpoint}"]')
            for endpoint, limits in profile.get("endpoints", {}).items()
        }
        profiles[name] = dataclasses.replace(_build(Profile, profile, where), endpoints=endpoints)
    others: dict[str, Any] = {
        name: _build(kind, table[name], f"[{name}]")
        for name, kind in get_type_hints(Objectives).items()
        if name != "profile"
    }
    return Objectives(profiles, **others)


T = TypeVar("T")
NUMBERS = (int, float, float | None)


def _build(kind: type[T], table: Any, where: str) -> T:
    _check(kind, table, where)
    return kind(**table)


def _check(kind: type[Any], table: Any, where: str) -> None:
    """Every key must be known and of its type, none may be missing."""
    if not isinstance(table, dict):
        raise ObjectivesError(f"{where} is no table.")
    fields = {each.name: each for each in dataclasses.fields(kind)}
    if unknown := sorted(table.keys() - fields.keys()):
        raise ObjectivesError(f"{where} has the unknown key `{unknown[0]}`; known are {', '.join(fields)}.")
    for name, each in fields.items():
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if name not in table:
            if not optional:
                raise ObjectivesError(f"{where} lacks the key `{name}`.")
        elif each.type in NUMBERS and (type(table[name]) not in (int, float) or not table[name] >= 0):
            raise ObjectivesError(f"{where} has `{name} = {table[name]!r}`; a number from 0 on is expected.")
