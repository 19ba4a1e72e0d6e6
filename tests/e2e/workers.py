# SPDX-License-Identifier: Apache-2.0
"""Runs the tool as a user would: workers as processes, pulls beside them."""

import json
import os
import signal
import subprocess
import tempfile


class Tool:
    """The built tool, with an exchange and a runtime directory of its own."""

    def __init__(self, binary):
        self.binary = binary
        self.directory = tempfile.TemporaryDirectory(prefix="kvferry-e2e-")
        self.exchange = "dir:" + os.path.join(self.directory.name, "exchange")
        runtime = os.path.join(self.directory.name, "runtime")
        os.mkdir(runtime, 0o700)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": runtime}
        self.environment.pop("KVFERRY_EXCHANGE", None)
        self.workers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self.workers):
            self.end(name)
        self.directory.cleanup()

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def start(self, name, *options):
        """Starts a worker and waits until it is ready."""
        command = [self.binary, "worker", "--name", name, "--exchange", self.exchange, *options]
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, env=self.environment, text=True
        )
        line = worker.stdout.readline()
        if line != f"ready {name}\n":
            worker.kill()
            raise AssertionError(f"worker {name} says {line!r}")
        self.workers[name] = worker
        return worker

    def end(self, name):
        """Ends a worker, whatever state it is in, and gives its exit code."""
        worker = self.workers.pop(name)
        # In this order: one that stops at its end, for a debugger or a leak check, stays stopped.
        worker.send_signal(signal.SIGCONT)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(timeout=20)
        worker.stdout.close()
        return code

    def run(self, *arguments, timeout=60):
        """Runs a command to its end: exit code, standard output, standard error."""
        done = subprocess.run(
            [self.binary, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def pull(self, *options, timeout=60):
        """Pulls with --json: exit code, document, standard error."""
        code, out, err = self.run(
            "pull", "--json", "--exchange", self.exchange, *options, timeout=timeout
        )
        return code, json.loads(out) if out else None, err
