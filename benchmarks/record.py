"""Run a benchmark and put its command and output into BENCHMARKS.md, over what stood there.

    python benchmarks/record.py grid.py --panel FILE

The block of BENCHMARKS.md that begins with the same command is replaced; where there is none, one
is added at the end. Of files only the name is shown.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "BENCHMARKS.md"
FENCE = "```"


def shown(script: str, arguments: list[str]) -> str:
    """The command as the page has it."""
    names = [Path(one).name if "/" in one else one for one in arguments]
    return " ".join(["$ python", f"benchmarks/{script}", *names])


def run(script: str, arguments: list[str]) -> str:
    """Standard output of the script, passed on line by line; ends with its exit code if not 0."""
    command = [sys.executable, str(REPO / "benchmarks" / script), *arguments]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if process.returncode:
        raise SystemExit(process.returncode)
    return "\n".join(lines).strip("\n")


def replaced(page: str, command: str, output: str) -> str:
    """The page with that command's block anew."""
    block = f"{FENCE}console\n{command}\n{output}\n{FENCE}\n"
    start = page.find(f"{FENCE}console\n{command}\n")
    if start < 0:
        return f"{page.rstrip()}\n\n{block}"
    end = page.index(f"\n{FENCE}\n", start) + len(f"\n{FENCE}\n")
    return page[:start] + block + page[end:]


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    script, *arguments = sys.argv[1:]
    output = run(script, arguments)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, shown(script, arguments), output), encoding="utf-8")


if __name__ == "__main__":
    main()
