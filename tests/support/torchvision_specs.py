"""Specs of the networks of torchvision that differ from those of the same name here."""

ALEXNET = """
name: alexnet
input: [224, 224, 3]
defaults:
  conv: {kernel: 3, padding: 1, activation: relu}
  max_pool: {size: 3, stride: 2}
layers:
  - conv: {filters: 64, kernel: 11, stride: 4, padding: 2}
  - max_pool
  - conv: {filters: 192, kernel: 5, padding: 2}
  - max_pool
  - conv: 384
  - conv: 256
  - conv: 256
  - max_pool
  - flatten
  - fc: {units: 4096, activation: relu}
  - fc: {units: 4096, activation: relu}
  - fc: 1000
"""

GOOGLENET = """
name: googlenet
input: [224, 224, 3]
defaults:
  conv: {norm: batch, activation: relu}
  batch_norm: {epsilon: 0.001}
  max_pool: {size: 3, stride: 2, ceil: true}
blocks:
  module:
    args: {c1: int, r3: int, c3: int, r5: int, c5: int, p: int}
    layers:
      - branches:
          - [{conv: {filters: =c1, kernel: 1}}]
          - [{conv: {filters: =r3, kernel: 1}}, {conv: {filters: =c3, kernel: 3, padding: 1}}]
          - [{conv: {filters: =r5, kernel: 1}}, {conv: {filters: =c5, kernel: 3, padding: 1}}]
          - [{max_pool: {stride: 1, padding: 1}}, {conv: {filters: =p, kernel: 1}}]
        merge: concat
layers:
  - conv: {filters: 64, kernel: 7, stride: 2, padding: 3}
  - max_pool
  - conv: {filters: 64, kernel: 1}
  - conv: {filters: 192, kernel: 3, padding: 1}
  - max_pool
  - module: {c1: 64, r3: 96, c3: 128, r5: 16, c5: 32, p: 32}
  - module: {c1: 128, r3: 128, c3: 192, r5: 32, c5: 96, p: 64}
  - max_pool
  - module: {c1: 192, r3: 96, c3: 208, r5: 16, c5: 48, p: 64}
  - module: {c1: 160, r3: 112, c3: 224, r5: 24, c5: 64, p: 64}
  - module: {c1: 128, r3: 128, c3: 256, r5: 24, c5: 64, p: 64}
  - module: {c1: 112, r3: 144, c3: 288, r5: 32, c5: 64, p: 64}
  - module: {c1: 256, r3: 160, c3: 320, r5: 32, c5: 128, p: 128}
  - max_pool: 2
  - module: {c1: 256, r3: 160, c3: 320, r5: 32, c5: 128, p: 128}
  - module: {c1: 384, r3: 192, c3: 384, r5: 48, c5: 128, p: 128}
  - global_avg_pool
  - fc: 1000
"""
