# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints a spec with an assignment many times, behind each of which a term stands many times."""

import argparse

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("assignment")
parser.add_argument("--times", type=int, default=40)
parser.add_argument("--term", default="")
parser.add_argument("--terms", type=int, default=0)
args = parser.parse_args()

print("name: chain\nheads: {key: 2, value: 2}\ndims: {key: 64, value: 64}\ndecay: head\ncompute:")
for _ in range(args.times):
    print(f"  - {args.assignment}{args.term * args.terms}")
print("steps:\n  - {write: k, value: v, rate: beta}")
