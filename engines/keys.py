"""Keys of paid services: a secret that shows itself nowhere, and where it comes from.

A key comes from a command, a private file or the keyring. No message here holds any part of one,
or of what a command printed.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, Self

from store.errors import SafelightError
from store.folder import make_private_folder, sync
from store.known_secrets import remember_secret

_SHOWN = "Secret(…)"


class Secret:
    """A key that shows itself nowhere but in `reveal()`.

    `repr`, `str`, formatting and a traceback with its variables show a placeholder;
    pickling is refused. Call `reveal()` only inside the expression that needs the text, so
    that it is never in a variable. Once it is read, `store.known_secrets` takes it out of what
    is stored, shown or logged.
    """

    __slots__ = ("__read", "__value")

    def __init__(self, value: str) -> None:
        self.__value: str | None = value
        remember_secret(value)
        self.__read: Callable[[], Secret] | None = None

    @classmethod
    def deferred(cls, read: Callable[[], Secret]) -> Self:
        """A secret that is read by `read` when it is first revealed, and then kept.

        A command that unlocks a key is thus not started by programs that need no key.
        """
        secret = cls("")
        secret.__value, secret.__read = None, read
        return secret

    def reveal(self) -> str:
        """The text itself. Raises what the deferred reading raises."""
        if self.__value is None:
            assert self.__read is not None
            self.__value = self.__read().reveal()
        return self.__value

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return _SHOWN

    def __format__(self, spec: str) -> str:
        return format(_SHOWN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self is other or hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]  # a set would compare, and so read, the values

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is never pickled.")

    def __getstate__(self) -> NoReturn:
        raise TypeError("A secret is never pickled.")


COMMAND_SECONDS = 60
FILE_LIMIT = 4096
KEYRING_SERVICE = "safelight"
KEYS_FOLDER = "keys"
"""Beside `config.toml`: the files of keys that we write, and its time, which tells of changes."""
_KEY = re.compile(r"[\x21-\x7e]+")


class SettingsError(SafelightError):
    """A setting that cannot be used; the message names the file and the field."""


def check_key(key: Secret, source: str) -> Secret:
    """`key` itself when it can be one. Raises `SettingsError`.

    A key is one word of printable ASCII; anything else would not survive in a header.
    """
    if not _KEY.fullmatch(key.reveal()):
        raise SettingsError(
            f"{source} gives no key: a key is one word of ASCII letters, digits and signs.",
            "Copy it again from the page of your account.",
        )
    return key


def read_key_command(argv: Sequence[str]) -> Secret:
    """The key that the program `argv` prints. No shell is used. Raises `SettingsError`."""
    source = f"key_command ({Path(argv[0]).name})"
    try:
        result = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except OSError as error:
        raise SettingsError(f"{source} cannot be started: {error.strerror or error}.") from None
    except subprocess.TimeoutExpired:
        raise SettingsError(f"{source} gave no key within {COMMAND_SECONDS} seconds.") from None
    if result.returncode != 0:
        raise SettingsError(
            f"{source} ended with status {result.returncode}.",
            "Run it in a terminal to see why.",
        )
    key = Secret(result.stdout.decode("ascii", "replace").strip())
    del result  # it would show what was printed in a traceback with variables
    return check_key(key, source)


def read_key_file(path: Path) -> Secret:
    """The key in `path`, which only its owner may read. Raises `SettingsError`."""
    source = f"key_file {path}"
    try:
        # Not blocking: a FIFO would otherwise hold the worker until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(f"{source} cannot be read: {error.strerror or error}.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SettingsError(f"{source} is not a file.")
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_mode & 0o077 or status.st_uid not in (os.getuid(), 0):
            raise SettingsError(
                f"{source} may be read by others (mode {stat.S_IMODE(status.st_mode):04o}).",
                f"Run: chmod 600 {path}",
            )
        if status.st_size > FILE_LIMIT:
            raise SettingsError(f"{source} has more than {FILE_LIMIT} bytes; that is no key.")
        key = Secret(file.read(FILE_LIMIT).decode("ascii", "replace").strip())
    return check_key(key, source)


def write_key_file(path: Path, key: Secret) -> None:
    """Put `key` into `path`, in a folder and a file that only this user can read.

    Raises `SettingsError`.
    """
    check_key(key, "What was typed")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        make_private_folder(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(key.reveal() + "\n")
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from None


def read_keyring(account: str) -> Secret:
    """The key that the system's keyring holds for `account`. Raises `SettingsError`."""
    text = _ask_keyring("get_password", KEYRING_SERVICE, account)
    if text is None:
        raise SettingsError(
            f"The keyring holds no key for {account!r}.", "Put it there: safelight key set."
        )
    return check_key(Secret(str(text).strip()), "The keyring")


def note_change(folder: Path) -> None:
    """Let a worker that has read the old key be replaced: it looks at the time of `folder`."""
    try:
        make_private_folder(folder)
        os.utime(folder)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written: {error.strerror or error}.") from None


def check_keyring() -> None:
    """Raise `SettingsError` when there is no keyring to put a key into."""
    _ask_keyring("get_password", KEYRING_SERVICE, "")


def write_keyring(account: str, key: Secret) -> None:
    """Put `key` into the system's keyring for `account`. Raises `SettingsError`."""
    check_key(key, "What was typed")
    _ask_keyring("set_password", KEYRING_SERVICE, account, key)


def remove_from_keyring(account: str) -> bool:
    """Whether the keyring held a key for `account`; it does no more. Raises `SettingsError`."""
    if _ask_keyring("get_password", KEYRING_SERVICE, account) is None:
        return False
    _ask_keyring("delete_password", KEYRING_SERVICE, account)
    return True


def _ask_keyring(method: str, *arguments: str | Secret) -> object:
    """Call the package `keyring`, which is not there unless somebody wants it."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise SettingsError(
            "The keyring needs a package that is not installed.",
            "Run: pip install 'safelight[keyring]'. Or keep the key in a file: "
            "safelight key set --file.",
        ) from None
    try:
        return getattr(keyring, method)(
            *(part.reveal() if isinstance(part, Secret) else part for part in arguments)
        )
    except (KeyringError, RuntimeError, OSError) as error:
        # Its text may hold what it was given.
        raise SettingsError(
            f"The system's keyring cannot be used ({type(error).__name__}).",
            "Keep the key in a file instead: safelight key set --file.",
        ) from None
