"""Tripline: SQL-first behavioural triggers that run in the warehouse."""
