"""`python -m reports.app`: a page to find a company, score a file and judge data and models."""

from __future__ import annotations

import importlib
import importlib.util
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from features.dataset import load_demo
from reports.app_settings import LOOPBACK, UPLOAD_MB, WILDCARD, Settings, streamlit_options
from warehouse import store
from warehouse.errors import InputError, exits_with_2

PORT = 8501
PAGE = Path(__file__).with_name("app_page.py")
EPILOG = """\b
Examples:
  python -m reports.app
  python -m reports.app --db india.duckdb --runs data/runs --port 8600
  python -m reports.app --model data/runs/2026-01-31T120000Z/model

\b
Ctrl-C ends it. Without a warehouse it shows SIMULATED companies and says so.
Exit codes: 0 ended, 2 wrong use or bad input.
"""


@click.command(epilog=EPILOG)
@click.option("--db", type=click.Path(path_type=Path), help="Warehouse. [data/warehouse.duckdb]")
@click.option("--runs", type=click.Path(path_type=Path), help="Training runs. [data/runs]")
@click.option(
    "--model", type=click.Path(path_type=Path), help="Model that scores. [of the newest run]"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True,
    help="Port to listen on; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--upload-mb", type=click.IntRange(1, 200), default=UPLOAD_MB, show_default=True,
    help="Largest file to score.",
)  # fmt: skip
@exits_with_2
def main(
    db: Path | None,
    runs: Path | None,
    model: Path | None,
    host: str,
    port: int,
    upload_mb: int,
) -> None:
    """Serve the page until it is stopped. The warehouse is only read."""
    _require_streamlit()
    if model is not None and not model.is_dir():
        raise InputError(f"{model}: no such model folder; give the folder `model` of a run")
    port = _free_port(host, port)
    if host not in LOOPBACK:
        print(
            f"note: {host} is not this machine alone: whoever reaches it can read the warehouse"
            " and have files scored; there is no password",
            file=sys.stderr,
        )
    # Until Streamlit has its own: a signal must not leave the simulated warehouse behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    runs = (runs or store.data_dir() / "runs").absolute()
    with _warehouse(db) as (path, demo):
        folder = None if model is None else model.absolute()
        _serve(Settings(path, runs, folder, upload_mb, demo), host, port)


def _require_streamlit() -> None:
    if importlib.util.find_spec("streamlit") is None:
        raise InputError(
            "the page needs the extra `app`, which is not installed:"
            " pip install 'insolvency-radar[app]'"
        )


def _free_port(host: str, port: int) -> int:
    """The port if nothing listens there, or a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As a server does: a port that was just left may be taken again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"{host}, port {port}: cannot be listened on ({error.strerror or error}); name"
                " another with --port, or 0 for a free one"
            ) from None
        return int(probe.getsockname()[1])


@contextmanager
def _warehouse(db: Path | None) -> Iterator[tuple[Path, bool]]:
    """The warehouse to show and whether it is made up, which it is where there is none."""
    path = store.warehouse_path(db)
    if path.exists() or db is not None:
        with store.connect(path, read_only=True):
            pass  # what is wrong with it is said now, not to whoever opens the page
        yield path.absolute(), False
        return
    print(f"note: no warehouse at {path}: showing SIMULATED companies", file=sys.stderr)
    with TemporaryDirectory(prefix="reports-app-") as folder:
        made = Path(folder) / "simulated.duckdb"
        with store.connect(made, create=True) as connection:
            load_demo(connection)
        yield made, True


def _serve(settings: Settings, host: str, port: int) -> None:
    """Run Streamlit's server in this process until a signal ends it."""
    from streamlit.web import cli  # of an extra

    # Slow to import: done now, not while the first visitor waits.
    for name in ("app_board", "app_charts", "app_quality", "app_scoring"):
        importlib.import_module(f"reports.{name}")
    ask_nobody_for_our_address(host)
    options = streamlit_options(host, port, settings.upload_mb)
    command = ["run", str(PAGE), *options, "--", settings.as_argument()]
    cli.main(command, prog_name="streamlit", standalone_mode=False)


def ask_nobody_for_our_address(host: str) -> None:
    """Keep Streamlit from asking an outside service for this machine's address.

    It would when a page of another origin connects, to see whether that page is its own. Where it
    listens at one address only, the machine's other ones are other origins too.
    """
    from streamlit import net_util

    net_util._external_ip = ""
    if host not in WILDCARD:
        net_util._internal_ip = ""


if __name__ == "__main__":
    main()
