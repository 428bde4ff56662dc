"""HTML pages: their templates share one style sheet and the way tables and pictures are shown."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from reports import style
from reports.style import Theme
from warehouse.files import write_whole


@dataclass(frozen=True)
class Shown:
    """A picture on the page: data addresses for light and dark, or why it is left out."""

    title: str
    light: str = ""
    dark: str = ""
    absent: str = ""


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


def drawn(title: str, draw: Callable[[Theme], Figure], path: Path) -> Shown:
    """Draw on light and on dark paper, for a page; write the light one to a PNG file."""
    with style.drawn_in(style.LIGHT):
        figure = draw(style.LIGHT)
        style.settle(figure)
        write(path, style.png(figure))
        light = style.svg(figure)
    with style.drawn_in(style.DARK):
        figure = draw(style.DARK)
        style.settle(figure)
        dark = style.svg(figure)
    return Shown(title, data_address(light), data_address(dark))


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    write_whole(path, lambda draft: draft.write_bytes(content))
