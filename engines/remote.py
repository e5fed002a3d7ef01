"""What hosted engines share: the endpoint, the key, the spool, and how a call ends.

Whether TLS is used never depends on a port. A key travels over TLS, or in the clear to this
machine only; anything else is refused. Texts of a server are cut and cleaned before they become
part of a message. Knows no client.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol

import msgspec

from engines.base import EngineError, Failure, Judgement, Weight
from engines.keys import Secret, SettingsError
from store.errors import StoreError
from store.invisible import INVISIBLE
from store.known_secrets import conceal
from store.request import Request

DEADLINE_SECONDS = 300.0
IDLE_SECONDS = 120.0
Seconds = Annotated[float, msgspec.Meta(ge=1, le=24 * 3600)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class HostedSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section of a hosted engine, as written: see `HostedSettings`."""

    host: Text
    certificates: Text | None = None
    deadline_seconds: Seconds = DEADLINE_SECONDS
    idle_seconds: Seconds = IDLE_SECONDS


class HostedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a hosted engine is and how long it may take.

    `key`: None without one. `certificates`: a PEM file of the authorities to trust instead of the
    usual ones. `deadline_seconds` is the longest an image may take, `idle_seconds` the longest the
    server may say nothing.
    """

    host: str
    key: Secret | None = None
    certificates: Path | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    idle_seconds: float = IDLE_SECONDS


_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}(?<![-.])\.?")
_EXAMPLES = "Write it as grpc.stability.ai:443, localhost:50051 or unix:/run/server.sock."
_WEB_EXAMPLES = "Write it as https://api.stability.ai or http://localhost:8080."


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is: `address` as `host:port` (IPv6 in brackets) or `unix:/path`.

    `is_local`: this machine, by a loopback address or a Unix socket. `is_hosted`: the paid
    service itself, which takes nothing without a key.
    """

    address: str
    is_local: bool
    is_tls: bool
    is_hosted: bool


def find_target(host: str, tls: bool | None = None) -> Target:
    """The gRPC server that `host` (`host:port`, `host`, `unix:/path`) names.

    `tls` None: off for this machine, else on. A port may be left out only with TLS (443).
    Raises `EngineError` (UNREACHABLE) for text that is no address.
    """
    try:
        if host.startswith("unix:"):
            return _find_socket(host, tls)
        if "://" in host:
            raise ValueError("it starts like a web address")
        name, port = _split(host)
        target = _make_target(name, port or 443, tls)
        if port is None and not target.is_tls:
            raise ValueError("it has no port")
    except ValueError as error:
        raise _refuse_address(host, str(error), _EXAMPLES) from None
    return target


def find_web_target(host: str) -> Target:
    """The web server that `host` (`https://host`, `http://host:port`, `host:port`) names.

    Without a scheme it is http for this machine, else https; without a port 443 or 80.
    Raises `EngineError` (UNREACHABLE) for text that is no address.
    """
    scheme, mark, rest = host.partition("://")
    if not mark:
        scheme, rest = "", host
    try:
        if scheme.lower() not in ("", "http", "https"):
            raise ValueError("it starts neither with https:// nor with http://")
        name, port = _split(rest.removesuffix("/"))
        target = _make_target(name, port or 443, scheme.lower() == "https" if scheme else None)
        if port is None and not target.is_tls:
            target = _make_target(name, 80, tls=False)
    except ValueError as error:
        raise _refuse_address(host, str(error), _WEB_EXAMPLES) from None
    return target


def _make_target(name: str, port: int, tls: bool | None) -> Target:
    is_local = _is_loopback(name)
    shown = f"[{name}]" if ":" in name else name
    return Target(
        address=f"{shown}:{port}",
        is_local=is_local,
        is_tls=not is_local if tls is None else tls,
        is_hosted=f".{name.lower().rstrip('.')}".endswith(".stability.ai"),
    )


def check_key_travels_safely(
    target: Target, key: Secret | None, remedy: str = "Remove `tls = false`"
) -> None:
    """Raise `EngineError` (INSECURE) when `key` would cross a network unencrypted.

    `remedy` says how TLS is switched on.
    """
    if key is not None and not target.is_tls and not target.is_local:
        raise EngineError(
            Failure.INSECURE,
            f"Your key would travel unencrypted to {target.address}; nothing was sent.",
            f"{remedy}, or unset STABILITY_KEY if that server needs no key.",
        )


def _find_socket(host: str, tls: bool | None) -> Target:
    path = host.removeprefix("unix:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/") or path.startswith("//") or not path.isprintable():
        raise ValueError("a socket needs an absolute path")
    return Target(address=f"unix:{path}", is_local=True, is_tls=bool(tls), is_hosted=False)


def _split(host: str) -> tuple[str, int | None]:
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        if not _is_address(name) or (rest and not rest.startswith(":")):
            raise ValueError("the brackets hold no IPv6 address")
        port_text = rest[1:] if rest else None
    elif host.count(":") > 1:
        raise ValueError("an IPv6 address belongs in brackets")
    else:
        name, colon, after = host.partition(":")
        port_text = after if colon else None
        if not _HOST_NAME.fullmatch(name):
            raise ValueError("it is not a host name")
    if port_text is None:
        return name, None
    if not re.fullmatch(r"[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65535:
        raise ValueError("the port is not a number from 1 to 65535")
    return name, int(port_text)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    if _is_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name.lower() == "localhost"


def _refuse_address(host: str, why: str, examples: str) -> EngineError:
    text = f"The host {host!r} is not an address of a server: {why}."
    return EngineError(Failure.UNREACHABLE, text, examples)


TEXT_LIMIT = 300
_LOOKED_AT = 4
"""Times the characters that are kept: so many spaces may stand among them."""

_SECRET_SIZE = 32 * 1024
"""Characters more in which a secret that begins before has its end, however it is spelled."""

CHARGE = "It may have been charged, so Safelight does not send it again by itself."
LOOK = "Look at your account, then retry the job if you want it made again."


def clean_text(text: object, limit: int = TEXT_LIMIT) -> str:
    """`text` of a service as one line: no secret, and no control or invisible characters.

    Of a long text only the beginning is looked at, whatever it is long of.
    """
    whole = str(text)
    # The secrets go first: of one that is cut in two, half would stay.
    begin = conceal(whole[: _LOOKED_AT * limit + _SECRET_SIZE], is_of_service=True)
    is_all = len(whole) <= _LOOKED_AT * limit
    line = INVISIBLE.sub("?", _flatten(begin if is_all else begin[: _LOOKED_AT * limit]))
    return line if is_all and len(line) <= limit else line[: limit - 1] + "…"


def _flatten(text: str) -> str:
    return " ".join(text.split())


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What was going on when a call failed.

    `was_sent`: the request was handed to a connected server. `has_key`: a key went with it.
    """

    target: Target
    model: str
    has_key: bool
    was_sent: bool = True

    @property
    def host(self) -> str:
        """The server's address, as it is shown."""
        return self.target.address


def explain_no_connection(target: Target, seconds: float) -> EngineError:
    """Nothing was sent, because `target` did not answer the connection in time."""
    return EngineError(
        Failure.DEADLINE,
        f"{target.address} did not answer within {seconds:g} seconds. Nothing was sent.",
        "Check the network and the host; with TLS on, the server must speak TLS too.",
    )


def explain_silence(call: Call, what: str) -> EngineError:
    """The server took the request, and then `what`."""
    return EngineError(
        Failure.OUTCOME_UNKNOWN,
        f"{call.host} took the request but {what}. {CHARGE}",
        f"{LOOK} Longer waits: `deadline_seconds` and `idle_seconds` in config.toml.",
        may_be_charged=True,
    )


def explain_key(call: Call, said: str) -> EngineError:
    """The server of `call` refuses the key, or wants one; `said` is a sentence or empty."""
    if not call.has_key:
        return make_missing_key_error(call.host, said)
    return EngineError(
        Failure.WRONG_KEY,
        f"{call.host} does not accept this key.{said}",
        "Copy it again from the page of your account.",
    )


def explain_closing() -> EngineError:
    """The engine was closed while a call was on its way."""
    return EngineError(
        Failure.CANCELLED,
        "The engine was closed while it waited for the image.",
        "It may have been charged. Retry the job if you want it made again.",
        may_be_charged=True,
    )


def describe_late(error: EngineError, *, has_image: bool) -> str:
    """What `error` means when an answer had arrived before it, with a whole image or not."""
    had = "image had arrived; it is whole" if has_image else "answer had arrived"
    what = error.message.replace(CHARGE, "").strip()
    if error.kind is Failure.CANCELLED:
        what = "The engine was closed."
    return f"The call failed after the {had}. {what}"


def make_missing_key_error(host: str, said: str = "") -> EngineError:
    """`host` wants a key and there is none."""
    return EngineError(
        Failure.MISSING_KEY,
        f"{host} needs a key and none is set.{said}",
        "Run 'safelight key set', set STABILITY_KEY, or name a key_command or key_file in "
        "config.toml.",
    )


def check_key_there(key: Secret | None, target: Target) -> None:
    """Raise `EngineError` where `target` takes nothing without a key and none is set anywhere."""
    if key is None and target.is_hosted:
        raise make_missing_key_error(target.address)


def explain_no_credit(said: str) -> EngineError:
    """The account is empty; `said` is a sentence or empty, here and below."""
    return EngineError(
        Failure.OUT_OF_CREDIT,
        f"The account has no credit left for this image.{said}",
        "Buy credit, then retry the job.",
    )


def explain_no_permission(call: Call, said: str, hint: str) -> EngineError:
    """The key of `call` is right, and may not use its model."""
    return EngineError(
        Failure.WRONG_KEY, f"{call.host} does not allow this key to use {call.model}.{said}", hint
    )


def explain_fault(call: Call, status: str, said: str) -> EngineError:
    """The server failed with `status` while it made the image."""
    return EngineError(
        Failure.INTERNAL,
        f"{call.host} failed while it made the image ({status}).{said}",
        "It may have been charged. Retry the job, or try other parameters.",
        may_be_charged=True,
    )


def explain_unknown(text: str) -> EngineError:
    """`text` says how contact was lost after the request was sent."""
    return EngineError(Failure.OUTCOME_UNKNOWN, f"{text} {CHARGE}", LOOK, may_be_charged=True)


def explain_no_way(target: Target, why: str, hint: str) -> EngineError:
    """Nothing was sent, because there is no connection to `target`; `why` may be empty."""
    text = f"Safelight cannot reach {target.address}" + (f": {why}" if why else "")
    return EngineError(Failure.UNREACHABLE, f"{text}. Nothing was sent.", hint)


def explain_certificates(path: Path, error: OSError, section: str) -> EngineError:
    """The authorities to trust, which the section names, cannot be read."""
    return EngineError(
        Failure.UNREACHABLE,
        f"The certificates in {path} cannot be read: {error.strerror or error}.",
        f"Correct `certificates` in the section [{section}] of config.toml.",
    )


def explain_excess(host: str, what: str) -> EngineError:
    """The answer of `host` goes on beyond what one job may get: `what`, the end of a sentence."""
    return EngineError(
        Failure.BAD_ANSWER,
        f"The answer of {host} {what}; the rest was not taken.",
        "It may have been charged. Ask for a smaller image, or check what the host is.",
        may_be_charged=True,
    )


def explain_bad_answer(text: str, what_to_check: str) -> EngineError:
    """`text` says what is wrong with an answer that may have been paid for."""
    hint = f"It may have been charged. Check that {what_to_check}."
    return EngineError(Failure.BAD_ANSWER, text, hint, may_be_charged=True)


def describe_unusable(error: StoreError) -> str:
    """That what came cannot be the image, and why."""
    return f"The server sent bytes that cannot be used as the image. {error.message} {KEPT}"


def describe_seed(wanted: int, used: int | None) -> list[str]:
    """What to warn of where the server `used` another seed, or does not say which (None)."""
    if used is None:
        return ["The server does not say which seed it used."]
    return [] if used == wanted else [f"The server used the seed {used} instead of {wanted}."]


class _Hidden:
    """A header that a traceback with variables does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Header(…)"


class HeaderText(_Hidden, str):
    """One of text."""

    __slots__ = ()


class HeaderBytes(_Hidden, bytes):
    """One of bytes."""

    __slots__ = ()


def make_filtered_error(said: str = "") -> EngineError:
    """The service withheld the image; nothing is charged for that."""
    text = "The service's filter withheld this image." + (f" It said: {said}" if said else "")
    return EngineError(Failure.FILTERED, text, "Change the words of the prompts.")


KEPT = "What it sent is kept as it came."

CONNECT_SECONDS = 15.0
META_LIMIT = 200
"""Characters of a value that a server tells about its image."""


async def read_key(key: Secret | None, target: Target) -> bool:
    """Whether there is a key; it is read here, in a thread, as a command may give it.

    Raises `EngineError` (MISSING_KEY) when `target` takes nothing without one.
    """
    check_key_there(key, target)
    if key is None:
        return False
    try:
        await asyncio.to_thread(lambda: bool(key.reveal()))
    except SettingsError as error:
        raise EngineError(Failure.MISSING_KEY, error.message, error.hint) from None
    return True


class Taker(Protocol):
    """Who reads the answers of one call."""

    def add(self, data: bytes) -> None:
        """Read one answer; never raises."""
        ...


class Spooler:
    """Puts the answers of one call aside in a thread, so that the next comes meanwhile.

    `answers` reads each there once it is on disk; what goes wrong before is added to `warnings`.
    """

    def __init__(
        self,
        spool: Callable[[bytes], None],
        answers: Taker,
        warnings: list[str],
    ) -> None:
        self._spool = spool
        self._answers = answers
        self._warnings = warnings
        self._work: asyncio.Future[None] | None = None

    def begin(self, data: bytes) -> None:
        """Begin to put `data` aside. The one before must be finished."""
        assert self._work is None
        self._work = asyncio.ensure_future(asyncio.to_thread(self._take, data))

    async def finish(self) -> None:
        """Return when what was begun is on disk and taken. Being cancelled does not end it."""
        if self._work is None:
            return
        await asyncio.wait({self._work})
        work, self._work = self._work, None
        work.result()

    def _take(self, data: bytes) -> None:
        put_aside(self._spool, data, self._warnings)
        self._answers.add(data)


def put_aside(spool: Callable[[bytes], None], data: bytes, warnings: list[str]) -> None:
    """Spool an answer before it is read; what goes wrong is added to `warnings`."""
    try:
        spool(data)
    except (OSError, StoreError) as error:
        # The image may be paid for: better to go on with it in memory than to give it up.
        text = f"The answer could not be put aside before reading it: {clean_text(error)}."
        if text not in warnings:
            warnings.append(text)


def identify(request: Request, data: bytes) -> tuple[str, list[str]]:
    """The MIME type of the image in `data`, and what to warn of when its size is another.

    Reads the head only. Raises `StoreError` when it is no image.
    """
    from store.pixels import identify_image

    kind, (width, height) = identify_image(data)
    wanted = request.parameters.width, request.parameters.height
    warnings = []
    if (width, height) != wanted:
        warnings.append(f"The server made {width}x{height} instead of {wanted[0]}x{wanted[1]}.")
    return f"image/{kind.lower()}", warnings


def describe_host(settings: HostedSettings) -> str:
    """The host and whether a key is set, never the key."""
    return f"{settings.host}, {'a key is set' if settings.key is not None else 'no key is set'}"


# What is other now


_CARRIERS = ("tls", "grpcio", "protobuf", "httpx", "stability-sdk")


def judge_change(name: str) -> Judgement:
    """Whether it decides pixels that `name` is other around a client of a server."""
    if name == "engine":
        return Judgement(Weight.DECIDES, "another engine makes other images")
    if name == "host":
        return Judgement(Weight.DECIDES, "another server makes the image")
    if name in _CARRIERS:
        return Judgement(Weight.DOES_NOT_DECIDE, "it only carries the message")
    return Judgement(Weight.MAY_DECIDE, "it is the server that decides")
