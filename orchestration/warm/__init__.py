"""Runs without the start of an interpreter: a template process has everything imported and forks itself for each run.

    launcher ── socket ── template ── fork ── a run (Dagster's own execute_run command)
                             │                   └ dbt_client, in the place of the dbt executable
                             └─────── fork ── dbt, on a manifest that is parsed already

Whatever the template cannot do, or is not sure of, goes the ordinary way, and the run's log says why.
"""
