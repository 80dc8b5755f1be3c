"""Dagster definitions, one folder per stage; orchestration/definitions.py loads them all."""
