"""Prefect flows: when and where the steps run. The only code that imports prefect."""
