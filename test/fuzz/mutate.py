# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text that is a little wrong: one to four edits of what was right."""

import re

# Words, numbers, strings, and single characters of anything else.
TOKEN = re.compile(r'"[^"\n]*"|[%@#!^$]?[\w.]+|\s+|.', re.DOTALL)
NUMBERS = ["0", "-1", "1", "2", "3", "63", "65", "255", "4096", "2147483648", "-9223372036854775808"]
NUMBERS += ["9223372036854775807", "99999999999999999999", "1.5", "1e39", "1e-46", "nan", "inf", "0x10"]
WORDS = ["", "none", "null", "true", "?", '"a b"', '"*/"', "é", "\x00", "bf16", "f64", "index", "tensor<0xf32>"]
BRACKETS = list("()[]{}<>") + [",", ":", "*", "x", "->", "//", "---", "*a", "&a"]


def _delete(rng, tokens, at):
    del tokens[at : at + rng.choice([1, 1, 1, 2, 5, 20])]


def _repeat(rng, tokens, at):
    tokens[at:at] = tokens[at : at + rng.choice([1, 1, 5, 30])] * rng.choice([1, 1, 1, 100])


def _move(rng, tokens, at):
    """Something from elsewhere."""
    other = rng.randrange(len(tokens))
    tokens[at] = tokens[other]


def _swap(rng, tokens, at):
    other = rng.randrange(len(tokens))
    tokens[at], tokens[other] = tokens[other], tokens[at]


def _number(rng, tokens, at):
    places = [i for i, token in enumerate(tokens) if re.fullmatch(r"-?[\d.]+", token)]
    if places:
        tokens[rng.choice(places)] = rng.choice(NUMBERS)


def _size(rng, tokens, at):
    """A number inside of a type, such as 64 in tensor<64x128xbf16>."""
    places = [i for i, token in enumerate(tokens) if re.search(r"\d+x", token)]
    if places:
        place = rng.choice(places)
        tokens[place] = re.sub(r"\d+(?=x)", lambda _: rng.choice(NUMBERS[:10]), tokens[place], count=1)


def _word(rng, tokens, at):
    tokens[at] = rng.choice(WORDS)


def _bracket(rng, tokens, at):
    tokens.insert(at, rng.choice(BRACKETS) * rng.choice([1, 1, 1, 1, 2, 1000]))


def _truncate(rng, tokens, at):
    del tokens[at:]


_EDITS = [_delete, _repeat, _move, _swap, _number, _number, _size, _size, _word, _bracket, _truncate]


def mutate(rng, text):
    """Returns `text` after a few random edits."""
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if tokens:
            rng.choice(_EDITS)(rng, tokens, rng.randrange(len(tokens)))
    return "".join(tokens)
