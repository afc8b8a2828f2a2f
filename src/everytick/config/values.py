"""From a given value to a setting's own type, or the fault that says why not."""

from __future__ import annotations

import re

import msgspec

from everytick.config.faults import Fault, shown_value
from everytick.config.fields import Setting, choices_of, closest, expected, unwrap
from everytick.config.sources import Given
from everytick.model.secret import Secret

# Plain ASCII digits only: int() would also take "1_000", "٣" and surrounding blanks.
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?\Z")
_SWITCH_OFF = frozenset({"0", "", "false", "off", "no"})


def read_value(setting: Setting, given: Given) -> tuple[object, list[Fault]]:
    """The value in the setting's type. With faults it is None, or what is safe to go on with."""
    value = given.value
    if given.is_text:
        if setting.path == "trading.enabled":
            return _switch(setting, given)
        value = _from_text(setting, str(value))
    if setting.is_list and isinstance(value, list):
        return _items(setting, value, given.origin)
    try:
        return msgspec.convert(value, setting.hint, dec_hook=_secret), []
    except msgspec.ValidationError:
        return None, [_fault(setting, setting.path, value, given.origin, setting.hint)]


def _items(setting: Setting, values: list[object], origin: str) -> tuple[object, list[Fault]]:
    """A list, judged item by item so that every bad one is named."""
    faults: list[Fault] = []
    good: list[object] = []
    for index, value in enumerate(values):
        place = f"{setting.path}[{index}]"
        try:
            item = msgspec.convert(value, setting.item)
        except msgspec.ValidationError:
            faults.append(_fault(setting, place, value, origin, setting.item))
            continue
        if item in good:
            faults.append(Fault(place, origin, shown_value(value), "is in the list already", "take one out"))
        good.append(item)
    most = next((m.max_length for m in unwrap(setting.hint)[1] if m.max_length is not None), None)
    if most is not None and len(values) > most:
        faults.append(Fault(setting.path, origin, f"{len(values)} items", f"expected at most {most}"))
    return (None if faults else tuple(good)), faults


def _switch(setting: Setting, given: Given) -> tuple[object, list[Fault]]:
    """The kill switch from the environment: exactly `1` is on. An odd value is off, and said to be odd."""
    text = str(given.value)
    if text == "1":
        return True, []
    if text.lower() in _SWITCH_OFF:
        return False, []
    problem = "is neither 1 (on) nor 0 (off); taken as off"
    return False, [Fault(setting.path, given.origin, shown_value(text), problem, "write exactly 1 or 0")]


def _from_text(setting: Setting, text: str) -> object:
    """Text from the environment, as far as its form tells; what does not fit stays text and is refused later."""
    if setting.is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    if setting.base is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if setting.base is int and _INTEGER.match(text):
        return int(text)
    if setting.base is float and _NUMBER.match(text):
        return float(text)
    return text


def _secret(wanted: type, value: object) -> object:
    if issubclass(wanted, Secret) and isinstance(value, str):
        return wanted(value)
    # msgspec turns this into a ValidationError, which names no value.
    raise ValueError(f"expected a text for {wanted.__name__}")


def _fault(setting: Setting, place: str, value: object, origin: str, hint: object) -> Fault:
    # A secret of the wrong type is still a secret.
    shown = "" if setting.is_secret else shown_value(value)
    suggestion = ""
    if isinstance(value, str):
        suggestion = closest(value, choices_of(unwrap(hint)[0]))
    return Fault(place, origin, shown, f"expected {expected(hint)}", suggestion)
