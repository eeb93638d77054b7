"""What the paper's networks cost on a GPU: time, memory, and what the project adds to the bare networks.

    python -m benchmarks.paper_scale [--precision bf16] [--encoded-at-once 1]     # from the project's folder
    python -m benchmarks.paper_scale --shrunk --device cpu                        # only shows that it runs

Stable Diffusion 2.1, Zero123-XL and a Latent-Plane in their real sizes with random weights, made in memory: they cost
what trained ones cost. The settings are those of `--env paper`. Targets: a step of BSD at most 1.10 times the bare
UNet and autoencoder of the same batch, `generate` in at most 12 minutes on an H200, both rasterizers within 1e-4.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.distillation_cost import interleaved, ratio
from benchmarks.paper_networks import (
    SHRUNK,
    TOKENS,
    Scale,
    frozen,
    novel_view,
    paper_settings,
    text_to_image,
)
from benchmarks.scenes import hollow_ball
from placid_kedro.cameras import multiview_cameras, orbit
from placid_kedro.diffusion.autoencoding import encode
from placid_kedro.diffusion.lora import fine_tune, lora_applied
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.precision import Precision
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.distillation import Conditioning, DistillationConfig, Distiller, NoisePredictor
from placid_kedro.distillation.config import BSD, ISM, SDS, VSD, Algorithm
from placid_kedro.distillation.splats import distill
from placid_kedro.distillation.splats_config import BsdParameters
from placid_kedro.latent_plane import preset
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.progress import SILENT, Progress, SilentProgress
from placid_kedro.splats import Gaussians, rasterization
from tools.model_folders import make_plane

GIB = 2**30
T = TypeVar("T")
Rasterized = tuple[list[Tensor], float]


@dataclass(frozen=True)
class Device:
    """A device, its clock and its memory."""

    name: torch.device

    def synchronize(self) -> None:
        if self.name.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, action: Callable[[], T]) -> tuple[T, float]:
        """The result and the seconds until the device is done."""
        self.synchronize()
        began = time.perf_counter()
        result = action()
        self.synchronize()
        return result, time.perf_counter() - began

    def mean_seconds(self, action: Callable[[], object], repeats: int, warm_up: int = 3) -> float:
        """Of one of many calls that follow each other without a wait."""
        for _ in range(warm_up):
            action()
        _, seconds = self.timed(lambda: [action() for _ in range(repeats)])
        return seconds / repeats

    def forget_peak(self) -> None:
        if self.name.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> str:
        """The most memory since `forget_peak`."""
        if self.name.type != "cuda":
            return "memory not measured"
        return f"peak {torch.cuda.max_memory_allocated() / GIB:.2f} GiB"


@dataclass
class LoopClock(SilentProgress):
    """Seconds of a loop's steps from the `first` on, which follow each other without a wait."""

    device: Device
    first: int
    seconds: float = field(default=0.0, init=False)

    def track(self, iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        items = list(iterable)
        began = 0.0
        for index, item in enumerate(items):
            if index == self.first:
                self.device.synchronize()
                began = time.perf_counter()
            yield item
        self.device.synchronize()
        self.seconds = (time.perf_counter() - began) / (len(items) - self.first)


def measure_views(scale: Scale, device: Device, precision: Precision) -> float:
    """Sampling with and without the plane; seconds with it."""
    model = novel_view(scale.zero123, device.name, precision)
    with device.name:
        plane = frozen(make_plane(scale.zero123))
    cameras = multiview_cameras(model.image_size)
    reference = torch.rand(3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0))

    def sample(**enhanced: Any) -> float:
        def draw(steps: int) -> object:
            generator = torch.Generator().manual_seed(0)
            return sample_views(
                model,
                Subject(reference=reference, reference_camera=cameras[0]),
                cameras,
                steps=steps,
                guidance_scale=2.0,
                generator=generator,
                **enhanced,
            )

        draw(2)
        return device.timed(lambda: draw(scale.sampling_steps))[1]

    device.forget_peak()
    plain = sample()
    enhanced = sample(plane=plane, policy=preset("official").sampling)
    print(
        f"views, 8 in {scale.sampling_steps} steps: {plain:.2f} s without Latent-Plane, {enhanced:.2f} s with it, "
        f"ratio {enhanced / plain:.2f}; {device.peak()}",
        flush=True,
    )
    return enhanced


def measure_lora(
    model: TextToImage, scale: Scale, device: Device, rounds: int
) -> tuple[dict[str, Tensor], float]:
    """The LoRA's weights and the seconds of one step of its training."""
    clock = LoopClock(device, first=3)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(8, 3, scale.image_size, scale.image_size, generator=generator)
    device.forget_peak()
    weights = fine_tune(
        model,
        images,
        [f"view {index}" for index in range(8)],
        rank=4,
        learning_rate=1e-4,
        steps=3 + rounds,
        batch_size=2,
        generator=generator,
        progress=clock,
    )
    print(f"LoRA, batch 2: {1e3 * clock.seconds:.1f} ms a step; {device.peak()}", flush=True)
    return weights, clock.seconds


def bare_networks(model: TextToImage, settings: BsdParameters, device: Device) -> Callable[[], None]:
    """The UNet of both branches and the autoencoder there and back, of the batch of one step."""
    count, size = settings.cameras_per_step, settings.image_size
    with device.name:
        images = torch.rand(count, 3, size, size, requires_grad=True)
        latents = torch.randn(2 * count, *model.latent_shape)
        context = torch.randn(2 * count, TOKENS, model.unet.config.cross_attention_dim)
        t = torch.full((2 * count,), 500)

    def both() -> None:
        with torch.no_grad():
            model.unet(latents, t, encoder_hidden_states=context, return_dict=False)
        encode(model.autoencoder, images, settings.encoded_at_once).sum().backward()

    return both


def measure_bare(
    model: TextToImage, settings: BsdParameters, device: Device, rounds: int, name: str
) -> float:
    """Seconds of `bare_networks`."""
    both = bare_networks(model, settings, device)
    device.forget_peak()
    seconds = device.mean_seconds(both, rounds)
    print(f"{name}: {1e3 * seconds:.1f} ms; {device.peak()}", flush=True)
    return seconds


def compare_arithmetic(model: TextToImage, settings: BsdParameters, scale: Scale, device: Device) -> None:
    """Print what a step of BSD multiplies and adds beside the bare networks; a count, so any device will do."""

    def operations(action: Callable[[], object]) -> int:
        with FlopCounterMode(display=False) as counter:
            action()
        return int(counter.get_total_flops())

    one, three = (
        operations(lambda n=n: distilled(model, settings.model_copy(update={"steps": n}), scale, BSD()))
        for n in (1, 3)
    )
    ratio_of_work = (three - one) / 2 / operations(bare_networks(model, settings, device))
    print(f"arithmetic of BSD's step: {ratio_of_work:.4f} times the bare networks'", flush=True)


def distilled(
    model: TextToImage,
    settings: BsdParameters,
    scale: Scale,
    algorithm: Algorithm,
    progress: Progress = SILENT,
) -> Gaussians:
    """What `settings.steps` steps make of a ball, always with the same seed."""
    means, _, _, _, colors = hollow_ball(scale.points)
    return distill(
        Gaussians.from_points(means.detach(), colors.detach(), opacity=0.1),
        model,
        dict.fromkeys((0.0, 90.0, 180.0, 270.0), "a thing"),
        DistillationConfig(algorithm),
        settings,
        generator=torch.Generator().manual_seed(0),
        progress=progress,
    )


def measure_step(
    model: TextToImage, settings: BsdParameters, scale: Scale, device: Device, algorithm: Algorithm
) -> float:
    """Seconds of a whole step: rendering, guidance, the Gaussians' own step."""
    clock = LoopClock(device, first=5)
    device.forget_peak()
    distilled(model, settings, scale, algorithm, clock)
    print(
        f"step with {algorithm.algorithm}, {scale.points:,} Gaussians: {1e3 * clock.seconds:.1f} ms; {device.peak()}",
        flush=True,
    )
    return clock.seconds


def compare_runs(model: TextToImage, settings: BsdParameters, scale: Scale) -> None:
    """How far two runs of the same seed are apart."""
    one, two = (distilled(model, settings, scale, BSD()) for _ in range(2))
    differences = {
        name: float((getattr(one, name) - getattr(two, name)).norm() / getattr(one, name).norm())
        for name in ("means", "quats", "log_scales", "logit_opacities", "sh0")
    }
    shown = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    print(f"two runs of {settings.steps} steps, relative L2: {shown}", flush=True)


def count_waits(model: TextToImage, settings: BsdParameters, scale: Scale, device: Device) -> None:
    """Print how often a step makes the host wait for the device, as torch itself reports it."""
    if device.name.type != "cuda":
        print("host waits: not counted, only CUDA reports them", flush=True)
        return
    counts = []
    for steps in (2, 6):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            distilled(model, settings.model_copy(update={"steps": steps}), scale, BSD())
            torch.cuda.set_sync_debug_mode("default")
        counts.append([w for w in caught if "synchroniz" in str(w.message)])
    places = sorted({f"{Path(w.filename).name}:{w.lineno}" for w in counts[1]})
    waits = (len(counts[1]) - len(counts[0])) / 4
    print(f"host waits: {waits:.1f} a step, in {', '.join(places) or 'no place'}", flush=True)


def print_profile(model: TextToImage, settings: BsdParameters, scale: Scale, device: Device) -> None:
    """What three steps of BSD do for how long."""
    on_gpu = device.name.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        distilled(model, settings.model_copy(update={"steps": 3}), scale, BSD())
        device.synchronize()
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    print(profiler.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=60), flush=True)


def compare_algorithms(model: TextToImage, device: Device, rounds: int) -> None:
    """The guidance alone, interleaved."""
    predictor = NoisePredictor(model.unet, model.schedule)
    width = model.unet.config.cross_attention_dim
    with device.name:
        texts = torch.randn(3, 4, TOKENS, width)
        latents = torch.randn(4, *model.latent_shape)
    conditioning = Conditioning(texts[0], texts[1], negative=texts[2])
    timesteps = torch.randint(20, 980, (rounds + 1, 4), generator=torch.Generator().manual_seed(0))

    def stepper(algorithm: Algorithm) -> Callable[[], object]:
        generator = torch.Generator().manual_seed(0)
        distiller = Distiller.create(algorithm, predictor, generator)
        ts = iter(timesteps.to(device.name))
        return lambda: distiller(latents, conditioning, next(ts), generator)

    steps = {one.algorithm: stepper(one) for one in (BSD(), SDS(), ISM(), VSD())}
    device.forget_peak()
    wall, _ = interleaved(steps, rounds, device.synchronize)
    for name in steps:
        milliseconds = 1e3 * statistics.median(wall[name])
        print(f"guidance {name}: {milliseconds:.1f} ms, {ratio(wall, name, 'bsd'):.2f} times BSD", flush=True)
    print(f"guidance, all four: {device.peak()}", flush=True)


def compare_rasterizers(device: Device, repeats: int = 20) -> None:
    """The CPU's own kernel and gsplat's CUDA kernels: agreement and time, 10,000 Gaussians at 128 px."""
    here, seconds = rasterized(torch.device("cpu"), repeats)
    print(f"rasterizer on the CPU: {1e3 * seconds:.2f} ms forward and backward", flush=True)
    if device.name.type != "cuda":
        print("rasterizer on CUDA: not compared, there is no GPU", flush=True)
        return
    there, seconds = rasterized(device.name, repeats)
    print(f"rasterizer on CUDA: {1e3 * seconds:.2f} ms forward and backward", flush=True)
    names = ("image", "alpha", "means", "quats", "scales", "opacities", "colors")
    differences = {
        name: float((a - b).norm() / b.norm()) for name, a, b in zip(names, here, there, strict=True)
    }
    shown = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    print(f"rasterizers, relative L2 of image, alpha and gradients: {shown}", flush=True)


def rasterized(where: torch.device, repeats: int) -> Rasterized:
    """Image, alpha and the gradients of one backward pass, on the CPU; and the median seconds."""
    leaves = [leaf.detach().to(where).requires_grad_() for leaf in hollow_ball(10_000)]
    cameras = orbit([30.0], 20.0, 1.5, 140.0, 128).to(where)
    weights = torch.randn(1, 128, 128, 4, generator=torch.Generator().manual_seed(1)).to(where)
    images = alphas = torch.empty(0)

    def once() -> None:
        nonlocal images, alphas
        for leaf in leaves:
            leaf.grad = None
        images, alphas, _ = rasterization(
            *leaves,
            cameras.world_to_camera,
            cameras.K,
            128,
            128,
            backgrounds=torch.ones(1, 3, device=where),
            render_mode="RGB+ED",
        )
        ((images * weights).sum() + alphas.square().sum()).backward()

    once()
    seconds = statistics.median(Device(where).timed(once)[1] for _ in range(repeats))
    gradients = [leaf.grad for leaf in leaves]
    return [value.detach().cpu() for value in (images, alphas, *gradients) if value is not None], seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shrunk", action="store_true", help="tiny networks, images and scenes")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--encoded-at-once", type=int, help="images that the encoder works on at a time")
    parser.add_argument("--profile", action="store_true", help="also what takes the time of a step")
    parser.add_argument("--rounds", type=int, default=20, help="steps that are timed")
    given = parser.parse_args()
    device = Device(torch.device(given.device))
    if device.name.type == "cuda":
        missing = None if torch.cuda.is_available() else "no GPU can be used"
        missing = missing or (
            None if find_spec("gsplat") else "gsplat is not installed, docs/gpu.md says how"
        )
        if missing:
            parser.error(
                f"nothing was measured: {missing}; --shrunk --device cpu shows that the benchmark runs."
            )
    scale = SHRUNK if given.shrunk else Scale()
    where = torch.cuda.get_device_name() if device.name.type == "cuda" else "the CPU"
    print(f"on {where}, torch {torch.__version__}, {given.precision}, shrunk: {given.shrunk}", flush=True)
    compare_rasterizers(device)
    views = measure_views(scale, device, given.precision)
    model = text_to_image(scale.text_to_image, device.name, given.precision)
    weights, lora_step = measure_lora(model, scale, device, given.rounds)
    settings = paper_settings(scale, 5 + given.rounds, given.encoded_at_once)
    measure_bare(model, settings, device, given.rounds, "bare UNet and autoencoder, without a LoRA")
    with lora_applied(model, weights):
        bare = measure_bare(model, settings, device, given.rounds, "bare UNet and autoencoder, with the LoRA")
        step = measure_step(model, settings, scale, device, BSD())
        print(f"BSD's step: {step / bare:.3f} times the bare networks, target at most 1.10", flush=True)
        compare_arithmetic(model, settings, scale, device)
        count_waits(model, settings, scale, device)
        compare_runs(model, settings, scale)
        if given.profile:
            print_profile(model, settings, scale, device)
    measure_step(model, settings, scale, device, ISM())
    compare_algorithms(model, device, given.rounds)
    minutes = (views + 400 * lora_step + 5000 * step) / 60
    print(f"views + 400 steps of LoRA + 5,000 of BSD: {minutes:.1f} minutes, counted up", flush=True)


if __name__ == "__main__":
    main()
