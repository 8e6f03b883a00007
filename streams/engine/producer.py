"""An idempotent producer that sends nothing without the lease, retries included."""

from __future__ import annotations

from typing import Any

from aiokafka.producer.sender import Sender
from faust.transport.drivers import aiokafka as driver


class LeasedSender(Sender):  # type: ignore[misc]
    """Checks the lease where requests are made: an idempotent producer retries without end, past any check before a send."""

    app: Any

    async def _send_produce_req(self, node_id: int, batches: Any) -> Any:
        app, generation = self.app, self.app.consumer_generation_id
        if not app.lease.fresh and not await app.lease.wait(lambda: app.holds(generation)):
            app.fail_stop("the lease was lost with a unit in flight")
        return await super()._send_produce_req(node_id, batches)


class IdempotentProducer(driver.Producer):
    """Confirmed by all replicas, without duplicates from retries."""

    app: Any

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": self.app.idempotent}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        producer._sender.__class__ = LeasedSender
        producer._sender.app = self.app
        return producer
