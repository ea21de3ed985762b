"""The control plane from the command line: `python -m tests.controlplane build|up|down|run`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from . import binaries, snapshot
from .daemon import Daemon, describe
from .errors import ControlPlaneError
from .plane import ControlPlane
from .programs import PROGRAMS


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    args = _parser().parse_args(argv)
    # So that SIGTERM and a closed terminal unwind as Ctrl-C does, and what was started is stopped.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return int(args.do(args) or 0)
    except ControlPlaneError as error:
        print(f"controlplane: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build what is missing in the cache, and nothing else")
    build.add_argument("programs", nargs="*", choices=[*PROGRAMS, []], metavar="PROGRAM", help="default: all")
    build.set_defaults(do=_build)
    commands.add_parser("up", help="start one in the background").set_defaults(do=_up)
    commands.add_parser("down", help="end it").set_defaults(do=_down)
    run = commands.add_parser("run", help="start one, run a command with its KUBECONFIG, end it")
    run.add_argument("command", nargs=argparse.REMAINDER, help="default: wait for Ctrl-C")
    run.set_defaults(do=_run)
    serve = commands.add_parser("serve")  # what `up` detaches; not for people
    serve.add_argument("folder", type=Path)
    serve.set_defaults(do=lambda args: Daemon(args.folder).serve())
    return parser


def _build(args: argparse.Namespace) -> None:
    binaries.ensure(args.programs or tuple(PROGRAMS))
    if not args.programs:
        snapshot.folder()


def _up(_: argparse.Namespace) -> None:
    print(describe(Daemon().up()))


def _down(_: argparse.Namespace) -> None:
    print("The control plane is gone." if Daemon().down() else "No control plane was running.")


def _run(args: argparse.Namespace) -> int:
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    with ControlPlane.create() as plane:
        if command:
            path = f"{plane.kubectl_path.parent}{os.pathsep}{os.environ.get('PATH', '')}"
            environment = plane.environment | {"PATH": path}
            return subprocess.run(command, env=environment, check=False).returncode
        print(plane.facts(), flush=True)
        signal.pause()
    return 0


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
