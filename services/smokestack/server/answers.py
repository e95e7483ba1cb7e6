"""Answers to retries as plain values, so that a state directory can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pool, message_factory

from smokestack.engine.requests import Answer, Requests


def answers_of(requests: Sequence[Requests]) -> list[Any]:
    """Returns what retries would be told, as plain values."""
    return [[packed(answer) for answer in some.answers()] for some in requests]


def remember(requests: Sequence[Requests], answers: Sequence[Any]) -> None:
    """Lets retries be told what they were told before."""
    for some, told in zip(requests, answers, strict=True):
        some.remember(map(_unpacked, told))


def packed(answer: Answer) -> tuple[str, bytes, str, bytes]:
    """Returns one answer as plain values."""
    request_id, content, made = answer
    return request_id, content, made.DESCRIPTOR.full_name, made.SerializeToString()


def _unpacked(told: tuple[str, bytes, str, bytes]) -> Answer:
    request_id, content, kind, made = told
    described = descriptor_pool.Default().FindMessageTypeByName(kind)
    return request_id, content, message_factory.GetMessageClass(described).FromString(made)
