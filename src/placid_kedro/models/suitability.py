"""Whether a model can serve in its role, from its configurations alone, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placid_kedro.errors import ModelError
from placid_kedro.models.layout import components

Config = Mapping[str, Any]
SHAP_E_PARTS = ("prior", "scheduler", "shap_e_renderer", "text_encoder", "tokenizer")
# What each role's model must have; a novel-view model also needs one of `_CONDITIONERS`.
_PARTS = {
    "text_to_image": ("unet", "vae", "text_encoder", "scheduler"),
    "zero123": ("unet", "vae", "scheduler"),
    "latent_plane": ("latent_plane",),
    "scorer": ("scorer",),
    "mvdream": ("unet", "vae", "text_encoder", "tokenizer", "scheduler"),
    "shap_e": SHAP_E_PARTS,
}
_CONDITIONERS = ("reference_tokens", "cc_projection", "clip_camera_projection")
_WORDS = {
    "text_to_image": "text-to-image model",
    "zero123": "novel-view model",
    "latent_plane": "Latent-Plane",
    "scorer": "scorer",
    "mvdream": "MVDream",
    "shap_e": "Shap-E",
}
_INSTEAD = {
    "text_to_image": "take a model such as Stable Diffusion 1.5 or 2.1 base",
    "zero123": "take Zero123-XL or another conversion of Zero-1-to-3",
    "mvdream": "take ashawkey/mvdream-sd2.1-diffusers or another port of MVDream to diffusers",
    "shap_e": "take openai/shap-e",
}
MVDREAM_UNET = "MultiViewUNetModel"
CAMERA_NUMBERS = 16
_PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


def check_parts(role: str, source: str, index: Config) -> None:
    """Refuse a model whose index lists other components than its role needs.

    Raises:
        ModelError: naming model, role and component.
    """
    listed = components(index)
    missing = [part for part in _PARTS.get(role, ()) if part not in listed]
    if role == "zero123" and not any(part in listed for part in _CONDITIONERS):
        missing.append(" or ".join(_CONDITIONERS))
    if missing:
        raise ModelError(
            f"{source} is no {_WORDS[role]}: it has no {missing[0]}, but {', '.join(listed) or 'nothing'}; "
            f"give another with --params models.{role}=NAME"
        )


def check_kind(role: str, source: str, index: Config, configs: Mapping[str, Config]) -> None:
    """Refuse a diffusion model that this project's loops cannot drive, in one sentence that says why.

    Args:
        role: `text_to_image`, `zero123`, `mvdream` or `shap_e`; any other is fine.
        source: where the model comes from, for the sentence.
        index: its `model_index.json`.
        configs: `config.json` of each component that has one, and `scheduler`'s `scheduler_config.json`.

    Raises:
        ModelError: naming model, role and reason.
    """
    if role not in _INSTEAD:
        return
    if role == "mvdream":
        reason = _unfit_mvdream(components(index), configs.get("unet", {}))
    elif role == "shap_e":
        reason = _unfit_shap_e(configs)
    else:
        reason = _unfit_class(components(index)) or _unfit_unet(configs.get("unet", {}))
        reason = reason or _unfit_channels(role, components(index), configs) or _unfit_width(configs)
    prediction = configs.get("scheduler", {}).get("prediction_type", "epsilon")
    if reason is None and prediction not in _PREDICTION_TYPES:
        reason = f"its UNet predicts {prediction!r}, known are {', '.join(_PREDICTION_TYPES)}"
    if reason is not None:
        raise ModelError(f"{source} cannot serve as {role}: {reason}; {_INSTEAD[role]}.")


def _unfit_class(listed: Mapping[str, tuple[str, str]]) -> str | None:
    network = listed["unet"][1]
    if network == "UNet2DConditionModel":
        return None
    video = any(word in network for word in ("3D", "SpatioTemporal", "Motion"))
    kind = "a video model's" if video else "not a UNet2DConditionModel"
    return f"its UNet is {kind} ({network})"


def _unfit_mvdream(listed: Mapping[str, tuple[str, str]], unet: Config) -> str | None:
    if listed["unet"][1] != MVDREAM_UNET:
        return f"its UNet is a {listed['unet'][1]}, which knows no cameras"
    if unet.get("ip_dim"):
        return "it draws from a picture beside the prompt, as ImageDream does"
    if unet.get("camera_dim") != CAMERA_NUMBERS:
        return f"its UNet is told {unet.get('camera_dim')} numbers of a camera, not {CAMERA_NUMBERS}"
    return None


def _unfit_shap_e(configs: Mapping[str, Config]) -> str | None:
    """Whether the sizes of its parts, which diffusers leaves at their defaults where they are not said, agree."""
    prior, renderer = configs.get("prior", {}), configs.get("shap_e_renderer", {})
    rows = sum(shape[0] for shape in renderer.get("param_shapes", ((256, 93),) * 4))
    pairs = {
        "numbers of a row": (prior.get("embedding_dim", 768), renderer.get("d_latent", 1024)),
        "rows": (prior.get("num_embeddings", 77), rows),
    }
    for words, (drawn, taken) in pairs.items():
        if drawn != taken:
            return f"its prior draws {drawn} {words}, its renderer takes {taken}"
    wanted = prior.get("embedding_proj_dim") or prior.get("embedding_dim", 768)
    given = configs.get("text_encoder", {}).get("projection_dim", 512)
    return (
        None if wanted == given else f"its prior wants a text {wanted} wide, its text_encoder gives {given}"
    )


def _unfit_unet(unet: Config) -> str | None:
    def given(name: str) -> bool:
        # A condition called "text" is pooled from the context that every UNet gets.
        return unet.get(name) is not None and (name, unet[name]) != ("addition_embed_type", "text")

    reasons = {
        "addition_embed_type": "added conditions beside the text, as SDXL's does",
        "class_embed_type": "class labels",
        "num_class_embeds": "class labels",
        "encoder_hid_dim_type": "projected image or text embeddings",
        "time_cond_proj_dim": "its guidance scale embedded, as distilled models do",
    }
    for name, words in reasons.items():
        if given(name):
            return f"its UNet wants {words} ({name} is {unet[name]!r})"
    return None


def _unfit_channels(
    role: str, listed: Mapping[str, tuple[str, str]], configs: Mapping[str, Config]
) -> str | None:
    unet, latent = configs.get("unet", {}), configs.get("vae", {}).get("latent_channels", 4)
    given, made = unet.get("in_channels", 4), unet.get("out_channels", 4)
    if made == 2 * latent:
        return f"its UNet also predicts a variance ({made} channels for latents of {latent})"
    if made != latent:
        return f"its UNet puts out {made} channels, its latents have {latent}"
    if role == "zero123":
        # The embedded model's UNet also reads features of the lifted reference.
        fits = "reference_tokens" in listed or given == 2 * latent
        return None if fits else f"its UNet takes {given} channels, latents and reference have {2 * latent}"
    kinds = {2 * latent + 1: "an inpainting model's", latent + 1: "a depth-to-image model's"}
    kinds[2 * latent] = "that of a model that edits or turns an image"
    kind = f", it is {kinds[given]}" if given in kinds else ""
    return None if given == latent else f"its UNet takes {given} channels, its latents have {latent}{kind}"


def _unfit_width(configs: Mapping[str, Config]) -> str | None:
    wanted = configs.get("unet", {}).get("cross_attention_dim", 1280)
    wanted = set(wanted) if isinstance(wanted, list | tuple) else {wanted}
    contexts = {
        "text_encoder": ("hidden_size", "d_model"),
        "cc_projection": ("out_channel",),
        "clip_camera_projection": ("embedding_dim",),
    }
    for component, names in contexts.items():
        width = next((configs[component][name] for name in names if name in configs.get(component, {})), None)
        if width is not None and wanted != {width}:
            shown = ", ".join(map(str, sorted(wanted)))
            return f"its UNet wants a context {shown} wide, its {component} gives {width}"
    return None


def check_plane(source: str, plane: Config, unet_source: str, unet: Config) -> None:
    """Refuse a Latent-Plane made for a UNet of other widths (see `placid_kedro.latent_plane.decoder_block`).

    Args:
        source: of the plane.
        plane: its configuration.
        unet_source: of the novel-view model.
        unet: its UNet's configuration.

    Raises:
        ModelError: naming both and their widths.
    """
    blocks = _block_widths(unet)
    if plane.get("block") is not None:
        return
    have = (blocks[min(1, len(blocks) - 1)], 4 * blocks[0])
    wants = (plane.get("feature_channels", 640), plane.get("time_embedding_dim", 1280))
    if have != wants:
        raise ModelError(
            f"The Latent-Plane {source} is made for feature maps of {wants[0]} channels and a time embedding of "
            f"{wants[1]}, {unet_source} has {have[0]} and {have[1]}; give the plane that belongs to it with "
            "--params models.latent_plane=NAME"
        )


def _block_widths(unet: Config) -> tuple[int, ...]:
    if "channel_mult" in unet:  # MVDream's own configuration
        return tuple(unet["model_channels"] * times for times in unet["channel_mult"])
    return tuple(unet.get("block_out_channels", (320, 640, 1280, 1280)))
