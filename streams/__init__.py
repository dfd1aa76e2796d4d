"""streams: messages in, alerts out (ingest, scoring, monitor, delivery, the Faust app)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("squall")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
