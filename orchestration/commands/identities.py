"""Whose an id is, for whatever tells people about one user."""

from __future__ import annotations

from orchestration.commands.explanation import Device, Identity
from orchestration.commands.tables import Tables
from orchestration.commands.words import listed, when


def find_identity(tables: Tables, asked: str) -> Identity | None:
    """Whose `asked` is now: a user, or a device with or without `anon:`; None for what nobody knows.

    A user id that is a device's id too is the user's.
    """
    device = asked.removeprefix("anon:")
    found = tables.one("explain_who", asked=asked, device=device)
    if not found["is_user"] and not found["is_device"]:
        return None
    is_device = found["is_device"] and (asked != device or not found["is_user"])
    if not is_device:
        devices = _devices(tables, asked)
        with_devices = f", with the devices {listed(d.anonymous_id for d in devices)}" if devices else ""
        return Identity(
            asked=asked, user_id=asked, is_anonymous=False, is_device=False, devices=devices,
            words=f"user {asked}{with_devices}",
        )  # fmt: skip
    owner = found["known_user_id"]
    if owner is None:
        own = [Device(anonymous_id=device, linked_at=None)]
        words = f"device {device}, not linked to a user"
        return Identity(
            asked=asked, user_id=f"anon:{device}", is_anonymous=True, is_device=True, devices=own, words=words
        )
    words = f"device {device} belongs to user {owner}, by an event of {when(found['linked_at'])}"
    return Identity(
        asked=asked, user_id=owner, is_anonymous=False, is_device=True,
        linked_at=found["linked_at"], devices=_devices(tables, owner), words=words,
    )  # fmt: skip


def _devices(tables: Tables, user_id: str) -> list[Device]:
    return [Device(**row) for row in tables.rows("explain_devices", user_id=user_id)]
