"""What the page is started with, and how Streamlit is set: private, closed, in our colours."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from reports import style
from reports.style import Theme

UPLOAD_MB = 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")
WILDCARD = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True)
class Settings:
    """What the page shows.

    Attributes:
        db: the warehouse file.
        runs: folder of training runs.
        model: folder of the model that scores; None for the newest of `runs`.
        upload_mb: largest file to score, in MB (2**20 bytes).
        demo: whether the warehouse was made up because there is none.
    """

    db: Path
    runs: Path
    model: Path | None = None
    upload_mb: int = UPLOAD_MB
    demo: bool = False

    def as_argument(self) -> str:
        """All of it in one argument of a command line; `from_argument` reads it."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_argument(cls, text: str) -> Settings:
        """The settings that `as_argument` wrote."""
        given = json.loads(text)
        model = given["model"]
        return cls(
            Path(given["db"]),
            Path(given["runs"]),
            None if model is None else Path(model),
            int(given["upload_mb"]),
            bool(given["demo"]),
        )


@dataclass(frozen=True)
class Paint:
    """What a theme of figures does not say: text, grounds of fields and of what is chosen, links.

    A contrast of 4.5 is kept by small print, which is the colour of text at 60 %, and by the white
    text that Streamlit writes on what is chosen.
    """

    text: str
    fields: str
    chosen: str
    link: str


PAINT = {
    "light": Paint("#0f1520", "#f3f5f7", "#17616f", "#17616f"),
    "dark": Paint("#e8eaee", "#232a34", "#1f7a8c", "#4db6c6"),
}


def categorical(theme: Theme) -> tuple[str, ...]:
    """Colours of a chart's series in order: the three classes, then the other hues."""
    return (*theme.classes, *theme.others)


def _theme_options(theme: Theme) -> list[tuple[str, str]]:
    paint = PAINT[theme.name]
    options = {
        "primaryColor": paint.chosen,
        "linkColor": paint.link,
        "backgroundColor": theme.paper,
        "secondaryBackgroundColor": paint.fields,
        "textColor": paint.text,
        "borderColor": theme.rule,
        "chartCategoricalColors": json.dumps(categorical(theme)),
    }
    return [(f"theme.{theme.name}.{name}", value) for name, value in options.items()]


def streamlit_options(host: str, port: int, upload_mb: int) -> list[str]:
    """Arguments of `streamlit run`: they go before any settings file of the user's.

    Nothing is sent anywhere, no file is watched, no error shows its traceback, and other origins
    and (on one machine or at one address) other host names are refused.
    """
    options: list[tuple[str, str]] = [
        ("server.address", host),
        ("server.port", str(port)),
        ("server.headless", "true"),
        ("server.fileWatcherType", "none"),
        ("server.runOnSave", "false"),
        ("server.maxUploadSize", str(upload_mb)),
        ("server.enableCORS", "true"),
        ("server.enableXsrfProtection", "true"),
        ("server.enableStaticServing", "false"),
        # Given by hand, so that Streamlit asks no outside service for this machine's address.
        ("browser.serverAddress", "localhost" if host in WILDCARD else host),
        ("browser.gatherUsageStats", "false"),
        ("client.showErrorDetails", "none"),
        ("client.showErrorLinks", "false"),
        ("client.toolbarMode", "viewer"),
        ("runner.magicEnabled", "false"),
        ("logger.level", "warning"),
        *_theme_options(style.LIGHT),
        *_theme_options(style.DARK),
    ]
    if host not in WILDCARD:
        options += [("server.allowedHosts", name) for name in dict.fromkeys((host, *LOOPBACK))]
    return [f"--{name}={value}" for name, value in options]
