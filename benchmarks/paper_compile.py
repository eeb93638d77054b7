"""Whether `torch.compile` is worth its time for the distillation's UNet: eager against compiled, and with CUDA graphs.

    python -m benchmarks.paper_compile [--precision bf16]            # from the project's folder, on a GPU
    python -m benchmarks.paper_compile --shrunk --device cpu         # only shows that it runs

The UNet is that of `benchmarks.paper_scale` with a LoRA in it, its batch both branches of the four cameras of a step.
Prints milliseconds of a call, how long the first one took, how far outputs are apart, and after how many steps it pays.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.paper_networks import SHRUNK, TOKENS, Scale, text_to_image
from benchmarks.paper_scale import Device
from placid_kedro.diffusion.lora import fine_tune, lora_applied
from placid_kedro.diffusion.text_to_image import TextToImage

CAMERAS = 4
# torch's names: the second records CUDA graphs, and is the first where there is no GPU.
MODES = ("default", "reduce-overhead")


def lora_of(model: TextToImage, size: int) -> dict[str, Tensor]:
    """One step of training, so that the adapter is no zero."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, size, size, generator=generator)
    settings = {"rank": 4, "steps": 1, "batch_size": 1}
    return fine_tune(model, image, ["a thing"], learning_rate=1e-4, generator=generator, **settings)


def caller(model: TextToImage, device: Device) -> Callable[[Callable[..., tuple[Tensor, ...]]], Tensor]:
    """A function that calls a UNet with the batch of one step."""
    with device.name:
        latents = torch.randn(2 * CAMERAS, *model.latent_shape)
        context = torch.randn(2 * CAMERAS, TOKENS, model.unet.config.cross_attention_dim)
        t = torch.full((2 * CAMERAS,), 500)

    @torch.no_grad()
    def call(unet: Callable[..., tuple[Tensor, ...]]) -> Tensor:
        return unet(latents, t, encoder_hidden_states=context, return_dict=False)[0]

    return call


def compare(model: TextToImage, device: Device, rounds: int) -> None:
    """Print eager and compiled calls; the compiled ones after their compilation."""
    call = caller(model, device)
    expected = call(model.unet)
    plain = device.mean_seconds(lambda: call(model.unet), rounds)
    print(f"UNet, both branches of {CAMERAS} cameras: {1e3 * plain:.1f} ms", flush=True)
    for mode in MODES:
        torch.compiler.reset()
        compiled = torch.compile(model.unet, mode=mode)
        # CUDA graphs give every call the same memory.
        output, first = device.timed(lambda compiled=compiled: call(compiled).clone())
        seconds = device.mean_seconds(lambda compiled=compiled: call(compiled), rounds)
        apart = float((output - expected).norm() / expected.norm())
        gain = plain - seconds
        pays = f"pays after {first / gain:,.0f} steps" if gain > 0 else "never pays"
        print(
            f"compiled, {mode}: {1e3 * seconds:.1f} ms, {seconds / plain:.2f} times eager; the first call took "
            f"{first:.1f} s, {pays}; outputs are {apart:.1e} apart (relative L2)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shrunk", action="store_true", help="tiny networks and images")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--rounds", type=int, default=20, help="calls that are timed")
    given = parser.parse_args()
    device = Device(torch.device(given.device))
    if device.name.type == "cuda" and not torch.cuda.is_available():
        parser.error("nothing was measured: no GPU can be used; --shrunk --device cpu shows that it runs.")
    scale = SHRUNK if given.shrunk else Scale()
    print(f"torch {torch.__version__}, {given.device}, {given.precision}, shrunk: {given.shrunk}", flush=True)
    model = text_to_image(scale.text_to_image, device.name, given.precision)
    with lora_applied(model, lora_of(model, scale.image_size)):
        compare(model, device, given.rounds)


if __name__ == "__main__":
    main()
