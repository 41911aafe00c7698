"""A stand-in for kubectl with one namespace in a folder, $CLUSTER: what `deploy/kubernetes/try` tells it, it remembers.

A file `refused` there has the beginning of a command that it refuses; `log` is what the client has said.
"""

import os
import subprocess
import sys
from pathlib import Path

CLUSTER = Path(os.environ["CLUSTER"])
WORDS = sys.argv[3:]  # after --namespace and its name
IMAGE, PREVIOUS = CLUSTER / "image", CLUSTER / "previous"


def main() -> None:
    command = " ".join(WORDS)
    with open(CLUSTER / "calls", "a") as calls:
        print(command, file=calls)
    refused = CLUSTER / "refused"
    if refused.exists() and command.startswith(refused.read_text()):
        sys.exit("Error from server (Forbidden): you may not")
    if WORDS[0] == "kustomize":
        subprocess.run([Path(sys.executable).with_name("kubectl"), *WORDS], check=True)
    elif WORDS[0] == "apply":
        applied = sys.stdin.read()
        with open(CLUSTER / "applied", "a") as file:
            file.write(applied)
        if "kind: Deployment" in applied:
            nodes = next(
                part for part in applied.split("---") if "kind: Deployment\nmetadata:\n" in part and "8081" in part
            )
            IMAGE.write_text(next(line.split()[-1] for line in nodes.splitlines() if " image: " in line))
    elif WORDS[:2] == ["set", "image"]:
        PREVIOUS.write_text(IMAGE.read_text())
        IMAGE.write_text(WORDS[-1].partition("=")[2])
    elif WORDS[:2] == ["rollout", "undo"]:
        IMAGE.write_text(PREVIOUS.read_text())
    elif WORDS[:2] == ["get", "pods"]:
        print("pod/one\npod/two")
    elif WORDS[0] == "get":
        print(IMAGE.read_text(), end="")
    elif WORDS[0] == "logs":
        print((CLUSTER / "log").read_text())


main()
