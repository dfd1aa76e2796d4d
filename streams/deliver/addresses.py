"""Where receivers may lie: every address is checked at the moment of connecting, after its name was resolved.

The name in the configuration says nothing: it may lead elsewhere tomorrow, or between a check and the call. So the
check sits where a socket is made for one resolved address, and what is refused never gets a packet. Decimal and other
odd spellings of an address are resolved by then, too.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from streams.receiver_sections import AllowPrivate

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_UNIQUE_LOCAL = ipaddress.IPv6Network("fc00::/7")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given out. What lies beside it may lead inside: NAT64 of a site, IPv4 in translation (SIIT), the
old site-local addresses, segment routing. Python's own table knows some of them only, by version."""
_DOCUMENTATION = tuple(ipaddress.IPv6Network(text) for text in ("2001:db8::/32", "3fff::/20"))
_PRIVATE_V4 = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, GCP, OpenStack and others
        "169.254.170.2",  # AWS ECS
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # GCP
    )
)
"""Where clouds tell a machine its own credentials."""


class AddressRefused(OSError):  # noqa: N818 - an OSError for the libraries that it passes through
    """A receiver's name leads to an address that may not be called."""

    def __init__(self, words: str) -> None:
        super().__init__(errno.EACCES, words)


def why_refused(text: str, allowed: AllowPrivate) -> str | None:
    """Return what kind of address this is if it may not be called, or None. Pure.

    Args:
        text: an IP address, as a resolver returns it.
        allowed: `True` for loopback and private addresses, or networks, of any kind.

    Raises:
        ValueError: the text is no address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = _unwrapped(address)
    if not isinstance(allowed, bool) and any(_holds(network, one) for network in allowed for one in (address, inner)):
        return None
    kind = _kind(inner)
    return None if kind is None or (allowed is True and kind in ("loopback", "private")) else kind


def _holds(network: ipaddress.IPv4Network | ipaddress.IPv6Network, address: _Address) -> bool:
    return network.version == address.version and address in network


def _unwrapped(address: _Address) -> _Address:
    """Return the IPv4 address inside an IPv6 one, for the ways in which one leads to the other."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _kind(address: _Address) -> str | None:
    """Return what kind an address is that is not on the public internet; None if it is."""
    if address in _METADATA:
        return "a cloud's metadata service"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_unspecified or address.is_multicast:
        return "no single machine"
    if isinstance(address, ipaddress.IPv4Address):
        inside = address in _SHARED or any(address in network for network in _PRIVATE_V4)
    else:
        inside = address in _UNIQUE_LOCAL
    if inside:
        return "private"
    return "reserved" if not address.is_global or _is_reserved_v6(address) else None


def _is_reserved_v6(address: _Address) -> bool:
    """Whether this is an IPv6 address that no machine on the internet has. IPv4 ones inside are unwrapped by now."""
    return isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or any(address in network for network in _DOCUMENTATION)
    )


def require_allowed(text: str, allowed: AllowPrivate) -> None:
    """Refuse an address that may not be called.

    Raises:
        AddressRefused: it may not; the words name it, its kind, and the key that allows it.
    """
    kind = why_refused(text, allowed)
    if kind is not None:
        hint = "set allow_private" if kind in ("loopback", "private") else "name its network in allow_private"
        msg = f"its address {text} is {kind}, and may not be called; if it is meant, {hint}"
        raise AddressRefused(msg)


def checked_socket(allowed: AllowPrivate) -> Callable[[Any], socket.socket]:
    """Return a maker of sockets that makes none for an address that may not be called; for aiohttp's connector.

    It is given (family, type, protocol, name, address) of one resolved address, just before it is connected to.
    """

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        require_allowed(str(address[0]), allowed)
        return socket.socket(family, kind, protocol)

    return make
