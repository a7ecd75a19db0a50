"""The totals of torchvision's networks, counted by other tools: tests/conventions.json.

It runs without archspec, in an environment of its own:

python -m venv tools
tools/bin/pip install torch==2.13.0 torchvision==0.28.0 fvcore==0.1.5.post20221221 \
    torchinfo==1.8.0 ptflops==0.7.5 calflops==0.3.2 thop==0.1.1.post2209072238 \
    transformers==5.24.0 accelerate==1.15.0 pillow
tools/bin/python tests/convention_tools.py > tests/conventions.json
tools/bin/python tests/convention_tools.py resnet18    counts some of the networks
"""

import contextlib
import importlib.metadata
import io
import json
import sys

import torch

# torchvision's operators of detection, which a build of torch for CPUs alone may lack. No network
# here needs them, but without their names torchvision cannot be imported.
library = torch.library.Library("torchvision", "FRAGMENT")
for operator in ("nms", "qnms"):
    with contextlib.suppress(RuntimeError):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torchvision  # noqa: E402

NETWORKS = (
    "alexnet",
    "vgg16",
    "resnet18",
    "resnet50",
    "squeezenet1_1",
    "densenet121",
    "mobilenet_v2",
    "googlenet",
    "vit_b_16",
)
PACKAGES = ("torch", "torchvision", "fvcore", "torchinfo", "ptflops", "calflops", "thop")
SIZE = (3, 224, 224)


def network(name):
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(weights=None, **options).eval()


def fvcore(model):
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(model, torch.zeros(1, *SIZE))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return analysis.total(), parameter_count(model)[""]


def torchinfo(model):
    from torchinfo import summary

    found = summary(model, input_data=torch.zeros(1, *SIZE), verbose=0)
    return found.total_mult_adds, found.total_params


def ptflops(model, backend="pytorch"):
    from ptflops import get_model_complexity_info

    return get_model_complexity_info(
        model, SIZE, as_strings=False, print_per_layer_stat=False, backend=backend, verbose=False
    )


def ptflops_aten(model):
    return ptflops(model, "aten")


def calflops(model):
    from calflops import calculate_flops

    flops, _, params = calculate_flops(
        model, input_shape=(1, *SIZE), output_as_string=False, print_results=False
    )
    return flops, params


def thop(model):
    from thop import profile

    return profile(model, inputs=(torch.zeros(1, *SIZE),), verbose=False)


TOOLS = (fvcore, torchinfo, ptflops, ptflops_aten, calflops, thop)


def main():
    counts = {}
    for name in sys.argv[1:] or NETWORKS:
        counts[name] = {}
        for tool in TOOLS:
            with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
                ops, params = tool(network(name))
            counts[name][tool.__name__] = {"ops": int(ops), "params": int(params)}
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    json.dump({"versions": versions, "counts": counts}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
