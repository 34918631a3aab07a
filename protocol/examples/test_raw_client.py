"""Tests of the example client: its framing against the golden vectors, its commands against a small fake fleet.

    python3 -m unittest discover -s protocol/examples
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import socket
import stat
import sys
import tempfile
import threading
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import framing
import raw_client

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "wire" / "tests" / "vectors" / "frames.json"
LIMITS = {"before-sign-in": (4_096, 65_536), "signed-in": (framing.HEADER_MAX, framing.BLOCK_MAX)}


def piece_bytes(piece) -> bytes:
    """A piece of a byte string, as the vectors' `about` says."""
    if isinstance(piece, str):
        return bytes.fromhex(piece)
    if "repeat" in piece:
        return bytes.fromhex(piece["repeat"]) * piece["times"]
    if "text" in piece:
        return piece["text"].encode()
    return json.dumps(piece["json"], separators=(",", ":"), ensure_ascii=False).encode()


def whole(pieces) -> bytes:
    return b"".join(map(piece_bytes, pieces))


class Vectors(unittest.TestCase):
    """protocol/wire/tests/vectors/frames.json."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]

    def read(self, vector: dict, step: int):
        deframer = framing.Deframer(*LIMITS[vector["reader"]])
        data, frames = whole(vector["bytes"]), []
        try:
            for start in range(0, len(data), step):
                deframer.push(data[start : start + step])
                while (frame := deframer.next()) is not None:
                    frames.append(frame)
        except framing.FrameError as error:
            return frames, {"code": error.code, "re": error.re}, False
        return frames, None, deframer.is_mid_frame()

    def test_every_vector_gives_its_frames_and_its_fault_however_it_is_split(self) -> None:
        self.assertGreater(len(self.vectors), 200)
        for vector in self.vectors:
            small = len(whole(vector["bytes"])) < 100_000
            for step in (1, 7, 1 << 30) if small else (65_537,):
                with self.subTest(vector["name"], step=step):
                    frames, fault, open_ = self.read(vector, step)
                    self.assertEqual(fault, vector.get("error"))
                    self.assertEqual(open_, vector.get("incomplete", False))
                    self.assertEqual(len(frames), len(vector["frames"]))
                    for frame, expected in zip(frames, vector["frames"]):
                        self.assertEqual(frame.header, expected.get("header", frame.header))
                        self.assertTrue(frame.block == whole(expected.get("block", [])), "block")
                        self.assertEqual(b"".join(frame.pieces()), frame.block)
                        for key in ("op", "id", "event", "re"):
                            self.assertEqual(frame.header.get(key), expected.get(key), key)

    def test_what_encode_writes_is_what_stands_in_the_file(self) -> None:
        for vector in self.vectors:
            for expected in vector["frames"]:
                if expected["reads"] != "canonical" or len(vector["frames"]) != 1 or "incomplete" in vector or "error" in vector:
                    continue
                with self.subTest(vector["name"]):
                    # encode puts the length last unless the header has it, as it does here.
                    self.assertTrue(framing.encode(expected["header"], whole(expected.get("block", []))) == whole(vector["bytes"]))

    def test_what_is_too_long_is_not_written(self) -> None:
        with self.assertRaises(ValueError):
            framing.encode({"op": "hello", "id": 1, "agent": "x" * framing.HEADER_MAX})
        with self.assertRaises(ValueError):
            framing.encode({"op": "append", "id": 1}, b"x" * (framing.BLOCK_MAX + 1))


class FakeFleet:
    """One listener that plays balancer and server: enough of the protocol for the client's commands."""

    def __init__(self, dribble: bool = False) -> None:
        self.dribble = dribble
        self.accounts: dict[str, dict] = {}
        self.logs: dict[str, list] = {}
        self.online: list = []
        self.refusals: dict[str, dict] = {}
        self.hellos: list[dict] = []
        self.pings = 0
        self._lock = threading.RLock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _write(self, peer: socket.socket, header: dict, block: bytes = b"") -> None:
        data = framing.encode(header, block)
        for start in range(0, len(data), 1 if self.dribble else len(data)):
            peer.sendall(data[start : start + (1 if self.dribble else len(data))])

    def _serve(self, peer: socket.socket) -> None:
        deframer, me = framing.Deframer(), {"peer": peer}
        with peer, contextlib.suppress(OSError):
            while data := peer.recv(4096):
                deframer.push(data)
                while (frame := deframer.next()) is not None:
                    with self._lock:
                        self._answer(me, frame)

    def _answer(self, me: dict, frame: framing.Frame) -> None:
        header = frame.header
        if header["op"] in self.refusals:
            self._write(me["peer"], {"re": header["id"], "error": self.refusals.pop(header["op"])})
            return
        keys = getattr(self, "op_" + header["op"].replace("-", "_"))(me, header, frame.block)
        if keys is not None:
            self._write(me["peer"], {"re": header["id"], **keys})

    def op_assign(self, me, header, block):
        return {"server": "s1", "address": self.address, "ticket": "dGlja2V0", "wait-ms": 1, "expires-in-ms": 10_000}

    def op_hello(self, me, header, block):
        self.hellos.append(header)
        return {"server": "s1", "version": 1, "store": "x", "max-header": 16384, "max-block": 4 << 20, "ping-interval-ms": 200, "features": []}

    def op_register(self, me, header, block):
        assert len(block) >= 1 and len(header["salt"]) == 22 and len(header["auth"]) == 43
        account = {"username": header["username"], "auth": header["auth"], "account": str(uuid.uuid4()), "device": str(uuid.uuid4()), "token": "t1"}
        self.accounts[header["username"]] = account
        return self._signed_in(me, account)

    def op_login(self, me, header, block):
        account = self.accounts[header["username"]]
        assert header["auth"] == account["auth"] and header["device"] == account["device"]
        account["token"] += "+"
        return {**self._signed_in(me, account), "keyring-version": 1}

    def op_resume(self, me, header, block):
        account = next(a for a in self.accounts.values() if a["token"] == header["token"])
        account["token"] += "+"
        return self._signed_in(me, account)

    def _signed_in(self, me, account):
        me["account"] = account
        self.online.append(me)
        return {key: account[key] for key in ("account", "device", "token")}

    def op_lookup(self, me, header, block):
        return {"account": self.accounts[header["username"]]["account"], "username": header["username"], "devices": []}

    def op_create(self, me, header, block):
        self.logs[header["conversation"]] = []
        self._append(me, header["conversation"], "member", str(uuid.uuid4()), b"{}")
        return {"conversation": header["conversation"], "created": True}

    def op_conversations(self, me, header, block):
        return {"more": False}

    def op_ping(self, me, header, block):
        self.pings += 1
        return {}

    def op_append(self, me, header, block):
        assert uuid.UUID(header["entry"]).version == 7
        return self._append(me, header["log"], header["kind"], header["entry"], block)

    def _append(self, me, log, kind, entry, block):
        for event, _ in self.logs[log]:
            if event["entry"] == entry:
                return {"seq": event["seq"], "at": event["at"], "duplicate": True}
        event = {"event": "entry", "log": log, "seq": len(self.logs[log]) + 1, "at": 1763800000000, "kind": kind, "entry": entry, "from": me["account"]["account"], "device": me["account"]["device"]}
        self.logs[log].append((event, block))
        for other in self.online:
            if other is not me:
                with contextlib.suppress(OSError):
                    self._write(other["peer"], event, block)
        return {"seq": event["seq"], "at": event["at"], "duplicate": False}

    def op_fetch(self, me, header, block):
        page = [e for e in self.logs[header["log"]] if e[0]["seq"] > header["after"]]
        for event, content in page[:2]:
            self._write(me["peer"], {**event, "re": header["id"]}, content)
        return {"first-seq": 1, "last-seq": len(self.logs[header["log"]]), "more": len(page) > 2}


class Commands(unittest.TestCase):
    """The client's commands, as somebody types them."""

    dribble = False

    def setUp(self) -> None:
        self.fleet = FakeFleet(self.dribble)
        self.addCleanup(self.fleet.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_client(self, *arguments: str, person: str = "alice", code: int = 0) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        command = [*arguments, "--balancer", self.fleet.address, "--session", str(self.folder / person)]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                got = raw_client.main(command)
            except SystemExit as exit_:
                got = exit_.code
        self.assertEqual(got, code, out.getvalue() + err.getvalue())
        return out.getvalue().strip(), err.getvalue()

    def two_people(self) -> str:
        self.run_client("register", "alice")
        self.run_client("register", "bob", person="bob")
        return self.run_client("create", "--direct", "@bob")[0]

    def test_assign_prints_server_and_address(self) -> None:
        self.assertEqual(self.run_client("assign")[0], f"s1 {self.fleet.address}")
        self.assertEqual(json.loads(self.run_client("assign", "--json")[0]), {"server": "s1", "address": self.fleet.address, "wait-ms": 1})

    def test_the_session_is_for_its_owner_only_and_follows_the_token(self) -> None:
        self.run_client("register", "alice")
        path = self.folder / "alice"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(json.loads(path.read_text())["token"], "t1")
        self.run_client("login", "alice")
        self.assertEqual(json.loads(path.read_text())["token"], "t1+")
        self.run_client("create", "--group", "@alice")
        self.assertEqual(json.loads(path.read_text())["token"], "t1++")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(self.folder), ["alice"], "no temporary file is left")

    def test_an_entry_is_appended_once_and_fetched_by_pages(self) -> None:
        conversation = self.two_people()
        self.assertEqual(self.run_client("append", conversation, "one")[0], "2")
        entry = json.loads(self.run_client("append", conversation, "zwö 😀", "--json")[0])
        self.assertEqual((entry["seq"], entry["duplicate"]), (3, False))
        again = self.run_client("append", conversation, "zwö 😀", "--entry", entry["entry"])[0]
        self.assertEqual(again, "3 (it stood there already)")
        self.run_client("append", conversation, "three")
        lines = [json.loads(line) for line in self.run_client("fetch", conversation, "--json", person="bob")[0].splitlines()]
        self.assertEqual([(line["seq"], line["text"]) for line in lines], [(2, "one"), (3, "zwö 😀"), (4, "three")])
        self.assertEqual(len(self.run_client("fetch", conversation, "--all")[0].splitlines()), 4)
        self.assertTrue(self.run_client("fetch", conversation, "--after", "3")[0].endswith(": three"))

    def test_listen_prints_what_is_pushed_and_pings_meanwhile(self) -> None:
        conversation = self.two_people()
        got: dict = {}

        def listen() -> None:
            # Not run_client: redirecting stdout is not for two threads.
            options = raw_client.parser().parse_args(["listen", "--balancer", self.fleet.address, "--session", str(self.folder / "bob")])
            with raw_client.sign_in(options) as server:
                server.request("conversations", {"limit": 1})
                ready.set()
                got["line"] = raw_client.entry_line(server.event())

        ready = threading.Event()
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        self.assertTrue(ready.wait(10))
        while self.fleet.pings == 0:
            threading.Event().wait(0.01)
        self.run_client("append", conversation, "hello")
        thread.join(10)
        self.assertEqual((got["line"]["seq"], got["line"]["text"]), (2, "hello"))

    def test_listen_counts(self) -> None:
        self.two_people()
        self.assertEqual(self.run_client("listen", "--count", "0", person="bob"), ("", "listening\n"))

    def test_the_demo_goes_through_and_prints_every_frame(self) -> None:
        out, frames = self.run_client("demo")
        self.assertTrue(out.endswith(": Hello, Bob!"), out)
        for op in ("assign", "hello", "register", "lookup", "create", "conversations", "append"):
            self.assertIn(f'"op":"{op}"', frames)
        self.assertIn('"event":"entry"', frames)
        self.assertIn("+ a block of 11 bytes", frames)
        self.assertNotIn('"token":"t1"', frames)
        self.assertFalse(os.listdir(self.folder), "the demo keeps no session")

    def test_a_refusal_is_exit_code_1_with_its_code(self) -> None:
        self.fleet.refusals["register"] = {"code": "name-taken", "message": "alice is somebody's"}
        self.assertIn("refused: name-taken: alice is somebody's", self.run_client("register", "alice", code=1)[1])
        self.assertFalse((self.folder / "alice").exists())
        self.fleet.refusals["assign"] = {"code": "no-server", "message": "none", "retry-after-ms": 500}
        self.assertIn("try again in 500 ms", self.run_client("assign", code=1)[1])

    def test_a_bad_ticket_is_answered_with_a_hello_without_one(self) -> None:
        self.fleet.refusals["hello"] = {"code": "bad-ticket", "message": "expired"}
        self.run_client("register", "alice")
        self.assertEqual(["ticket" in hello for hello in self.fleet.hellos], [False])

    def test_wrong_usage_is_exit_code_2_and_says_what_to_do(self) -> None:
        self.assertIn("`register NAME` first", self.run_client("append", str(uuid.uuid4()), "x", code=2)[1])
        self.run_client("dance", code=2)
        self.run_client("create", code=2)
        self.run_client("listen", "--count", "some", code=2)
        self.assertIn("not HOST:PORT", self.run_client("register", "a", "--server", "nowhere", code=2)[1])
        self.assertIn("can't read the CA", self.run_client("register", "a", "--ca", "/nowhere/ca.pem", code=2)[1])
        self.run_client("register", "alice")
        self.assertIn("has an account already", self.run_client("register", "alice", code=2)[1])
        self.assertIn("the key of @alice, not of @bob", self.run_client("login", "bob", code=2)[1])
        (self.folder / "alice").write_text("{}")
        self.assertIn("lacks account", self.run_client("listen", code=2)[1])

    def test_nobody_there_is_exit_code_3(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        self.assertIn("can't connect", self.run_client("register", "a", "--server", f"127.0.0.1:{port}", code=3)[1])

    def test_an_answer_that_never_comes_names_the_entry_to_send_again(self) -> None:
        conversation = self.two_people()
        self.fleet.op_append = lambda me, header, block: me["peer"].shutdown(socket.SHUT_RDWR)
        self.assertRegex(self.run_client("append", conversation, "x", code=3)[1], r"--entry [0-9a-f-]{36}")


class DribblingFleet(Commands):
    """The same, when every byte comes by itself."""

    dribble = True


class Ids(unittest.TestCase):
    def test_ids_are_lower_case_uuids_of_version_7_in_order_of_time(self) -> None:
        ids = [raw_client.new_id() for _ in range(50)]
        self.assertEqual(len(set(ids)), 50)
        for text in ids:
            self.assertEqual((uuid.UUID(text).version, uuid.UUID(text).variant), (7, uuid.RFC_4122))
            self.assertEqual(text, text.lower())
        self.assertEqual([text[:13] for text in ids], sorted(text[:13] for text in ids))


if __name__ == "__main__":
    unittest.main()
