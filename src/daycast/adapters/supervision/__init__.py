"""Processes kept running by supervisord: started, watched, started again, and ended with none left over."""

from daycast.adapters.supervision.control import Program, Watched, alive, launch, log_file, start, stop, watched
from daycast.adapters.supervision.processes import free_port, leftovers

__all__ = ["Program", "Watched", "alive", "free_port", "launch", "leftovers", "log_file", "start", "stop", "watched"]
