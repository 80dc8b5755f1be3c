"""What a trigger's SQL must not do, checked on the compiled text: see the rules in `rules`.

`check_sql` looks at one model, `check_project` at all triggers that dbt compiled, `format_problems` is for people.
"""

from orchestration.check.contract import ROW_CONTRACT, WORKING_SET
from orchestration.check.pitfalls import DIALECTS, PITFALLS, Pitfall
from orchestration.check.problems import Problem, format_problems, problems_as_json
from orchestration.check.project import check_project
from orchestration.check.rules import check_sql

__all__ = [
    "DIALECTS",
    "PITFALLS",
    "ROW_CONTRACT",
    "WORKING_SET",
    "Pitfall",
    "Problem",
    "check_project",
    "check_sql",
    "format_problems",
    "problems_as_json",
]
