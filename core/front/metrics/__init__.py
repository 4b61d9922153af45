"""A node's measurements of itself, for Prometheus."""

from core.front.metrics.meters import Meters
from core.front.metrics.scrape import Metrics

__all__ = ["Meters", "Metrics"]
