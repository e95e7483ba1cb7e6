"""The API's conventions, as tests of the protos: comments, names, units, standard methods.

Shapes come from the generated code, comments from the text: no compiler of protos is needed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from tests.house.comments import PROTOS, elements, package

F = descriptor_pb2.FieldDescriptorProto
UNSIGNED = {F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_FIXED32, F.TYPE_FIXED64}
# The rest are protocols of others, whose shapes are not ours to choose.
OURS = [path for path in PROTOS if path.parent == Path("protos/smokestack/v1")]


@pytest.fixture(scope="module")
def files() -> list[descriptor_pb2.FileDescriptorProto]:
    assert OURS
    return [described(path) for path in OURS]


def described(path: Path) -> descriptor_pb2.FileDescriptorProto:
    module = importlib.import_module(f"{package(path)}.{path.stem}_pb2")
    file = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


def fields(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> Iterator[tuple[str, descriptor_pb2.FieldDescriptorProto]]:
    for file in files:
        for message in file.message_type:
            for field in message.field:
                yield f"{message.name}.{field.name}", field


def methods(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> Iterator[tuple[str, descriptor_pb2.MethodDescriptorProto]]:
    for file in files:
        for service in file.service:
            for method in service.method:
                yield f"{service.name}.{method.name}", method


@pytest.mark.parametrize("path", PROTOS, ids=str)
def test_every_element_has_a_comment_of_sentences(path: Path) -> None:
    every = list(elements(path))
    bare = [e.where for e in every if not re.match(r"[A-Z0-9]", e.comment)]
    assert not bare, "no comment, or not a sentence"
    unended = [e.where for e in every if not re.search(r"[.:]$", e.comment)]
    assert not unended, "a sentence ends"


@pytest.mark.parametrize("path", PROTOS, ids=str)
def test_the_reader_of_comments_sees_all_that_is_declared(path: Path) -> None:
    file = described(path)
    declared = [path.name]
    for message in file.message_type:
        declared += declared_in(message)
    for enum in file.enum_type:
        declared += [enum.name, *(v.name for v in enum.value)]
    for service in file.service:
        declared += [service.name, *(m.name for m in service.method)]
    assert sorted(e.name for e in elements(path)) == sorted(declared)


def declared_in(message: descriptor_pb2.DescriptorProto) -> list[str]:
    oneofs = [o.name for o in message.oneof_decl if not o.name.startswith("_")]
    declared = [message.name, *oneofs, *(f.name for f in message.field)]
    for enum in message.enum_type:
        declared += [enum.name, *(v.name for v in enum.value)]
    for nested in nested_in(message):
        declared += declared_in(nested)
    return declared


def nested_in(
    message: descriptor_pb2.DescriptorProto,
) -> list[descriptor_pb2.DescriptorProto]:
    """Messages within a message; the entries of its maps, which nobody writes, are none."""
    return [nested for nested in message.nested_type if not nested.options.map_entry]


def test_nothing_is_nested_where_comments_would_not_be_looked_for(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    for file in files:
        for message in file.message_type:
            assert not nested_in(message) and not message.enum_type, message.name


def test_integers_are_signed_and_times_and_sizes_are_64_bits(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    for name, field in fields(files):
        assert field.type not in UNSIGNED, f"{name} is unsigned"
        if re.search(r"_(ns|bytes)$", name):
            assert field.type == F.TYPE_INT64, f"{name} needs 64 bits"


@pytest.mark.parametrize("wart", [r"\bnum_", r"_(us|ms|secs?|seconds|kb|mb|gb|kib|mib|gib)$"])
def test_names_use_the_house_units(
    files: list[descriptor_pb2.FileDescriptorProto], wart: str
) -> None:
    found = [n for n, _ in fields(files) if re.search(wart, n.replace(".", " "))]
    assert [n for n in found if not n.endswith("bytes_per_second")] == []


def test_enums_begin_with_what_is_not_set(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    for file in files:
        for enum in file.enum_type:
            prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
            assert enum.value[0].name == f"{prefix}_UNSPECIFIED"
            assert all(value.name.startswith(f"{prefix}_") for value in enum.value)


def test_lists_have_pages_and_changes_can_be_retried(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    shapes = {
        message.name: {field.name for field in message.field}
        for file in files
        for message in file.message_type
    }
    for name, method in methods(files):
        request = shapes[method.input_type.rpartition(".")[2]]
        verb = re.match(r"[A-Z][a-z]+", method.name)
        assert verb, name
        if verb[0] == "List":
            assert {"page_size", "page_token"} <= request, name
            assert "next_page_token" in shapes[method.output_type.rpartition(".")[2]], name
        if verb[0] in ("Create", "Update", "Delete", "Stop", "Rescan"):
            assert "request_id" in request, name
        if verb[0] == "Update":
            assert "update_mask" in request, name


@pytest.mark.parametrize("path", PROTOS, ids=str)
def test_methods_that_can_refuse_list_how_to_recover(path: Path) -> None:
    comments = {element.name: element.comment for element in elements(path)}
    for name, method in methods([described(path)]):
        if method.name in ("GetStatistics", "GetSimulation"):
            continue  # they name nothing, so nothing can be wrong with them
        comment = comments[method.name]
        assert "\nErrors" in comment, name
        assert re.search(r"\n  [A-Z_]{6,}  +[a-z]", comment), name
