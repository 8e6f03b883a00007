"""`ouzel dead-letters list|show|redrive`: shows invalid records and sends them again."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Annotated, Any

import typer
from kafka import TopicPartition

from serving.errors import CliError
from serving.options import Broker, Json, settings_with
from serving.outputs import print_json
from serving.sent_letters import SentLetters
from serving.source_letters import Again, SourceLetters
from serving.tables import print_table
from serving.terminal import confirm, say
from streams.events.bounds import MAX_OFFSET, REASONS
from streams.events.dead_letter import read_letter
from streams.kafka.connection import connecting
from streams.kafka.producing import Sender
from streams.kafka.reading import kafka_consumer
from streams.kafka.topics import MissingTopics, require_topics
from streams.settings import Settings
from streams.wire.record import KafkaRecord
from streams.wire.unreadable import unreadable

QUIET_S = 1.5
CONFIRM_EVERY = 1000
"""Letters that are sent before they are confirmed and remembered."""
LONGEST_NUMBER = len(str(MAX_OFFSET))
"""Python refuses to read numbers of thousands of digits."""
NOT_A_RECORD = "last_offset"
"""A header of the dead letters of batches that could not be read."""

letters = typer.Typer(no_args_is_help=True, help="Dead letters: records that the workers or the intake could not use.")
Reason = Annotated[str | None, typer.Option(metavar="REASON", help=f"Only dead letters with this reason: {', '.join(REASONS)}.")]


def register(app: typer.Typer) -> None:
    app.add_typer(letters, name="dead-letters")


@letters.command("list")
def list_(
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, metavar="COUNT", help="Print at most COUNT dead letters, the last ones.")] = 100,
    broker: Broker = None,
    json: Json = False,
) -> None:
    """Print where each dead letter came from and why, in order of partition and offset."""
    settings = settings_with(broker)
    found = [record for record in read(settings) if _matches(record, reason)]
    last, sent = found[-limit:], SentLetters(settings)
    if json:
        print_json([described(record, sent) for record in last])
        return
    print_letters(last, sent)
    reasons = Counter(headers(record).get("reason", "?") for record in found)
    say(f"{len(found)} dead letters" + "".join(f", {name} {count}" for name, count in reasons.most_common()))


def print_letters(letters: Iterable[KafkaRecord], sent: Container[object]) -> None:
    """Print a table with a row for each dead letter, whatever its bytes are."""
    print_table(("letter", "reason", "from", "detail", "key", "sent again"), [_row(described(one, sent)) for one in letters])


def described(record: KafkaRecord, sent: Container[object]) -> dict[str, Any]:
    """Describe one dead letter for JSON."""
    fields = headers(record)
    return {
        "letter": _place(record),
        "reason": fields.get("reason", "?"),
        "topic": fields.get("topic"),
        "partition": _number(fields.get("partition")),
        "offset": _number(fields.get("offset")),
        "detail": fields.get("detail", ""),
        "key": (record.key or b"").decode(errors="replace"),
        "sent_again": read_letter(record).name in sent,
    }


def _number(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() and len(text) <= LONGEST_NUMBER else text


def _row(letter: dict[str, Any]) -> tuple[str, ...]:
    source = f"{letter['topic']}-{letter['partition']}-{letter['offset']}"
    again = "yes" if letter["sent_again"] else ""
    return letter["letter"], letter["reason"], source, letter["detail"][:60], letter["key"][:40], again


@letters.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="The dead letter, as `list` names it.")],
    broker: Broker = None,
    json: Json = False,
) -> None:
    """Print one dead letter: its headers, its key and its value, as text."""
    record = next((r for r in read(settings_with(broker)) if _place(r) == letter), None)
    if record is None:
        raise _unknown([letter])
    key, value = ((part or b"").decode(errors="backslashreplace") for part in (record.key, record.value))
    if json:
        print_json({"letter": letter, "headers": headers(record), "key": key, "value": value})
        return
    for name, header in headers(record).items():
        say(f"{name}: {header}")
    say(f"key: {key}", value)


@letters.command()
def redrive(
    reason: Reason = None,
    letter: Annotated[
        list[str] | None,
        typer.Option(metavar="PARTITION:OFFSET", help="Only this dead letter, as `list` names it; repeat it for several."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    broker: Broker = None,
) -> None:
    """Send dead letters to the events topic again, as their records were.

    First correct the settings or the decoder that rejected them.
    Each letter is sent once; a worker recognises what it has processed already.
    Letters of the intake are read by OUZEL_INTAKE, and only their events are sent.
    """
    settings = settings_with(broker)
    records, sent = read(settings), SentLetters(settings)
    unknown = sorted(set(letter or ()) - set(map(_place, records)))
    if unknown:
        raise _unknown(unknown)
    chosen = [r for r in records if _matches(r, reason) and (not letter or _place(r) in letter)]
    whole = [r for r in chosen if read_letter(r).whole and NOT_A_RECORD not in headers(r) and (r.key or r.value)]
    if len(whole) < len(chosen):
        say(
            f"{len(chosen) - len(whole)} cannot be sent again: they were cut for their size, are batches that could not be read, "
            "or have neither key nor value",
            err=True,
        )
    if not whole:
        say("nothing to send")
        return
    unsent = _by_first(r for r in whole if read_letter(r).name not in sent)
    before, sources = len(whole) - sum(map(len, unsent)), SourceLetters(settings)
    new = [(of_one, again) for of_one in unsent if (again := sources.again(of_one[-1])) is not None]
    for line in sources.problems():
        say(line, err=True)
    if new:
        require_topics(settings, "events")
        sent.prepare()
        if not yes:
            confirm(f"Send {len(new)} dead letters to {settings.topic('events')} again?")
        _send(settings, new, sent)
    say(f"sent {len(new)}" + (f"; {before} were sent before, says {sent.path}" if before else ""))


def _by_first(letters: Iterable[KafkaRecord]) -> list[list[KafkaRecord]]:
    """Return lists of letters of the same first record.

    There are several if a unit was processed twice, or if a record was sent again in vain.
    """
    of: defaultdict[str, list[KafkaRecord]] = defaultdict(list)
    for record in letters:
        letter = read_letter(record)
        of[letter.id or letter.name].append(record)
    return list(of.values())


def _send(settings: Settings, letters: Sequence[tuple[Sequence[KafkaRecord], Sequence[Again]]], sent: SentLetters) -> None:
    """Send the records of each list of letters, and remember its letters."""
    with Sender(settings) as sender:
        for begin in range(0, len(letters), CONFIRM_EVERY):
            part = letters[begin : begin + CONFIRM_EVERY]
            for _, several in part:
                for again in several:
                    sender.send(*again)
            sender.flush()
            sent.add(read_letter(record).name for of_one, _ in part for record in of_one)


def headers(record: KafkaRecord) -> dict[str, str]:
    """Return a record's headers as text."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers or ()}


def read(settings: Settings) -> list[KafkaRecord]:
    """Return the dead letters in order of partition and offset.

    Reading ends at the ends that the partitions had at the call, because workers may write more all
    the time. It also ends when no record has come for `QUIET_S` seconds. Batches of the topic that
    cannot be read are logged and left out.
    """
    topic = settings.topic("dead-letters")
    with connecting(settings):
        consumer = kafka_consumer(settings, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    if not partitions:
        raise MissingTopics(topic)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    records, last_at = list[KafkaRecord](), time.monotonic()
    ends = consumer.end_offsets(partitions) if settings.idempotent else {}  # the embedded broker reports wrong ends
    while time.monotonic() - last_at < QUIET_S and not (ends and all(consumer.position(tp) >= ends[tp] for tp in ends)):
        for polled in consumer.poll(timeout_ms=200).values():
            records += (record for record in polled if unreadable(record) is None)
            last_at = time.monotonic()
    consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def _unknown(names: list[str]) -> CliError:
    return CliError(f"there is no dead letter {', '.join(names)}; `ouzel dead-letters list` prints them as partition:offset")


def _place(record: KafkaRecord) -> str:
    """Return the name of a dead letter: its partition and offset."""
    return f"{record.partition}:{record.offset}"


def _matches(record: KafkaRecord, reason: str | None) -> bool:
    return reason is None or headers(record).get("reason") == reason
