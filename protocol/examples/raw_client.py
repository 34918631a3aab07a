#!/usr/bin/env python3
"""A small FastChat client on raw sockets: Python 3.9 or later, nothing to install.

It shows the wire protocol (protocol/PROTOCOL.md) and nothing more. What it
appends is NOT end-to-end encrypted: the block of an entry is the text itself.

Instead of a password it signs in with 32 random bytes, as a bot would: the
session file keeps them, and they stand where a client for people sends the
bytes that it derives from a password with Argon2id (protocol/E2E.md, section
2; Argon2id is not in Python's standard library). Whoever has the file is the
account: it is written with mode 0600.

Exit codes: 0 done, 1 refused by the server, 2 usage, 3 can't connect or the
connection was lost.
"""

from __future__ import annotations

import argparse
import base64
import ipaddress
import json
import os
import secrets
import socket
import ssl
import sys
import tempfile
import time
import uuid

from framing import Deframer, Frame, FrameError, encode

DIAL_S = 10.0  # to connect, and for each answer
SECRET_KEYS = ("auth", "token", "ticket")  # not printed by --verbose


# --- one connection -----------------------------------------------------------


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, error: dict) -> None:
        self.code = str(error.get("code", "internal"))
        again = f" (try again in {error['retry-after-ms']} ms)" if "retry-after-ms" in error else ""
        super().__init__(f"{self.code}: {error.get('message', '')}{again}")


class Unreachable(Exception):
    """Nobody there, or the connection was lost: what was asked may have happened."""


class Usage(Exception):
    """What was asked for can't be done; the message says what to do."""


class Connection:
    """Sends requests and waits for their answers; keeps the events that come meanwhile."""

    def __init__(self, address: str, name: str, options: argparse.Namespace) -> None:
        self.name, self.verbose = name, options.verbose
        self.events: list[Frame] = []
        self.silence_s = 30.0  # longest silence before a ping; the hello reply says the server's
        self._last_id, self._sent_at, self._deframer = 0, time.monotonic(), Deframer()
        host, port = split_address(address)
        tls = tls_context(options) if uses_tls(options) else None
        if not tls and not options.allow_plaintext and not is_loopback(host):
            raise Usage(f"{address} is not on this machine, and the connection would be plain text: --tls, or --allow-plaintext if you accept that everybody on the way can read")
        try:
            self._socket = socket.create_connection((host, port), timeout=DIAL_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                # The name that was typed, whatever the address: it is the fleet's.
                self._socket = tls.wrap_socket(self._socket, server_hostname=fleet_name(options))
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"can't trust {address}: {error.verify_message}: --ca FILE with the fleet's CA, and the name that its certificate has") from None
        except ssl.SSLError as error:
            raise Unreachable(f"can't speak TLS with {address} ({error.reason or error}): is the port right, and does the fleet speak TLS?") from None
        except OSError as error:
            raise Unreachable(f"can't connect to {address}: {error.strerror or error}") from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, op: str, keys: dict | None = None, block: bytes = b"") -> Frame:
        """Sends a request and waits for its answer; events are kept for `event`."""
        request = self._send(op, keys or {}, block)
        deadline = time.monotonic() + DIAL_S
        while True:
            frame = self._read(deadline)
            if frame is None:
                raise Unreachable(f"{self.name} did not answer {op} within {DIAL_S:.0f} s")
            if "event" in frame.header:
                self.events.append(frame)
            elif frame.header.get("error") is not None and frame.header["re"] in (request, None):
                raise Refused(frame.header["error"])
            elif frame.header.get("re") == request:
                return frame

    def event(self, within_s: float = float("inf")) -> Frame:
        """The next event; meanwhile pings, so that the server keeps the connection."""
        end = time.monotonic() + within_s
        while not self.events:
            frame = self._read(min(end, self._sent_at + self.silence_s))
            if frame is None and time.monotonic() >= end:
                raise Unreachable(f"{self.name} pushed nothing within {within_s:.0f} s")
            if frame is None:
                self._send("ping", {}, b"")
            elif "event" in frame.header:
                self.events.append(frame)
            elif frame.header.get("error") is not None:
                raise Refused(frame.header["error"])
        return self.events.pop(0)

    def _send(self, op: str, keys: dict, block: bytes) -> int:
        self._last_id += 1
        header = {"op": op, "id": self._last_id, **keys}
        self._show("->", header, block)
        try:
            self._socket.settimeout(DIAL_S)
            self._socket.sendall(encode(header, block))
        except OSError as error:
            raise Unreachable(f"lost the connection to {self.name}: {error.strerror or error}") from None
        self._sent_at = time.monotonic()
        return self._last_id

    def _read(self, deadline: float) -> Frame | None:
        """The next frame, or None at the deadline."""
        while True:
            frame = self._deframer.next()
            if frame is not None:
                self._show("<-", frame.header, frame.block)
                return frame
            try:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                data = self._socket.recv(1 << 16)
            except socket.timeout:
                return None
            except OSError as error:
                raise Unreachable(f"lost the connection to {self.name}: {error.strerror or error}") from None
            if not data:
                raise Unreachable(f"{self.name} closed the connection")
            self._deframer.push(data)

    def _show(self, arrow: str, header: dict, block: bytes) -> None:
        if self.verbose:
            shown = {key: "(secret)" if key in SECRET_KEYS else value for key, value in header.items()}
            if block:
                shown["content-length"] = len(block)
            text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
            print(f"{arrow} {self.name} {text}" + (f" + a block of {len(block)} bytes" if block else ""), file=sys.stderr)


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, or `[v6]:port`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise Usage(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """True for an address of this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# --- TLS (PROTOCOL.md §10) --------------------------------------------------------


def uses_tls(options: argparse.Namespace) -> bool:
    """TLS where it is asked for, and to a fleet beyond this machine."""
    return options.tls or bool(options.ca) or not (options.allow_plaintext or is_loopback(fleet_name(options)))


def fleet_name(options: argparse.Namespace) -> str:
    """What the certificates of balancer and servers must be for: the host that was typed."""
    return split_address(options.server or options.balancer)[0]


def tls_context(options: argparse.Namespace) -> ssl.SSLContext:
    """TLS 1.3 for FastChat's frames; trusts the CA of --ca, else those of this machine."""
    try:
        context = ssl.create_default_context(cafile=options.ca or None)
    except OSError as error:
        raise Usage(f"can't read the CA in {options.ca}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["fastchat/1"])
    return context


# --- ids, bytes, session file --------------------------------------------------


def new_id() -> str:
    """A UUIDv7: 48 bits of milliseconds, then random bits: ids sort by the time they were made."""
    ms = time.time_ns() // 1_000_000
    number = (ms << 80) | (0x7 << 76) | (secrets.randbits(12) << 64) | (0b10 << 62) | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def base64url(data: bytes) -> str:
    """Bytes in a header: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_session(path: str) -> dict:
    """The account that `register` or `login` left."""
    try:
        with open(path, encoding="utf-8") as file:
            session = json.load(file)
    except FileNotFoundError:
        raise Usage(f"no session in {path}: `register NAME` first, or name another file with --session") from None
    except (OSError, ValueError) as error:
        raise Usage(f"can't read the session in {path}: {error}") from None
    missing = {"username", "auth", "account", "device", "token"} - set(session if isinstance(session, dict) else ())
    if missing:
        raise Usage(f"the session in {path} lacks {', '.join(sorted(missing))}: name another file with --session")
    return session


def write_session(path: str, session: dict) -> None:
    """All or nothing, and readable by its owner only (mkstemp makes 0600)."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(prefix=".raw-client-", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(session, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise Usage(f"can't write the session to {path}: {error.strerror or error}") from None


# --- steps: each is a request or two -------------------------------------------


def assign(options: argparse.Namespace, resume: bool) -> dict:
    """Asks the balancer for a server (PROTOCOL.md §3)."""
    with Connection(options.balancer, "balancer", options) as balancer:
        return balancer.request("assign", {"resume": True} if resume else {}).header


def connect(options: argparse.Namespace, resume: bool = False) -> Connection:
    """assign, wait as told, dial, hello."""
    place = {"server": "server", "address": options.server, "wait-ms": 0} if options.server else assign(options, resume)
    time.sleep(place["wait-ms"] / 1000)
    server = Connection(place["address"], place["server"], options)
    hello = {"version": 1, "agent": "raw_client.py"}
    try:
        try:
            answer = server.request("hello", {**hello, "ticket": place["ticket"]} if "ticket" in place else hello)
        except Refused as refused:
            if refused.code != "bad-ticket":
                raise
            answer = server.request("hello", hello)  # a ticket only reserves a place
    except BaseException:
        server.__exit__()
        raise
    server.silence_s = answer.header["ping-interval-ms"] / 1000
    return server


def register(server: Connection, name: str) -> dict:
    """A new account; returns its session."""
    auth = base64url(secrets.token_bytes(32))
    keys = {
        "username": name,
        "salt": base64url(secrets.token_bytes(16)),
        # What a client for people derives with; nothing is derived here.
        "kdf": {"alg": "argon2id", "m-kib": 65_536, "t": 3, "p": 1},
        "auth": auth,
        "device-name": "raw_client.py",
    }
    # The block is the sealed keyring; this client has no keys to keep in it.
    answer = server.request("register", keys, b"none").header
    return {"username": name, "auth": auth, **{key: answer[key] for key in ("account", "device", "token")}}


def sign_in(options: argparse.Namespace) -> Connection:
    """Connects and resumes the session in the file; keeps a new token at once."""
    session = read_session(options.session)
    server = connect(options, resume=True)
    try:
        answer = server.request("resume", {"token": session["token"]}).header
        if answer["token"] != session["token"]:
            write_session(options.session, {**session, "token": answer["token"]})
    except BaseException:
        server.__exit__()
        raise
    return server


def create(server: Connection, kind: str, names: list[str]) -> dict:
    """Looks the names up and creates a conversation with them."""
    members = [server.request("lookup", {"username": name.lstrip("@")}).header["account"] for name in names]
    return server.request("create", {"conversation": new_id(), "kind": kind, "members": members}).header


def append(server: Connection, log: str, text: str, entry: str | None = None) -> dict:
    """One entry at the end of a log; returns once it is durable."""
    entry = entry or new_id()
    try:
        answer = server.request("append", {"log": log, "entry": entry, "kind": "app"}, text.encode()).header
    except Unreachable as error:
        raise Unreachable(f"{error}; whether the entry was stored is not known: append it again with --entry {entry}, it will stand there once") from None
    return {"entry": entry, **{key: answer[key] for key in ("seq", "at", "duplicate")}}


def entry_line(frame: Frame) -> dict:
    """An `entry` event, for printing."""
    header = frame.header
    line = {key: header[key] for key in ("log", "seq", "at", "kind", "entry", "from", "device") if key in header}
    return {**line, "text": frame.block.decode("utf-8", "replace")}


def show(options: argparse.Namespace, result: dict, words: str) -> None:
    """A result: one line of words, or with --json one object a line."""
    print(json.dumps(result, ensure_ascii=False) if options.json else words, flush=True)


def show_entry(options: argparse.Namespace, frame: Frame) -> None:
    line = entry_line(frame)
    show(options, line, "{log} {seq} {kind} from {sender}: {text}".format(sender=line.get("from", "the server"), **line))


# --- commands ------------------------------------------------------------------


def command_assign(options: argparse.Namespace) -> None:
    place = assign(options, resume=False)
    show(options, {key: place[key] for key in ("server", "address", "wait-ms")}, f"{place['server']} {place['address']}")


def command_register(options: argparse.Namespace) -> None:
    if os.path.exists(options.session):
        raise Usage(f"{options.session} has an account already: name another file with --session")
    if not os.access(os.path.dirname(os.path.abspath(options.session)), os.W_OK):
        raise Usage(f"can't write {options.session}: name another file with --session")
    with connect(options) as server:
        session = register(server, options.name)
    write_session(options.session, session)
    show(options, {key: session[key] for key in ("username", "account", "device")}, f"registered @{session['username']}, account {session['account']}")


def command_login(options: argparse.Namespace) -> None:
    session = read_session(options.session)
    if session["username"] != options.name:
        raise Usage(f"{options.session} has the key of @{session['username']}, not of @{options.name}: name another file with --session")
    with connect(options) as server:
        answer = server.request("login", {"username": options.name, "auth": session["auth"], "device": session["device"]}).header
    write_session(options.session, {**session, "token": answer["token"]})
    show(options, {key: answer[key] for key in ("account", "device")}, f"signed in as @{options.name}, account {answer['account']}")


def command_create(options: argparse.Namespace) -> None:
    with sign_in(options) as server:
        answer = create(server, "group", options.group) if options.group else create(server, "direct", [options.direct])
    show(options, {key: answer[key] for key in ("conversation", "created")}, answer["conversation"])


def command_append(options: argparse.Namespace) -> None:
    with sign_in(options) as server:
        answer = append(server, options.conversation, options.text, options.entry)
    show(options, answer, f"{answer['seq']}" + (" (it stood there already)" if answer["duplicate"] else ""))


def command_listen(options: argparse.Namespace) -> None:
    with sign_in(options) as server:
        # This answer waits until the other servers know of us: from here on no push is missed.
        server.request("conversations", {"limit": 1})
        print("listening", file=sys.stderr, flush=True)
        printed = 0
        while options.count is None or printed < options.count:
            frame = server.event()
            name = frame.header["event"]
            if name == "entry" and (options.all or frame.header["kind"] == "app"):
                show_entry(options, frame)
                printed += 1
            elif name == "behind":
                print("behind: some entries were not pushed; `fetch` has them", file=sys.stderr, flush=True)
            elif name == "move":
                print(f"the server closes within {frame.header['within-ms']} ms; `listen` again then", file=sys.stderr, flush=True)


def command_fetch(options: argparse.Namespace) -> None:
    after, more = options.after, True
    with sign_in(options) as server:
        while more:
            more = server.request("fetch", {"log": options.conversation, "after": after}).header["more"]
            # The entries came before the answer, as events; others' pushes have no `re`.
            for frame in [event for event in server.events if "re" in event.header]:
                after = frame.header["seq"]
                if options.all or frame.header["kind"] == "app":
                    show_entry(options, frame)
            server.events.clear()


def command_demo(options: argparse.Namespace) -> None:
    options.verbose = True
    tag = secrets.token_hex(3)

    def step(text: str) -> None:
        print(f"\n# {text}", file=sys.stderr, flush=True)

    step("Two people go to the balancer, say hello to the server that it names, and register.")
    with connect(options) as alice, connect(options) as bob:
        register(alice, f"demo-alice-{tag}")
        register(bob, f"demo-bob-{tag}")
        step("Bob asks for his conversations: from this answer on he misses no push.")
        bob.request("conversations", {"limit": 1})
        step("Alice looks Bob up and creates a direct conversation with him.")
        conversation = create(alice, "direct", [f"demo-bob-{tag}"])["conversation"]
        step("Alice appends an entry. The answer comes once it is durable.")
        appended = append(alice, conversation, "Hello, Bob!")
        step("Bob is told: first of the conversation (a `member` entry), then of Alice's entry.")
        while True:
            frame = bob.event(DIAL_S)
            if frame.header["event"] == "entry" and frame.header["entry"] == appended["entry"]:
                break
    step("What Bob read:")
    show_entry(options, frame)


# --- command line ---------------------------------------------------------------


def count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError("an integer of 0 or more")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line; its help is the client's manual."""
    shared = argparse.ArgumentParser(add_help=False)
    where = shared.add_argument_group("where and how")
    where.add_argument("--balancer", metavar="HOST:PORT", default="127.0.0.1:7101", help="asked for a server (default %(default)s)")
    where.add_argument("--server", metavar="HOST:PORT", help="go to this server and ask no balancer")
    where.add_argument("--session", metavar="FILE", default="raw-client.json", help="the account: name, key, token; mode 0600 (default %(default)s)")
    where.add_argument("--tls", action="store_true", help="use TLS, also to this machine; to others it is used anyway")
    where.add_argument("--ca", metavar="FILE", help="trust the CA in this PEM file and no other; implies --tls")
    where.add_argument("--allow-plaintext", action="store_true", help="dial other machines without TLS: everybody on the way can read")
    where.add_argument("--json", action="store_true", help="print results as JSON, one object a line")
    where.add_argument("-v", "--verbose", action="store_true", help="print each frame to stderr: header (secrets left out) and length of the block")

    description, _, notes = (__doc__ or "").partition("\n\n")
    top = argparse.ArgumentParser(description=description, epilog=notes, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[shared], help=help, description=help[0].upper() + help[1:] + ".")
        added.set_defaults(run=run)
        return added

    command("assign", command_assign, "ask the balancer for a server; print its name and address")
    command("register", command_register, "create an account; keep it in the session file").add_argument("name", metavar="NAME")
    command("login", command_login, "sign in again with the session file's key; keep the new token").add_argument("name", metavar="NAME")
    made = command("create", command_create, "create a conversation; print its id")
    others = made.add_mutually_exclusive_group(required=True)
    others.add_argument("--direct", metavar="@NAME", help="with one other account; the existing one is printed where there is one")
    others.add_argument("--group", metavar="@NAME", nargs="+", help="with any number of others")
    appended = command("append", command_append, "append a text to a conversation; print its number once it is durable")
    appended.add_argument("conversation", metavar="CONVERSATION", help="the id that create printed")
    appended.add_argument("text", metavar="TEXT")
    appended.add_argument("--entry", metavar="ID", help="the id of an entry whose answer was lost: it is stored once, however often it is sent")
    listened = command("listen", command_listen, "print entries as they are pushed, until the connection ends")
    listened.add_argument("--count", metavar="N", type=count, help="end after N entries")
    fetched = command("fetch", command_fetch, "print the entries of a conversation")
    fetched.add_argument("conversation", metavar="CONVERSATION", help="the id that create printed")
    fetched.add_argument("--after", metavar="N", type=count, default=0, help="only those with a greater number (default 0: all)")
    for each in (listened, fetched):
        each.add_argument("--all", action="store_true", help="also the entries that are not kind app (the server's own, MLS commits)")
    command("demo", command_demo, "register two throw-away accounts, let one write to the other, and print every frame; needs no session file")
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        options.run(options)
        return 0
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except (Usage, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except Unreachable as error:
        print(error, file=sys.stderr)
        return 3
    except FrameError as error:
        print(f"the server broke the framing: {error}", file=sys.stderr)
        return 3
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
