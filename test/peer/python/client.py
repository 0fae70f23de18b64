"""The unmodified Python client of RocketMQ 5: normal, FIFO, delayed and transactional messages, simple and push consumers.

Usage: client.py host:port
The topics py_normal, py_fifo, py_delay and py_tx and the FIFO group g_fifo must be there. Prints one line of JSON.
"""
import json
import sys
import time

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, FilterExpression, Message, MessageListener, Producer,
                      PushConsumer, SimpleConsumer, TransactionChecker, TransactionResolution)

PATIENCE = 120  # seconds


class Check(TransactionChecker):
    def __init__(self):
        self.asked = set()

    def check(self, message):
        body = message.body.decode()
        self.asked.add(body)
        if body == "rolled back":  # asked before it was, by a machine that stood still
            return TransactionResolution.ROLLBACK
        return TransactionResolution.COMMIT


class Listen(MessageListener):
    def __init__(self):
        self.got, self.failed = [], 0

    def consume(self, message):
        body = message.body.decode()
        if body == "again" and self.failed < 2:
            self.failed += 1
            return ConsumeResult.FAILURE
        self.got.append(body)
        return ConsumeResult.SUCCESS


def until(true):
    end = time.time() + PATIENCE
    while time.time() < end and not true():
        time.sleep(0.05)


def message(topic, body, **more):
    m = Message()
    m.topic, m.body = topic, body.encode()
    for name, value in more.items():
        setattr(m, name, value)
    return m


def push(config, group, topic, count):
    """Starts a push consumer and returns what it got once that are count messages."""
    listener = Listen()
    consumer = PushConsumer(config, group, listener, {topic: FilterExpression()})
    consumer.startup()
    until(lambda: len(set(listener.got)) >= count)
    consumer.shutdown()
    return listener


def main():
    config = ClientConfiguration(sys.argv[1], Credentials(), request_timeout=30)
    result = {}
    producer = Producer(config, ("py_normal", "py_fifo", "py_delay"))
    producer.startup()
    for i in range(20):
        m = message("py_normal", "n%d" % i, tag="t")
        m.add_property("i", str(i))
        producer.send(m)
    for i in range(10):
        producer.send(message("py_fifo", "f%d" % i, message_group="g"))
    due = int(time.time()) + 3
    producer.send(message("py_delay", "later", delivery_timestamp=due))
    producer.send(message("py_delay", "again", delivery_timestamp=due))

    checker = Check()
    transactional = Producer(config, ("py_tx",), checker=checker)
    transactional.startup()
    for body in ("committed", "rolled back", "orphan"):
        tx = transactional.begin_transaction()
        transactional.send(message("py_tx", body), tx)
        if body == "committed":
            tx.commit()
        elif body == "rolled back":
            tx.rollback()

    simple = SimpleConsumer(config, "g_normal", {"py_normal": FilterExpression("t")}, 5)
    simple.startup()
    got, end = set(), time.time() + PATIENCE
    while len(got) < 20 and time.time() < end:
        for m in simple.receive(32, 60) or []:
            if m.properties.get("i") == m.body.decode()[1:]:
                got.add(m.body)
            simple.ack(m)
    simple.shutdown()
    result["simple"] = len(got)

    result["fifo"] = " ".join(dict.fromkeys(push(config, "g_fifo", "py_fifo", 10).got))
    delayed = push(config, "g_delay", "py_delay", 2)
    result["delay"], result["again"], result["early"] = sorted(set(delayed.got)), delayed.failed, time.time() < due
    result["tx"] = sorted(set(push(config, "g_tx", "py_tx", 2).got))
    result["asked"] = "orphan" in checker.asked
    transactional.shutdown()
    producer.shutdown()
    print(json.dumps(result))


main()
