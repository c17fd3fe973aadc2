"""The ``runner`` group: where tasks run, and how many at once. It changes no result."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from daycast.config.section import Section

FITS_PER_GPU = "networks that are fitted at once on a GPU; only where trainer.accelerator is not cpu"


class Local(Section):
    """Threads of this process, or processes of this machine."""

    kind: Literal["threads", "processes"] = Field(description="Prefect's task runner")
    workers: int = Field(ge=1, le=256, description="tasks at once")
    fits_per_gpu: int = Field(ge=1, le=64, description=FITS_PER_GPU)


class Dask(Section):
    """A Dask cluster: one of this machine's own while a run lasts, or one that runs."""

    kind: Literal["dask"] = Field(description="Dask's task runner, of prefect-dask")
    address: str | None = Field(
        pattern=r"^(tcp|tls)://\S+:\d+$",
        description="scheduler of a cluster that runs, such as tcp://10.0.0.5:8786; null starts one on this machine, "
        "on loopback, and ends it with the run",
    )
    workers: int = Field(ge=1, le=256, description="own cluster: processes")
    threads: int = Field(ge=1, le=256, description="own cluster: tasks at once in each process")
    memory_limit: str | None = Field(
        pattern=r"^(auto|\d+(\.\d+)? ?[kMGT]i?B)$",
        description="own cluster: memory of a process, such as 4 GiB, above which it is started anew and its tasks are "
        "tried again; auto: equal shares of the machine; null: no limit",
    )
    gpus: int | None = Field(
        ge=0,
        le=64,
        description="own cluster: GPUs, one for each of the first processes, which alone fit networks then, unless "
        "trainer.accelerator is cpu; null for as many as PyTorch finds",
    )
    fits_per_gpu: int = Field(
        ge=1, le=64, description=f"own cluster: {FITS_PER_GPU}; workers of another have the resource GPU for each"
    )
    series_per_task: int = Field(
        ge=1, description="most series in one task of a family that fits each by itself (ARIMA, exponential smoothing)"
    )

    @model_validator(mode="after")
    def _room_for_what_is_asked(self) -> Dask:
        if self.address is not None:
            return self
        faults = []
        if (self.gpus or 0) > self.workers:
            faults.append(f"gpus {self.gpus} is above workers {self.workers}: each GPU needs a process of its own")
        if self.gpus and self.fits_per_gpu > self.threads:
            faults.append(f"fits_per_gpu {self.fits_per_gpu} is above threads {self.threads}: a fit takes a thread")
        if faults:
            raise ValueError("\n".join(faults))
        return self


Runner = Annotated[Local | Dask, Field(discriminator="kind")]
