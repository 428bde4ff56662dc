"""HTML pages: their templates share one style sheet and the way tables and pictures are shown."""

from __future__ import annotations

import base64
from importlib.resources import files

import jinja2


def template(name: str) -> jinja2.Template:
    """A template of this package; every text from outside is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _source(name: str) -> str:
    return files("reports").joinpath(name).read_text(encoding="utf-8")


def data_address(svg: bytes) -> str:
    """An SVG as an address that a page can hold."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
