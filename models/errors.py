"""What can go wrong on the models floor, and what the caller can do about it.

ModelError
├── ModelFilesError      the model folder is incomplete, altered or of an unknown format: fetch or train it again
├── TrainingDataError    the training data cannot be used: the message names file, line and remedy
├── DeviceError          the device asked for is not there: choose another one
├── BackendMissingError  what shall compute is not installed: install its extra, or use torch
├── LabelsError          what a foreign model's labels mean is not clear: write the mapping, as the message shows
├── LanguagesError       the table of models by language cannot be used: correct the setting
├── OwnTopicsError       a file of topics of one's own is wrong: the message names file, line, column and remedy
└── ExplanationError     words' contributions do not add up to the score within the tolerance: allow more steps
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of every error that `models` raises on purpose."""


class ModelFilesError(ModelError):
    """The model folder is incomplete, altered or of an unknown format."""


class TrainingDataError(ModelError):
    """Training data cannot be used; the message names the file, the line and the remedy."""


class DeviceError(ModelError):
    """The device asked for is not present on this machine."""


class BackendMissingError(ModelError):
    """What shall compute is unknown or not installed; the message says how to install it."""


INSTALL = {
    "explain": "pip install captum",
    "onnx": "pip install onnx onnxruntime",
    "openvino": "pip install nncf openvino",
}
"""What brings each optional part. The packages are named, not an extra of Squall: an index may know another project by
that name.
"""


class LabelsError(ModelError):
    """What a foreign model's labels mean is not clear, or told wrongly; the message shows them and the remedy."""


class LanguagesError(ModelError):
    """The table of models by language cannot be used; the message names the key and the remedy."""


class OwnTopicsError(ModelError):
    """A file of topics of one's own cannot be used; the message names file, line, column and remedy."""


class ExplanationError(ModelError):
    """The contributions of words do not add up to the score as exactly as promised."""
