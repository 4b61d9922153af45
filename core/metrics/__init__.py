"""What a node measures of itself, as Prometheus reads it."""

from core.metrics.meters import Meters
from core.metrics.scrape import Metrics

__all__ = ["Meters", "Metrics"]
