"""Pure computation on numpy and pandas: no tool, no file, no network."""
