"""The protocol that we carry along beside the one of the SDK, part by part."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest

from engines.stability.descriptors import DATA, load_messages, make_pool
from engines.stability.protocol import generation
from tests.engines.stability.descriptor_set import FILES, list_parts
from tests.sdk import needs_sdk

SHA256 = "b99ca32d73f7970e10d041a8abc51537a334cc81d88dc69e15e6e5931f07270f"


@pytest.fixture(scope="module")
def sdk() -> dict[str, Any]:
    """What the SDK has: the parts of each file, and all of it in the form that we carry along."""
    command = [sys.executable, "-m", "tests.engines.stability.descriptor_set", "--print"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@needs_sdk
@pytest.mark.parametrize("file", FILES)
def test_it_is_the_sdks_message_by_message_and_field_by_field(
    sdk: dict[str, Any], file: str
) -> None:
    ours = list_parts(make_pool().FindFileByName(file))
    assert list(ours) == list(sdk["parts"][file])
    assert ours == sdk["parts"][file]


@needs_sdk
def test_the_command_writes_the_file_that_is_there(sdk: dict[str, Any]) -> None:
    assert DATA.read_bytes().hex() == sdk["set"]


def test_nothing_of_it_was_changed() -> None:
    assert hashlib.sha256(DATA.read_bytes()).hexdigest() == SHA256


def test_the_parts_are_all_there() -> None:
    parts = {file: list_parts(make_pool().FindFileByName(file)) for file in FILES}
    kinds = [said.split()[0] for found in parts.values() for said in found.values()]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    assert counts["message"] == 72
    assert counts["field"] == 260
    assert counts["method"] == 19
    assert parts["generation.proto"]["gooseai.Request.prompt"] == (
        "field 4 repeated message .gooseai.Prompt"
    )
    assert parts["dashboard.proto"]["gooseai.DashboardService.GetMe"] == (
        "method .gooseai.EmptyRequest -> .gooseai.User"
    )


BESIDE = """
import sys
for name in sys.argv[1:]:
    __import__(name)
from stability_sdk.interfaces.gooseai.generation import generation_pb2 as theirs
from engines.stability.protocol import generation as ours
message = ours.Request(prompt=[ours.Prompt(text="town")])
print(theirs.Request.FromString(message.SerializeToString()).prompt[0].text)
"""


@needs_sdk
@pytest.mark.parametrize("is_first", [True, False])
def test_a_program_may_have_the_sdk_beside_it(is_first: bool) -> None:
    names = ["engines.stability.protocol", "stability_sdk.client"]
    command = [sys.executable, "-c", BESIDE, *(names if is_first else reversed(names))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "town\n"


def test_a_file_has_what_a_generated_module_has() -> None:
    message = generation.Request(prompt=[generation.Prompt(text="town")])
    message.extras.update({"$IPC": {"preset": "anime"}})
    message.image.transform.diffusion = generation.DiffusionSampler.Value("SAMPLER_K_LMS")
    again = generation.Request.FromString(message.SerializeToString())
    assert again == message
    assert again.prompt[0].text == "town"
    assert again.extras["$IPC"]["preset"] == "anime"
    assert again.image.transform.diffusion == generation.SAMPLER_K_LMS
    with pytest.raises(KeyError):
        load_messages("nothing.proto")
