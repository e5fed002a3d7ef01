"""The generated messages of the services beside generation.

`engines.stability.protocol` comes first: it is what imports the SDK without leaving its folders in
`sys.path`.
"""

from __future__ import annotations

import stability_sdk.interfaces.gooseai.dashboard.dashboard_pb2 as dashboard
import stability_sdk.interfaces.gooseai.engines.engines_pb2 as listing

from engines.stability.protocol import Message

__all__ = ["Message", "dashboard", "listing"]
