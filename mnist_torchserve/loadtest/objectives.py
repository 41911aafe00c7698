"""Service-level objectives, read from objectives.toml.

This module needs only the standard library, since Locust's own process judges runs as well.
"""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

FILE = Path(__file__).with_name("objectives.toml")


class ObjectivesError(Exception):
    """The objectives are not valid; the message says where and why."""


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
    reset_stats: bool = True  # whether the statistics begin when all users have started
    options: list[str] = field(default_factory=list)  # of the locustfile
    recognised: float | None = None  # minimum share of digits with a right prediction
    arrivals: float | None = None  # minimum share of the intended arrivals that were answered
    growth: bool = False  # whether memory, open files and latency must not grow
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True)
class Climb:
    """How to search for the breaking point."""

    first: int  # users of the first step
    factor: float  # from one step to the next
    settle: int  # s before a step is measured
    hold: int  # s for which it is measured
    recovered: float  # maximum of the unloaded p50 afterwards ÷ the unloaded p50 before


@dataclass(frozen=True)
class Growth:
    """The maximum of a soak's last quarter ÷ its second quarter."""

    memory: float
    open_files: float
    latency: float


@dataclass(frozen=True)
class Trend:
    """How far a run may be from the median of earlier runs, by ratio."""

    latency: float
    throughput: float
    earlier: int  # minimum number of earlier runs


@dataclass(frozen=True)
class Versions:
    """How far the second of two versions may differ from the first."""

    agreement: float  # minimum share of equal predictions
    recognised: float  # maximum drop in the share of right predictions
    confidence: float  # maximum change of the mean confidence
    latency: float  # maximum ratio of p95


@dataclass(frozen=True)
class Alerts:
    """The thresholds of alerts; two more are the p99 of the seed profile and the confidence of versions."""

    error_ratio: float  # of predictions
    refusal_ratio: float  # above its mean over a day
    queue: float  # ms


@dataclass(frozen=True)
class Objectives:
    """The content of objectives.toml."""

    profile: dict[str, Profile]
    climb: Climb
    growth: Growth
    trend: Trend
    versions: Versions
    alerts: Alerts

    def __getitem__(self, name: str) -> Profile:
        if name not in self.profile:
            raise ObjectivesError(f"There is no profile `{name}`. Choose one of {', '.join(self.profile)}.")
        return self.profile[name]


def load(path: Path = FILE) -> Objectives:
    """Read a file of objectives.

    Raises:
        ObjectivesError: the file cannot be read, is not valid TOML, lacks a key, or has an unknown one.
    """
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ObjectivesError(f"The objectives {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ObjectivesError(f"The objectives {path} are not valid TOML: {error}.") from None
    try:
        return _objectives(table)
    except ObjectivesError as error:
        raise ObjectivesError(f"The objectives {path} are not valid: {error}") from None


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
    """Check that every key is known and has the right type, and that none is missing."""
    if not isinstance(table, dict):
        raise ObjectivesError(f"{where} is not a table.")
    fields = {each.name: each for each in dataclasses.fields(kind)}
    if unknown := sorted(table.keys() - fields.keys()):
        raise ObjectivesError(f"{where} has the unknown key `{unknown[0]}`. The known keys are {', '.join(fields)}.")
    for name, each in fields.items():
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if name not in table:
            if not optional:
                raise ObjectivesError(f"{where} lacks the key `{name}`.")
        elif each.type in NUMBERS and (type(table[name]) not in (int, float) or not table[name] >= 0):
            raise ObjectivesError(f"{where} has `{name} = {table[name]!r}`, but needs a number from 0 on.")
