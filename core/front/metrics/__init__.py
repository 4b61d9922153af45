"""What a node measures of itself, as Prometheus reads it."""

from core.front.metrics.meters import Meters
from core.front.metrics.scrape import Metrics

__all__ = ["Meters", "Metrics"]
