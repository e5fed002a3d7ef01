from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.cli.invoking import invoke


@pytest.mark.parametrize("text", ["", "# nobody yet\n", "bob ssh-rsa AAAA\n"])
def test_signers_of_whom_none_can_sign_are_told(tmp_path: Path, text: str) -> None:
    signers = tmp_path / "signers"
    signers.write_text(text)
    done = invoke(["verify", "nothing.png", "--signers", str(signers)])
    assert f"there is no signer in {signers}" in done.output


def test_signers_that_cannot_be_read_are_no_verdict(tmp_path: Path) -> None:
    done = invoke(["verify", "nothing.png", "--signers", str(tmp_path)])
    assert done.exit_code == 2
    assert f"Cannot read {tmp_path}" in done.output
