"""Kedro datasets of the project's artifacts, each with a preview for Kedro-Viz."""

from placid_kedro.datasets.base import FileDataset
from placid_kedro.datasets.credentials import CredentialsDataset
from placid_kedro.datasets.delegated import FigureDataset, PageDataset, TableDataset, TextDataset
from placid_kedro.datasets.fields import FieldDataset
from placid_kedro.datasets.folders import FolderDataset
from placid_kedro.datasets.gaussians import GaussiansDataset
from placid_kedro.datasets.images import ImageDataset, PosedViewsDataset
from placid_kedro.datasets.json_model import JsonModelDataset
from placid_kedro.datasets.tensors import TensorsDataset
from placid_kedro.datasets.video import VideoDataset

__all__ = [
    "CredentialsDataset",
    "FieldDataset",
    "FigureDataset",
    "FileDataset",
    "FolderDataset",
    "GaussiansDataset",
    "ImageDataset",
    "JsonModelDataset",
    "PageDataset",
    "PosedViewsDataset",
    "TableDataset",
    "TensorsDataset",
    "TextDataset",
    "VideoDataset",
]
