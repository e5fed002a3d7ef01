"""Signatures by a person's own key, and what OpenSSH says of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.errors import StoreError
from store.metadata.signature import load_key, read_signature, read_signers

RECORD = b'{"format":1}'
HAS_OPENSSH = shutil.which("ssh-keygen") is not None


def write_key(
    path: Path, passphrase: bytes = b"", form: serialization.PrivateFormat | None = None
) -> Path:
    form = form or serialization.PrivateFormat.OpenSSH
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else None
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, form, locked or serialization.NoEncryption()
        )
    )
    return path


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.OpenSSH, serialization.PrivateFormat.PKCS8]
)
def test_a_signature_fits_what_was_signed_and_nothing_else(
    tmp_path: Path, form: serialization.PrivateFormat
) -> None:
    key = load_key(write_key(tmp_path / "key", form=form))
    text = key.sign(RECORD)
    signature = read_signature(text.encode())
    assert signature.key == key.public
    assert signature.fits(RECORD)
    assert not signature.fits(RECORD + b" ")
    other = load_key(write_key(tmp_path / "other")).sign(RECORD)
    assert not signature._replace(key=read_signature(other.encode()).key).fits(RECORD)


def test_every_changed_byte_of_a_signature_is_noticed(tmp_path: Path) -> None:
    text = load_key(write_key(tmp_path / "key")).sign(RECORD).encode()
    for place in range(len(text)):
        if text[place : place + 1].isspace():
            continue
        changed = bytearray(text)
        changed[place] ^= 1
        try:
            found = read_signature(bytes(changed))
        except StoreError:
            continue
        assert not found.fits(RECORD), place


def test_keys_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    locked = write_key(tmp_path / "locked", b"a passphrase", serialization.PrivateFormat.PKCS8)
    with pytest.raises(StoreError, match="passphrase"):
        load_key(locked)
    public = tmp_path / "key.pub"
    public.write_text(load_key(write_key(tmp_path / "key")).public.line)
    with pytest.raises(StoreError, match="public key"):
        load_key(public)
    other = tmp_path / "other"
    other.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(StoreError, match="not an Ed25519 key"):
        load_key(other)
    other.write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError, match="no private key"):
        load_key(other)
    with pytest.raises(StoreError, match="Cannot read"):
        load_key(tmp_path / "none")


def test_the_private_key_is_shown_nowhere(tmp_path: Path) -> None:
    path = write_key(tmp_path / "key")
    key = load_key(path)
    secret = path.read_bytes().split(b"\n")[2].decode()
    assert secret not in repr(key) + str(vars(key)) + key.sign(RECORD)


def test_a_key_is_named_by_the_signers_who_are_allowed(tmp_path: Path) -> None:
    key = load_key(write_key(tmp_path / "key")).public
    signers = tmp_path / "allowed_signers"
    signers.write_text(f'# people\nbob namespaces="git" {key.line}\n')
    assert read_signers(signers).get(key.line) is None
    signers.write_text(f'ann@example.org namespaces="git,safe*" {key.line} comment\n')
    assert read_signers(signers).get(key.line) == "ann@example.org"
    signers.write_text(f"bob,ann {key.line}\n")
    assert read_signers(signers).get(key.line) == "bob,ann"


@pytest.mark.skipif(not HAS_OPENSSH, reason="OpenSSH is not installed")
def test_openssh_reads_ours_and_we_read_its_signatures(tmp_path: Path) -> None:
    path = write_key(tmp_path / "key")
    path.chmod(0o600)
    key = load_key(path)
    (tmp_path / "allowed").write_text(f"ann@example.org {key.public.line}\n")
    (tmp_path / "ours").write_text(key.sign(RECORD))
    where = f"-f {tmp_path / 'allowed'} -s {tmp_path / 'ours'}".split()
    checked = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-I", "ann@example.org", "-n", "safelight", *where],
        input=RECORD,
        capture_output=True,
    )
    assert checked.returncode == 0, checked.stderr
    assert key.public.fingerprint in checked.stdout.decode()
    (tmp_path / "record").write_bytes(RECORD)
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", path, "-n", "safelight", tmp_path / "record"],
        check=True,
        capture_output=True,
    )
    assert read_signature((tmp_path / "record.sig").read_bytes()).fits(RECORD)
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", path, "-n", "git", tmp_path / "ours"],
        check=True,
        capture_output=True,
    )
    with pytest.raises(StoreError, match="something else"):
        read_signature((tmp_path / "ours.sig").read_bytes())
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", path], check=True)
    with pytest.raises(StoreError, match="passphrase"):
        load_key(path)
