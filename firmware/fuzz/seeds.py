"""Write the corpus: a few good and bad inputs of each target, named by what they are."""

import base64
import math
import struct
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def parity(data: bytes) -> int:
    """Return the MR60BHA2's check of some bytes."""
    check = 0xFF
    for byte in data:
        check ^= byte
    return check


def seeed(kind: int, data: bytes) -> bytes:
    """Return a frame of the MR60BHA2."""
    header = struct.pack(">BHHH", 1, 7, len(data), kind)
    return header + bytes([parity(header)]) + data + bytes([parity(data)])


def micradar(kind: int, data: bytes) -> bytes:
    """Return a frame of the `53 59` family."""
    frame = b"\x53\x59" + struct.pack(">HH", kind, len(data)) + data
    return frame + bytes([sum(frame) & 0xFF]) + b"\x54\x43"


def floats(*values: float) -> bytes:
    """Return single-precision numbers, little-endian."""
    return struct.pack(f"<{len(values)}f", *values)


def broken(frame: bytes, at: int) -> bytes:
    """Return the frame with one byte wrong."""
    return frame[:at] + bytes([frame[at] ^ 0x10]) + frame[at + 1 :]


SEEED = {
    "presence": seeed(0x0F09, b"\x01"),
    "presence-of-two": seeed(0x0F09, b"\x02"),
    "phases": seeed(0x0A13, floats(1.5, -0.25, 0.125)),
    "phases-nan": seeed(0x0A13, floats(1.5, float("nan"), 0.125)),
    "phases-short": seeed(0x0A13, floats(1.5, -0.25)),
    "breath-rate": seeed(0x0A14, floats(14)),
    "breath-rate-absurd": seeed(0x0A14, floats(900)),
    "heart-rate": seeed(0x0A15, floats(72.5)),
    "heart-rate-short": seeed(0x0A15, b"\x42"),
    "distance": seeed(0x0A16, struct.pack("<If", 1, 80)),
    "distance-short": seeed(0x0A16, b"\x01"),
    "targets-unknown": seeed(0x0A04, bytes(20)),
}
MICRADAR = {
    "presence": micradar(0x8001, b"\x01"),
    "presence-of-two": micradar(0x8001, b"\x02"),
    "movement": micradar(0x8003, b"\x23"),
    "movement-short": micradar(0x8003, b""),
    "distance": micradar(0x8004, b"\x00\x6b"),
    "distance-short": micradar(0x8004, b"\x6b"),
    "breath-rate": micradar(0x8102, b"\x0e"),
    "breath-rate-absurd": micradar(0x8102, b"\xff"),
    "breath-wave": micradar(0x8105, bytes([100, 120, 128, 140, 150])),
    "breath-wave-short": micradar(0x8105, bytes([100, 120])),
    "heart-rate": micradar(0x8502, b"\x48"),
    "heart-rate-absurd": micradar(0x8502, b"\x02"),
    "heartbeat": micradar(0x0101, b"\x0f"),
}


def family(frames: dict[str, bytes], length_at: int) -> dict[str, bytes]:
    """Return good frames, and what noise on a wire makes of them."""
    heart = frames["heart-rate"]
    return frames | {
        "all-in-a-row": b"".join(frames.values()),
        "wrong-first-byte": broken(heart, 0) + heart,
        "wrong-length": broken(heart, length_at) + heart * 4,
        "wrong-data": broken(heart, len(heart) - 4) + heart,
        "wrong-last-byte": broken(heart, len(heart) - 1) + heart,
        "torn": heart[:-3] + heart * 2,
        "frame-in-a-frame": heart[:5] + heart + heart[5:],
        "garbage-first": bytes(range(256)) + heart,
    }


def step(kind: int, data: bytes = b"") -> bytes:
    """Return a step of the target epoch_builder."""
    return bytes([kind, len(data)]) + data


def pause(units: bytes) -> bytes:
    """Return a step that lets 97 ms a unit pass."""
    return step(5, units)


END = step(6)


def second(tick: int) -> bytes:
    """Return a second of a sleeper before an MR60BHA2, with the accelerometer."""
    moving = [0.002 * ((7 * i + tick) % 5) for i in range(20)]
    samples = b"".join(floats(wobble, 0.0, 1.0) for wobble in moving)
    said = {0x0F09: b"\x01", 0x0A15: floats(60 + tick % 7), 0x0A14: floats(14)}
    said[0x0A13] = floats(0, 0.3 * (tick % 4), 0.1)
    frames = b"".join(step(1, struct.pack(">H", kind) + data) for kind, data in said.items())
    return frames + step(3, samples) + pause(b"\x05")


def other_second(tick: int) -> bytes:
    """Return the same before the `53 59` family."""
    wave = bytes((100 + 10 * ((tick + i) % 6)) for i in range(5))
    said = {0x8003: b"\x01", 0x8105: wave, 0x8502: b"\x48", 0x8102: b"\x0e"}
    frames = b"".join(step(2, struct.pack(">H", kind) + data) for kind, data in said.items())
    return frames + pause(b"\x0a")


def breathing() -> bytes:
    """Return half a minute of phases at 8 Hz."""
    phases = [floats(0, math.sin(i / 5) * (1 + 0.2 * math.sin(i / 40)), 0) for i in range(245)]
    return b"".join(step(1, b"\x0a\x13" + phase) + pause(b"\x01") for phase in phases)


def tossing() -> bytes:
    """Return half a minute of a sleeper who now and then tosses."""
    samples = bytearray()
    for i in range(1500):
        swing = round(8 * math.sin(i)) if i // 200 % 2 else i % 2
        samples += bytes((128 + swing, 128, 160))
    return b"".join(
        step(4, bytes(samples[at : at + 150])) for at in range(0, len(samples), 150)
    )


def held(kind: int, frame: bytes, times: int) -> bytes:
    """Return a radar that says one thing every 4.4 s."""
    return (step(kind, frame) + pause(b"\x2d")) * times


def nights() -> dict[str, bytes]:
    """Return inputs of the target epoch_builder."""
    seeed_epoch = b"".join(map(second, range(30))) + END
    micradar_epoch = b"".join(map(other_second, range(30))) + END
    return {
        "mr60bha2": seeed_epoch,
        "r60abd1": micradar_epoch,
        "replaced": seeed_epoch + pause(b"\xff") + micradar_epoch,
        "bytes-of-both": step(0, SEEED["heart-rate"] * 8) + step(0, MICRADAR["heart-rate"] * 8),
        "every-frame": b"".join(step(0, frame) for frame in SEEED.values()) * 2 + END,
        "every-other-frame": b"".join(step(0, frame) for frame in MICRADAR.values()) * 2 + END,
        "phases-frozen": second(1) * 40 + END,
        "wave-frozen": other_second(1) * 40 + END,
        "wave-flat": held(2, b"\x81\x05" + bytes([128] * 5), 9) + END,
        "rate-stuck": held(1, b"\x0a\x15" + floats(60), 150) + END,
        "presence-stuck": held(1, b"\x0f\x09\x01", 150) + END,
        "breathing": held(1, b"\x0a\x15" + floats(60), 1) + breathing() + END,
        "tossing": tossing() + END,
        "silent": pause(b"\xff") + END,
    }


def acknowledgement(*ranges: tuple[int, int, int]) -> bytes:
    """Return an acknowledgement of a stream's ranges."""
    body = struct.pack("<BBQ", 1, len(ranges), 0x0123456789ABCDEF)
    body += b"".join(struct.pack("<IBB", *entry) for entry in ranges)
    return body + struct.pack("<I", zlib.crc32(body))


ACKS = {
    "one-range": acknowledgement((7, 8, 0)),
    "three-ranges": acknowledgement((7, 8, 0), (900, 64, 2), (4294967295, 1, 1)),
    "no-range": acknowledgement(),
    "wrong-checksum": broken(acknowledgement((7, 8, 0)), 18),
    "cut": acknowledgement((7, 8, 0))[:-5],
}


def time_reply(version: int) -> bytes:
    """Return a reply of the time."""
    body = struct.pack("<B3xQQ", version, 0x0123456789ABCDEF, 1_800_000_000_000)
    return body + struct.pack("<I", zlib.crc32(body))


TIME_REPLIES = {
    "reply": time_reply(1),
    "later-version": time_reply(2),
    "wrong-checksum": broken(time_reply(1), 21),
    "cut": time_reply(1)[:-1],
}


RESEND = (
    b'{"id":"0b7e4a3c-19d2-4f6a-8c55-a1b2c3d4e5f6","command":"resend",'
    b'"stream":"9f0c1d2e3a4b5c6d","from":7,"to":4294967295}'
)
COMMANDS = {
    "resend": RESEND,
    "spaces": RESEND.replace(b":", b" :\t").replace(b",", b"\r\n , "),
    "later-members": RESEND[:-1] + b',"why":"a disk","until":null,"all":true,"none":false}',
    "later-command": RESEND.replace(b"resend", b"dance"),
    "reboot": RESEND.replace(b"resend", b"reboot"),
    "identify": RESEND.replace(b"resend", b"identify"),
    "identify-long": RESEND.replace(b"resend", b"identify")[:-1] + b',"seconds":601}',
    "identify-short": RESEND.replace(b"resend", b"identify")[:-1] + b',"seconds":5}',
    "erase": RESEND.replace(b"resend", b"erase"),
    "erase-nothing": RESEND.replace(b"resend", b"erase").replace(b"stream", b"steam"),
    "wrong-order": RESEND.replace(b":7", b":4294967295").replace(b"5}", b"4}"),
    "wrong-stream": RESEND.replace(b"6d", b"6G"),
    "wrong-id": RESEND.replace(b"19d2-", b"19d2_"),
    "without-id": b'{"command":"resend"}',
    "twice": RESEND[:-1] + b',"to":1}',
    "number-too-big": RESEND.replace(b"5}", b"6}"),
    "number-zero-first": RESEND.replace(b":7", b":07"),
    "escaped": RESEND.replace(b"resend", b"res\\u0065nd"),
    "nested": RESEND.replace(b":7", b":[7]"),
    "no-colon": RESEND.replace(b":7", b" 7"),
    "no-comma": RESEND.replace(b",", b" "),
    "no-object": b"[" + RESEND + b"]",
    "empty": b" { } ",
    "longer": RESEND + b"x",
    "cut": RESEND[:-1],
    "too-long": RESEND[:-1] + b',"why":"' + b"x" * 500 + b'"}',
}


OFFER = (
    b'{"rollout":"0b7e4a3c-19d2-4f6a-8c55-a1b2c3d4e5f6","url":"https://noctis.example/i",'
    b'"key":"0123456789abcdef","signature":"' + b"5a" * 64 + b'"}'
)
MANIFEST = (
    b'{"target":"esp32s3","version":"1.2.0","build":12,"least":3,"floor":2,"downgrade":0,'
    b'"expires":1800000000,"size":1234567,"sha256":"' + b"c3" * 32 + b'"}'
)
OFFERS = {
    "offer": OFFER + b"\n" + MANIFEST,
    "manifest": MANIFEST,
    "later-members": OFFER[:-1] + b',"note":"n"}\n' + MANIFEST[:-1] + b',"note":null}',
    "first-line": OFFER,
    "no-manifest": OFFER + b"\n{}",
    "wrong-rollout": OFFER.replace(b"19d2-", b"19d2_") + b"\n" + MANIFEST,
    "wrong-key": OFFER.replace(b"cdef", b"cdeF") + b"\n" + MANIFEST,
    "short-signature": OFFER.replace(b"5a5a", b"5a5", 1) + b"\n" + MANIFEST,
    "no-url": OFFER.replace(b"https://noctis.example/i", b"") + b"\n" + MANIFEST,
    "twice": OFFER + b"\n" + MANIFEST[:-1] + b',"build":1}',
    "floor-above": OFFER + b"\n" + MANIFEST.replace(b'floor":2', b'floor":13'),
    "too-long": OFFER + b"\n" + MANIFEST + b" " * 1500,
}


CONFIG = b'{"version":3,"report_s":60,"led":false,"log_level":"debug","volume":7}'
CONFIGS = {
    "good": CONFIG,
    "least": CONFIG.replace(b"60", b"10"),
    "most": CONFIG.replace(b"60", b"86400"),
    "below": CONFIG.replace(b"60", b"9"),
    "above": CONFIG.replace(b"60", b"86401"),
    "wrong-types": b'{"version":1,"report_s":"60","led":1,"log_level":true}',
    "wrong-level": CONFIG.replace(b"debug", b"loud"),
    "level-off": CONFIG.replace(b"debug", b"off"),
    "level-error": CONFIG.replace(b"debug", b"error"),
    "level-warning": CONFIG.replace(b"debug", b"warning"),
    "level-info": CONFIG.replace(b"debug", b"info"),
    "null": CONFIG.replace(b"7}", b"null}"),
    "version-zero": CONFIG.replace(b":3", b":0"),
    "version-huge": CONFIG.replace(b":3", b":4294967296"),
    "version-last": CONFIG.replace(b":3", b":4294967295"),
    "without-version": b'{"led":true}',
    "twice": CONFIG[:-1] + b',"led":true}',
    "name-empty": CONFIG.replace(b"volume", b""),
    "name-long": CONFIG.replace(b"volume", b"v" * 33),
    "many": CONFIG[:-1] + b"".join(b',"a%d":1' % n for n in range(12)) + b"}",
    "nested": CONFIG.replace(b"7}", b"[7]}"),
    "cut": CONFIG[:-1],
    "too-long": CONFIG[:-1] + b',"why":"' + b"x" * 500 + b'"}',
}


def bus() -> dict[str, bytes]:
    """Return inputs of the target mpu6050: what the bus answers, call by call."""
    found = b"\xfe\x00"  # its number, the reset
    awake = b"\x00" * 4 + b"\xfe"
    bursts = b"".join(bytes([0, 1, i, 2, i, 3, i]) + bytes(8) for i in range(60))
    silence = b"\xff" * 6
    clone = b"\x00\x98\x00" + b"\x00" * 5 + b"\xfe"
    return {
        "chip": found + awake + bursts,
        "clone": clone + bursts,
        "nobody": silence * 4,
        "stranger": b"\x00\x33" * 4,
        "lost-and-found": found + awake + bursts[:90] + silence + found + awake + bursts,
        "asleep": found + awake + (b"\x00" + bytes(14)) * 6,
        "frozen": found + awake + bursts[:15] + b"\xfd" * 60 + found + awake + bursts,
        "not-to-be-woken": found + b"\x00" * 4 + b"\x00\x40",
    }


def improv(kind: int, data: bytes) -> bytes:
    """Return a packet of Improv's serial protocol."""
    packet = b"IMPROV\x01" + bytes([kind, len(data)]) + data
    return packet + bytes([sum(packet) & 0xFF])


def rpc(command: int, data: bytes = b"") -> bytes:
    """Return an Improv command."""
    return improv(3, bytes([command, len(data)]) + data)


def wifi(name: bytes, password: bytes) -> bytes:
    """Return a network as Improv brings it."""
    return bytes([len(name)]) + name + bytes([len(password)]) + password


def identity(*fields: tuple[int, bytes]) -> bytes:
    """Return an identity with its CRC."""
    body = b"NI\x01" + b"".join(struct.pack("<BH", tag, len(x)) + x for tag, x in fields)
    return body + struct.pack("<I", zlib.crc32(body))


def brought(data: bytes) -> bytes:
    """Return the commands that bring an identity."""
    parts = range(0, len(data), 200)
    return b"".join(
        rpc(0xF0, struct.pack("<H", at) + data[at : at + 200]) for at in parts
    ) + rpc(0xF1)


WHO = ((1, b"home"), (2, b"bed"), (3, b"broker.local"), (4, b"\xb3\x22"))
PROVISIONINGS = {
    "wifi": rpc(1, wifi(b"Home", b"a password")) + rpc(2) * 12,
    "wifi-not-there": rpc(1, wifi(b"Far", b"a password")) + rpc(2) * 30,
    "wifi-short-password": rpc(1, wifi(b"Home", b"short")),
    "questions": rpc(2) + b"a log line\n" + rpc(3) + rpc(4) + rpc(5) + rpc(0xF2) + rpc(2, b"x"),
    "wrong-sum": rpc(2)[:-1] + b"\0" + rpc(3),
    "wrong-length": improv(3, b"\x02\x05") + improv(3, b"\x02") + improv(1, b"\x02"),
    "identity": brought(identity(*WHO, (5, b"a password"))),
    "identity-certificate": brought(
        identity(*WHO, (6, b"A" * 300), (7, b"C" * 300), (8, b"K" * 138))
    ),
    "identity-wrong": brought(identity(*WHO))
    + brought(identity((9, b"x")))
    + rpc(0xF0, b"\1\0z"),
    "bare-identity": identity(*WHO, (5, b"a password")),
}


def page(form: bytes, more: bytes = b"") -> bytes:
    """Return a form as a browser sends it, in one piece."""
    kind = b"Content-Type: application/x-www-form-urlencoded\r\n"
    head = b"POST /save HTTP/1.1\r\nHost: 192.168.4.1\r\n" + more + kind
    return b"\xff" + head + b"Content-Length: %d\r\n\r\n" % len(form) + form


CLAIM = base64.urlsafe_b64encode(identity(*WHO, (5, b"a password"))).rstrip(b"=")
TYPED = b"&device=home%2Fbed&host=broker.local&port=1883&password=a+password"
QUERY = struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + b"\5apple\3com\0"
VISITS = {
    "form": b"\x07" + b"GET / HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n",
    "probe": b"\x07" + b"GET /generate_204 HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "claim": page(b"wifi=Home&wifi_password=a+password&claim=" + CLAIM),
    "typed": page(b"wifi=Home&wifi_password=a+password" + TYPED),
    "far": page(b"wifi=Far&wifi_password=a+password&claim=" + CLAIM),
    "half": page(b"wifi=Home&claim=" + CLAIM[:-5]),
    "short": page(b"wifi=Home&wifi_password=short"),
    "foreign": page(b"wifi=Home", b"Origin: http://evil.example\r\n"),
    "chunked": page(b"wifi=Home", b"Transfer-Encoding: chunked\r\n"),
    "name": b"\0" + QUERY + struct.pack("!2H", 1, 1),
    "name-aaaa": b"\0" + QUERY + struct.pack("!2H", 28, 1),
}


def main() -> None:
    """Write every input into its target's folder."""
    corpora = {
        "mr60bha2": family(SEEED, 4),
        "r60abd1": family(MICRADAR, 5),
        "epoch_builder": nights(),
        "ack": ACKS,
        "time_reply": TIME_REPLIES,
        "command": COMMANDS,
        "config": CONFIGS,
        "offer": OFFERS,
        "mpu6050": bus(),
        "provisioner": PROVISIONINGS,
        "portal": VISITS,
    }
    for target, inputs in corpora.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
