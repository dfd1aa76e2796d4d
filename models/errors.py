"""What can go wrong on the models floor, and what the caller can do about it.

ModelError
├── ModelFilesError      the model folder is incomplete, altered or of an unknown format: fetch or train it again
├── TrainingDataError    the training data cannot be used: the message names file, line and remedy
├── DeviceError          the device asked for is not there: choose another one
└── BackendMissingError  what shall compute is not installed: install its extra, or use torch
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
