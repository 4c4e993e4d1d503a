"""Collectors: mergeable summaries of the data that a network has seen."""

from auditor.collectors.channel_statistics import ChannelStatistics
from auditor.collectors.collector import Batch, Collector, State
from auditor.collectors.label_scores import LabelScores
from auditor.collectors.predictions import Predictions
from auditor.collectors.readability import Readability
from auditor.collectors.top import TopActivations

__all__ = [
    "Batch",
    "ChannelStatistics",
    "Collector",
    "LabelScores",
    "Predictions",
    "Readability",
    "State",
    "TopActivations",
]
