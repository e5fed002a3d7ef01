"""The Stability protocol as protobuf describes it: message classes and enumerations.

`protocol.binpb` is a serialized FileDescriptorSet with the protocol's files `tensors.proto`,
`generation.proto`, `engines.proto` and `dashboard.proto`, as `stability-sdk` 0.8.6 generated its
modules from them (`licences/`). It is written, where that package is installed, by

    python -m tests.engines.stability.descriptor_set

The classes are made in a pool of our own. A program that imports the SDK beside this one puts files
of the same names into protobuf's default pool, which takes each name once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

DATA = Path(__file__).with_name("protocol.binpb")

SOURCE = ("stability-sdk", "0.8.6")
"""The package that the description was taken from, and its version."""


@cache
def make_pool() -> Any:
    """The descriptor pool with the protocol's files and protobuf's own `struct.proto`."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    for file in descriptor_pb2.FileDescriptorSet.FromString(DATA.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def load_messages(file: str) -> Any:
    """What a generated module of `file` offers: message classes, enumerations, their values.

    Beside them `DESCRIPTOR`, the file's own. Raises `KeyError` for a file that is not there.
    """
    descriptor = make_pool().FindFileByName(file)
    names: dict[str, Any] = {"DESCRIPTOR": descriptor}
    for name, message in descriptor.message_types_by_name.items():
        names[name] = message_factory.GetMessageClass(message)
    for name, enumeration in descriptor.enum_types_by_name.items():
        names[name] = EnumTypeWrapper(enumeration)
        names.update((value.name, value.number) for value in enumeration.values)
    return SimpleNamespace(**names)
