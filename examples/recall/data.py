# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Multi-query associative recall (Arora et al. 2023, "Zoology"), with overwriting.

    k1 v1  k2 v2  k1 v3  ...  | k2 x  x x  k1 x ...

A sequence begins with pairs of a key and a value. Then each key comes once more, the
gaps between drawn from a power law; where it comes the model must say its value. Keys
are from one half of the vocabulary, values from the other; the gaps are filled with
random values, so that nothing in them looks like a pair. In Zoology each key has one
value (`writes=1`); with more, each key is written that often, in random order, and its
last value counts (Schlag et al. 2021, "Linear Transformers Are Secretly Fast Weight
Programmers", section 6.1, setting 2).
"""

import torch

IGNORE = -100  # the label where nothing is asked: cross_entropy's default


def recall_batch(batch, keys, writes, tokens, vocabulary, generator, power=0.01):
    """Inputs and labels, [batch, tokens], int64, on the generator's device."""
    device, half, pairs = generator.device, vocabulary // 2, keys * writes
    if half < keys:
        raise ValueError(f"a vocabulary of {vocabulary} has {half} keys, fewer than {keys}")
    if tokens < 2 * pairs + 2 * keys:
        raise ValueError(f"{tokens} tokens are too few: {pairs} pairs and {keys} questions need {2 * pairs + 2 * keys}")

    def uniform(*shape):
        return torch.rand(batch, *shape, generator=generator, device=device)

    key = uniform(half).topk(keys).indices  # different keys in a sequence
    order = uniform(pairs).argsort(1)  # order[p]: when pair p is written; pair p is of key p % keys
    written = torch.empty_like(order).scatter(1, order, torch.arange(pairs, device=device).expand(batch, -1) % keys)
    value = half + (half * uniform(pairs)).long()
    last = order.unflatten(1, (writes, keys)).amax(1)  # when each key is written last

    inputs = half + (half * uniform(tokens)).long()
    inputs[:, : 2 * pairs] = torch.stack((key.gather(1, written), value), 2).flatten(1)
    # Places of the questions: without replacement, P(x) ~ x^(power - 1), by Gumbel noise.
    place = torch.arange(1, (tokens - 2 * pairs) // 2 + 1, device=device)
    noise = -uniform(len(place)).log().neg().log()
    question = 2 * pairs + 2 * ((power - 1) * place.log() + noise).topk(keys).indices
    question = question.gather(1, uniform(keys).argsort(1))  # topk sorts by weight
    labels = torch.full_like(inputs, IGNORE).scatter(1, question, value.gather(1, last))
    return inputs.scatter(1, question, key), labels
