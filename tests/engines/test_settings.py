"""What `config.toml` and the environment set, and what a mistake in them says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engines.installed import find_installed
from engines.keys import Secret, SettingsError
from engines.settings import InterfaceSettings, Settings, load_settings
from engines.stability import SPEC as STABILITY
from engines.stability.models import HOSTED, StabilitySettings
from engines.stability_rest import SPEC as STABILITY_REST
from engines.stability_rest.models import REST_HOSTED, StabilityRestSettings

CANARY = "sk-CANARY-0123456789"
FULL = """
[stability]
host = "localhost:50051"
tls = true
certificates = "authority.pem"
deadline_seconds = 60
idle_seconds = 12.5
models = ["builtin", "mine-1"]

[stability-rest]
host = "http://localhost:8080"
certificates = "other.pem"
deadline_seconds = 90
idle_seconds = 45

[builtin]

[interface]
images = "sixel"
mouse = false

[worker]
idle_minutes = 0
"""


def load(folder: Path, text: str | None = None, **environ: str) -> Settings:
    file = folder / "config.toml"
    if text is not None:
        file.write_text(text, "utf-8")
    return load_settings(environ, file)


def find_key(settings: Settings) -> Secret:
    key = settings.of(STABILITY).key
    assert key is not None
    return key


def fail(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text, **environ)
    assert str(folder / "config.toml") in caught.value.message
    return str(caught.value)


def test_without_a_file_everything_has_a_default(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert msgspec.structs.replace(settings, engines={}, profiles={}) == Settings()
    assert set(settings.engines) == {"builtin", "stability", "stability-rest"}
    for name, spec in find_installed().specs.items():
        assert settings.engines[name] == settings.of(spec) == Settings().of(spec)
    assert settings.of(STABILITY).host == HOSTED
    assert settings.of(STABILITY).key is None
    assert settings.of(STABILITY_REST).host == REST_HOSTED == "https://api.stability.ai"


def test_every_setting_is_read(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL)
    assert settings.of(STABILITY) == StabilitySettings(
        host="localhost:50051",
        tls=True,
        certificates=tmp_path / "authority.pem",
        deadline_seconds=60.0,
        idle_seconds=12.5,
        models=("builtin", "mine-1"),
    )
    assert settings.of(STABILITY_REST) == StabilityRestSettings(
        host="http://localhost:8080",
        certificates=tmp_path / "other.pem",
        deadline_seconds=90.0,
        idle_seconds=45.0,
    )
    assert settings.interface == InterfaceSettings(images="sixel", mouse=False)
    assert settings.worker.idle_minutes == 0


def test_the_environment_wins(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, STABILITY_HOST="example.org:1", STABILITY_KEY=CANARY)
    assert settings.of(STABILITY).host == "example.org:1"
    assert find_key(settings).reveal() == CANARY
    assert settings.of(STABILITY_REST).key is settings.of(STABILITY).key
    assert settings.of(STABILITY_REST).host == "http://localhost:8080"
    rest = load(tmp_path, FULL, STABILITY_REST_HOST="https://example.org").of(STABILITY_REST)
    assert rest.host == "https://example.org"
    assert load(tmp_path, FULL, STABILITY_HOST="").of(STABILITY).host == "localhost:50051"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[stability]\ntls = 'yes'", "[stability] tls: expected true or false"),
        ("[stability]\nhots = 'x'", "[stability] hots: there is no such setting. Known: host,"),
        (
            "[stabilty]\nhost = 'x'",
            "[stabilty]: there is no such setting. Known: builtin, stability, stability-rest, "
            "hosts, profile, budget, interface, keys, worker.",
        ),
        ("[stability-rest]\nhost = 3", "[stability-rest] host: expected a text, got a number"),
        ("[stability-rest]\ntls = true", "tls: there is no such setting. Known: host,"),
        ("[stability_rest]\nhost = 'x'", "[stability_rest]: there is no such setting. Known: "),
        ("[builtin]\nspeed = 3", "[builtin] speed: there is no such setting. Known: none"),
        (
            "[interface]\nimages = 'ascii'",
            "images: invalid enum value 'ascii'. Known: auto,",
        ),
        ("[interface]\nimages = 3", "images: expected a text, got a number. Known: auto,"),
        ("[interface]\nmouse = 1", "[interface] mouse: expected true or false, got a number"),
        ("[worker]\nidle_minutes = -1", "[worker] idle_minutes: expected a number >= 0"),
        ("[stability]\ndeadline_seconds = 0", "deadline_seconds: expected a number >= 1"),
        ("[stability]\nmodels = 'builtin'", "[stability] models: expected a list"),
        ("[stability]\nmodels = ['Big Model']", "[stability] models: 'Big Model' is not a name"),
        ("[stability]\nkey_command = []", "[stability] key_command: expected a list"),
        ("stability = 3", "[stability]: expected a section, got a number"),
        ("hosts = 3", "[hosts]: expected a section, got a number"),
        ("[stability\n", "is not valid TOML"),
    ],
)
def test_a_mistake_names_the_file_and_the_field(tmp_path: Path, text: str, words: str) -> None:
    assert words in fail(tmp_path, text)


@pytest.mark.parametrize("section", ["stability", "stability-rest"])
def test_a_key_in_the_file_is_refused_without_showing_it(tmp_path: Path, section: str) -> None:
    message = fail(tmp_path, f"[{section}]\nkey = '{CANARY}'")
    assert "does not belong in this file" in message
    assert "name that as key_file in the section [stability], or set STABILITY_KEY" in message
    assert CANARY not in message


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({}, tmp_path / "folder.toml")


def write_key(folder: Path, text: str = f"  {CANARY}\n", mode: int = 0o600) -> Path:
    file = folder / "key"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_private_key_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    settings = load(tmp_path, "[stability]\nkey_file = 'key'")
    write_key(tmp_path)  # made after the settings were read
    assert find_key(settings).reveal() == CANARY


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    settings = load(tmp_path, "[stability]\nkey_file = 'key'")
    file = write_key(tmp_path, mode=mode)
    with pytest.raises(SettingsError, match=r"may be read by others") as caught:
        find_key(settings).reveal()
    assert caught.value.hint == f"Run: chmod 600 {file}"


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "schlüssel", "x" * 5000])
def test_a_key_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    settings = load(tmp_path, "[stability]\nkey_file = 'key'")
    write_key(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        find_key(settings).reveal()
    assert not text or text not in str(caught.value)


def test_key_files_that_are_no_files(tmp_path: Path) -> None:
    settings = load(tmp_path, "[stability]\nkey_file = 'key'")
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        find_key(settings).reveal()
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(SettingsError, match="is not a file"):
        find_key(settings).reveal()


def command(code: str) -> str:
    return f"[stability]\nkey_command = [{sys.executable!r}, '-c', {code!r}]\nkey_file = 'key'"


def test_a_key_command_is_run_without_a_shell_when_it_is_needed(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    code = f"open('{trace}', 'w'); print('{CANARY}')".replace("'", '"')
    settings = load(tmp_path, command(code))
    assert not trace.exists()
    assert find_key(settings).reveal() == CANARY
    assert trace.exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (f'print("{CANARY}"); raise SystemExit(3)', "ended with status 3"),
        (f'print("{CANARY} and more")', "gives no key"),
        ("pass", "gives no key"),
    ],
)
def test_a_key_command_that_fails_shows_nothing_of_the_key(
    tmp_path: Path, code: str, words: str
) -> None:
    key = load(tmp_path, command(code)).of(STABILITY).key
    assert key is not None
    with pytest.raises(SettingsError, match=words) as caught:
        key.reveal()
    assert CANARY not in str(caught.value)


def test_a_key_command_that_does_not_exist(tmp_path: Path) -> None:
    key = load(tmp_path, "[stability]\nkey_command = ['/nowhere/pass', 'show']").of(STABILITY).key
    assert key is not None
    with pytest.raises(SettingsError, match="cannot be started"):
        key.reveal()


def test_a_variable_with_a_broken_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="STABILITY_KEY") as caught:
        load(tmp_path, STABILITY_KEY=f"{CANARY} x")
    assert CANARY not in str(caught.value)


HOSTS = """
profile = "mine"
[stability]
host = "grpc.stability.ai:443"
[hosts.mine]
host = "localhost:50051"
tls = false
model = "own-1"
models = ["own-2"]
key_command = ["{python}", "-c", "print('{key}')"]
[hosts.other]
host = "example.org:443"
"""


def test_a_host_of_the_file_is_chosen_by_name(tmp_path: Path) -> None:
    text = HOSTS.replace("{python}", sys.executable).replace("{key}", CANARY)
    settings = load(tmp_path, text)
    assert settings.profile == "mine"
    assert settings.of(STABILITY).host == "localhost:50051"
    assert settings.of(STABILITY).models == ("own-1", "own-2")
    assert find_key(settings).reveal() == CANARY
    assert settings.for_profile(None).of(STABILITY).host == HOSTED
    assert settings.for_profile("other").of(STABILITY).host == "example.org:443"
    assert settings.for_profile("other").of(STABILITY).key is None
    assert load(tmp_path, text, SAFELIGHT_PROFILE="other").profile == "other"
    assert load(tmp_path, text, STABILITY_HOST="localhost:1").of(STABILITY).host == "localhost:1"
    with pytest.raises(SettingsError, match=r"no profile 'none'\. Known: mine, other"):
        settings.for_profile("none")
    with pytest.raises(SettingsError, match=r"no profile 'none'\. Known: mine, other"):
        load(tmp_path, text, SAFELIGHT_PROFILE="none")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[hosts.a]\nhos = 'x'", "[hosts.a] hos: there is no such setting. Known: host,"),
        ("[hosts.a]\ntls = 3", "[hosts.a] tls: expected true or false, got a number"),
        ("[hosts.a]\nmodel = 'A B'", "[hosts.a] models: 'A B' is not a name"),
        ("[hosts.a]\nkey = 'sk-x'", "[hosts.a] key: a key does not belong in this file"),
        ("[hosts.a]\nkey = 'sk-x'", "as key_file in the section [hosts.a], or set STABILITY_KEY"),
        ("[hosts.'a b']\nhost = 'x'", "[hosts] 'a b' is not a name"),
        ("[budget]\ncredits_per_day = -1", "[budget] credits_per_day"),
        ("[budget]\ncredits = 1", "[budget] credits: there is no such setting. Known: credits_per"),
    ],
)
def test_a_mistake_in_a_host_or_the_budget_is_named(tmp_path: Path, text: str, words: str) -> None:
    assert words in fail(tmp_path, text)


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("data", [BOM + b"[worker]\nidle_minutes = 3\n", BOM + b"worker = {}\n"])
def test_a_byte_order_mark_is_passed_over(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(data)
    assert load(tmp_path).worker.idle_minutes in (3, 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ("a = " + "[" * 40 + "]" * 40, "nested too deep"),
        ("a = " + "{a=" * 5000 + "1" + "}" * 5000, "nested too deep"),
        ("[keys]\n" + "a." * 5000 + "b = 'x'", "nested too deep"),
        ("[" + "keys." * 5000 + "b]", "nested too deep"),
        ("[worker]\nidle_minutes = " + "9" * 5000, "number or a time that is out of range"),
        ("[worker]\nidle_minutes = " + "9" * 4000, "idle_minutes: number out of range"),
        ("[worker]\nidle_minutes = 0x" + "9" * 5000, "idle_minutes: number out of range"),
        ("[worker]\nidle_minutes = nan", "idle_minutes: expected a number >= 0.0"),
        ("[worker]\nidle_minutes = 1e999", "idle_minutes: expected a number <= 10080.0"),
        ("[budget]\ncredits_per_day = nan", "credits_per_day: expected a number >= 0.0"),
        ("[" + "a" * 100_000 + "]", "there is no such setting"),
        ("#" * (1 << 20) + "#", "more than 1,048,576 bytes"),
        ("[stability]\ncertificates = '~nobody-of-that-name/x'", "home folder of a user whom"),
        ('[stability]\nkey_file = "a\\u0000b"', "cannot be the name of a file"),
    ],
)
def test_what_is_deep_long_or_endless_is_one_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    said = fail(tmp_path, text)
    assert words in said
    assert len(said) < 400 + len(str(tmp_path))


COMMAND = "[stability]\nkey_command = ['/bin/echo', 'key']\n"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o664])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "config.toml"
    file.write_text(COMMAND)
    file.chmod(mode)
    said = fail(tmp_path, COMMAND)
    assert f"may be written by others (mode {mode:04o})" in said
    assert f"chmod go-w {file}" in said
    file.chmod(0o644)
    assert find_key(load(tmp_path)).reveal() == "key"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_or_link_of_another_user_is_refused(tmp_path: Path, is_link: bool) -> None:
    file = tmp_path / "config.toml"
    (tmp_path / "own.toml").write_text(COMMAND)
    if is_link:
        file.symlink_to("own.toml")
        assert find_key(load(tmp_path)).reveal() == "key"
    else:
        (tmp_path / "own.toml").rename(file)
    os.chown(file, 65534, 65534, follow_symlinks=False)
    with pytest.raises(SettingsError, match="belongs to another user"):
        load(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "config.toml")
    with pytest.raises(SettingsError, match="it is not a file"):
        load(tmp_path)
