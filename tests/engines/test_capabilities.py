"""What an engine accepts, asked of a request."""

from __future__ import annotations

import pytest
from msgspec import structs

from engines.builtin.engine import BuiltinEngine
from store.errors import RequestError
from tests.factories import make_quick_request


def test_a_name_without_a_revision_is_not_listed_as_one() -> None:
    names = ("safelight-128-v1", "safelight-128-v1@3")
    capabilities = structs.replace(BuiltinEngine().capabilities, models=names)
    request = structs.replace(make_quick_request(), model="safelight-128-v1@9")
    with pytest.raises(RequestError) as raised:
        capabilities.check(request)
    assert str(raised.value).startswith(
        "Revision 9 of safelight-128-v1 is not on board; on board: 3."
    )
