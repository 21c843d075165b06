#!/usr/bin/env python3
"""An agent for libfcsnap, see fcsnap-rpc(7): agent.py [UNIX-SOCKET]"""
import contextlib, json, os, socket, struct, sys, threading

def send(conn, **message):
    data = json.dumps({"jsonrpc": "2.0", **message}).encode()
    conn.sendall(struct.pack(">I", len(data)) + data)

def messages(conn):
    stream = conn.makefile("rb")
    while len(header := stream.read(4)) == 4:
        yield json.loads(stream.read(struct.unpack(">I", header)[0]))

def walk(conn, path):
    for folder, _, files in os.walk(path):
        send(conn, method="folder", params={"path": folder, "files": len(files)})
    return {}

METHODS = {"ping": lambda conn: {}, "add": lambda conn, a, b: a + b, "walk": walk}

def answer(conn, request):
    try:
        return {"result": METHODS[request["method"]](conn, **request.get("params", {}))}
    except Exception as error:
        return {"error": {"code": -32000, "message": repr(error)}}

def serve(conn):
    with conn, contextlib.suppress(OSError):  # a connection may end at any time
        send(conn, method="hello", params={"agent": "python", "protocol": 1})
        for request in messages(conn):
            if "id" in request:  # else it is a notification, which has no answer
                send(conn, id=request["id"], **answer(conn, request))

path = sys.argv[1] if len(sys.argv) > 1 else None
listener = socket.socket(socket.AF_UNIX if path else socket.AF_VSOCK)
listener.bind(path or (socket.VMADDR_CID_ANY, 5252))
listener.listen()
while True:
    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
