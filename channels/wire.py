"""HTTP to vendors as every push channel needs it: clients that keep nothing open, and files from known hosts only."""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import Final

import httpx

from channels.adapter import Failure, SendFailed

MOST: Final = 25 * 1024 * 1024  # bytes of one file
TIMEOUT: Final = httpx.Timeout(12, connect=5)  # seconds for each step
_HOPS: Final = 3

# Nothing can have reached the vendor: there was no connection, or the request was never one.
NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # below that they write addresses, which hold tokens


def client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client for one conversation.

    A connection that was kept may break just as it is used again, and then nobody knows whether the request was read.
    """
    return httpx.AsyncClient(
        timeout=TIMEOUT, follow_redirects=False, trust_env=False, verify=tls(), transport=transport
    )


async def pieces(
    address: str,
    *,
    own: str,
    vendor: Sequence[str] = (),
    auth: tuple[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[bytes]:
    """A file in pieces: from `own`, the base the channel is set to, or over TLS from hosts that end in one of `vendor`.

    `auth` is shown to `own` alone, whose files may lie elsewhere.

    SendFailed when it lies elsewhere, is too large, gone, or not to be had now. No address is named in it: it may hold
    a token.
    """
    taken = 0
    async with client(transport) as http:
        try:
            for _ in range(_HOPS + 1):
                url, home = httpx.URL(address), httpx.URL(own)
                await _allow(url, home, vendor)
                shown = auth if (url.scheme, url.netloc) == (home.scheme, home.netloc) else None
                async with http.stream("GET", url, headers={"Accept-Encoding": "identity"}, auth=shown) as answer:
                    if answer.is_redirect:
                        address = str(url.join(answer.headers.get("location", "")))
                        continue
                    _expect(answer.status_code)
                    async for piece in answer.aiter_bytes():
                        taken += len(piece)
                        if taken > MOST:
                            raise SendFailed(Failure.FINAL, f"the file is larger than {MOST // 1024**2} MB")
                        yield piece
                    return
        except httpx.InvalidURL:
            raise SendFailed(Failure.FINAL, "the file has no address that can be read") from None
        except httpx.HTTPError as error:
            raise SendFailed(Failure.RETRYABLE, f"the file broke off: {type(error).__name__}") from None
    raise SendFailed(Failure.FINAL, "the vendor sends us from place to place for the file")


async def _allow(url: httpx.URL, own: httpx.URL, vendor: Sequence[str]) -> None:
    if (url.scheme, url.host) == (own.scheme, own.host):
        return
    host = url.host.lower().rstrip(".")
    known = any(host == each or host.endswith(f".{each}") for each in vendor)
    if url.scheme != "https" or not known or url.userinfo or url.port not in (None, 443):
        raise SendFailed(Failure.FINAL, "the file is not at one of the vendor's addresses")
    if not all(ipaddress.ip_address(each).is_global for each in await addresses(host)):
        raise SendFailed(Failure.FINAL, "the file's address leads into a private network")


async def addresses(host: str) -> list[str]:
    """What the name stands for. SendFailed(RETRYABLE) when nobody can say."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError:
        raise SendFailed(Failure.RETRYABLE, "the vendor's address cannot be looked up") from None
    return [str(each[4][0]).partition("%")[0] for each in found]


def _expect(status: int) -> None:
    """SendFailed unless a file is coming; 403 is what addresses answer whose time has run out."""
    if status == 200:
        return
    if status == 401:
        raise SendFailed(Failure.REAUTHORISE, "the vendor does not give us the file: our account is refused (401)")
    if status == 429:
        raise SendFailed(Failure.RATE_LIMITED, "the vendor gives us no more files for now (429)")
    if 400 <= status < 500:
        raise SendFailed(Failure.FINAL, f"the vendor no longer gives us the file ({status})")
    raise SendFailed(Failure.RETRYABLE, f"the vendor does not give us the file now ({status})")


@cache
def tls() -> ssl.SSLContext:
    """The authorities the system trusts, read once: that takes longer than most requests."""
    return httpx.create_ssl_context()
