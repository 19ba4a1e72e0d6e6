# SPDX-License-Identifier: Apache-2.0
"""What each fuzz target starts from: the vectors and the examples of the specifications, taken from
where they are, so that the tree holds no second copy."""

import json
import re

import tree

# libFuzzer is slow with long inputs, and no branch of a decoder needs one.
SEED_BYTES_MAX = 4096

SPECS = """\
geometry:llama-3.1-8b
geometry:deepseek-v3,blocks=5,layout=ls2,order=hnd,page=32,dtype=1
geometry:smollm2-135m,blocks=18446744073709551615,layout=fc
geometry:gpt-oss-120b,tp=2
message.bin
message.bin:7
dir:name/message.bin:65535
-
""".splitlines()

WORDS = """\
0
18446744073709551615
250ms
2s
nhd
4,9,2
0-63
7,0-2,7-7
4,9,2:0-2
0-63:64-127
0:16
order=nhd,heads=8
heads=3
""".splitlines()

# Messages with layouts that fit both formats, by what speaks for one of them: nothing, without
# names; nothing, named by a control character; the rules for A, with fifty regions; those for B.
FIT_BOTH = [bytes.fromhex(text) for text in (
    "07 00 00 01 07 01 01 01 01 01 01 01 01 00 00 00 00 00 01 00 00 00 00",
    "07 01 01 00 01 07 01 01 01 01 01 01 01 01 00 00 01 01 00 00 01 00 00 00 00",
    "07 01 61 00 01 07 01 01 32 01 01 01 01 01 00 00 01 61 00 00 32" +
    "".join(f"{address:02x}01" for address in range(10, 57)) + "02 01 01 01 03 01 01 00",
    "07 01 61 00 01 07 01 01 01 01 01 01 04 01 02 01 04 00 01 61 00 00 01 01 08 00 00 00",
)]


def read_json(name):
    return json.loads((tree.ROOT / "vectors" / name).read_text(encoding="utf-8"))


def messages(letter):
    """Every message of one format: those that the original wrote, and the hostile ones."""
    files = sorted((tree.ROOT / "vectors").glob(f"{letter}_*.bin"))
    rows = read_json("hostile.json")
    return ([file.read_bytes() for file in files] +
            [bytes.fromhex(row["hex"]) for row in rows if row["format"] == letter.upper()])


def envelopes():
    """The golden ones, and their bodies, which the target puts a right frame around."""
    whole = [file.read_bytes()
             for file in sorted((tree.ROOT / "tests/golden/envelope").glob("*.kvfy"))]
    bodies = []
    for data in whole:
        begin, length = int.from_bytes(data[8:10], "little"), int.from_bytes(data[16:24], "little")
        bodies.append(data[begin:begin + length])
    return whole + bodies


def layouts():
    rows = read_json("layouts_json.json")
    return ([row["json"].encode() for row in rows["writer"]] +
            [row["text"].encode() for row in rows["reader"]])


def documents():
    """What `kvferry encode` reads, of the messages that fit."""
    return [json.dumps({"format": row["format"], "value": row["value"]},
                       separators=(",", ":")).encode() for row in read_json("vectors.json")]


def examples(page, language):
    """The code blocks of a page of the specification."""
    text = (tree.ROOT / "docs" / "spec" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def hex_examples(name):
    return [bytes.fromhex(text) for text in examples(name, "")
            if re.fullmatch(r"[0-9a-f\s]+", text)]


def blobs():
    return hex_examples("shm.md")


def control_messages():
    """The example of the specification, and one of each type and of one that is not known, whose
    checksum the target makes right."""
    bodies = [bytes(16) + b"\1" + bytes(7) + b"\1" + bytes(15), b"", b"\7\0too many",
              b"\0\0", b"\x08\0too late"]
    return hex_examples("control.md") + [
        b"KVFC\1\0" + bytes([kind, 0]) + bytes(32) + body + bytes(8)
        for kind, body in zip((1, 2, 3, 4, 4, 9), bodies + [b""])]


def packets():
    """One of each type, with a body of that type."""
    name = bytes(range(16)) + b"prefill"
    ids = (7).to_bytes(8, "little") + (9).to_bytes(8, "little")
    bodies = [name, b"", ids, b"", b"ready", b"", b"\4\0no such memory"]
    return [b"VKSP\1\0" + bytes([kind, 0]) + b"\1\2\0\0" + body
            for kind, body in enumerate(bodies, 1)] + [name, ids, bodies[-1]]


def records():
    """The example of the specification, and the same with the largest numbers."""
    record = json.loads(examples("exchange.md", "json")[0])
    largest = 2**64 - 1
    extreme = dict(record, worker_id=str(largest), generation=largest, pid=largest,
                   start_time=largest, formats={"a": {"bytes": largest, "xxh3_128": "0" * 32}})
    return [json.dumps(one).encode() for one in (record, extreme)]


def lines(texts):
    return [text.encode() for text in texts]


SEEDS = {
    "control": control_messages,
    "envelope": envelopes,
    "format_a": lambda: messages("a"),
    "format_a_reference": lambda: messages("a"),
    "format_b": lambda: messages("b"),
    "layout_json": layouts,
    "message_json": documents,
    "recognition": lambda: messages("a") + messages("b") + FIT_BOTH,
    "record": records,
    "shm_blob": blobs,
    "shm_packet": packets,
    "spec": lambda: lines(SPECS),
    "words": lambda: lines(WORDS),
}

# Dictionaries of the text formats, in fuzz/dictionaries.
DICTIONARIES = {
    "layout_json": "layout_json.dict",
    "message_json": "layout_json.dict",
    "record": "record.dict",
    "spec": "words.dict",
    "words": "words.dict",
}


def seeds(target):
    """The inputs that `target` starts from, each once, without those that are too long."""
    found = {bytes(seed) for seed in SEEDS[target]()}
    return sorted(seed for seed in found if len(seed) <= SEED_BYTES_MAX)
