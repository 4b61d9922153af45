"""The event processor: events of the log become runs of apps' actions, at least once and without doubles.

processor         what is attached, and what the owner may ask for
loops             the loops of one app                trigger_loop   from an event to its run, live and history
compiled_trigger  a trigger as its loop uses it       durable_calls  what `send` stored
done_or_failed    a run's attempts to its end         journal        its states, written to RUNS
trigger_past      where a trigger's past ends         consumers      its two positions in the log
replay, progress, retry, chain, initial: what the owner may ask for and see, and what installations run
"""

from core.work.processor.attached import InstalledApp
from core.work.processor.backoff import Backoff
from core.work.processor.compiled_trigger import compile_trigger, compile_triggers
from core.work.processor.processor import Processor
from core.work.processor.settings import ProcessorSettings

__all__ = ["Backoff", "InstalledApp", "Processor", "ProcessorSettings", "compile_trigger", "compile_triggers"]
