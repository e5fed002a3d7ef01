"""What a server of the Stability protocol says of an account: there is one, without money."""

from __future__ import annotations

from typing import Any

import grpc

from engines.stability.account_wire import dashboard
from engines.stability.protocol import Message

_ACCOUNT = "local"


class DashboardService:
    """The two calls that clients make to see an account. There is one, and no money in it."""

    async def get_me(self, request: Message, context: Any) -> Message:
        """The one user, with the one organization."""
        member = dashboard.OrganizationMember(organization=_make_organization(), is_default=True)
        return dashboard.User(id=_ACCOUNT, organizations=[member])

    async def get_organization(self, request: Message, context: Any) -> Message:
        """The one organization; its balance is 0, as images cost nothing."""
        if request.id not in ("", _ACCOUNT):
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"The only organization here is {_ACCOUNT!r}."
            )
        return _make_organization()


def _make_organization() -> Message:
    return dashboard.Organization(
        id=_ACCOUNT,
        name="Safelight",
        description="A server of one's own: images cost nothing.",
        payment_info=dashboard.OrganizationPaymentInfo(balance=0.0),
    )
