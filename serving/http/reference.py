"""The reference page: the OpenAPI document for people. Plain HTML, nothing from elsewhere, no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from serving.http.problems import KINDS

_CODE = re.compile(r"`{1,2}([^`]+)`{1,2}")


def reference(document: Mapping[str, Any]) -> str:
    """The page."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<title>Ouzel: the HTTP API</title><link rel="stylesheet" href="/page/reference.css">',
            '<link rel="icon" href="/page/ouzel.svg" type="image/svg+xml"></head><body><main>',
            f"<h1>Ouzel <small>{escape(document['info']['version'])}</small></h1>",
            f'<p>{_prose(document["info"]["description"])} The same as <a href="/openapi.json">OpenAPI 3.1</a>.</p>',
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
        for method, told in methods.items():
            name = f"{method.upper()} {path}"
            yield f'<li><a href="#{told["operationId"]}"><code>{escape(name)}</code></a> {escape(told["summary"])}</li>'
    yield "</ul></nav>"


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield f'<section id="{told["operationId"]}"><h2><code>{method.upper()} {escape(path)}</code></h2>'
            scopes = [scope for choice in told.get("security", ()) for scope in choice.get("key", ())]
            needs = f" Needs the scope <code>{scopes[0]}</code> where there are keys." if scopes else ""
            yield f"<p>{_prose(told['summary'])}. {_prose(told.get('description', ''))}{needs}</p>"
            if told["parameters"]:
                yield "<table><thead><tr><th>parameter</th><th>in</th><th>what</th></tr></thead><tbody>"
                for parameter in told["parameters"]:
                    what = f"{_prose(parameter.get('description', ''))} <i>{_kind(parameter['schema'])}</i>"
                    yield f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}</td><td>{what}</td></tr>"
                yield "</tbody></table>"
            for media, body in told.get("requestBody", {}).get("content", {}).items():
                yield f"<p>Body, <code>{media}</code>: <i>{_kind(body['schema'])}</i></p>"
            yield "<table><thead><tr><th>status</th><th>answer</th></tr></thead><tbody>"
            for status, answer in told["responses"].items():
                kinds = " ".join(f"<i>{_kind(content['schema'])}</i>" for content in answer.get("content", {}).values())
                yield f"<tr><td>{status}</td><td>{_prose(answer['description'])} {kinds}</td></tr>"
            yield "</tbody></table></section>"


def _problems() -> Iterator[str]:
    yield "<section><h2>Problems</h2><p>The anchors that the types of problem details name.</p><table><tbody>"
    for name, kind in KINDS.items():
        yield f'<tr id="{name}"><td><code>{name}</code></td><td>{kind.status}</td><td>{escape(kind.title)}</td></tr>'
    yield "</tbody></table></section>"


def _types(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        yield f'<section id="type-{name}"><h2>{escape(name)}</h2><p>{_prose(schema.get("description", ""))}</p>'
        yield "<table><thead><tr><th>field</th><th>what</th></tr></thead><tbody>"
        for field, held in schema.get("properties", {}).items():
            needed = "" if field in schema.get("required", ()) else ", optional"
            what = f"<i>{_kind(held)}{needed}</i> {_prose(held.get('description', ''))}"
            yield f"<tr><td><code>{escape(field)}</code></td><td>{what}</td></tr>"
        yield "</tbody></table></section>"


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{escape(name)}">{escape(name)}</a>'
    if "event" in schema.get("properties", {}):
        event = schema["properties"]
        return f"<code>{escape(event['event']['const'])}</code>: {_kind(event['data']['contentSchema'])}"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(escape(str(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [f"{schema[key]:g}" for key in ("minimum", "maximum") if key in schema]
    told = escape(str(schema.get("type", "anything"))) + (f" {' to '.join(bounds)}" if len(bounds) == 2 else "")
    return told + (f", default {escape(str(schema['default']))}" if schema.get("default") not in (None, [], "") else "")


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(" ".join(text.split())))
