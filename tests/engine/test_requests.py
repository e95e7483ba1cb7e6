"""What the services share of the API's conventions: names, pages, masks, retries."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smokestack.engine.border import BorderLock
from smokestack.engine.errors import InvalidArgument
from smokestack.engine.masks import masked
from smokestack.engine.names import NameForm
from smokestack.engine.paging import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, page
from smokestack.engine.requests import REMEMBERED_MAX, Requests

PORT = NameForm("arrays/a1/ports/p0")


@dataclass
class Request:
    """A stand-in for a message."""

    request_id: str
    content: bytes = b"same"

    def SerializeToString(self, *, deterministic: bool = False) -> bytes:
        assert deterministic
        return self.content


def wrong_field(caught: pytest.ExceptionInfo[InvalidArgument]) -> str:
    [violation] = caught.value.violations
    return violation.field


def test_a_name_is_taken_apart_and_put_together() -> None:
    assert PORT.parse("arrays/x/ports/y") == ("x", "y")
    assert PORT.format("x", "y") == "arrays/x/ports/y"


@pytest.mark.parametrize(
    "name",
    ["", "p0", "arrays/a1", "arrays/a1/pools/p0", "arrays/a1/ports/", "arrays//ports/p0",
     "arrays/a1/ports/p0/", "arrays/a1/ports/p0/x/y", "/arrays/a1/ports/p0"],
)  # fmt: skip
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="arrays/a1/ports/p0") as caught:
        PORT.parse(name, "port.name")
    assert wrong_field(caught) == "port.name"


@given(st.sets(st.text("abc", min_size=1)), st.integers(1, 7))
def test_pages_together_are_the_list_in_order(keys: set[str], size: int) -> None:
    found, token = page(keys, size, "", "list")
    pages = [found]
    while token:
        found, token = page(keys, size, token, "list")
        pages.append(found)
    assert [key for found in pages for key in found] == sorted(keys)
    assert all(len(found) == size for found in pages[:-1])


def test_a_token_survives_what_is_created_and_deleted_between_pages() -> None:
    first, token = page(["b", "d", "f"], 2, "", "list")
    assert first == ["b", "d"]
    assert page(["a", "b", "e", "f"], 2, token, "list") == (["e", "f"], "")


def test_page_sizes_have_a_default_and_a_limit() -> None:
    keys = [f"{n:06}" for n in range(20_000)]
    assert len(page(keys, 0, "", "list")[0]) == PAGE_SIZE_DEFAULT
    assert len(page(keys, 1 << 30, "", "list")[0]) == PAGE_SIZE_MAX
    with pytest.raises(InvalidArgument) as caught:
        page(keys, -1, "", "list")
    assert wrong_field(caught) == "page_size"


@pytest.mark.parametrize("token", ["x", "é", "AAAA", page(["a", "b"], 1, "", "other")[1]])
def test_a_token_of_something_else_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        page(["a"], 1, token, "list")
    assert wrong_field(caught) == "page_token"


def test_a_mask_says_what_is_updated() -> None:
    assert masked(["a"], {"a", "b"}, ("a", "b")) == {"a"}
    assert masked(["*"], {}, ("a", "b")) == {"a", "b"}
    assert masked([], {"b", "name"}, ("a", "b")) == {"b"}


@pytest.mark.parametrize("mask", [["name"], ["a", "name"], ["a.b"], ["*", "a"], []])
def test_a_mask_of_nothing_mutable_is_refused(mask: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="use some of a, b") as caught:
        masked(mask, {"name"}, ("a", "b"))
    assert wrong_field(caught) == "update_mask"


def test_a_retry_gets_the_first_answer_and_changes_nothing() -> None:
    requests = Requests(BorderLock())
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [requests.change(Request("r"), make) for _ in range(3)] == [0, 0, 0]
    assert [requests.change(Request(""), make) for _ in range(2)] == [1, 2]


def test_a_request_id_belongs_to_one_request() -> None:
    requests = Requests(BorderLock())
    requests.change(Request("r"), lambda: 1)
    with pytest.raises(InvalidArgument) as caught:
        requests.change(Request("r", b"other"), lambda: 2)
    assert (caught.value.reason, wrong_field(caught)) == ("REQUEST_ID_REUSED", "request_id")
    with pytest.raises(InvalidArgument) as caught:
        requests.change(Request("r" * 129), lambda: 2)
    assert wrong_field(caught) == "request_id"


def test_a_refused_request_is_tried_again() -> None:
    requests = Requests(BorderLock())

    def refuse() -> int:
        raise InvalidArgument.at("x", "is wrong")

    with pytest.raises(InvalidArgument):
        requests.change(Request("r"), refuse)
    assert requests.change(Request("r"), lambda: 1) == 1


def test_what_is_remembered_is_bounded() -> None:
    requests = Requests(BorderLock())
    for n in range(REMEMBERED_MAX + 1):
        requests.change(Request(f"r{n}"), lambda n=n: n)
    assert requests.change(Request("r1"), lambda: -1) == 1
    assert requests.change(Request("r0"), lambda: -1) == -1


def test_violations_are_told_in_the_requests_terms() -> None:
    requests = Requests(BorderLock(), {"host.host_id": "array_host_id", "host.": "array_host."})
    for field, told in {
        "port.port_id": "port_id",
        "port.fabric": "port.fabric",
        "host.host_id": "array_host_id",
        "host.initiators[0].name": "array_host.initiators[0].name",
    }.items():

        def refuse(field: str = field) -> int:
            raise InvalidArgument.at(field, "is wrong")

        with pytest.raises(InvalidArgument, match="is wrong") as caught:
            requests.change(Request(""), refuse)
        assert wrong_field(caught) == told
        assert caught.value.message.startswith(f"{told}: ")
