"""Says in plain words what a grant lets an app do: this is what the owner reads before deciding."""

from __future__ import annotations

from core.caller import Grant
from pcloud.subject import TypeName

__all__ = ["describe", "explain_capability"]


def describe(grant: Grant) -> str:
    """One sentence without the app's name, such as "see all Image entries of image-importer and change them"."""
    sentence = _SENTENCES[grant.verb](grant)
    return f"{sentence} (it can do without)" if grant.optional else sentence


def explain_capability(receiver: str, action: str) -> str:
    """What handing an action as an argument means."""
    return f"let {receiver} call its action {action} whenever it likes, without being named there"


def _read(grant: Grant) -> str:
    return f"see all {_type(grant)}{_fields(grant)}"


def _write(grant: Grant) -> str:
    return f"see, add, change and delete all {_type(grant)}{_fields(grant)}"


def _extend(grant: Grant) -> str:
    return f"see all {_type(grant)}{_fields(grant)} and keep data of its own with each of them"


def _call(grant: Grant) -> str:
    name, _, action = grant.target.rpartition("/")
    whom = f"whichever app provides {name.removeprefix('role:')}" if name.startswith("role:") else f"the app {name}"
    return f"have {whom} do “{action}”"


def _network(grant: Grant) -> str:
    if grant.target == "host":
        return "use this machine's whole network, including the internet and every local service"
    if grant.target == "peers":
        return "talk to its own kind on your other nodes, on named ports"
    return f"reach {grant.target} over the network"


def _type(grant: Grant) -> str:
    name = TypeName.parse(grant.target)
    return f"{name.type} entries of {name.app}"


def _fields(grant: Grant) -> str:
    if not grant.fields:
        return ""
    return f", with {', '.join(field.rpartition('/')[2] for field in grant.fields)} that {_owners(grant)} added"


def _owners(grant: Grant) -> str:
    return " and ".join(dict.fromkeys(field.partition("/")[0] for field in grant.fields))


_SENTENCES = {"read": _read, "write": _write, "extend": _extend, "call": _call, "network": _network}
