"""The source topics of the intake, and the decoder of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import structlog

from streams.configuration.intake import OPTIONS, SourceSettings, parse_sources
from streams.events.decode import EventDecoder
from streams.kafka.topics import topic_specs
from streams.rules import event_decoder
from streams.settings import Settings, SettingsError

NOT_SETTINGS = ("topic", "event_type")
"""Options of a source that are no settings."""
log = structlog.get_logger(__name__)


def source_names(settings: Settings) -> list[str]:
    """Return the names of the source topics.

    Raises `SettingsError` if one of them is a topic of Ouzel's own.
    """
    names, own = [source["topic"] for source in settings.intake], {spec.name for spec in topic_specs(settings)}
    if ours := next((name for name in names if name in own), None):
        raise SettingsError(
            f"OUZEL_INTAKE: topic {ours} is one of Ouzel's own, and the intake would read what Ouzel writes. Name the topics of "
            "your other systems"
        )
    return names


def sources_of(settings: Settings) -> Mapping[str, EventDecoder]:
    """Return the decoders of the sources by topic. Raises `SettingsError` if an option is wrong."""
    names = source_names(settings)
    return {name: _source(settings, source) for name, source in zip(names, parse_sources(settings.intake), strict=True)}


def _source(settings: Settings, source: SourceSettings) -> EventDecoder:
    # `tombstones` of the events topic is no default: the keys of other topics are rarely users
    own = {name for name in OPTIONS if name in source.model_fields_set and name not in NOT_SETTINGS} | {"tombstones"}
    changed = settings.model_copy(update={name: getattr(source, name) for name in own})
    try:
        return event_decoder(changed, partial(_log_unmapped, source.topic), source.event_type)
    except SettingsError as error:
        raise SettingsError(f"OUZEL_INTAKE: topic {source.topic}: {error}") from error


def _log_unmapped(topic: str, problem: str) -> None:
    log.warning("mapped_path_not_found", topic=topic, problem=problem)


def group_of(settings: Settings) -> str:
    """Return the consumer group of the intake."""
    return f"{settings.app_id}-intake"
