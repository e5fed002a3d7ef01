"""The protocol's description, taken from the modules that the SDK carries: run as a program.

    python -m tests.engines.stability.descriptor_set

writes `engines/stability/protocol.binpb`; with `--print` it prints, as JSON, what it would write
(hexadecimal) and the parts of each file. It needs `stability-sdk`, in the version that
`engines.stability.descriptors.SOURCE` names. The SDK is imported here and not in a test, as it
appends folders to `sys.path`.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2

from engines.stability.descriptors import DATA, SOURCE

FILES = ("tensors.proto", "generation.proto", "engines.proto", "dashboard.proto")
"""In an order in which each has what it imports before it."""


def find_file(name: str) -> Any:
    """The SDK's own descriptor of one of the `FILES`."""
    import stability_sdk.interfaces.gooseai.dashboard.dashboard_pb2 as dashboard
    import stability_sdk.interfaces.gooseai.engines.engines_pb2 as engines
    import stability_sdk.interfaces.gooseai.generation.generation_pb2 as generation

    tensors = generation.DESCRIPTOR.dependencies[1]
    modules = (dashboard.DESCRIPTOR, engines.DESCRIPTOR, generation.DESCRIPTOR, tensors)
    return {file.name: file for file in modules}[name]


def describe() -> bytes:
    """The serialized FileDescriptorSet of the `FILES`."""
    found = descriptor_pb2.FileDescriptorSet()
    for name in FILES:
        find_file(name).CopyToProto(found.file.add())
    data: bytes = found.SerializeToString(deterministic=True)
    return data


def list_parts(file: Any) -> dict[str, str]:
    """Each message, field, enumeration, value, service and method of a file, by its full name."""
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    found = {"": f"file {proto.syntax} {' '.join(proto.dependency)} {proto.options}".strip()}
    found |= _list_messages(proto.package, proto.message_type)
    found |= _list_enumerations(proto.package, proto.enum_type)
    for service in proto.service:
        place = f"{proto.package}.{service.name}"
        found[place] = f"service {service.options}".strip()
        for method in service.method:
            found[f"{place}.{method.name}"] = (
                f"method {'stream ' * method.client_streaming}{method.input_type}"
                f" -> {'stream ' * method.server_streaming}{method.output_type} {method.options}"
            ).strip()
    return found


def _list_messages(package: str, messages: Any) -> dict[str, str]:
    found = {}
    for message in messages:
        place = f"{package}.{message.name}"
        found[place] = f"message {message.options}".strip()
        choices = [choice.name for choice in message.oneof_decl]
        found |= {f"{place}.{one.name}": _describe_field(one, choices) for one in message.field}
        found |= _list_messages(place, message.nested_type)
        found |= _list_enumerations(place, message.enum_type)
    return found


def _list_enumerations(package: str, enumerations: Any) -> dict[str, str]:
    found = {}
    for enumeration in enumerations:
        place = f"{package}.{enumeration.name}"
        found[place] = f"enumeration {enumeration.options}".strip()
        for value in enumeration.value:
            found[f"{place}.{value.name}"] = f"value {value.number} {value.options}".strip()
    return found


def _describe_field(field: Any, choices: Sequence[str]) -> str:
    """Number, label, type, and what else decides how it travels."""
    label = field.Label.Name(field.label).removeprefix("LABEL_").lower()
    kind = field.Type.Name(field.type).removeprefix("TYPE_").lower()
    parts = [
        f"field {field.number} {label} {kind}",
        field.type_name,
        f"of {choices[field.oneof_index]}" if field.HasField("oneof_index") else "",
        "with presence" if field.proto3_optional else "",
        field.default_value,
        str(field.options),
    ]
    return " ".join(part.strip() for part in parts if part.strip())


def main() -> None:
    """Write the file, or print what there is to compare."""
    package, version = SOURCE
    if importlib.metadata.version(package) != version:
        sys.exit(f"{package} {version} is wanted.")
    if "--print" in sys.argv:
        parts = {name: list_parts(find_file(name)) for name in FILES}
        print(json.dumps({"set": describe().hex(), "parts": parts}))
    else:
        DATA.write_bytes(describe())


if __name__ == "__main__":
    main()
