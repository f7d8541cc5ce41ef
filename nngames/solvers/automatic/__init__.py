"""The method ``auto``: a run through several schemes, what it forecasts and when it leaves one."""
