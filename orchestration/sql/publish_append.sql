insert into published_file.{table} by name
select rows.*
from {table} as rows -- noqa: AL04
where
    {rows_on}
    and {changed_on}
    and rows.{key} not in (select rows.{key} from published_file.{table} as rows where {changed_on});
