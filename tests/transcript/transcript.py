#!/usr/bin/env python3
"""Runs one list of requests on the real Firecracker and on the fake, and compares the answers.

transcript.py LIST GUEST REAL FAKE

Numbers may differ, the rest may not. What is the same for both is not shown.
"""

import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

TRIES = 50
LIMIT = 10
RPC_PORT = 5252


class Api(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self.path)


def await_socket(process, path):
    until = time.monotonic() + LIMIT
    while time.monotonic() < until and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
                return
            except OSError:
                time.sleep(0.002)
    raise RuntimeError(f"{process.args[0]} did not open its socket")


class Machine:
    """One process, in the directory that all of its transcript share."""

    def __init__(self, program, directory):
        for name in ("api.sock", "v.sock"):
            if os.path.exists(os.path.join(directory, name)):
                os.unlink(os.path.join(directory, name))
        self.directory = directory
        self.process = subprocess.Popen(
            [program, "--api-sock", "api.sock", "--id", "transcript", "--level", "Off"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await_socket(self.process, os.path.join(directory, "api.sock"))

    def close(self):
        self.process.kill()
        self.process.wait()

    def request(self, method, path, body):
        api = Api(os.path.join(self.directory, "api.sock"))
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            api.request(method, path, body or None, headers)
            answer = api.getresponse()
            return f"{answer.status} {answer.read().decode()}"
        finally:
            api.close()

    def call(self, method, params):
        """One call to the guest; a connection that is not answered is made again."""
        until = time.monotonic() + LIMIT
        while True:
            try:
                return self.try_call(method, params)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def hand_over(self, path, body):
        """What comes by uffd.sock. Nobody serves faults, so the request is never answered."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.join(self.directory, path))
            listener.listen()
            listener.settimeout(LIMIT)
            threading.Thread(target=self.load, args=(body,), daemon=True).start()
            peer = listener.accept()[0]
            with peer:
                peer.settimeout(LIMIT)
                text, fds, _, _ = socket.recv_fds(peer, 16384, 8)
        for fd in fds:
            os.close(fd)
        return f"{len(fds)} descriptor {text.decode()}"

    def load(self, body):
        try:
            self.request("PUT", "/snapshot/load", body)
        except (OSError, http.client.HTTPException):
            pass

    def try_call(self, method, params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params:
            request["params"] = json.loads(params)
        text = json.dumps(request, separators=(",", ":")).encode()
        with socket.socket(socket.AF_UNIX) as guest:
            guest.settimeout(0.5)
            guest.connect(os.path.join(self.directory, "v.sock"))
            guest.sendall(f"CONNECT {RPC_PORT}\n".encode())
            stream = guest.makefile("rb")
            if not stream.readline().startswith(b"OK "):
                raise OSError("no OK")
            hello = read_frame(stream)
            guest.sendall(struct.pack(">I", len(text)) + text)
            return hello + " " + read_frame(stream)


def read_frame(stream):
    header = stream.read(4)
    if len(header) < 4:
        raise OSError("closed")
    return stream.read(struct.unpack(">I", header)[0]).decode()


def comparable(answer):
    """All but the status and what the guest found wrong may be other numbers."""
    answer = re.sub(r'("boot_id":)"[0-9a-f]*"', r'\1"N"', answer)
    answer = re.sub(r"(virtio_mmio\.device)=[^ \"]*", r"\1=D", answer)
    exact = r'(^[0-9]{3} |"wrong":[0-9]+|"checked":[0-9]+)'
    parts = re.split(exact, answer)
    return "".join(
        part if re.fullmatch(exact, part) else re.sub(r"-?[0-9]+(\.[0-9]+)*", "N", part)
        for part in parts
    )


def send(machine, method, path, body):
    if method == "CALL":
        return machine.call(path, body)
    if method == "HANDOVER":
        return machine.hand_over(path, body)
    return machine.request(method, path, body)


def sections(requests):
    """Those of one process: what follows a line that begins with "new"."""
    found = []
    for line in requests:
        if line.startswith("new "):
            found.append([])
        else:
            found[-1].append(line)
    return found


def ask(machine, line, guest):
    line_of = line.replace("GUEST", guest).replace("LONG", 51200 * "x")
    method, path, body = (line_of + "  ").split(" ", 2)
    return line, comparable(send(machine, method, path, body.strip()))


def ask_all(section, program, directory, guest):
    """Firecracker's last answer may be lost, when it exits after it: then all is asked again."""
    for tries in range(TRIES):
        machine = Machine(program, directory)
        try:
            return [ask(machine, line, guest) for line in section]
        except ConnectionError:
            if tries == TRIES - 1:
                raise
        finally:
            machine.close()


def run(requests, program, guest):
    """Yields (request, answer)."""
    directory = tempfile.mkdtemp()
    try:
        for section in sections(requests):
            yield from ask_all(section, program, directory, guest)
    finally:
        shutil.rmtree(directory)


def main():
    listing, guest, real, fake = map(os.path.abspath, sys.argv[1:])
    with open(listing, encoding="utf-8") as file:
        requests = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    differences = 0
    count = 0
    for (line, expected), (_, got) in zip(run(requests, real, guest), run(requests, fake, guest)):
        count += 1
        if expected != got:
            differences += 1
            print(f"{line}\n    real: {expected}\n    fake: {got}")
    asked = sum(not line.startswith("new ") for line in requests)
    print(f"{count} of {asked} requests, {differences} different answers")
    return 1 if differences or count != asked else 0


if __name__ == "__main__":
    sys.exit(main())
