# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Other packages' models and layers, served by Wyvern's programs.

    wyvern.integrations.transformers    Hugging Face models with Gated DeltaNet layers
    wyvern.integrations.fla             flash-linear-attention's functions and layers
    wyvern.integrations.flashinfer      FlashInfer's functions of decoding and prompts, to import instead of its own

Each of the first two has enable(), disable() and status(). A call that Wyvern does not serve runs what it
would run without Wyvern, and status() has it with the reason.
"""
