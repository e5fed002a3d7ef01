"""Signatures of records by a person's own Ed25519 key, in the form of `ssh-keygen -Y sign`.

What is signed is the record, byte for byte, in which the digests of the pixels are. So OpenSSH can
check one too, beside `safelight verify`. The namespace is `safelight`, so a signature of something
else is none of a record.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import struct
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from store.errors import StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMESPACE = "safelight"
SIGNATURE_LIMIT = 8192
"""Most bytes of a signature; one by an Ed25519 key has about 300."""

KEY_LIMIT = 64 * 1024
SIGNERS_LIMIT = 1024 * 1024

_MAGIC = b"SSHSIG"
_KIND = b"ssh-ed25519"
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class SignatureState(StrEnum):
    """What was found of a signature: none, one that fits the record, or one that does not."""

    NONE = "none"
    FITS = "fits"
    DOES_NOT_FIT = "does not fit"


class SignatureFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Who says so. `fingerprint` and `key` as OpenSSH writes them; None where they are not known.

    `name`: whose key that is by the file of signers, None where it is in none.
    """

    state: SignatureState = SignatureState.NONE
    fingerprint: str | None = None
    key: str | None = None
    name: str | None = None
    problem: str = ""


class SigningKey:
    """A private key, held in memory and shown nowhere."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint})"

    @property
    def public(self) -> PublicKey:
        """Its public half."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return PublicKey(raw)

    def sign(self, record: bytes) -> str:
        """The signature of a record, as text in lines."""
        signed = self._key.sign(_make_message(record, b"sha512"))
        blob = (
            _MAGIC
            + struct.pack(">I", 1)
            + _pack(self.public.blob)
            + _pack(NAMESPACE.encode())
            + _pack(b"")
            + _pack(b"sha512")
            + _pack(_pack(_KIND) + _pack(signed))
        )
        text = base64.b64encode(blob).decode()
        lines = [text[place : place + 70] for place in range(0, len(text), 70)]
        return "\n".join([_BEGIN, *lines, _END, ""])


class PublicKey(NamedTuple):
    """The 32 bytes of a public Ed25519 key."""

    raw: bytes

    @property
    def blob(self) -> bytes:
        """As OpenSSH writes it in base64."""
        return _pack(_KIND) + _pack(self.raw)

    @property
    def line(self) -> str:
        """`ssh-ed25519 AAAA…`, as it stands in a `.pub` file."""
        return f"{_KIND.decode()} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"


class Signature(NamedTuple):
    """A signature that was read, not checked yet."""

    key: PublicKey
    hash_name: bytes
    signed: bytes

    def fits(self, record: bytes) -> bool:
        """Whether this key signed exactly these bytes."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            public = Ed25519PublicKey.from_public_bytes(self.key.raw)
            public.verify(self.signed, _make_message(record, self.hash_name))
        except (InvalidSignature, ValueError):
            return False
        return True


def load_key(path: Path) -> SigningKey:
    """The private key in a file of OpenSSH or PEM. Raises `StoreError`, without anything of it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
        load_ssh_private_key,
    )

    try:
        with path.expanduser().open("rb") as file:
            data = file.read(KEY_LIMIT)
    except OSError as error:
        raise StoreError(f"Cannot read the key {path}: {error.strerror}.") from None
    if data.startswith(b"ssh-"):
        raise StoreError(
            f"{path} is a public key.", "Give the private one, whose name has no .pub at its end."
        )
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, password=None)
    except TypeError:
        raise _refuse_locked(path) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        if "assword" in str(error):
            raise _refuse_locked(path) from None
        raise StoreError(
            f"{path} is no private key that can be read.",
            "Make one: ssh-keygen -t ed25519 -N '' -f FILE",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(
            f"The key {path} is not an Ed25519 key.",
            "Make one: ssh-keygen -t ed25519 -N '' -f FILE",
        )
    return SigningKey(key)


def _refuse_locked(path: Path) -> StoreError:
    return StoreError(
        f"The key {path} is locked with a passphrase, which is not asked for here.",
        "Sign with a key of its own: ssh-keygen -t ed25519 -N '' -f FILE",
    )


def read_signature(text: bytes) -> Signature:
    """The signature in `text`. Raises `StoreError` where it is none of a record."""
    problem = StoreError("The signature cannot be read.")
    if len(text) > SIGNATURE_LIMIT:
        raise problem
    try:
        lines = text.decode("ascii").split("\n")
        middle, end, rest = "".join(line.strip() for line in lines[1:]).partition(_END)
        if lines[0].strip() != _BEGIN or not end or rest:
            raise problem
        blob = base64.b64decode(middle, validate=True)
        fields = _unpack(blob[len(_MAGIC) + 4 :], 5)
        key_kind, raw = _unpack(fields[0], 2)
        signed_kind, signed = _unpack(fields[4], 2)
    except (UnicodeDecodeError, binascii.Error, ValueError, struct.error):
        raise problem from None
    is_canonical = base64.b64encode(blob).decode() == middle and not fields[2]
    if not is_canonical or not blob.startswith(_MAGIC + struct.pack(">I", 1)):
        raise problem
    if key_kind != _KIND or signed_kind != _KIND or len(raw) != 32:
        raise StoreError("The signature is not of an Ed25519 key.")
    if fields[1] != NAMESPACE.encode() or fields[3] not in _HASHES:
        raise StoreError("The signature was made for something else than a record.")
    return Signature(PublicKey(raw), fields[3], signed)


def read_signers(path: Path) -> dict[str, str]:
    """Whose the keys are (`PublicKey.line`) by a file in the form of OpenSSH's `allowed_signers`.

    The first line of a key counts. Lines of other kinds of keys, and with options other than a
    namespace that fits, are left out. Raises `StoreError` where the file cannot be read.
    """
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(SIGNERS_LIMIT).decode("utf-8", "replace")
    except OSError as error:
        raise StoreError(f"Cannot read {path}: {error.strerror}.") from None
    kind = _KIND.decode()
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or words[0].startswith("#"):
            continue
        options, rest = ("", words[1:]) if words[1] == kind else (words[1], words[2:])
        if rest[:1] == [kind] and len(rest) > 1 and _allows(options):
            found.setdefault(f"{kind} {rest[1]}", words[0])
    return found


def _allows(options: str) -> bool:
    if not options:
        return True
    name, _, value = options.partition("=")
    patterns = value.strip('"').split(",")
    return name.lower() == "namespaces" and any(
        fnmatch.fnmatchcase(NAMESPACE, pattern) for pattern in patterns
    )


def _make_message(record: bytes, hash_name: bytes) -> bytes:
    digest = _HASHES[hash_name](record).digest()
    parts = (NAMESPACE.encode(), b"", hash_name, digest)
    return _MAGIC + b"".join(_pack(part) for part in parts)


def _pack(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _unpack(data: bytes, count: int) -> list[bytes]:
    """`count` fields with their lengths before them. Raises `ValueError` where they do not fit."""
    fields = []
    for _ in range(count):
        (length,) = struct.unpack_from(">I", data)
        if len(data) < 4 + length:
            raise ValueError
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    if data:
        raise ValueError
    return fields
