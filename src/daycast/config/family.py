"""What every section of the ``model`` group has in common."""

from typing import ClassVar

from daycast.config.section import Section


class Family(Section):
    """A kind of model."""

    baseline: ClassVar[bool] = False
    """Whether the gate counts it as a naive baseline that others must beat."""
