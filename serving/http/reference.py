"""Makes the reference page: the OpenAPI document as HTML, without scripts or other sites."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from serving.http.problems import KINDS

_CODE = re.compile(r"`{1,2}([^`]+)`{1,2}")


def reference(document: Mapping[str, Any]) -> str:
    """Return the page that shows an OpenAPI document."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<title>Ouzel: the HTTP API</title><link rel="stylesheet" href="/page/reference.css">',
            '<link rel="icon" href="/page/ouzel.svg" type="image/svg+xml"></head><body><main>',
            f"<h1>Ouzel <small>{escape(document['info']['version'])}</small></h1>",
            f'<p>{_prose(document["info"]["description"])} For programs: <a href="/openapi.json">OpenAPI 3.1</a>.</p>',
            *_contents(document),
            *_operations(document),
            *_problems(),
            *_types(document),
            "</main></body></html>",
        ]
    )


def _contents(document: Mapping[str, Any]) -> Iterator[str]:
    yield "<nav><ul>"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            link = f'<a href="#{operation["operationId"]}"><code>{escape(f"{method.upper()} {path}")}</code></a>'
            yield f"<li>{link} {escape(operation['summary'])}</li>"
    yield "</ul></nav>"


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f'<section id="{operation["operationId"]}"><h2><code>{method.upper()} {escape(path)}</code></h2>'
            scopes = [scope for choice in operation.get("security", ()) for scope in choice.get("key", ())]
            needs = f" If the server has keys, the key needs the scope <code>{scopes[0]}</code>." if scopes else ""
            yield f"<p>{_prose(operation['summary'])}. {_prose(operation.get('description', ''))}{needs}</p>"
            if operation["parameters"]:
                yield "<table><thead><tr><th>parameter</th><th>in</th><th>meaning</th></tr></thead><tbody>"
                for parameter in operation["parameters"]:
                    name, meaning = escape(parameter["name"]), _meaning(parameter["schema"], parameter, parameter["required"])
                    yield f"<tr><td><code>{name}</code></td><td>{parameter['in']}</td><td>{meaning}</td></tr>"
                yield "</tbody></table>"
            for media, body in operation.get("requestBody", {}).get("content", {}).items():
                yield f"<p>Body, <code>{media}</code>: {_meaning(body['schema'], body['schema'], True)}</p>"
            yield "<table><thead><tr><th>status</th><th>answer</th></tr></thead><tbody>"
            for status, answer in operation["responses"].items():
                kinds = " ".join(f"<i>{_kind(content['schema'])}</i>" for content in answer.get("content", {}).values())
                yield f"<tr><td>{status}</td><td>{_prose(answer['description'])} {kinds}</td></tr>"
            yield "</tbody></table></section>"


def _problems() -> Iterator[str]:
    yield "<section><h2>Problems</h2><p>The <code>type</code> of an error links to its row in this table.</p><table><tbody>"
    for name, kind in KINDS.items():
        yield f'<tr id="{name}"><td><code>{name}</code></td><td>{kind.status}</td><td>{escape(kind.title)}</td></tr>'
    yield "</tbody></table></section>"


def _types(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        yield f'<section id="type-{name}"><h2>{escape(name)}</h2><p>{_prose(schema.get("description", ""))}</p>'
        yield "<table><thead><tr><th>field</th><th>meaning</th></tr></thead><tbody>"
        for field, value in schema.get("properties", {}).items():
            meaning = _meaning(value, value, field in schema.get("required", ()))
            yield f"<tr><td><code>{escape(field)}</code></td><td>{meaning}</td></tr>"
        yield "</tbody></table></section>"


def _meaning(schema: Mapping[str, Any], described: Mapping[str, Any], required: bool) -> str:
    return f"<i>{_kind(schema)}{'' if required else ', optional'}</i> {_prose(described.get('description', ''))}"


def _kind(schema: Mapping[str, Any]) -> str:
    """Describe a schema in a few words, as HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{escape(name)}">{escape(name)}</a>'
    properties = schema.get("properties", {})
    if "event" in properties:  # an event of a stream
        return f"<code>{escape(properties['event']['const'])}</code>: {_kind(properties['data']['contentSchema'])}"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(_value(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [f"{schema[key]:g}" for key in ("minimum", "maximum") if key in schema]
    words = escape(str(schema.get("title") or schema.get("type", "anything"))) + (
        f" {' to '.join(bounds)}" if len(bounds) == 2 else ""
    )
    return words + (f", default {_value(schema['default'])}" if schema.get("default") not in (None, [], {}, "") else "")


def _value(value: object) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value))


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(" ".join(text.split())))
