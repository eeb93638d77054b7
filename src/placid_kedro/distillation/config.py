"""Parameters of every algorithm and the union that chooses among them; imports no torch.

Notation: e_c, e_u, e_neg are the noise predictions with the prompt, the empty and the negative prompt, e the
added noise, D = e_c - e_u, x_t = a_t x + s_t e, delta_CG = D / s_t and delta_SG = e_u / s_t.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, RootModel, model_validator

from placid_kedro.distillation.weighting import Weighting
from placid_kedro.parameter_types import ParameterModel

Scale = Annotated[float, Field(ge=0.0)]
Lambda = Annotated[float, Field(gt=0.0, description="weight of the classifier guidance; above 0")]

NOISE_VARIANCE = Weighting(noise_power=2)  # DreamFusion's 1 - alphas_cumprod
SIGNAL_VARIANCE = Weighting(signal_power=2)  # Sec. 4.3's a_t^2

SweptPreset = Literal["paper", "sds_weighted"]
# w of the presets of BSD that are Eq. 22; with s_t^3 noise predictions are weighted by 1 - alphas_cumprod.
EQUATION_WEIGHTINGS: dict[SweptPreset, Weighting] = {
    "paper": SIGNAL_VARIANCE,
    "sds_weighted": Weighting(noise_power=3),
}


class SDS(ParameterModel):
    """Score Distillation Sampling: w (e_u + s D - e)."""

    algorithm: Literal["sds"] = "sds"
    guidance_scale: Scale = 50.0
    weighting: Weighting = NOISE_VARIANCE


class CSD(ParameterModel):
    """Classifier Score Distillation: w (D + n (e_u - e_neg)), n falling from negative_weight to 0."""

    algorithm: Literal["csd"] = "csd"
    negative_weight: Scale = 0.0
    weighting: Weighting = NOISE_VARIANCE


class LoraSettings(ParameterModel):
    """The LoRA copy that Variational Score Distillation trains along with the scene."""

    rank: Annotated[int, Field(ge=1)] = 4
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-4
    camera_dropout: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1


class VSD(ParameterModel):
    """Variational Score Distillation: w (e_u + s D - e_lora)."""

    algorithm: Literal["vsd"] = "vsd"
    guidance_scale: Scale = 7.5
    weighting: Weighting = NOISE_VARIANCE
    lora: LoraSettings = LoraSettings()


class ISM(ParameterModel):
    """Interval Score Matching: w (e_u(x_t) + s D(x_t) - e_u(x_s)), with x_s and x_t by DDIM inversion.

    The interval t - s shrinks from interval_start to interval_end over the first `interval_until` of the run;
    x_s is reached in steps of inversion_stride timesteps, in at most inversion_steps of them.
    """

    algorithm: Literal["ism"] = "ism"
    guidance_scale: Scale = 7.5
    interval_start: Annotated[int, Field(ge=1)] = 100
    interval_end: Annotated[int, Field(ge=1)] = 80
    interval_until: Annotated[float, Field(gt=0.0, le=1.0)] = 0.3
    inversion_stride: Annotated[int, Field(ge=1)] = 200
    inversion_steps: Annotated[int, Field(ge=1)] = 5
    weighting: Weighting = Weighting(signal_power=-1, noise_power=1)


class SSD(ParameterModel):
    """Stable Score Distillation: w D, for t <= last_projected the part of e_c that e does not explain."""

    algorithm: Literal["ssd"] = "ssd"
    last_projected: Annotated[int, Field(ge=-1)] = 100
    weighting: Weighting = NOISE_VARIANCE


class NFSD(ParameterModel):
    """Noise-Free Score Distillation: w (d_D + s D), d_D = e_u below first_negative, else e_u - e_neg."""

    algorithm: Literal["nfsd"] = "nfsd"
    guidance_scale: Scale = 7.5
    first_negative: Annotated[int, Field(ge=0)] = 200
    weighting: Weighting = NOISE_VARIANCE


BSDPreset = Literal["paper", "sds_weighted", "official_3d", "official_2d", "auto"]
_PRESET_LAM: dict[BSDPreset, float] = {
    "paper": 25.0,
    "sds_weighted": 25.0,
    "official_3d": 15.0,
    "official_2d": 1 / 0.018,
    "auto": 0.8,
}
_PRESET_WEIGHTING: dict[BSDPreset, Weighting] = {
    "paper": EQUATION_WEIGHTINGS["paper"],
    "sds_weighted": EQUATION_WEIGHTINGS["sds_weighted"],
    "official_3d": Weighting(signal_power=1),
    "official_2d": Weighting(signal_power=1, scale=0.018),
    "auto": Weighting(noise_power=1, scale=1.25 / 50),
}


class BSD(ParameterModel):
    """Balanced Score Distillation, Eq. 22: w (alpha lam delta_CG + (1 - alpha) delta_SG), alpha by Eq. 23.

    preset: "paper" is the equation with w = a_t^2, "sds_weighted" the equation with w = s_t^3, which weights noise
        predictions by 1 - alphas_cumprod as SDS does; the others are what the authors' code does:
        "official_3d" e_u of the negative prompt, no division by s_t, w = a_t;
        "official_2d" no division by s_t, w = 0.018 a_t;
        "auto" e_u - e as the smoothing term, w = 1.25 ||e_u - e|| s_t / 50.
    lam: weight of the classifier guidance relative to the smoothing one. Left out, it is the preset's own: 25 for
        the equation, then 15, 1 / 0.018 and 0.8.
    weighting: w; "auto" multiplies it by ||e_u - e||. Left out, it is the preset's own.
    """

    algorithm: Literal["bsd"] = "bsd"
    preset: BSDPreset = "paper"
    # What is left out is filled in, so that reports and MLflow show what was used.
    lam: Lambda = Field(default_factory=lambda given: _PRESET_LAM[given["preset"]])
    weighting: Weighting = Field(default_factory=lambda given: _PRESET_WEIGHTING[given["preset"]])


class VSDMGDA(ParameterModel):
    """VSD balanced as BSD is (Fig. 11): delta_SG = (e_u - e_lora) / s_t."""

    algorithm: Literal["vsd_mgda"] = "vsd_mgda"
    lam: Lambda = 25.0
    weighting: Weighting = SIGNAL_VARIANCE
    lora: LoraSettings = LoraSettings()


class FixedRatio(ParameterModel):
    """Both guidances in a fixed ratio, without balancing (Fig. 10): w (ratio delta_CG + delta_SG)."""

    algorithm: Literal["fixed_ratio"] = "fixed_ratio"
    ratio: Scale = 25.0
    weighting: Weighting = SIGNAL_VARIANCE


Algorithm = SDS | CSD | VSD | ISM | SSD | NFSD | BSD | VSDMGDA | FixedRatio


class DistillationConfig(RootModel[Annotated[Algorithm, Field(discriminator="algorithm")]]):
    """One algorithm with its own parameters, chosen by `algorithm` ("bsd" when it is left out).

    `DistillationConfig(algorithm="sds", guidance_scale=7.5).root` is an `SDS`. A parameter of another
    algorithm is refused, so configuration files name only what differs from the defaults. Those of each
    algorithm can be changed beside it, so that the choice stays one word:
    `{"algorithm": "bsd", "defaults": {"bsd": {"preset": "sds_weighted"}}}`.
    """

    model_config = {"frozen": True}

    root: Annotated[Algorithm, Field(discriminator="algorithm")] = BSD()

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        chosen = {"algorithm": "bsd", **data}
        defaults = chosen.pop("defaults", {})
        if not isinstance(defaults, dict) or not all(isinstance(own, dict) for own in defaults.values()):
            raise ValueError("should have groups of parameters by algorithm in defaults")
        unknown = set(defaults) - {kind.model_fields["algorithm"].default for kind in get_args(Algorithm)}
        if unknown:
            raise ValueError(f"should not have defaults for {sorted(unknown)}, which are no algorithms")
        return {**defaults.get(str(chosen["algorithm"]), {}), **chosen}
