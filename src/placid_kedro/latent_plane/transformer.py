"""The weights of the attention between the tokens of one point (Eq. 5)."""

from __future__ import annotations

from torch import nn


class AttentionLayer(nn.Module):
    """The projections of one multi-head self-attention layer: q, k, v without bias, output with bias."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_k = nn.Linear(width, inner, bias=False)
        self.to_v = nn.Linear(width, inner, bias=False)
        self.to_out = nn.Linear(inner, width)


class TokenTransformer(nn.Module):
    """LayerNorm, then residual self-attention layers over the tokens of a point.

    Args:
        feature_channels: C, width of the feature part of a token.
        embedding_dim: M, width of each of the two embeddings; a token has D = C + 2 M values.
        num_heads: attention heads.
        head_dim: width of a head.
        num_layers: number of attention layers.
        share_layers: whether all layers are one set of weights, as in the authors' files.
    """

    def __init__(
        self,
        feature_channels: int,
        embedding_dim: int,
        num_heads: int,
        head_dim: int,
        num_layers: int,
        share_layers: bool,
    ) -> None:
        super().__init__()
        self.feature_channels = feature_channels
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.inner = num_heads * head_dim
        self.num_layers = num_layers
        width = feature_channels + 2 * embedding_dim
        self.norm = nn.LayerNorm(width)
        stored = 1 if share_layers else num_layers
        self.layers = nn.ModuleList([AttentionLayer(width, self.inner) for _ in range(stored)])

    @property
    def stack(self) -> list[AttentionLayer]:
        """The layers in the order in which they act."""
        return [self.layers[i % len(self.layers)] for i in range(self.num_layers)]  # type: ignore[misc]
