"""Recorded block I/O: one file per format behind the interface in ``reader.py``."""

from smokestack.workload.traces.info import trace_info
from smokestack.workload.traces.reader import FORMATS, TraceFormat, bundled, parse

__all__ = ["FORMATS", "TraceFormat", "bundled", "parse", "trace_info"]
