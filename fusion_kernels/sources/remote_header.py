"""Reads the header of a safetensors file on the hub, by HTTP range requests."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from fusion_kernels.sources.safetensors_header import Header, header_length, parse_header

_FIRST_BYTES = 100_000  # most headers are shorter: one request
_TIMEOUT = 30.0  # seconds without an answer
_WAITS = (0.5, 2.0)  # seconds before the second and the third attempt


def read_remote_header(url: str, where: str, *, buffer: int = 0) -> Header:
    """Reads and checks the header of the file at `url`, fetching nothing else of it.

    `where` names the file in messages. Raises ValueError where the header is not valid, OSError where fewer bytes come
    than were asked for, and the errors of huggingface_hub.
    """
    start, file_bytes = _fetch(url, 0, _FIRST_BYTES, where)
    length = header_length(start[:8], file_bytes, where)
    text = start[8 : 8 + length]
    if len(text) < length:
        text += _fetch(url, len(start), 8 + length, where)[0]
    return parse_header(text, file_bytes, where, buffer=buffer)


def is_transport_error(error: BaseException) -> bool:
    """Whether a connection failed. The errors are httpx's or requests' own, depending on huggingface_hub's version."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return type(error).__module__.partition(".")[0] in (
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "requests",
        "urllib3",
    )


def _fetch(url: str, begin: int, end: int, where: str) -> tuple[bytes, int]:
    """Returns bytes [begin, end) of the file, or up to its end, with the file's size; tries again after a failure."""
    for wait in _WAITS:
        try:
            return _fetch_once(url, begin, end, where)
        except Exception as error:
            response = getattr(error, "response", None)
            busy = response is not None and (response.status_code >= 500 or response.status_code == 429)
            if not busy and not is_transport_error(error):
                raise
            time.sleep(wait)
    return _fetch_once(url, begin, end, where)


def _fetch_once(url: str, begin: int, end: int, where: str) -> tuple[bytes, int]:
    utils: Any = import_module("huggingface_hub.utils")
    headers = {**utils.build_hf_headers(), "Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
    with _stream(utils.get_session(), url, headers) as response:
        if response.status_code == 416:  # an empty file has no range to give
            return b"", 0
        if response.status_code >= 400:
            getattr(response, "read", lambda: None)()  # the message, which a streamed response does not hold yet
            utils.hf_raise_for_status(response)
        partial = response.status_code == 206  # a server without ranges sends the file from its start
        stated = response.headers.get("Content-Range" if partial else "Content-Length", "").rpartition("/")[2]
        if not stated.isdecimal():
            raise OSError(f"{where}: the server does not say how large the file is")
        size = int(stated)
        skip = 0 if partial else begin
        wanted = min(end, size) - begin
        chunks = response.iter_bytes() if hasattr(response, "iter_bytes") else response.iter_content(65536)
        received = bytearray()
        for chunk in chunks:
            received += chunk
            if len(received) >= skip + wanted:
                break
    if len(received) < skip + wanted:
        raise ConnectionError(f"{where}: the connection ended after {len(received)} of {skip + wanted} bytes")
    return bytes(received[skip : skip + wanted]), size


def _stream(session: Any, url: str, headers: dict[str, str]) -> AbstractContextManager[Any]:
    if hasattr(session, "stream"):  # httpx, since huggingface_hub 1.0
        stream: AbstractContextManager[Any] = session.stream("GET", url, headers=headers, timeout=_TIMEOUT)
    else:
        stream = session.get(url, headers=headers, timeout=_TIMEOUT, stream=True)
    return stream
