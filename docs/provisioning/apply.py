#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""apply.py [--dry-run] FILE: makes the balancer what FILE says, and tells what was changed."""
import json, os, socket, sys

dry_run = "--dry-run" in sys.argv
with open(sys.argv[-1]) as file:
    config = json.load(file)

daemon = socket.socket(socket.AF_UNIX)
daemon.connect(os.environ.get("DPVS_SOCKET", "/run/dpvs/dpvs.sock"))
request = {"jsonrpc": "2.0", "id": 1, "method": "config.apply",
           "params": {"config": config, "dry_run": dry_run}}
daemon.sendall(json.dumps(request).encode() + b"\n")
reply = json.loads(daemon.makefile().readline())
if "error" in reply:
    sys.exit("{message} ({data})".format(**reply["error"]))
for write in reply["result"]["writes"]:
    print(write["method"], json.dumps(write["params"]))
