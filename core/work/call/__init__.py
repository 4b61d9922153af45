"""Calls between apps, people and devices, durable calls included, and their way over the bus.

`Calls` is the entry point; `authorization` decides by `permission` and `capability` who may call what, `arguments` checks what
an action takes, `invoke` asks the app, over the bus that `dispatch` knows; `open_runs` knows which handler is working on what."""

from core.work.call.answer import CallAnswer, HandlerFailed, NoInstance
from core.work.call.arguments import ARGUMENT_TYPES, check_arguments, takes_action
from core.work.call.calls import Calls
from core.work.call.capability import Capabilities, CommandWriter
from core.work.call.dispatch import Dispatcher, DispatchSettings
from core.work.call.job import Job, decode_job, encode_job
from core.work.call.opening import open_calls
from core.work.call.permission import Permission, Refused
from core.work.call.run_ids import send_run_id, trigger_run_id
from core.work.call.settings import CallSettings
from core.work.call.target import ActionName, CapabilityName, RoleAction, parse_stored, parse_target

__all__ = [
    "ARGUMENT_TYPES",
    "ActionName",
    "CallAnswer",
    "CallSettings",
    "Calls",
    "Capabilities",
    "CapabilityName",
    "CommandWriter",
    "DispatchSettings",
    "Dispatcher",
    "HandlerFailed",
    "Job",
    "NoInstance",
    "Permission",
    "Refused",
    "RoleAction",
    "check_arguments",
    "decode_job",
    "encode_job",
    "open_calls",
    "parse_stored",
    "parse_target",
    "send_run_id",
    "takes_action",
    "trigger_run_id",
]  # fmt: skip
