"""Latent-Plane written out point by point in numpy float64, straight from the formulas.

Shares no code with the package: its own cameras, projection, bilinear sampling, attention and rendering.
Weights come under the authors' names.
"""

from __future__ import annotations

import numpy as np

FOCAL_AT_256 = 280.0
EYE_DISTANCE = 1.5


def ring(azimuths_deg, elevation_deg=30.0):
    """[(R, t, eye)] with x_camera = R x + t; x right, y down, z forward."""
    poses = []
    for azimuth in np.radians(np.asarray(azimuths_deg, dtype=np.float64)):
        elevation = np.radians(elevation_deg)
        eye = EYE_DISTANCE * np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        poses.append((rotation, -rotation @ eye, eye))
    return poses


EIGHT = ring(range(0, 360, 45))


def embed(vector, octaves=10):
    parts = [vector]
    for octave in range(octaves):
        parts += [np.sin(2.0**octave * vector), np.cos(2.0**octave * vector)]
    return np.concatenate(parts)


def bilinear(feature_map, x, y):
    """Value [C] at pixel coordinates where (0, 0) is the centre of the first pixel; the border repeats."""
    _, height, width = feature_map.shape
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    ax, ay = x - x0, y - y0
    top = (1 - ax) * feature_map[:, y0, x0] + ax * feature_map[:, y0, x1]
    bottom = (1 - ax) * feature_map[:, y1, x0] + ax * feature_map[:, y1, x1]
    return (1 - ay) * top + ay * bottom


def sample_views(feature_maps, point, poses):
    """[N, C] the feature of every view at the point's projection."""
    size = feature_maps.shape[-1]
    focal = FOCAL_AT_256 * size / 256
    rows = []
    for feature_map, (rotation, translation, _) in zip(feature_maps, poses, strict=True):
        camera = rotation @ point + translation
        u = focal * camera[0] / camera[2] + size / 2
        v = focal * camera[1] / camera[2] + size / 2
        rows.append(bilinear(feature_map, u - 0.5, v - 0.5))
    return np.stack(rows)


def layer_norm(tokens, weight, bias):
    mean = tokens.mean(-1, keepdims=True)
    variance = ((tokens - mean) ** 2).mean(-1, keepdims=True)
    return (tokens - mean) / np.sqrt(variance + 1e-5) * weight + bias


def attention(tokens, weights, layer, heads=8):
    prefix = f"transformer.{layer}."
    q, k, v = (tokens @ weights[f"{prefix}to_{name}.weight"].T for name in "qkv")
    width = q.shape[1] // heads
    outputs = []
    for head in range(heads):
        columns = slice(head * width, (head + 1) * width)
        scores = q[:, columns] @ k[:, columns].T / np.sqrt(width)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        outputs.append(scores / scores.sum(-1, keepdims=True) @ v[:, columns])
    out = np.concatenate(outputs, -1) @ weights[f"{prefix}to_out.0.weight"].T
    return out + weights[f"{prefix}to_out.0.bias"]


def transform(tokens, weights, layers=2):
    tokens = layer_norm(
        tokens, weights["transformer_layer_norm.weight"], weights["transformer_layer_norm.bias"]
    )
    for layer in range(layers):
        tokens = tokens + attention(tokens, weights, layer)
    return tokens


def view_tokens(sampled, point, poses):
    return np.stack(
        [np.concatenate([f, embed(eye), embed(point)]) for f, (_, _, eye) in zip(sampled, poses, strict=True)]
    )


def density(coarse, feature_maps, t_emb, point, poses=EIGHT):
    """Raw sigma of one point."""
    weight, bias = coarse["latent_feature_ln.weight"], coarse["latent_feature_ln.bias"]
    sampled = sample_views(feature_maps, point, poses) @ weight.T + bias
    time = coarse["time_feature_ln.weight"] @ t_emb + coarse["time_feature_ln.bias"]
    sigma_token = coarse["sigma_query_ln.weight"] @ np.concatenate([coarse["sigma_embeddings"], time])
    sigma_token = sigma_token + coarse["sigma_query_ln.bias"]
    tokens = np.concatenate([sigma_token[None], view_tokens(sampled, point, poses)])
    return float((coarse["sigma_net.weight"] @ transform(tokens, coarse)[0] + coarse["sigma_net.bias"])[0])


def feature(fine, feature_maps, point, view, poses=EIGHT):
    """[C] enhanced feature of one point as view `view` sees it."""
    sampled = sample_views(feature_maps, point, poses)
    tokens = transform(view_tokens(sampled, point, poses), fine)
    return sampled[view] + tokens[view, : sampled.shape[1]]


def ray_points(pose, row, column, size, samples=32, missed_rays="crossed"):
    """Points [S, 3] and distances [S] of the ray through a pixel, or None where nothing is sampled."""
    rotation, _, eye = pose
    focal = FOCAL_AT_256 * size / 256
    direction = rotation.T @ np.array(
        [(column + 0.5 - size / 2) / focal, (row + 0.5 - size / 2) / focal, 1.0]
    )
    first, second = (-0.5 - eye) / direction, (0.5 - eye) / direction
    near, far = np.minimum(first, second).max(), np.maximum(first, second).min()
    if near > far or far < 0:
        if missed_rays == "empty":
            return None
        near, far = far, near
    depths = np.linspace(near, far, samples)
    distances = np.append(np.diff(depths), depths[-1] - depths[-2])
    return eye + direction * depths[:, None], distances


def render(sigmas, distances, values):
    transmittance, total, occupancy = 1.0, 0.0, 0.0
    for sigma, distance, value in zip(sigmas, distances, values, strict=True):
        alpha = 1 - np.exp(-np.logaddexp(0.0, sigma) * distance)
        total = total + transmittance * alpha * value
        occupancy += transmittance * alpha
        transmittance *= 1 - alpha
    return total, occupancy


def pixel(
    coarse, fine, feature_maps, t_emb, view, row, column, poses=EIGHT, *, samples=32, combination, missed_rays
):
    """Enhanced feature [C] and occupancy of one pixel of one view."""
    original = feature_maps[view, :, row, column]
    ray = ray_points(poses[view], row, column, feature_maps.shape[-1], samples, missed_rays)
    if ray is None:
        return original, 0.0
    points, distances = ray
    sigmas = [density(coarse, feature_maps, t_emb, p, poses) for p in points]
    values = [feature(fine, feature_maps, p, view, poses) for p in points]
    rendered, occupancy = render(sigmas, distances, values)
    if combination == "add":
        return original + rendered, occupancy
    return original * (1 - occupancy) + rendered, occupancy
