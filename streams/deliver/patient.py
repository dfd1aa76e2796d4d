"""Patience with a receiver: attempts until it has an alert, refuses it, or the alert is too old.

All receivers share it, whatever they speak: a channel tries once, this tries again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable

from streams.deliver import metrics
from streams.deliver.attempts import Channel, Refused, Repeater, TryAgain
from streams.deliver.circuit import Circuit, CircuitOptions
from streams.deliver.payload import idempotency_key
from streams.deliver.retry import Patience, gives_up, pause_s
from streams.errors import DeliveryError
from streams.records import Alert

_log = logging.getLogger(__name__)


class PatientSink:
    """Hands alerts to one receiver through its channel, again and again while that may help.

    Args:
        receiver: name in logs and metrics.
        channel: the way there.
        lanes: how many attempts may be under way at once; an alert that waits for its next one takes up none.
        patience: bounds of retrying.
        circuit: bounds of the circuit breaker that all alerts share.
        sleep: how to pause.
        monotonic_s: reads a clock that only goes forward, seconds.
        luck: draws a number from 0 to 1.
    """

    def __init__(
        self,
        receiver: str,
        channel: Channel,
        *,
        lanes: int = 4,
        patience: Patience | None = None,
        circuit: CircuitOptions | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self.receiver = receiver
        self.channel = channel
        self.lanes = lanes
        self._slots = asyncio.Semaphore(lanes)
        self._patience = patience or Patience()
        self._circuit = Circuit(circuit)
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._luck = luck
        self._show_circuit()

    @property
    def repeater(self) -> Repeater | None:
        """The channel, if it wants what fires again and again."""
        return self.channel if isinstance(self.channel, Repeater) else None

    def __repr__(self) -> str:
        return f"PatientSink({self.receiver} at {self.channel.address})"

    async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
        """Send one transition until the receiver has it; what is no news is passed over.

        Args:
            alert: the transition.
            age_s: how long it has waited already.

        Raises:
            DeliveryError: the receiver refused it, or it has become too old.
        """
        if not alert.is_news:
            return
        key = idempotency_key(alert)
        written_s = self._monotonic_s() - age_s
        for attempt in itertools.count(1):
            try:
                await self._try(alert)
            except TryAgain as problem:
                wait_s = pause_s(self._patience, attempt, self._luck(), after_s=problem.after_s)
                if gives_up(self._patience, age_s=self._monotonic_s() - written_s, pause_s=wait_s):
                    times = "1 attempt" if attempt == 1 else f"{attempt} attempts"
                    tried = f"in {times} and {self._patience.retry_for_s:g} s"
                    msg = f"{self.channel.address} did not take alert {key} {tried}; the last: {problem.why}"
                    raise DeliveryError(msg) from None
                _log.warning(
                    "alert %s to %s at %s: %s; attempt %d follows in %.3g s or later",
                    key,
                    self.receiver,
                    self.channel.address,
                    problem.why,
                    attempt + 1,
                    wait_s,
                )
                await self._sleep(wait_s)
            except Refused as refusal:
                raise DeliveryError(f"{self.channel.address} refused the alert: {refusal.why}") from None
            else:
                return

    async def aclose(self) -> None:
        """Close the connections."""
        await self.channel.aclose()

    async def _try(self, alert: Alert) -> None:
        """Make one attempt, as soon as the circuit lets it through. Raises what the channel does."""
        while True:
            async with self._slots:
                # Asked with the slot in hand: while it was waited for, the circuit may have opened.
                wait_s = self._circuit.ask(self._monotonic_s())
                if wait_s <= 0:
                    return await self._send(alert)
            self._show_circuit()
            await self._sleep(wait_s)

    async def _send(self, alert: Alert) -> None:
        try:
            await self.channel.send(alert)
        except TryAgain as problem:
            after_s = min(problem.after_s, self._patience.most_retry_after_s)
            self._circuit.failed(self._monotonic_s(), after_s=after_s)
            metrics.ATTEMPTS.labels(self.receiver, "retry").inc()
            raise
        except Refused:
            self._circuit.succeeded()
            metrics.ATTEMPTS.labels(self.receiver, "refused").inc()
            raise
        except BaseException:
            self._circuit.abandoned()
            raise
        else:
            self._circuit.succeeded()
            metrics.ATTEMPTS.labels(self.receiver, "taken").inc()
        finally:
            self._show_circuit()

    def _show_circuit(self) -> None:
        metrics.SUSPENDED.labels(self.receiver).set(self._circuit.state != "closed")
