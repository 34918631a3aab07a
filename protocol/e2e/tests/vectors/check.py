#!/usr/bin/env python3
"""Computes FastChat's known answers with other libraries than FastChat's.

Every formula below is written from protocol/E2E.md. It needs two packages
from PyPI, in a virtual environment:

    python3 -m venv venv && venv/bin/pip install cryptography argon2-cffi
    venv/bin/python protocol/e2e/tests/vectors/check.py

It prints one line for each file, and fails with the first answer that differs.
"""

import hashlib
import json
import struct
import unicodedata
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FOLDER = Path(__file__).parent
CHUNK = 64 << 10
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def load(name):
    return json.loads((FOLDER / name).read_text())


def unhex(text):
    return bytes.fromhex(text)


def same(known, computed, what):
    if isinstance(computed, bytes):
        computed = computed.hex()
    assert known == computed, f"{what}: known {known}, computed {computed}"


def hkdf(secret, label):
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label.encode()).derive(secret)


def seal(key, nonce, additional, plain):
    return nonce + AESGCM(key).encrypt(nonce, plain, additional)


def password():
    for v in load("password.json"):
        text = unicodedata.normalize("NFC", unhex(v["password-utf8"]).decode())
        kdf = v["kdf"]
        stretched = hash_secret_raw(
            text.encode(), unhex(v["salt"]), kdf["t"], kdf["m-kib"], kdf["p"], 32, Type.ID, 0x13
        )
        same(v["stretched"], stretched, "stretched")
        same(v["auth"], hkdf(stretched, "fastchat auth v1"), "auth")
        same(v["wrap"], hkdf(stretched, "fastchat wrap v1"), "wrap")


def recovery():
    for v in load("recovery.json"):
        code = unhex(v["bytes"])
        whole = code + hashlib.sha256(b"fastchat recovery code v1" + code).digest()[:3]
        number = int.from_bytes(whole, "big")
        text = "".join(ALPHABET[number >> shift & 31] for shift in range(275, -1, -5))
        same(v["shown"], "-".join(text[i : i + 4] for i in range(0, 56, 4)), "shown")
        same(v["recovery-auth"], hkdf(code, "fastchat recovery-auth v1"), "recovery-auth")
        same(v["recovery-wrap"], hkdf(code, "fastchat recovery-wrap v1"), "recovery-wrap")


def keyring():
    v = load("keyring.json")
    bound = struct.pack(">QIII", v["version"], v["kdf"]["m-kib"], v["kdf"]["t"], v["kdf"]["p"])
    additional = b"fastchat keyring v1" + v["username"].encode() + bound
    backups = v["backup-seeds"]
    inner = b"\x01" + unhex(v["identity-seed"]) + struct.pack(">H", len(backups))
    for generation in sorted(backups, key=int):
        inner += struct.pack(">I", int(generation)) + unhex(backups[generation])
        public = X25519PrivateKey.from_private_bytes(unhex(backups[generation])).public_key()
        same(v["backup-public"][generation], public.public_bytes_raw(), "backup-public")
    nonces = {name: unhex(nonce) for name, nonce in v["nonces"].items()}
    master = unhex(v["master"])
    sealed = b"\x01" + bound
    sealed += seal(unhex(v["recovery-wrap"]), nonces["recovery-wrap"], additional, master)
    sealed += seal(unhex(v["wrap"]), nonces["wrap"], additional, master)
    sealed += seal(master, nonces["keyring"], additional, inner)
    same(v["sealed"], sealed, "keyring")


def credential():
    for v in load("credential.json"):
        identity = Ed25519PrivateKey.from_private_bytes(unhex(v["identity-seed"]))
        device = Ed25519PrivateKey.from_private_bytes(unhex(v["device-seed"]))
        identity_public = identity.public_key().public_bytes_raw()
        device_public = device.public_key().public_bytes_raw()
        same(v["identity-public"], identity_public, "identity-public")
        same(v["device-public"], device_public, "device-public")
        name = v["username"].encode()
        signed = b"\x01" + uuid.UUID(v["account"]).bytes + uuid.UUID(v["device"]).bytes + device_public + identity_public
        signed += struct.pack(">QB", v["issued-at-ms"], len(name)) + name
        same(v["credential"], signed + identity.sign(b"fastchat credential v1\0" + signed), "credential")


def file():
    v = load("file.json")
    cipher, prefix = AESGCM(unhex(v["key"])), unhex(v["prefix"])
    for f in v["files"]:
        plain = bytes(i % 251 for i in range(f["size"]))
        chunks = [plain[i : i + CHUNK] for i in range(0, len(plain), CHUNK)] or [b""]
        sealed = prefix
        for counter, chunk in enumerate(chunks):
            nonce = prefix + struct.pack(">IB", counter, counter == len(chunks) - 1)
            sealed += cipher.encrypt(nonce, chunk, b"")
        same(f["sha256"], hashlib.sha256(plain).digest(), "sha256")
        same(f["sealed-size"], len(sealed), "sealed-size")
        same(f["sealed-sha256"], hashlib.sha256(sealed).digest(), "sealed-sha256")
        same(f["sealed-last-16"], sealed[-16:], "sealed-last-16")


def head():
    v = load("head.json")
    current = hashlib.sha256(b"fastchat log v1" + uuid.UUID(v["conversation"]).bytes).digest()
    same(v["head-0"], current, "head-0")
    for e in v["entries"]:
        kind = e["kind"].encode()
        block = hashlib.sha256(unhex(e["block"])).digest()
        number = struct.pack(">Q", e["seq"])
        current = hashlib.sha256(
            current + number + uuid.UUID(e["entry"]).bytes + bytes([len(kind)]) + kind + block
        ).digest()
        same(e["head"], current, "head")
        text = urlsafe_b64encode(current).decode().rstrip("=")
        same(e["authenticated-data"], f'{{"seq":{e["seq"]},"head":"{text}"}}', "authenticated-data")


def safety():
    for v in load("safety.json"):
        parts = sorted((unhex(side["identity"]), side["username"].encode()) for side in v["sides"])
        groups = []
        for identity, name in parts:
            digest = b"fastchat safety v1" + identity + name
            for _ in range(5200):
                digest = hashlib.sha512(digest).digest()
            groups += [int.from_bytes(digest[i : i + 5], "big") % 100_000 for i in range(0, 30, 5)]
        same(v["number"], " ".join(f"{group:05}" for group in groups), "number")


def archive():
    v = load("archive.json")
    label, account = b"fastchat archive v1", uuid.UUID(v["account"]).bytes
    backup = X25519PrivateKey.from_private_bytes(unhex(v["backup-seed"])).public_key().public_bytes_raw()
    same(v["backup-public"], backup, "backup-public")
    ephemeral = X25519PrivateKey.from_private_bytes(unhex(v["ephemeral-seed"]))
    public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(backup))
    key = HKDF(algorithm=SHA256(), length=32, salt=public + backup, info=label + account).derive(shared)
    text = v["json"].encode()
    device = Ed25519PrivateKey.from_private_bytes(unhex(v["device-seed"]))
    plain = text + device.sign(label + b"\0" + account + hashlib.sha256(text).digest())
    sealed = AESGCM(key).encrypt(bytes(12), plain, b"\x01" + account + public + backup)
    block = b"\x01" + public + sealed
    same(v["block"], block, "block")
    same(v["next-prev"], hashlib.sha256(block).digest(), "next-prev")


def store():
    v = load("store.json")
    table, key = v["table"].encode(), unhex(v["row-key"])
    sealed = seal(unhex(v["storage-key"]), unhex(v["nonce"]), bytes([len(table)]) + table + key, unhex(v["value"]))
    same(v["sealed"], sealed, "store")


def signal():
    v = load("signal.json")
    device, counter = uuid.UUID(v["device"]).bytes, struct.pack(">Q", v["counter"])
    additional = uuid.UUID(v["conversation"]).bytes + struct.pack(">Q", v["epoch"])
    sealed = AESGCM(unhex(v["exported-key"])).encrypt(bytes(4) + counter, v["plain"].encode(), additional)
    same(v["block"], device + counter + sealed, "signal")


for check in (password, recovery, keyring, credential, file, head, safety, archive, store, signal):
    check()
    print(f"{check.__name__}.json agrees")
