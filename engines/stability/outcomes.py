"""How a call can end, whatever the protocol, as states that a person can act on.

Texts of the server are cut and cleaned before they become part of a message.
"""

from __future__ import annotations

import unicodedata

import msgspec

from engines.base import EngineError, Failure
from engines.remote import Target

TEXT_LIMIT = 300
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
CHARGE = "It may have been charged, so Safelight does not send it again by itself."
LOOK = "Look at your account, then retry the job if you want it made again."


def clean_text(text: object, limit: int = TEXT_LIMIT) -> str:
    """`text` from outside as one line: no control, direction or invisible characters."""
    visible = ("?" if unicodedata.category(c) in _HIDDEN else c for c in _flatten(str(text)))
    line = "".join(visible)
    return line if len(line) <= limit else line[: limit - 1] + "…"


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


def make_filtered_error(said: str = "") -> EngineError:
    """The service withheld the image; nothing is charged for that."""
    text = "The service's filter withheld this image." + (f" It said: {said}" if said else "")
    return EngineError(Failure.FILTERED, text, "Change the words of the prompts.")
