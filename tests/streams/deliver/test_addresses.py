"""Which addresses may be called, in all their spellings, and that it is checked when they are connected to."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from streams.deliver.addresses import why_refused
from streams.deliver.attempts import TryAgain
from streams.deliver.transport import HttpTransport, read_url
from streams.errors import ConfigError
from tests.streams.deliver.recording import ADVICE, Recording

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
REFUSED = {
    "127.0.0.1": "loopback",
    "127.8.9.1": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::127.0.0.1": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "2002:7f00:1::": "loopback",
    "10.1.2.3": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.1.1": "private",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "::ffff:10.0.0.1": "private",
    "169.254.1.1": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "169.254.169.254": "a cloud's metadata service",
    "::ffff:169.254.169.254": "a cloud's metadata service",
    "64:ff9b::a9fe:a9fe": "a cloud's metadata service",
    "100.100.100.200": "a cloud's metadata service",
    "168.63.129.16": "a cloud's metadata service",
    "fd00:ec2::254": "a cloud's metadata service",
    "0.0.0.0": "no single machine",  # noqa: S104 - refused
    "::": "no single machine",
    "224.0.0.1": "no single machine",
    "ff02::1": "no single machine",
    "255.255.255.255": "reserved",
    "240.0.0.1": "reserved",
    "192.0.2.1": "reserved",
    "2001:db8::1": "reserved",
    "3fff::1": "reserved",
    "64:ff9b:1::7f00:1": "reserved",
    "64:ff9b:1:ffff::808:808": "reserved",
    "fec0::1": "reserved",
    "feff::1": "reserved",
    "::ffff:0:127.0.0.1": "reserved",
    "::ffff:0:10.0.0.1": "reserved",
    "::ffff:0:8.8.8.8": "reserved",
    "5f00::1": "reserved",
    "4000::1": "reserved",
    "100::1": "reserved",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert why_refused(address, False) is None


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_is_refused_and_named(address: str) -> None:
    assert why_refused(address, False) == REFUSED[address]


@pytest.mark.parametrize("address", REFUSED)
def test_allow_private_opens_loopback_and_private_addresses_and_nothing_else(address: str) -> None:
    assert (why_refused(address, True) is None) == (REFUSED[address] in ("loopback", "private"))


def test_a_list_opens_its_own_networks_alone_of_any_kind() -> None:
    allowed = (ip_network("10.20.0.0/16"), ip_network("169.254.169.254/32"), ip_network("fd00::/8"))
    for address in ("10.20.1.1", "::ffff:10.20.1.1", "169.254.169.254", "fd00::1", "8.8.8.8"):
        assert why_refused(address, allowed) is None
    for address in ("10.21.0.1", "127.0.0.1", "169.254.169.253", "fc00::1"):
        assert why_refused(address, allowed)


@given(st.ip_addresses(v=6))
def test_of_ipv6_only_what_is_given_out_may_be_called(address: Any) -> None:
    if why_refused(str(address), False) is None:
        inner = address.ipv4_mapped or address in ip_network("64:ff9b::/96") or address in ip_network("::/96")
        assert address in ip_network("2000::/3") or inner


@given(st.ip_addresses(v=4))
def test_an_address_inside_an_ipv6_address_is_judged_as_itself(address: Any) -> None:
    assert why_refused(f"::ffff:{address}", False) == why_refused(str(address), False)
    if int(address) > 1:
        assert why_refused(f"64:ff9b::{address}", False) == why_refused(str(address), False)


def transport(allowed: Any) -> HttpTransport:
    return HttpTransport(timeout_s=5, allow_private=allowed, advice=ADVICE)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::ffff:127.0.0.1]", "0"]
)
async def test_no_spelling_of_the_own_machine_gets_a_packet(receiver: Recording, host: str) -> None:
    port = URL(receiver.origin).port
    wary = transport(False)
    with pytest.raises(TryAgain, match=r"may not be called|InvalidUrlClientError"):
        await wary.post(URL(f"http://{host}:{port}/x"), b"{}", {})
    await wary.aclose()
    assert receiver.requests == []


async def test_a_name_that_leads_home_only_at_the_second_look_is_still_refused(
    receiver: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: whatever a look before the call said, the address that is connected to is what counts."""
    port = URL(receiver.origin).port
    looks = []
    real = socket.getaddrinfo

    def lying(host: str, *arguments: Any, **options: Any) -> Any:
        if host != "desk.example":
            return real(host, *arguments, **options)
        looks.append(host)
        return real("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    url = read_url(f"http://desk.example:{port}/hook", "delivery.receivers.desk.url", False)
    wary, open_hearted = transport(False), transport((ip_network("127.0.0.0/8"),))
    with pytest.raises(TryAgain, match=r"its address 127\.0\.0\.1 is loopback, and may not be called; .*allow_private"):
        await wary.post(url, b"{}", {})
    assert receiver.requests == []
    assert await open_hearted.post(url, b"{}", {}) == "it answered 200"
    assert looks
    await wary.aclose()
    await open_hearted.aclose()


def test_an_address_in_the_configuration_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"receivers\.a\.url leads to 169\.254\.169\.254, which is a cloud's"):
        read_url("http://169.254.169.254/hidden", "delivery.receivers.a.url", True)
    for odd in ("2130706433", "0177.0.0.1", "127.1", "0x7f000001", "0x7f.1", "0"):
        with pytest.raises(ConfigError, match="odd spelling"):
            read_url(f"http://{odd}/hidden", "delivery.receivers.a.url", True)
    with pytest.raises(ConfigError, match="loopback: if it is meant, set allow_private"):
        read_url("http://[::1]:80/hidden", "delivery.receivers.a.url", False)
    assert read_url("http://10.0.0.1/x", "a", True).host == "10.0.0.1"
