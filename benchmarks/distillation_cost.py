"""Time of one guidance step of each algorithm, as ratios to SDS, measured interleaved in one run.

    python benchmarks/distillation_cost.py [--model DIRECTORY/unet] [--size 16] [--batch 4] [--all]

Without a model directory it times a randomly initialised UNet of the embedded model's size. Targets: BSD at
most 1.02 times SDS, ISM at least 2 times BSD. Processor time is given beside wall time because it does not
see what else the machine is doing.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.distillation import Conditioning, Distiller, NoisePredictor
from placid_kedro.distillation.config import BSD, CSD, ISM, NFSD, SDS, SSD, VSD, VSDMGDA, Algorithm


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
    parser.add_argument("--model", help="directory of a UNet2DConditionModel")
    parser.add_argument("--size", type=int, default=16, help="latent height and width")
    parser.add_argument("--batch", type=int, default=4, help="latents a step")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--all", action="store_true", help="every algorithm, not just SDS, BSD and ISM")
    parser.add_argument("--tokens", type=int, default=16)
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    unet = UNet2DConditionModel.from_pretrained(arguments.model) if arguments.model else make_unet()
    unet = unet.to(device).eval()
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    predictor = NoisePredictor(unet, NoiseSchedule((1 - betas).cumprod(0).float(), "v_prediction"))

    generator = torch.Generator(device).manual_seed(0)
    batch = arguments.batch
    text = (3, batch, arguments.tokens, unet.config.cross_attention_dim)
    positive, empty, negative = torch.randn(text, generator=generator, device=device)
    shape = (batch, unet.config.in_channels, arguments.size, arguments.size)
    latents = torch.randn(shape, generator=generator, device=device)
    conditioning = Conditioning(positive, empty, negative)
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
    print(f"{parameters:.1f} M parameters, latents {list(shape)}, {device}, {arguments.rounds} rounds")
    print("algorithm  median ms  / SDS: wall  processor")
    for name in steps:
        milliseconds = 1e3 * statistics.median(wall[name])
        print(
            f"{name:9s} {milliseconds:10.1f} {ratio(wall, name, 'sds'):11.3f} "
            f"{ratio(processor, name, 'sds'):10.3f}"
        )
    for name, base, target in (("bsd", "sds", "at most 1.02"), ("ism", "bsd", "at least 2")):
        print(
            f"{name} / {base}: wall {ratio(wall, name, base):.3f}, processor "
            f"{ratio(processor, name, base):.3f}, target {target}"
        )


if __name__ == "__main__":
    main()
