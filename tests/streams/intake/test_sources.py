"""The setting of the intake: each source has rules of its own, and a mistake is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.cli import main
from streams.intake.sources import sources_of
from streams.settings import Settings, SettingsError, load_settings

ALLOWED = "Allowed: JSON list of objects with `topic` and any of `field_mapping`, "


pytestmark = pytest.mark.usefixtures("without_settings")


@pytest.mark.parametrize(
    ("intake", "line"),
    [
        ("[", "intake: '[' is not valid: not JSON."),
        ("{}", "intake: {} is not valid: not a list."),
        ('["clicks"]', "topic number 1: "),
        ('[{"event_type": "view"}]', "topic number 1: topic: Field required."),
        ('[{"topic": "a b"}]', "topic a b: topic: "),
        ('[{"topic": ""}]', "topic : topic: "),
        ('[{"topic": "clicks", "time_units": "s"}]', "topic clicks: there is no option time_units, did you mean time_unit?."),
        ('[{"topic": "clicks", "time_unit": "weeks"}]', "topic clicks: time_unit: Input should be 'auto', 's', "),
        ('[{"topic": "clicks", "decoder": "nonsense"}]', "topic clicks: decoder: "),
        ('[{"topic": "clicks", "field_mapping": {"item_id": 1}}]', "topic clicks: field_mapping.item_id: "),
        ('[{"topic": "clicks", "tombstones": "keep"}]', "topic clicks: tombstones: Input should be 'ignore' or 'delete'."),
        ('[{"topic": "clicks"}, {"topic": "clicks"}]', "topic clicks is named twice."),
        ('[{"topic": "a", "event_type": "view", "event_types": {"x": "view"}}]', "topic a: event_type is the type of all events"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line_that_names_the_topic_the_option_and_what_is_allowed(
    intake: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUZEL_INTAKE", intake)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert line in message
    assert ALLOWED in message
    assert message.endswith("Correct OUZEL_INTAKE.")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ({"topic": "ouzel.events"}, "OUZEL_INTAKE: topic ouzel.events is one of Ouzel's own"),
        ({"topic": "ouzel.dead-letters"}, "OUZEL_INTAKE: topic ouzel.dead-letters is one of Ouzel's own"),
        ({"topic": "a", "event_type": "sale"}, "OUZEL_INTAKE: topic a: event_type: sale is not one of view, "),
        ({"topic": "a", "event_types": {"x": "sale"}}, "OUZEL_INTAKE: topic a: event_types: x is mapped to sale"),
        ({"topic": "a", "field_mapping": {"sku": "x"}}, "OUZEL_INTAKE: topic a: field_mapping: sku is not a field of an event"),
        ({"topic": "a", "decoder": "no_such:f"}, "OUZEL_INTAKE: topic a: decoder no_such:f: ModuleNotFoundError"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_by_name(source: dict[str, object], line: str) -> None:
    with pytest.raises(SettingsError, match=r"^OUZEL_INTAKE: ") as caught:
        sources_of(Settings(intake=[source]))
    assert line in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_option_that_is_left_out_is_as_in_its_setting_and_one_that_is_given_is_not() -> None:
    settings = Settings(
        field_mapping={"item_id": "sku"},
        event_types={"put": "add_to_cart"},
        intake=[{"topic": "a"}, {"topic": "b", "field_mapping": {}, "event_type": "like"}],
    )
    sources = sources_of(settings)
    value = b'{"user_id": "ann", "item_id": "mug", "sku": "cup", "event_type": "put"}'
    read = {
        topic: decoder.decode(None, value, topic=topic, partition=0, offset=0, timestamp_ms=1_790_000_000_000).events[0]
        for topic, decoder in sources.items()
    }
    assert [(event.item_id, event.event_type) for event in read.values()] == [("cup", "add_to_cart"), ("mug", "like")]


def test_a_source_may_be_plain_json_although_the_events_topic_is_not() -> None:
    settings = Settings(decoder="support.header_decoder:decode", intake=[{"topic": "a", "decoder": None}])
    decode = sources_of(settings)["a"].decode
    value = b'{"user_id": "ann", "item_id": "mug"}'
    assert decode(None, value, topic="a", partition=0, offset=0, timestamp_ms=1_790_000_000_000).events[0].item_id == "mug"


def test_the_keys_of_a_source_are_users_only_where_it_says_so_whatever_the_events_topic_says() -> None:
    sources = sources_of(Settings(tombstones="delete", intake=[{"topic": "a"}, {"topic": "b", "tombstones": "delete"}]))
    read = {
        topic: decoder.decode(b"ann", None, topic=topic, partition=0, offset=0, timestamp_ms=1_790_000_000_000)
        for topic, decoder in sources.items()
    }
    assert (read["a"].deletion, read["a"].ignored) == (None, "tombstone")
    assert read["b"].deletion is not None


def test_the_setting_is_a_table_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ouzel.toml"
    path.write_text('[[intake]]\ntopic = "clicks"\n[[intake]]\ntopic = "orders"\nevent_type = "purchase"\n')
    monkeypatch.setenv("OUZEL_CONFIG", str(path))
    assert list(sources_of(load_settings())) == ["clicks", "orders"]


@pytest.mark.parametrize("intake", [None, "[]", json.dumps([{"topic": "ouzel.events"}])])
def test_the_command_says_what_to_set_and_exits_with_2(
    intake: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if intake is not None:
        monkeypatch.setenv("OUZEL_INTAKE", intake)
    with pytest.raises(SystemExit) as ended:
        main(["intake"])
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("ouzel: OUZEL_INTAKE: ")
    assert line.count("\n") == 1
