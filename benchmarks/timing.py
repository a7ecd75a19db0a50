"""Measured times of networks' layers against their least time, on the machine at hand.

    KERAS_BACKEND=jax python benchmarks/timing.py
    KERAS_BACKEND=jax python benchmarks/timing.py --device h100 --batch 128 --dtype mixed_bfloat16

A line a network: the whole forward pass, the sum of its rows run alone, the least time of both, and
the rows that were faster than theirs. By a data sheet there can be none. By a peak and a bandwidth
that were measured there are some: tensors stay in a cache, convolutions run by Winograd or FFT.
"""

from __future__ import annotations

import argparse

from archspec.measurement.timing import CPU, time_network

NETWORKS = ("lenet5", "resnet18", "mobilenet_v2", "resnet50", "vit_b_16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--device", default=CPU)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    print("| network | least ms | measured ms | ratio | rows alone ms | faster than their bound |")
    print("|---|---|---|---|---|---|")
    for name in options.networks:
        times = time_network(name, options.device, batch=options.batch, dtype=options.dtype)
        least, whole = times.roofline.inference.seconds, times.inference.seconds
        faster = sum(row.equals for row in times.rows if (row.ratio or 1) < 1)
        rows = sum(row.equals for row in times.rows)
        print(
            f"| {name} | {1e3 * least:.3f} | {1e3 * whole:.3f} | {whole / least:.2f} "
            f"| {1e3 * times.rows_seconds:.3f} | {faster} of {rows} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
