insert into published_file.{table} by name
select rows.*
from {table} as rows
where
    {rows_on}
    and {changed_on}
    and {key} not in (select {key} from published_file.{table} as rows where {changed_on});
