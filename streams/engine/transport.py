"""Faust's transport over aiokafka, with our consumer and producer."""

from __future__ import annotations

from faust.transport.drivers import aiokafka as driver

from streams.engine.consumer import PollConsumer
from streams.engine.producer import IdempotentProducer


class Transport(driver.Transport):
    """Names our classes. The transport of the consumer creates `App.producer` too."""

    Consumer = PollConsumer
    Producer = IdempotentProducer
