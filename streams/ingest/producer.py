"""The producer of whoever sends records from the command line: kafka-python's, set so that nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.errors import BrokerError

DELIVERY_TIMEOUT_S = 120.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Delivery(Protocol):
    """What a producer returns for a message: kafka-python's future."""

    is_done: bool

    def get(self, timeout: float | None = None) -> object:
        """Wait until the message is acknowledged; raise what went wrong otherwise."""
        ...


class Producer(Protocol):
    """The part of KafkaProducer that is used here."""

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Delivery:
        """Hand a record over for sending; without a partition its key decides, without a timestamp it is now."""
        ...

    def partitions_for(self, topic: str) -> set[int]:
        """Numbers of a topic's partitions."""
        ...

    def flush(self, timeout: float | None = None) -> None:
        """Send what is waiting and wait for it."""
        ...

    def close(self, timeout: float | None = None) -> None:
        """Stop."""
        ...


def kafka_producer(options: Mapping[str, Any]) -> Producer:
    """A producer that loses and repeats nothing it was given: all replicas acknowledge, retries are idempotent.

    Args:
        options: kafka-python client options, such as `bootstrap_servers` and those of TLS and SASL.

    Raises:
        BrokerError: no broker answers, or it refuses us.
    """
    try:
        return KafkaProducer(  # type: ignore[no-any-return]
            **{
                "client_id": "squall-publish",
                "acks": "all",
                "enable_idempotence": True,
                "linger_ms": 20,
                "batch_size": 262_144,
                "compression_type": "lz4",  # its library is a dependency: where it is missing, that is an error
                # A topic that the broker makes up has one partition and keeps its records for a week.
                "allow_auto_create_topics": False,
                "max_block_ms": 10_000,
                "delivery_timeout_ms": round(DELIVERY_TIMEOUT_S * 1_000),
                **options,
            }
        )
    except KafkaError as error:
        servers = ", ".join(_listed(options.get("bootstrap_servers", "localhost")))
        raise BrokerError(
            f"Kafka at {servers} cannot be reached: {str(error).rstrip('.')}. "
            "Is it running (`squall broker status`), and are address and login right (`squall config show`)?"
        ) from error


def _listed(servers: object) -> list[str]:
    return [servers] if isinstance(servers, str) else [str(server) for server in servers]  # type: ignore[attr-defined]


def epoch_ms(at: datetime) -> int:
    """Return a time as Kafka writes it: milliseconds since the epoch, rounded down."""
    return (at - _EPOCH) // timedelta(milliseconds=1)
