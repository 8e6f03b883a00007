"""Faust's transport over aiokafka, with our consumer and producer."""

from __future__ import annotations

from faust.transport.drivers import aiokafka as driver

from streams.engine.consumer import PollConsumer
from streams.engine.producer import IdempotentProducer


class Transport(driver.Transport):
    """Names the classes; `App.producer` is made by the consumer's transport, not by the producer's."""

    Consumer = PollConsumer
    Producer = IdempotentProducer
