"""The way into a verb: `python -m mnist_torchserve.commands VERB …`, which `scripts/VERB` starts."""

import importlib
import os
import signal
import sys

from mnist_torchserve import machine


def run(verb: str) -> None:
    """Run a verb so that all that it has started is ended, whatever ends it, unless it says otherwise."""
    machine.reach_without_proxy()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        code = importlib.import_module(f"mnist_torchserve.commands.{verb}").main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
    except BrokenPipeError:  # nobody reads any more what it says
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code)


run(sys.argv.pop(1))
