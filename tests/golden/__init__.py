"""Versions as releases registered them: a folder per release, never changed again. ``make`` adds the next one."""
