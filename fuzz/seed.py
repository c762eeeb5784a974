#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes seed corpora for the fuzz targets from the test fixtures."""
import json
import pathlib
import re

root = pathlib.Path(__file__).resolve().parent.parent
corpus = root / "fuzz" / "corpus"


def save(target, name, data):
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / re.sub(r"\W", "_", name)).write_bytes(data)


text = (root / "crates/dpvs-core/tests/fixtures/frames.txt").read_text()
for case in re.findall(r"case (\w+)\nin  (.*?)\nout (.*?)(?:\n\n|\Z)", text, re.S):
    name, frame = case[0], bytes.fromhex(re.sub(r"\s", "", case[1]))
    save("parse", name, frame)
    save("process", name, bytes([0, 5, 0, min(len(frame), 255)]) + frame[:255])
    l3 = 14
    l4 = l3 + ((frame[14] & 15) * 4 if frame[14] >> 4 == 4 else 40)
    if name.startswith("a") or "error" in name:
        side = (0 if "client" in name else 1) + (0 if frame[14] >> 4 == 4 else 2)
        head = bytes([side << 6 | frame[l4] & 15, frame[l4 + 1]]) + frame[l4 + 4 : l4 + 8]
        save("quote", name, head + frame[l4 + 8 :])
golden = root / "crates/ipvsadm/tests/golden/ipvsadm-stock-cases.json"
if golden.exists():
    for case in json.loads(golden.read_text()):
        save("argv", case["id"], "\n".join(case["argv"][1:]).encode())
        if case["stdin"]:
            save("restore", case["id"], case["stdin"].encode())
for n, line in enumerate(
    [
        '{"jsonrpc":"2.0","id":1,"method":"system.ping"}',
        '{"jsonrpc":"2.0","id":1,"method":"service.add","params":{"service":{"protocol":"tcp","address":"10.0.0.1","port":80},"scheduler":"rr"}}',
        '{"jsonrpc":"2.0","id":"x","method":"dest.add","params":{"service":{"fwmark":8},"address":"::1","port":1,"forward":"fullnat"}}',
        '[{"jsonrpc":"2.0","method":"conn.list","params":{"limit":3,"cursor":"0:1"}},1]',
        '{"jsonrpc":"2.0","id":1,"method":"transaction","params":{"writes":[{"method":"addr.add","params":{}}],"generation":3}}',
    ]
):
    save("api", f"line{n}", line.encode())
head = "0500 01000000 02000000"
service = (
    "5400 0180 0600 0100 0200 0000 0600 0200 0600 0000"
    "1400 0300 0a000001 000000000000000000000000 0600 0400 0050 0000 0700 0600 727200 00"
    "0c00 0700 00000000 ffffffff 0800 0800 00000000 0800 0900 ffffffff"
)
dest = (
    "6000 0280 0600 0b00 0200 0000 1400 0100 0a010101 000000000000000000000000"
    "0600 0200 1f90 0000 0800 0300 02000000 0800 0400 05000000 0500 0d00 01 000000"
    "0600 0e00 1770 0000 0600 0f00 0100 0000 0800 0500 00000000 0800 0600 00000000"
)
for n, message in enumerate(
    [
        f"20000000 1000 {head} 03010000 0900 0200 49505653 00 000000",
        f"14000000 1c00 {head} 0f010000",
        f"14000000 1c00 0503 01000000 02000000 04010000",
        f"68000000 1c00 {head} 01010000 {service}",
        f"c8000000 1c00 {head} 05010000 {service} {dest}",
        f"2c000000 1c00 {head} 0c010000 0800 0400 84030000 0800 0500 78000000 0800 0600 2c010000",
    ]
):
    save("netlink", f"message{n}", bytes.fromhex(message))
