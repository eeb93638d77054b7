"""Time of one guidance step of each algorithm, as ratios to SDS, measured interleaved in one run.

    python benchmarks/distillation_cost.py [--model FOLDER] [--batch 4] [--rounds 40] [--all]

The model is a text-to-image folder in the diffusers layout: the embedded one, unless another is named. Without it a
randomly initialised UNet of about its size is timed. Targets: BSD at most 1.02 times SDS, ISM at least 2 times BSD.
Processor time is given beside wall time because it does not see what else the machine is doing.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_to_image import load_text_to_image
from placid_kedro.distillation import Conditioning, Distiller, NoisePredictor
from placid_kedro.distillation.config import BSD, CSD, ISM, NFSD, SDS, SSD, VSD, VSDMGDA, Algorithm

EMBEDDED = Path(__file__).parents[1] / "models/text_to_image"
TOKENS = 16


def embedded_or_random(
    folder: Path | None, batch: int, device: torch.device
) -> tuple[NoisePredictor, Conditioning, str]:
    """A predictor, what it is told, and its name."""
    if folder is None and (EMBEDDED / "unet/diffusion_pytorch_model.safetensors").is_file():
        folder = EMBEDDED
    if folder is not None:
        model = load_text_to_image(folder.resolve(), device)
        texts = ("a teddy bear", "", "unrealistic, blurry, low quality.")
        embeddings = [model.embed([text] * batch) for text in texts]
        return NoisePredictor(model.unet, model.schedule), Conditioning(*embeddings), folder.name
    unet = make_unet().to(device).eval()
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    schedule = NoiseSchedule((1 - betas).cumprod(0).float(), "v_prediction")
    generator = torch.Generator(device).manual_seed(0)
    width = unet.config.cross_attention_dim
    drawn = torch.randn(3, batch, TOKENS, width, generator=generator, device=device)
    return NoisePredictor(unet, schedule), Conditioning(*drawn), "random weights"


def make_unet() -> UNet2DConditionModel:
    """About 8 million parameters, 16 latent channels, text states 384 wide."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=16,
        out_channels=16,
        block_out_channels=(64, 96, 160),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        attention_head_dim=16,
        cross_attention_dim=384,
    )


Times = dict[str, list[float]]


def interleaved(
    steps: dict[str, Callable[[], object]], rounds: int, synchronize: Callable[[], None]
) -> tuple[Times, Times]:
    """Wall and processor seconds of each step in each round; each round starts with another step."""
    names = list(steps)
    for step in steps.values():
        step()
    wall: Times = {name: [] for name in names}
    processor: Times = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            synchronize()
            began, began_processor = time.perf_counter(), time.process_time()
            steps[name]()
            synchronize()
            wall[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - began_processor)
    return wall, processor


def ratio(times: Times, name: str, base: str) -> float:
    """Median over the rounds of one algorithm's time by another's in the same round."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a text-to-image model")
    parser.add_argument("--batch", type=int, default=4, help="latents a step")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--all", action="store_true", help="every algorithm, not just SDS, BSD and ISM")
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    batch = arguments.batch
    predictor, conditioning, name = embedded_or_random(arguments.model, batch, device)
    unet = predictor.network
    assert isinstance(unet, UNet2DConditionModel)
    generator = torch.Generator(device).manual_seed(0)
    size = unet.config.sample_size
    shape = (batch, unet.config.in_channels, size, size)
    latents = torch.randn(shape, generator=generator, device=device)
    t = torch.randint(20, 980, (arguments.rounds + 1, batch), generator=generator, device=device)

    def stepper(distiller: Distiller) -> Callable[[], object]:
        timesteps = iter(t)  # the same timesteps for all, ISM's cost depends on them
        noise = torch.Generator(device).manual_seed(1)
        return lambda: distiller(latents, conditioning, next(timesteps), noise)

    algorithms: list[Algorithm] = [SDS(), BSD(), ISM()]
    if arguments.all:
        algorithms += [CSD(), SSD(), NFSD(), VSD(), VSDMGDA()]
    steps = {a.algorithm: stepper(Distiller.create(a, predictor, generator)) for a in algorithms}
    wall, processor = interleaved(steps, arguments.rounds, torch.cuda.synchronize if cuda else lambda: None)
    parameters = sum(p.numel() for p in unet.parameters()) / 1e6
    print(
        f"{name}, {parameters:.1f} M parameters, latents {list(shape)}, {device}, {arguments.rounds} rounds"
    )
    print("algorithm  median ms  / SDS: wall  processor")
    for algorithm in steps:
        milliseconds = 1e3 * statistics.median(wall[algorithm])
        print(
            f"{algorithm:9s} {milliseconds:10.1f} {ratio(wall, algorithm, 'sds'):11.3f} "
            f"{ratio(processor, algorithm, 'sds'):10.3f}"
        )
    for algorithm, base, target in (("bsd", "sds", "at most 1.02"), ("ism", "bsd", "at least 2")):
        print(
            f"{algorithm} / {base}: wall {ratio(wall, algorithm, base):.3f}, processor "
            f"{ratio(processor, algorithm, base):.3f}, target {target}"
        )


if __name__ == "__main__":
    main()
