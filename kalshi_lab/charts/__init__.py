"""Pictures in one house style: results and frames in, a `Picture` out that Jupyter shows by itself."""

from kalshi_lab.charts.house import Picture
from kalshi_lab.charts.markets import price_path, quotes
from kalshi_lab.charts.results import reliability
from kalshi_lab.charts.session import stats

__all__ = ["Picture", "price_path", "quotes", "reliability", "stats"]
